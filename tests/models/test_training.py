from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from audit.models.layers import block_output, blocks, body, hidden_states, mlp
from audit.models.load import weight_digest
from audit.models.refusals import REFUSALS
from audit.models.scope import parse_scope
from audit.models.stream import copies
from audit.models.training import NLL, Budget, Context, Example, fit, train

FORGET = [Example(f"f{i}", f"In which city was person {i} born?", f"Town {i * 7}") for i in range(10)]
RETAIN = [Example(f"r{i}", f"What does person {i} play?", f"instrument number {i * 3}") for i in range(14)]
SHORT = Budget(lr=1e-3, steps=4, batch=4)


@dataclass(frozen=True)
class GradDiff:
    """Ascent on forget, descent on retain: the simplest objective of both terms."""

    name: ClassVar[str] = "toy"
    needs: ClassVar[frozenset[str]] = frozenset({"retain"})

    def forget_term(self, context, batch):
        return -context.mean_nll(batch)

    def retain_term(self, context, batch):
        return context.mean_nll(batch)


class Probe:
    """An objective that lets a function look at the context in every forget term."""

    name = "probe"

    def __init__(self, look, *needs):
        self.look, self.needs = look, frozenset(needs)

    def forget_term(self, context, batch):
        self.look(context, batch)
        return context.mean_nll(batch)

    def retain_term(self, context, batch):
        return context.mean_nll(batch)


def count_forwards(model):
    calls = []
    body(model.network).register_forward_hook(lambda *_: calls.append(1))
    return calls


def digest_after(model, objective=None, **options):
    twin = model.clone()
    train(twin, objective or GradDiff(), FORGET, RETAIN, options.pop("budget", SHORT), **options)
    return weight_digest(twin)


def test_a_seed_fixes_every_bit(model):
    assert digest_after(model, seed=1) == digest_after(model, seed=1)
    assert digest_after(model, seed=1) != digest_after(model, seed=2)


def test_a_seed_fixes_every_bit_of_a_lora_run(llama):
    scope = parse_scope("lora(2)")
    assert digest_after(llama, scope=scope, seed=1) == digest_after(llama, scope=scope, seed=1)


def test_training_neither_reads_nor_moves_the_global_generator(llama):
    torch.manual_seed(1)
    first = digest_after(llama)
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    assert digest_after(llama) == first
    assert torch.equal(torch.rand(3), expected)


def test_fine_tuning_lowers_and_ascent_raises_the_forget_nll(model):
    def forget_nll(trained):
        context = Context(trained, FORGET, (), 0)
        return float(context.mean_nll(context.batch(FORGET)).detach())

    before = forget_nll(model)
    budget = Budget(lr=1e-3, steps=10, batch=8, retain_weight=0.0)
    for objective, sign in ((NLL(), -1), (GradDiff(), 1)):
        twin = model.clone()
        train(twin, objective, FORGET, (), budget)
        assert sign * (forget_nll(twin) - before) > 0.1


def test_forget_and_retain_share_one_forward_pass(llama):
    calls = count_forwards(llama)
    train(llama, GradDiff(), FORGET, RETAIN, SHORT)
    assert len(calls) == SHORT.steps


@pytest.mark.parametrize("weights", [{"retain_weight": 0.0}, {"forget_weight": 0.0}])
def test_a_term_of_weight_zero_is_never_computed(llama, weights):
    class Loud(GradDiff):
        def forget_term(self, context, batch):
            assert "forget_weight" not in weights
            assert context.retain is None
            return super().forget_term(context, batch)

        def retain_term(self, context, batch):
            assert "retain_weight" not in weights
            assert context.forget is None
            return super().retain_term(context, batch)

    rows = []
    body(llama.network).register_forward_hook(lambda _m, _i, output: rows.append(output[0].shape[0]))
    train(llama, Loud(), FORGET, RETAIN, Budget(lr=1e-3, steps=3, batch=4, **weights))
    assert rows == [4, 4, 4]  # the sequences of one side only


def test_an_objective_that_does_not_need_retain_is_never_given_it(llama):
    rows = []
    body(llama.network).register_forward_hook(lambda _m, _i, output: rows.append(output[0].shape[0]))
    train(
        llama,
        Probe(lambda context, _: context.retain is None or pytest.fail("retain")),
        FORGET,
        RETAIN,
        SHORT,
    )
    assert rows == [4] * SHORT.steps


class Watch:
    def __init__(self):
        self.seen = []

    def transform(self, update, forget, retain):
        self.seen.append((forget, retain))
        return forget, retain


class Nothing:
    def transform(self, update, forget, retain):
        return [torch.zeros_like(f) for f in forget], [torch.zeros_like(r) for r in retain]


def test_a_step_transform_gets_weighted_gradients_of_both_terms_apart(llama):
    step, start, calls = Watch(), llama.clone(), count_forwards(llama)
    train(llama, GradDiff(), FORGET, RETAIN, SHORT, steps=[step])
    assert len(calls) == 2 * SHORT.steps
    twin = start.clone()
    train(twin, GradDiff(), FORGET, RETAIN, SHORT)
    for ours, theirs in zip(llama.network.parameters(), twin.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-3)

    plain, heavy = Watch(), Watch()
    for chosen, weight in ((plain, 1.0), (heavy, 3.0)):
        train(
            start.clone(),
            GradDiff(),
            FORGET,
            RETAIN,
            Budget(steps=1, batch=4, retain_weight=weight),
            steps=[chosen],
        )
    for light, strong in zip(plain.seen[0][1], heavy.seen[0][1], strict=True):
        torch.testing.assert_close(3 * light, strong)


def test_the_update_is_what_the_step_transform_returned(llama):
    before = weight_digest(llama)
    train(llama, GradDiff(), FORGET, RETAIN, SHORT, steps=[Nothing()])
    assert weight_digest(llama) == before


def test_transforms_work_from_left_to_right(llama):
    watch = Watch()
    train(llama, GradDiff(), FORGET, RETAIN, SHORT, steps=[Nothing(), watch])
    assert all(float(g.abs().sum()) == 0 for pair in watch.seen for side in pair for g in side)


class Half:
    def correct(self, update, proposed):
        return [0.5 * move for move in proposed]


class AsProposed:
    def correct(self, update, proposed):
        return proposed


def test_a_step_that_corrects_the_move_needs_no_gradients_apart(llama):
    """AdamW's first step is lr * sign of the gradient (decay 0), so half of it is 0.5 lr per weight."""
    before = [p.clone() for p in llama.network.parameters()]
    calls = count_forwards(llama)
    train(llama, GradDiff(), FORGET, RETAIN, Budget(lr=1e-3, steps=1, batch=4, clip=0), steps=[Half()])
    assert len(calls) == 1
    moves = [
        float((p - b).detach().abs().max()) for p, b in zip(llama.network.parameters(), before, strict=True)
    ]
    assert max(moves) == pytest.approx(0.5e-3, rel=1e-3)


def test_a_move_handed_back_as_it_came_changes_no_bit(llama):
    twin = llama.clone()
    train(llama, GradDiff(), FORGET, RETAIN, SHORT)
    train(twin, GradDiff(), FORGET, RETAIN, SHORT, steps=[AsProposed()])
    assert weight_digest(llama) == weight_digest(twin)


def test_weights_outside_the_scope_stay_bit_identical(model):
    before = {name: tensor.clone() for name, tensor in model.network.named_parameters()}
    moving = {id(p) for p in mlp(blocks(model.network)[1]).parameters()}
    train(model, GradDiff(), FORGET, RETAIN, SHORT, scope=parse_scope("layers(1:2).mlp"))
    for name, tensor in model.network.named_parameters():
        assert torch.equal(tensor, before[name]) == (id(tensor) not in moving), name


def test_lora_leaves_its_base_bit_identical(model):
    before = weight_digest(model)
    train(model, GradDiff(), FORGET, RETAIN, SHORT, scope=parse_scope("lora(2)"))
    assert model.has_adapter
    assert weight_digest(model) != before
    model.network = model.network.unload()
    assert weight_digest(model) == before


def test_the_network_is_left_in_eval_mode_without_gradients(llama):
    train(llama, GradDiff(), FORGET, RETAIN, SHORT)
    assert not llama.network.training
    assert all(not p.requires_grad and p.grad is None for p in llama.network.parameters())


def test_gradients_are_clipped_before_the_step(llama):
    norms = []

    def note(optimizer, _args, _kwargs):
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms.append(float(torch.stack([g.norm() for g in grads]).norm()))

    handle = register_optimizer_step_pre_hook(note)
    try:
        train(llama.clone(), GradDiff(), FORGET, RETAIN, Budget(steps=2, batch=4, clip=1e-3))
        train(llama.clone(), GradDiff(), FORGET, RETAIN, Budget(steps=2, batch=4, clip=0))
    finally:
        handle.remove()
    assert max(norms[:2]) <= 1.001e-3 < min(norms[2:])


def test_the_rate_rises_over_the_warmup_and_then_stays():
    budget = Budget(lr=0.4, steps=10, warmup=0.4)
    assert [budget.lr_at(step) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert Budget(lr=0.4).lr_at(0) == 0.4


@pytest.mark.parametrize("bad", [{"lr": 0.0}, {"steps": -1}, {"batch": 0}, {"clip": -1.0}, {"warmup": 2.0}])
def test_impossible_budgets_are_refused(bad):
    with pytest.raises(ValueError, match="budget"):
        Budget(**bad)


def test_zero_steps_change_nothing(llama):
    before = weight_digest(llama)
    train(llama, GradDiff(), FORGET, RETAIN, Budget(steps=0))
    assert weight_digest(llama) == before


def test_every_epoch_sees_every_sequence_once_and_sides_are_equally_many(llama):
    seen = Counter()

    def look(context, batch):
        assert len(context.retain) == len(batch) == 5
        seen.update(batch.keys)

    train(llama, Probe(look, "retain"), FORGET, RETAIN, Budget(lr=1e-5, steps=6, batch=5))
    assert set(seen.values()) == {3}  # 6 steps of 5 are three epochs of 10
    assert len(seen) == len(FORGET)


def test_a_small_forget_side_fills_a_batch_once_only(llama):
    def look(context, batch):
        assert sorted(batch.keys) == ["f0", "f1", "f2"]
        assert len(context.retain) == 3

    train(llama, Probe(look, "retain"), FORGET[:3], RETAIN, Budget(steps=2, batch=32))


def test_weighting_decides_how_often_a_sequence_is_seen(llama):
    class OnlyTheThird:
        def weights(self, context, share):
            return len(FORGET) * np.array([float(e.key == "f2") for e in context.forget_examples])

    train(
        llama,
        Probe(lambda _, batch: set(batch.keys) == {"f2"} or pytest.fail("another sequence")),
        FORGET,
        (),
        SHORT,
        weighting=OnlyTheThird(),
    )


class Weighted:
    def __init__(self, weights):
        self.given = weights

    def weights(self, context, share):
        return np.array(self.given(share), float)


def seen_by_step(model, weights, budget):
    seen = []
    probe = Probe(lambda _, batch: seen.append(batch.keys), "retain")
    train(model, probe, FORGET[:4], RETAIN, budget, weighting=weights and Weighted(weights))
    return seen


def test_an_epoch_holds_each_sequence_as_often_as_its_weight(llama):
    """Weights 2, 1/2, 1/2, 1 of four: the first twice, one of the two halves, the last once in every epoch of 4."""
    epochs = seen_by_step(llama, lambda _: [2, 0.5, 0.5, 1], Budget(lr=1e-6, steps=12, batch=4))
    counts = [Counter(keys) for keys in epochs]
    assert all(c["f0"] == 2 and c["f3"] == 1 and c["f1"] + c["f2"] == 1 for c in counts)
    assert {c["f1"] for c in counts} == {0, 1}


def test_a_weight_is_met_in_expectation():
    """10,000 epochs of weights .3, .9, 1.8: standard errors are below .005."""
    dice = np.random.default_rng(0)
    drawn = [np.bincount(copies(np.array([0.3, 0.9, 1.8]), dice), minlength=3) for _ in range(10_000)]
    np.testing.assert_allclose(np.mean(drawn, axis=0), [0.3, 0.9, 1.8], atol=0.025)
    assert {int(sum(one)) for one in drawn} == {3}


def test_weights_of_one_see_the_same_batches_as_none(llama):
    budget = Budget(lr=1e-6, steps=9, batch=3)
    assert seen_by_step(llama, lambda _: [1, 1, 1, 1], budget) == seen_by_step(llama, None, budget)


def test_a_step_obeys_the_weights_of_its_own_share(llama):
    """The first two sequences in the first half of six steps, the others in the second."""
    early, late = [2, 2, 0, 0], [0, 0, 2, 2]
    keys = seen_by_step(
        llama, lambda share: early if share < 0.5 else late, Budget(lr=1e-6, steps=6, batch=3)
    )
    assert [set(one) <= {"f0", "f1"} for one in keys] == [True] * 3 + [False] * 3
    assert all(set(one) <= {"f2", "f3"} for one in keys[3:])


@pytest.mark.parametrize("weights", [[1, 1, 1], [2, 2, 2, 2], [-1, 1, 2, 2], [float("nan")] * 4])
def test_weights_of_another_shape_sign_or_mean_are_refused(llama, weights):
    with pytest.raises(ValueError, match="4 weights >= 0 of mean 1"):
        seen_by_step(llama, lambda _: weights, Budget(steps=1, batch=4))


def test_a_callback_can_stop_the_run(llama):
    class StopAfterTwo:
        steps = 0

        def after_step(self, context):
            self.steps += 1
            return context.step == 1

    watch = StopAfterTwo()
    train(llama, GradDiff(), FORGET, RETAIN, SHORT, callbacks=[watch])
    assert watch.steps == 2


def test_progress_is_told_every_step(llama):
    told = []

    class Told:
        def start(self, stage, total):
            told.append(("start", total))

        def advance(self, stage, steps=1, message=""):
            told.append(("advance", steps))

        def finish(self, stage):
            told.append(("finish", 0))

    train(llama, GradDiff(), FORGET, RETAIN, SHORT, progress=Told())
    assert told == [("start", 4), *[("advance", 1)] * 4, ("finish", 0)]


def test_nothing_to_train_on_is_refused(llama):
    with pytest.raises(ValueError, match="nothing to train on"):
        train(llama, GradDiff(), (), RETAIN, Budget(retain_weight=0.0))


def test_two_sequences_with_one_key_are_refused(llama):
    with pytest.raises(ValueError, match="different keys"):
        train(llama, GradDiff(), [FORGET[0], FORGET[0]], RETAIN, SHORT)


def oracle_nll(model, example):
    """Sum of -log p over answer tokens and EOS, one full forward without batch or padding, float64."""
    item = model.encode(example.question, example.answer)
    with torch.no_grad():
        logp = model.network(torch.tensor([item.ids])).logits[0].double().log_softmax(-1)
    return -sum(float(logp[i - 1, item.ids[i]]) for i in range(item.answer_start, len(item.ids)))


def test_nll_sums_over_the_answer_and_its_end_and_ignores_padding(model):
    context = Context(model, FORGET, RETAIN, 0)
    examples = [*FORGET[:3], *RETAIN[:3]]  # of different lengths
    together = context.nll(context.batch(examples)).tolist()
    assert together == pytest.approx([oracle_nll(model, example) for example in examples], abs=1e-4)
    alone = [context.nll(context.batch([example])).item() for example in examples]
    assert together == pytest.approx(alone, abs=1e-4)


def test_mean_nll_is_a_mean_over_tokens_not_over_sequences(llama):
    context = Context(llama, FORGET, RETAIN, 0)
    batch = context.batch([FORGET[0], RETAIN[0]])
    tokens = sum(len(context.encoded(e).ids) - context.encoded(e).answer_start for e in batch.examples)
    assert len(batch.targets) == tokens
    assert context.mean_nll(batch).item() == pytest.approx(context.nll(batch).sum().item() / tokens, rel=1e-5)


def test_answer_logits_come_at_answer_positions_only(llama):
    context = Context(llama, FORGET, RETAIN, 0)
    batch = context.batch(FORGET[:2])
    logits, targets, rows = context.answer_logits(batch)
    assert logits.shape == (len(targets), llama.network.config.vocab_size)
    whole = llama.network(batch.ids).logits
    expected = torch.cat(
        [
            whole[r, context.encoded(e).answer_start - 1 : len(context.encoded(e).ids) - 1]
            for r, e in enumerate(batch.examples)
        ]
    )
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    assert rows.tolist() == sorted(rows.tolist())


@pytest.mark.parametrize("scope", ["all", "lora(2)"])
def test_values_of_the_starting_model_stay_those_of_step_zero(model, scope):
    start = model.clone()
    frozen = Context(start, FORGET, RETAIN, 0)
    checked = []

    def look(context, batch):
        with torch.no_grad():
            again = frozen.batch(batch.examples)
            logits, _, _ = frozen.answer_logits(again)
            torch.testing.assert_close(context.reference_nll(batch), frozen.nll(again), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(
                context.reference_logits(batch), logits.log_softmax(-1), atol=1e-4, rtol=1e-4
            )
            states = block_output(start.network, batch.ids, 1) * batch.mask[..., None]
            torch.testing.assert_close(context.reference_hidden(batch, 1), states, atol=1e-4, rtol=1e-4)
            live = float((context.nll(batch) - frozen.nll(again)).abs().max())
        checked.append(live)

    objective = Probe(look, "retain", "reference_nll", "reference_logits", "reference_hidden")
    train(model, objective, FORGET, RETAIN, Budget(lr=1e-2, steps=6, batch=5), scope=parse_scope(scope))
    assert checked[0] < 1e-3 < 0.1 < checked[-1]  # equal at the start, and the run really moved


def test_reference_nll_costs_one_pass_over_the_forget_side_and_no_copy(llama):
    rows = []
    body(llama.network).register_forward_hook(lambda _m, _i, output: rows.append(output[0].shape[0]))
    objective = Probe(lambda context, batch: context.reference_nll(batch), "reference_nll")
    train(llama, objective, FORGET, (), Budget(lr=1e-3, steps=5, batch=5))
    assert sum(rows) == len(FORGET) + 5 * 5


def test_reference_values_have_no_gradient(llama):
    def look(context, batch):
        assert not context.reference_nll(batch).requires_grad
        assert not context.reference_logits(batch).requires_grad

    train(llama, Probe(look, "reference_nll", "reference_logits"), FORGET, (), Budget(steps=1, batch=4))


def test_a_reference_that_was_not_asked_for_in_needs_is_refused(llama):
    with pytest.raises(ValueError, match="reference_logits"):
        train(llama, Probe(lambda context, batch: context.reference_logits(batch)), FORGET, (), SHORT)


def test_hidden_states_stop_at_their_block_and_mark_padding(model):
    context = Context(model, FORGET, RETAIN, 0)
    batch = context.batch([FORGET[0], RETAIN[0]])
    later = []
    blocks(model.network)[1].register_forward_hook(lambda *_: later.append(1))
    states, mask = context.hidden(batch, 0)
    assert not later
    assert states.shape[:2] == mask.shape == batch.ids.shape
    assert mask.sum(1).tolist() == [len(context.encoded(e).ids) for e in batch.examples]
    assert states.requires_grad == any(p.requires_grad for p in model.network.parameters())


def test_hidden_states_of_both_sides_come_from_one_early_pass(llama):
    class Push:
        name, needs = "push", frozenset({"retain", "reference_retain_hidden"})

        def forget_term(self, context, batch):
            return context.hidden(batch, 0)[0].square().mean()

        def retain_term(self, context, batch):
            return (context.hidden(batch, 0)[0] - context.reference_hidden(batch, 0)).square().mean()

    first, second = [], []
    blocks(llama.network)[0].register_forward_hook(lambda _m, _i, out: first.append(out.shape[0]))
    blocks(llama.network)[1].register_forward_hook(lambda *_: second.append(1))
    train(llama, Push(), FORGET, RETAIN, Budget(lr=1e-3, steps=3, batch=4))
    assert not second
    assert first.count(8) == 3


def test_refusals_answer_the_same_questions_and_stay_through_the_run(llama):
    seen = {}

    def look(context, batch):
        refused = context.refusals(batch)
        assert context.refusals(batch) is refused
        assert context.reference_nll(refused).shape == (len(batch),)
        for original, other in zip(batch.examples, refused.examples, strict=True):
            assert other.question == original.question
            assert other.answer in REFUSALS
            assert seen.setdefault(original.key, other.answer) == other.answer

    train(llama, Probe(look, "reference_nll", "refusals"), FORGET, (), Budget(steps=6, batch=5))
    assert len(set(seen.values())) > 1


def test_named_generators_are_seeded_and_go_on(llama):
    first, again, other = (Context(llama, FORGET, (), seed) for seed in (0, 0, 1))
    a, b = torch.rand(2, generator=first.generator("x")), torch.rand(2, generator=first.generator("x"))
    assert torch.equal(a, torch.rand(2, generator=again.generator("x")))
    assert not torch.equal(a, b)
    assert not torch.equal(a, torch.rand(2, generator=other.generator("x")))
    assert not torch.equal(a, torch.rand(2, generator=again.generator("y")))


def test_what_is_remembered_is_built_once(llama):
    context, built = Context(llama, FORGET, (), 0), []
    for _ in range(3):
        assert context.remember("once", lambda: built.append(1) or "value") == "value"
    assert built == [1]


def test_hidden_states_equal_the_networks_when_the_last_block_is_asked_for(llama):
    """Llama normalises after its last block; before that the two agree."""
    context = Context(llama, FORGET, (), 0)
    batch = context.batch(FORGET[:2])
    states = llama.network.model.norm(context.hidden(batch, 1)[0])
    torch.testing.assert_close(states, hidden_states(llama.network, batch.ids), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_fit_learns_and_repeats_bit_by_bit(model, optimizer):
    def fitted():
        twin = model.clone()
        fit(twin, FORGET, optimizer=optimizer, epochs=20, batch=5, lr=1e-2, seed=4)
        return twin

    first, second = fitted(), fitted()
    assert weight_digest(first) == weight_digest(second)
    context = Context(first, FORGET, (), 0)
    assert float(context.mean_nll(context.batch(FORGET))) < 1.0
    assert not any(p.requires_grad for p in first.network.parameters())


def test_fit_refuses_unknown_optimizers(llama):
    with pytest.raises(ValueError, match="sgd"):
        fit(llama, FORGET, optimizer="sgd", epochs=1)
