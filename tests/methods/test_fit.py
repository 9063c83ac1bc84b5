"""FIT's parts by hand: requests, filter, importance, layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import METHODS
from audit.methods.drivers import fit, influence
from audit.models.scope import Scope
from audit.models.training import Budget, Example


def sequences(*keys):
    return [Example(f"{key}/home/plain", "?", "a") for key in keys]


def test_requests_are_whole_subjects_in_order_and_share_the_steps():
    """Persons a to d in three requests: 2, 1 and 1 of them; 10 steps cut at 3.3 and 6.7 give 3, 4, 3."""
    forget = sequences("a", "b", "c", "d", "a", "d")
    queue = METHODS.build("fit(requests=3)").queue(forget, 10)
    assert [("".join(e.key[0] for e in part), steps) for part, steps in queue] == [
        ("aba", 3),
        ("c", 4),
        ("dd", 3),
    ]
    assert len(METHODS.build("fit(requests=0)").queue(forget, 10)) == 4


@pytest.mark.parametrize(("requests", "steps"), [(5, 10), (3, 2), (0, 3)])
def test_more_requests_than_subjects_or_steps_are_refused(requests, steps):
    with pytest.raises(AuditError, match="E222"):
        METHODS.build(f"fit(requests={requests})").queue(sequences("a", "b", "c", "d"), steps)


def test_a_sequence_near_an_earlier_one_is_left_out_unless_the_loss_needs_it():
    """Losses per token 2/20 of two and 4/10 of the third: 6/30 = .2 with all; without b .25, without d .1.

    b and d have a cosine of .9 with the earlier sequence, c of 0; the loss may change by .06.
    """
    a, b, c, d = sequences("a", "b", "c", "d")
    near = np.array([0.9, np.sqrt(1 - 0.81)])
    states = {a.key: np.array([1.0, 0.0]), b.key: near, c.key: np.array([0.0, 1.0]), d.key: near}
    losses = {b.key: (1.0, 10), c.key: (1.0, 10), d.key: (4.0, 10)}
    driver = METHODS.build("fit(similarity=0.85, difference=0.06)")
    assert driver.filtered([b, c, d], losses, states, [a]) == [c, d]
    assert driver.filtered([b, c, d], losses, states, []) == [b, c, d]
    assert METHODS.build("fit(similarity=0.95)").filtered([b, c, d], losses, states, [a]) == [b, c, d]
    assert driver.filtered([b], losses, states, [a]) == [b]  # there is no loss without it


def test_thirds_are_of_equal_size_by_rising_importance():
    examples = sequences("a", "b", "c", "d", "e")
    found = fit.thirds(examples, np.array([5.0, 1.0, 3.0, 2.0, 4.0]))
    assert [found[e.key] for e in examples] == [2, 0, 1, 0, 1]


@pytest.mark.parametrize(("share", "blocks"), [(0.0, []), (0.25, [1]), (0.5, [1, 3]), (0.6, [1, 2, 3])])
def test_the_highest_scores_move_their_share_rounded_up(share, blocks):
    assert influence.highest({0: 1.0, 1: 5.0, 2: 3.0, 3: 5.0}, share) == blocks


def test_a_share_that_is_a_whole_number_is_not_rounded_up():
    assert len(influence.highest({block: 1.0 for block in range(30)}, 0.1)) == 3


def test_a_block_that_adds_nothing_has_no_score(away):
    model = away(frozenset()).model
    block = model.network.model.layers[1]
    with torch.no_grad():
        block.self_attn.o_proj.weight.zero_()
        block.mlp.down_proj.weight.zero_()
    names = frozenset(name for name, _ in model.network.named_parameters())
    examples = [Example("a", "where now", "w3 w4")]
    scores = influence.layer_scores(model, examples, names)
    assert scores[1] == 0 < scores[0]
    assert set(influence.layer_scores(model, examples, influence.matrices(model, [1]))) == {1}
    with pytest.raises(AuditError, match="E267"):
        influence.layer_scores(model, examples, {"model.embed_tokens.weight"})


def test_the_matrices_of_a_block_are_those_of_attention_and_feed_forward(away):
    names = influence.matrices(away(frozenset()).model, [0])
    assert len(names) == 7
    assert all(".layers.0." in name and "norm" not in name for name in names)


def test_importance_is_the_gradient_norm_at_the_input_embeddings_whatever_the_batch(away):
    """Against the network's own ``inputs_embeds``, sequence by sequence."""
    context = away(frozenset())
    wanted = []
    for example in context.forget_examples:
        encoded = context.encoded(example)
        ids = torch.tensor([encoded.ids])
        given = context.model.network.get_input_embeddings()(ids).detach().requires_grad_()
        logits = context.model.network(inputs_embeds=given).logits[0, encoded.answer_start - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, encoded.answer_start :])
        wanted.append(torch.autograd.grad(loss, given)[0].norm().item())
    found = influence.importance(context.model, context.forget_examples)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_embeddings_are_unit_vectors_around_the_mean_of_retain_sequences(monkeypatch):
    """Retain states (1, 0) and (3, 0), mean (2, 0); the forget state (5, 4) is (3, 4) from there."""
    given = {"r": np.array([[1.0, 0.0], [3.0, 0.0]]), "f": np.array([[5.0, 4.0], [2.0, 0.0]])}
    monkeypatch.setattr(influence, "_states", lambda model, examples: given[examples[0].key[0]])
    found = influence.embeddings(None, sequences("f", "fo"), sequences("r", "re"))
    np.testing.assert_allclose(list(found.values()), [[0.6, 0.8], [0.0, 0.0]])


def test_all_retain_sequences_up_to_256_have_a_part_in_the_centre(monkeypatch):
    """States (i, 0) for i below 300: the mean of the first 256 is (127.5, 0); the forget state is (3, 4) from there."""

    def states(model, examples):
        if examples[0].key[0] == "f":
            return np.array([[130.5, 4.0]])
        return np.array([[float(e.key.partition("/")[0][1:]), 0.0] for e in examples])

    monkeypatch.setattr(influence, "_states", states)
    found = influence.embeddings(None, sequences("f"), sequences(*(f"r{i}" for i in range(300))))
    np.testing.assert_allclose(list(found.values()), [[0.6, 0.8]])


def test_every_sequence_has_the_term_of_its_third(away):
    context = away(frozenset({"retain", "reference_nll", "reference_logits"}))
    batch = context.batch(context.forget_examples)
    parts = {0: batch.examples[:1], 1: batch.examples[1:3], 2: batch.examples[3:]}
    chosen = fit.Selected(0.1, {e.key: third for third, part in parts.items() for e in part})
    terms = [
        METHODS.build(text).forget_term(context, context.batch(parts[third])).item()
        for third, text in enumerate(("random_labels", "npo(beta=0.1)", "npo(beta=0.1)"))
    ]
    wanted = np.average(terms, weights=[1, 2, 2])
    assert chosen.forget_term(context, batch).item() == pytest.approx(wanted, rel=1e-5)
    retain = context.batch(context.retain_examples)
    kl = METHODS.build("kl_min").retain_term(context, retain).item()
    assert chosen.retain_term(context, retain).item() == pytest.approx(kl)


def test_requests_are_trained_one_after_the_other_in_their_own_layers(away, monkeypatch):
    context, seen = away(frozenset()), []

    def record(model, objective, forget, retain, budget, *, scope, seed):
        scope.apply(model)
        moving = {
            name.split(".layers.")[1][0] for name, w in model.network.named_parameters() if w.requires_grad
        }
        seen.append(([e.key for e in forget], budget.steps, moving, seed))

    monkeypatch.setattr(fit, "train", record)
    forget, retain = context.forget_examples, context.retain_examples
    METHODS.build("fit(requests=2, similarity=1)").apply(
        context.model, forget, retain, Budget(steps=9), Scope(), seed=0
    )
    keys = [example.key for example in forget]
    assert [(part, steps) for part, steps, _, _ in seen] == [(keys[:3], 4), (keys[3:], 5)]
    assert all(len(moving) == 1 for _, _, moving, _ in seen)  # a quarter of two blocks, rounded up
    assert len({seed for *_, seed in seen}) == 2


def test_a_request_of_which_everything_was_asked_before_is_not_trained(away, monkeypatch):
    context, seen = away(frozenset()), []
    monkeypatch.setattr(fit, "train", lambda *args, **options: seen.append(args[2]))
    unit = np.array([1.0, 0.0])
    monkeypatch.setattr(influence, "embeddings", lambda model, forget, retain: {e.key: unit for e in forget})
    driver = METHODS.build("fit(requests=2, difference=1000)")
    driver.apply(
        context.model, context.forget_examples, context.retain_examples, Budget(steps=9), Scope(), seed=0
    )
    assert seen == [list(context.forget_examples[:3])]


@pytest.mark.parametrize("text", ["fit(requests=-1)", "fit(similarity=2)", "fit(layers=1.5)", "fit(beta=0)"])
def test_settings_without_a_meaning_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        METHODS.build(text)
