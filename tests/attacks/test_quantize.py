"""Rounding: the right weights, both backends, and the case in which it takes an update back."""

from __future__ import annotations

import pytest
import torch

from audit.attacks.base import ATTACKS, AttackContext
from audit.attacks.quantize import Quantize
from audit.core.errors import AuditError
from audit.models.layers import linear_weights
from audit.models.load import weight_digest
from audit.models.quantization import fake_quantize, quantize_network
from audit.models.scope import parse_scope

EMPTY = AttackContext(seed=0)


def attacked(attack, model):
    (item,) = attack.apply(model, [], EMPTY)
    return item.model


def adapted(model):
    copy = model.clone()
    parse_scope("lora(2)").apply(copy, seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in copy.network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return copy


@pytest.mark.parametrize("scheme", ["int4", "nf4"])
def test_every_projection_is_on_the_grid_and_nothing_else_moves(model, scheme):
    rounded = attacked(Quantize(scheme), model)
    before, after = linear_weights(model.network), linear_weights(rounded.network)
    assert all(torch.equal(after[name], fake_quantize(w, scheme, 64)) for name, w in before.items())
    rest = {n: p for n, p in model.network.named_parameters() if n.removesuffix(".weight") not in before}
    assert any("embed" in name for name in rest)
    assert all(torch.equal(p, dict(rounded.network.named_parameters())[n]) for n, p in rest.items())


@pytest.mark.parametrize("group", [64, 128])
def test_bitsandbytes_and_the_own_grid_give_the_same_weights_but_for_ties(model, group):
    """Includes a 64 x 96 matrix, whose rows are no multiple of the group."""
    pytest.importorskip("bitsandbytes")
    own = linear_weights(attacked(Quantize("nf4", group=group), model).network)
    real = linear_weights(attacked(Quantize("nf4", group=group, backend="bitsandbytes"), model).network)
    differ = sum(int((own[name] != matrix).sum()) for name, matrix in real.items())
    assert differ <= 2


def test_merged_rounds_the_sum_of_base_and_adapter(model):
    given = adapted(model)
    rounded = attacked(Quantize("nf4"), given)
    assert not rounded.has_adapter
    merged = linear_weights(given.merged().network)
    now = linear_weights(rounded.network)
    assert all(torch.equal(now[name], fake_quantize(w, "nf4", 64)) for name, w in merged.items())


def test_unmerged_rounds_the_base_and_leaves_the_adapter(model):
    given = adapted(model)
    rounded = attacked(Quantize("nf4", merged=False), given)
    assert rounded.has_adapter
    base, now = linear_weights(given.network), linear_weights(rounded.network)
    assert all(torch.equal(now[name], fake_quantize(w, "nf4", 64)) for name, w in base.items())
    weights = dict(rounded.network.named_parameters())
    adapter = [(n, p) for n, p in given.network.named_parameters() if "lora_" in n]
    assert adapter
    assert all(torch.equal(weights[n], p) for n, p in adapter)


def test_unmerged_has_no_meaning_without_an_adapter(model):
    attack = Quantize("nf4", merged=False)
    assert attack.not_applicable(model) == "no adapter"
    assert attack.not_applicable(adapted(model)) is None
    with pytest.raises(ValueError, match="no adapter"):
        next(attack.apply(model, [], EMPTY))


def _moved(model, step):
    copy = model.clone()
    torch.manual_seed(2)
    with torch.no_grad():
        for matrix in linear_weights(copy.network).values():
            matrix.add_(step * torch.randn(matrix.shape))
    return copy


def test_on_the_grid_a_small_update_is_taken_back_and_the_diagnosis_says_so(model):
    """The original lies on the grid with steps near 0.2 * 2.4 / 7 = 0.07; moves of 1e-4 change no code."""
    quantize_network(model.network, "int4", 64)
    unlearned = _moved(model, 1e-4)
    found = Quantize("int4").diagnose(unlearned, AttackContext(seed=0, original=model))
    assert found["weights_changed_share"] > 0.99
    assert found["codes_changed_share"] == 0.0


def test_a_large_update_changes_codes(model):
    found = Quantize("int4").diagnose(_moved(model, 0.1), AttackContext(seed=0, original=model))
    assert found["codes_changed_share"] > 0.5


def test_the_original_itself_shows_no_change(model):
    found = Quantize("nf4").diagnose(model, AttackContext(seed=0, original=model))
    assert found == {"codes_changed_share": 0.0, "weights_changed_share": 0.0}


def test_a_merged_adapter_counts_as_a_change_and_an_unmerged_one_does_not(model):
    given, context = adapted(model), AttackContext(seed=0, original=model)
    assert Quantize("nf4").diagnose(given, context)["weights_changed_share"] > 0.99
    assert Quantize("nf4", merged=False).diagnose(given, context)["weights_changed_share"] == 0.0


def test_the_dose_is_four_bits(model):
    (item,) = Quantize("int4").apply(model, [], EMPTY)
    assert (item.dose, item.fold) == (4.0, 0)
    assert weight_digest(item.model) != weight_digest(model)


@pytest.mark.parametrize(
    "text",
    [
        "quantize",
        "quantize(int3)",
        "quantize(nf4, group=0)",
        "quantize(nf4, group=1.5)",
        "quantize(nf4, merged=1)",
        "quantize(nf4, backend=gptq)",
        "quantize(int4, backend=bitsandbytes)",
        "quantize(nf4, group=100, backend=bitsandbytes)",
    ],
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(text)
