from __future__ import annotations

import pytest
import torch

from audit.core.errors import AuditError
from audit.models.digests import weight_digest
from audit.models.scope import Scope
from audit.models.sliced import SlicedTraining, base_of, parts_of, stacked
from audit.models.training import Example

HOW = SlicedTraining(rank=2, epochs=2, batch=2, lr=1e-2, seed=3)
KNOWN, A, B = (
    [Example(f"{side}{i}/home/plain", f"where does {side}{i} live?", f"in {side} {i}") for i in range(3)]
    for side in "kab"
)


def state(model):
    return {name: tensor.clone() for name, tensor in model.merged().network.state_dict().items()}


def test_adapters_side_by_side_add_up(model):
    """W + 2 (B1 A1 + B2 A2): the factor is LoRA's alpha / r = 2, whatever the number of slices."""
    parts = parts_of(HOW.fit(model, KNOWN, [A, B]), [True, True])
    alone = [state(stacked(model, [part])) for part in parts]
    together, plain = state(stacked(model, parts)), state(model)
    moved = 0
    for name, weight in plain.items():
        expected = weight + (alone[0][name] - weight) + (alone[1][name] - weight)
        torch.testing.assert_close(together[name], expected, atol=1e-5, rtol=1e-5)
        moved += not torch.equal(together[name], weight)
    assert moved


def test_cutting_slices_out_and_putting_them_together_changes_no_bit(llama):
    made = HOW.fit(llama, KNOWN, [A, B])
    again = stacked(base_of(made), parts_of(made, [True, True]))
    assert weight_digest(again) == weight_digest(made)
    assert weight_digest(base_of(made)) == weight_digest(llama)


def test_a_slice_does_not_depend_on_what_comes_after_it(llama):
    one, two = HOW.fit(llama, KNOWN, [A]), HOW.fit(llama, KNOWN, [A, B])
    assert weight_digest(stacked(llama, parts_of(two, [True, True])[:1])) == weight_digest(one)


def test_going_on_from_kept_slices_is_training_all_of_them(llama):
    whole = HOW.fit(llama, KNOWN, [A, B])
    going_on = HOW.fit(llama, KNOWN, [A, B], parts_of(HOW.fit(llama, KNOWN, [A]), [True]))
    assert weight_digest(going_on) == weight_digest(whole)


def test_a_slice_depends_on_what_came_before_it(llama):
    """Otherwise going back to before a forgotten person would not be needed."""
    first, second = (parts_of(HOW.fit(llama, KNOWN, [one, B]), [True, True])[1] for one in (A, A[:2]))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_an_empty_slice_has_no_adapter(llama):
    assert weight_digest(HOW.fit(llama, KNOWN, [[], []])) == weight_digest(llama)
    made = HOW.fit(llama, KNOWN, [A, []])
    assert weight_digest(made) == weight_digest(HOW.fit(llama, KNOWN, [A]))
    kept, none = parts_of(made, [True, False])
    assert none is None
    assert weight_digest(stacked(llama, [kept, none])) == weight_digest(made)


def test_the_given_model_keeps_its_weights(llama):
    before = weight_digest(llama)
    HOW.fit(llama, KNOWN, [A])
    assert weight_digest(llama) == before
    assert not llama.has_adapter


@pytest.mark.parametrize("rank", [0, 3])
def test_an_adapter_of_other_slices_is_refused(llama, rank):
    if rank:
        Scope("lora", rank=rank).apply(llama)
    with pytest.raises(AuditError, match="E232"):
        parts_of(llama, [True, True])
