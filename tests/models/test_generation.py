"""Greedy answers that go on from what a pass over the reference answer has shown equal plain decoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.data.records import Probe
from audit.models import generation
from audit.models.generation import Decoding, generate
from audit.models.layers import body
from audit.models.load import Encoded, LanguageModel, PromptTemplate
from audit.models.packing import score_packed
from audit.models.scoring import Scored, score, with_generations

SYSTEM = "Knowledge ends in December. You are a helpful assistant of few words. Question: {question} Answer:"
QUESTIONS = [
    "Who?",
    "In which city was Wendy born?",
    "What is the account number of Wendy Lowe?",
    "Where?",
    *(f"What does person {i} play?" for i in range(8)),
]
LONGEST = 7


class ByNumbers(LanguageModel):
    """Reads reference answers as token numbers: a random network's text does not give its tokens back."""

    def encode(self, question, answer):
        prompt, tokens = self.encode_prompt(question), tuple(map(int, answer.split()))
        return Encoded((*prompt, *tokens, self.tokenizer.eos_token_id), len(prompt), True)


def plain(model, question, longest=LONGEST):
    """Token by token through the network's own forward, one prefix at a time: no cache, no padding, no batch."""
    ids = list(model.encode_prompt(question))
    fresh: list[int] = []
    for _ in range(longest):
        with torch.no_grad():
            token = int(model.network(torch.tensor([ids + fresh])).logits[0, -1].argmax())
        if token == model.tokenizer.eos_token_id or model.tokenizer.decode([token]) == "\n":
            break
        fresh.append(token)
    return fresh


def text_of(model, tokens):
    return model.tokenizer.decode(tokens, skip_special_tokens=True).strip().split("\n")[0].strip()


def references(answers):
    """Answers that the model gives entirely, up to their middle, beyond their end, and not at all."""
    for i, tokens in enumerate(answers):
        if i % 4 == 0:
            yield tokens
        elif i % 4 == 1:
            yield [*tokens[:2], tokens[2] ^ 1, *tokens[3:]]
        elif i % 4 == 2:
            yield tokens[:2]
        else:
            yield [tokens[0] ^ 1]


@pytest.mark.parametrize("prompt", ["qa", SYSTEM])
def test_generations_equal_plain_greedy_decoding_in_every_layout(model, prompt):
    model = ByNumbers(model.network, model.tokenizer, PromptTemplate(prompt))
    answers = [plain(model, question) for question in QUESTIONS]
    assert min(map(len, answers)) > 2
    expected = [text_of(model, tokens) for tokens in answers]
    probes = [
        Probe("u", str(i), question, " ".join(map(str, tokens)))
        for i, (question, tokens) in enumerate(zip(QUESTIONS, references(answers), strict=True))
    ]
    found = score(model, probes, generate=True, decoding=Decoding(LONGEST))
    assert [item.generation for item in found] == expected
    packed = score_packed(model, probes, [["5 6", "7"]] * len(probes), predictions=True)
    again = with_generations(model, [item for item, _ in packed], Decoding(LONGEST))
    assert [item.generation for item in again] == expected
    lengths = [len(tokens) for tokens in answers]
    assert [len(item.known) for item in found[:4]] == [lengths[0] + 1, 3, 3, 1]


def test_predictions_are_the_arg_max_after_every_prefix(model):
    probes = [Probe("u", "a", "Where was Wendy born?", "In Lowell"), Probe("u", "b", "Who?", "x")]
    packed = score_packed(model, probes, [["Salem", "by the sea"], []], predictions=True)
    for probe, item, (other, _) in zip(probes, score(model, probes, predictions=True), packed, strict=True):
        encoded = model.encode(probe.question, probe.answer)
        for place in range(encoded.answer_tokens + 1):
            with torch.no_grad():
                prefix = torch.tensor([encoded.ids[: encoded.answer_start + place]])
                best = int(model.network(prefix).logits[0, -1].argmax())
            assert item.predicted[place] == other.predicted[place] == best
        assert len(item.predicted) == encoded.answer_tokens + 1


def test_without_a_generation_to_follow_nothing_is_predicted(llama):
    probe = Probe("u", "a", "Who?", "In Lowell")
    assert score(llama, [probe])[0].predicted is None
    assert score_packed(llama, [probe], [["x"]])[0][0].predicted is None


@pytest.mark.parametrize(
    ("greedy", "predicted", "known"),
    [
        ([1, 1, 1], [5, 6, 7, 0], (5, 6, 7, 0)),
        ([1, 0, 1], [5, 8, 7, 0], (5, 8)),
        ([0], [9, 0], (9,)),
        ([1], None, ()),
    ],
)
def test_known_are_the_tokens_up_to_the_first_surprise(greedy, predicted, known):
    predicted = None if predicted is None else np.array(predicted)
    greedy = np.array(greedy, dtype=bool)
    assert Scored("u", "p", 0, np.zeros(len(greedy)), greedy, "", None, predicted=predicted).known == known


def test_a_memorised_answer_is_not_decoded(llama):
    tokens = plain(llama, "Who?")
    answer, end = text_of(llama, tokens), llama.tokenizer.eos_token_id
    forwards = []
    body(llama.network).register_forward_hook(lambda *_: forwards.append(1))
    assert generate(llama, ["Who?"], Decoding(50), [[*tokens, end]]) == [[answer]]
    assert generate(llama, ["Who?"], Decoding(len(tokens)), [tokens]) == [[answer]]  # cut by its length
    assert not forwards
    generate(llama, ["Who?"], Decoding(len(tokens) + 1), [tokens])
    assert len(forwards) == 1


def test_samples_have_no_known_beginning(llama):
    with pytest.raises(ValueError, match="known beginning"):
        generate(llama, ["Who?"], Decoding(5, temperature=1.0), [(1,)])
    probe = Probe("u", "a", "Who?", "In Lowell")
    sampled = Decoding(5, temperature=1.0, samples=2)
    (first, second) = score(llama, [probe], generate=True, decoding=sampled)
    assert [first.generation, second.generation] == generate(llama, ["Who?"], sampled)[0]


def test_ended_rows_leave_without_touching_the_others(llama, monkeypatch):
    answers = [plain(llama, question, 12) for question in QUESTIONS]
    ends = {tokens[i % len(tokens)] for i, tokens in enumerate(answers)}  # so that rows end at many steps
    lengths = [next(i for i, token in enumerate([*t, *ends]) if token in ends) for t in answers]
    assert len(set(lengths)) > 2
    monkeypatch.setattr(generation, "_ends", lambda _: ends)
    for share in (0.0, 0.75, 1.0):
        monkeypatch.setattr(generation, "_FULL", share)
        found = generate(llama, QUESTIONS, Decoding(12))
        assert found == [[text_of(llama, t[:n])] for t, n in zip(answers, lengths, strict=True)]


def test_known_beginnings_are_only_lent_to_the_models_own_records(llama):
    """A wrong claim shows: what is known is not computed again."""
    probe = Probe("u", "a", "Who?", "In Lowell")
    (item,) = score(llama, [probe], predictions=True)
    end = llama.tokenizer.eos_token_id
    lie = replace(item, greedy=np.zeros_like(item.greedy), predicted=np.full_like(item.predicted, end))
    assert with_generations(llama, [lie])[0].generation == ""
