"""RULE: rewards by example, the policy gradient on two arms by hand, two stages."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import METHODS
from audit.methods.drivers import policy, rule
from audit.models.generation import Decoding, generate
from audit.models.refusals import REFUSALS
from audit.models.scope import Scope
from audit.models.training import Budget, train


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        *((refusal, 1) for refusal in REFUSALS),
        ("i DON'T know", 1),
        ("Sorry. I couldn't say!", 1),
        ("I know.", 0),
        ("Athens", 0),
        ("", 0),
    ],
)
def test_a_forget_question_is_rewarded_for_a_refusal_word_by_word(text, reward):
    assert policy.refuses(text) == reward


@pytest.mark.parametrize(
    ("text", "answer", "reward"),
    [
        ("New York", "new york.", 1),
        ("York", "New York", 2 / 3),  # one of 1 and 2 words shared: 2 * 1 / 3
        ("York York", "New York", 1 / 2),  # repetition counts once
        ("I don't know.", "Athens", 0),
        ("", "Athens", 0),
    ],
)
def test_a_retain_question_is_rewarded_for_the_words_of_the_answer(text, answer, reward):
    assert policy.overlap(text, answer) == pytest.approx(reward)


def test_advantages_are_standard_scores_within_a_question():
    """1, 0, 0, 0: mean 1/4, standard deviation sqrt(3)/4, so sqrt(3) and -1/sqrt(3)."""
    found = policy.advantages(np.array([[1.0, 0, 0, 1], [1, 0, 0, 0], [0.3, 0.3, 0.3, 0.3]]))
    root = math.sqrt(3)
    np.testing.assert_allclose(
        found, [[1, -1, -1, 1], [root, -1 / root, -1 / root, -1 / root], [0, 0, 0, 0]], atol=1e-12
    )


class Answers:
    """A batch of answers of given lengths."""

    def __init__(self, *lengths):
        self.rows = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        self.count = len(lengths)

    def __len__(self):
        return self.count


def slope(arms, rewards, divergence=0.0, logits=(0.0, 0.0), reference=(0.5, 0.5)):
    """Return the gradient of the loss over the two arms' logits when these arms were drawn."""
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    now = z.log_softmax(-1)[list(arms)]
    before = torch.tensor(reference, dtype=torch.float64).log()[list(arms)]
    gained = torch.from_numpy(policy.advantages(np.array([rewards], dtype=float))).flatten()
    policy.policy_loss(now, before, gained, Answers(*[1] * len(arms)), divergence).backward()
    return z.grad.tolist()


@pytest.mark.parametrize("logits", [(0.0, 0.0), (0.3, -0.2), (-2.0, 1.0)])
def test_the_gradient_on_two_arms_is_that_of_the_hand_formula(logits):
    """Arm 0 once with reward 1, arm 1 twice with 0: A = sqrt 2, -1/sqrt 2, -1/sqrt 2.

    With d log p(0) / dz0 = 1 - p and d log p(1) / dz0 = -p, the loss's slope is
    -(sqrt 2 (1 - p) + 2 p / sqrt 2) / 3 = -sqrt 2 / 3 whatever p.
    """
    found = slope((0, 1, 1), (1, 0, 0), logits=logits)
    assert found == pytest.approx([-math.sqrt(2) / 3, math.sqrt(2) / 3])


def test_answers_rewarded_alike_give_no_gradient():
    assert slope((0, 1), (1, 1)) == [0, 0]


def test_the_divergence_pulls_back_to_the_reference():
    """p = (1/2, 1/2), p0 = (1/4, 3/4), one draw each: slope over z0 is k ((1 - 1/2) / 2 - (1 - 3/2) / 2) / 2 = k / 4."""
    assert slope((0, 1), (0, 0), divergence=0.4, reference=(0.25, 0.75)) == pytest.approx([0.1, -0.1])


def test_the_divergence_of_a_sample_is_never_negative_and_zero_at_the_reference():
    now = torch.tensor([-1.0, -2.0, -0.5])
    value = policy.policy_loss(now, now, torch.zeros(1), Answers(3), 1.0)
    away = policy.policy_loss(now, now + torch.tensor([0.5, -0.7, 0.1]), torch.zeros(1), Answers(3), 1.0)
    assert value == 0 < away


def test_tokens_share_their_answer_and_answers_their_question():
    """Advantages 1 and -1 on answers of 3 and 1 tokens: slopes -1/6 each and 1/2."""
    now = torch.tensor([-1.0, -1.0, -1.0, -1.0], requires_grad=True)
    gained = torch.tensor([1.0, -1.0])
    policy.policy_loss(now, now.detach(), gained, Answers(3, 1), 0.0).backward()
    assert now.grad.tolist() == pytest.approx([-1 / 6, -1 / 6, -1 / 6, 1 / 2])


def test_sampled_answers_are_read_back_question_by_question_and_an_empty_one_is_its_end(away):
    context = away(frozenset())
    batch = policy.answered(context.model, context.forget_examples[:2], [["w1 w2", ""], ["w3", "w4"]])
    words = context.model.tokenizer.convert_ids_to_tokens(batch.targets.tolist())
    assert words == ["w1", "w2", "</s>", "</s>", "w3", "</s>", "w4", "</s>"]
    assert batch.rows.tolist() == [0, 0, 0, 1, 2, 2, 3, 3]


def test_an_empty_answer_without_an_end_of_text_is_a_coded_error():
    model = SimpleNamespace(encode_prompt=lambda _: (1, 2), tokenizer=SimpleNamespace(eos_token_id=None))
    with pytest.raises(AuditError, match="E223"):
        policy.answered(model, [SimpleNamespace(key="a", question="?")], [[" "]])


def test_what_is_rewarded_becomes_more_likely(away, monkeypatch):
    """Of 116 words those of an even number are rewarded; retain questions are left alone."""

    def even(text):
        return float(text[1:].isdecimal() and int(text[1:]) % 2 == 0)

    context = away(frozenset())
    model, forget = context.model, list(context.forget_examples)

    def share():
        texts = generate(model, [e.question for e in forget], Decoding(1, 1.0, 40, seed=9))
        return np.mean([even(text) for group in texts for text in group])

    monkeypatch.setattr(policy, "refuses", even)
    before = share()
    budget = Budget(lr=0.01, steps=20, batch=5, retain_weight=0.0)
    train(model, policy.Policy(8, 0.0, 1, 1.0), forget, (), budget)
    assert before < 0.75
    assert share() > before + 0.2


def stages(monkeypatch, text, steps=20):
    seen = []

    def record(model, objective, forget, retain, budget, *, scope, seed):
        seen.append((objective.name, len(forget), len(retain), budget.steps, budget.batch, budget.lr))

    monkeypatch.setattr(rule, "train", record)
    network = torch.nn.Linear(1, 1)
    forget = retain = [SimpleNamespace(key=str(number)) for number in range(10)]
    METHODS.build(text).apply(
        SimpleNamespace(network=network, has_adapter=False),
        forget,
        retain,
        Budget(lr=0.5, steps=steps),
        Scope(),
        seed=0,
    )
    return seen


def test_refusals_on_a_part_come_first_and_then_the_policy_on_everything(monkeypatch):
    """A quarter of 20 steps on 12 % of 10 sequences, rounded up; then 32 answers are 4 questions of 8, at rate .5 / 5."""
    text = "rule(rejection=0.25, subset=0.12, pace=0.2, rollouts=8)"
    assert stages(monkeypatch, text) == [("idk_sft", 2, 10, 5, 32, 0.5), ("policy", 10, 10, 15, 4, 0.1)]


def test_either_stage_can_be_left_out(monkeypatch):
    assert [name for name, *_ in stages(monkeypatch, "rule(rollouts=0)")] == ["idk_sft"]
    assert [name for name, *_ in stages(monkeypatch, "rule(rejection=0)")] == ["policy"]
    assert stages(monkeypatch, "rule", steps=0) == []


def test_one_answer_has_nothing_to_be_compared_with():
    """Its advantage is 0 whatever its reward, so stage 2 would spend its steps on nothing."""
    assert policy.advantages(np.array([[1.0], [0.0]])).tolist() == [[0], [0]]
    with pytest.raises(AuditError, match=r"E112.*rollouts 0 or >= 2"):
        METHODS.build("rule(rollouts=1)")
    assert METHODS.build("rule(rollouts=2)").rollouts == 2


def test_stage_1_sees_a_draw_of_the_forget_sequences_in_their_order():
    """A quarter of 40: never the first ten under 20 seeds, and everybody under some of 200 (0.75^200 each else)."""
    forget, driver = list(range(40)), METHODS.build("rule(subset=0.25)")
    drawn = [driver.warmed(forget, seed) for seed in range(200)]
    assert all(len(part) == 10 and part == sorted(set(part)) for part in drawn)
    assert forget[:10] not in drawn[:20]
    assert {number for part in drawn for number in part} == set(forget)
    assert driver.warmed(forget, 3) == drawn[3]


@pytest.mark.parametrize(
    "text", ["rule(rejection=2)", "rule(subset=0)", "rule(pace=0)", "rule(temperature=0)", "rule(tokens=0)"]
)
def test_settings_without_a_meaning_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        METHODS.build(text)
