"""Rounding: the right weights, both backends, and the case in which it takes an update back."""

from __future__ import annotations

import pytest
import torch

from audit.attacks.base import ATTACKS, AttackContext
from audit.attacks.quantize import Quantize
from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.data.records import Probe, Subject
from audit.models.calibration import quantize_calibrated
from audit.models.hqq import hqq
from audit.models.layers import linear_weights
from audit.models.load import weight_digest
from audit.models.quantization import fake_quantize, quantize_network
from audit.models.scope import parse_scope

EMPTY = AttackContext(seed=0)


def attacked(attack, model, context=EMPTY):
    (item,) = attack.apply(model, [], context)
    return item.model


@pytest.fixture
def holding(persons):
    """An attacker who is to forget two persons and holds the text about two retained ones."""
    return AttackContext(seed=0, forget=persons[:2], retain=persons[2:])


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


def test_bitsandbytes_answers_like_the_own_grid_up_to_its_bfloat16_arithmetic(wide):
    """Ten times closer to the own grid than to the weights before rounding."""
    pytest.importorskip("bitsandbytes")
    ids = torch.arange(1, 17).view(2, 8)

    def answers(model):
        with torch.no_grad():
            return model.network(ids).logits

    plain = answers(wide)
    own = answers(attacked(Quantize("nf4"), wide))
    real = answers(attacked(Quantize("nf4", backend="bitsandbytes"), wide))
    assert (real - own).norm() < 0.1 * (plain - own).norm()


def test_bitsandbytes_runs_its_own_layers_also_under_an_adapter(wide):
    bitsandbytes = pytest.importorskip("bitsandbytes")
    for attack, given in (
        (Quantize("fp4", backend="bitsandbytes"), wide),
        (Quantize("nf4", merged=False, backend="bitsandbytes"), adapted(wide)),
    ):
        rounded = attacked(attack, given)
        layers = [m for m in rounded.network.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
        assert len(layers) == 2 * 7  # four projections of attention, three of the MLP, two blocks
        assert {layer.weight.quant_type for layer in layers} == {attack.scheme}
        assert rounded.has_adapter == given.has_adapter


def test_where_bitsandbytes_would_compute_with_wrong_weights_it_does_not_apply(model, wide):
    """A 64 x 96 matrix: its rows are no multiple of the group."""
    pytest.importorskip("bitsandbytes")
    attack = Quantize("nf4", backend="bitsandbytes")
    assert attack.not_applicable(model) == "rows of 96 weights are no multiple of 64"
    with pytest.raises(ValueError, match="96"):
        attacked(attack, model)
    assert attack.not_applicable(wide) is None
    assert attack.not_applicable(attacked(attack, wide)) == "already runs in 4 bits"


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


@pytest.mark.parametrize("scheme", ["gptq", "awq"])
def test_calibrated_rounding_sees_retained_questions_with_their_answers_and_nothing_else(
    wide, persons, holding, scheme
):
    expected = wide.clone()
    seen = [wide.encode(p.question, p.answer).ids for s in persons[2:] for p in s.probes]
    quantize_calibrated(expected, scheme, 64, seen)
    asked = [probe for person in persons for probe in person.probes]
    for probes, forget in (([], persons[:2]), (asked, persons[:1]), (asked[:1], ())):
        context = AttackContext(seed=3, forget=forget, retain=holding.retain)
        (item,) = Quantize(scheme).apply(wide, probes, context)
        assert weight_digest(item.model) == weight_digest(expected)
    others = attacked(Quantize(scheme), wide, AttackContext(seed=0, retain=persons[:2]))
    assert weight_digest(others) != weight_digest(expected)


def test_of_a_long_retain_list_some_256_questions_are_picked_evenly(wide, monkeypatch):
    given = []
    monkeypatch.setattr("audit.attacks.quantize.quantize_calibrated", lambda *a: given.extend(a[3]))
    people = [
        Subject(str(n), (Probe(str(n), "city", f"Where was {n % 10} born ?", "Faro"),)) for n in range(600)
    ]
    attacked(Quantize("gptq"), wide, AttackContext(seed=0, retain=people))
    assert given == [wide.encode(p.probes[0].question, "Faro").ids for p in people[::3]]


@pytest.mark.parametrize("scheme", ["gptq", "awq"])
def test_without_calibration_text_there_is_an_error_and_no_guess(wide, persons, scheme):
    with pytest.raises(ValueError, match="retained"):
        attacked(Quantize(scheme), wide, AttackContext(seed=0, forget=persons))


def test_hqq_needs_no_text(wide):
    now = linear_weights(attacked(Quantize("hqq"), wide).network)
    assert all(torch.equal(now[name], hqq(w)) for name, w in linear_weights(wide.network).items())


def test_hqq_says_where_its_groups_do_not_fit(model):
    """64 x 96 = 6144 weights are 96 groups of 64, but no whole number of groups of 80."""
    assert Quantize("hqq").not_applicable(model) is None
    assert Quantize("hqq", group=80).not_applicable(model) == "a matrix of 4096 weights is no multiple of 80"


@pytest.mark.parametrize("scheme", ["gptq", "awq", "hqq"])
def test_what_one_of_them_rounded_it_does_not_round_again(wide, holding, scheme):
    rounded = attacked(Quantize(scheme), wide, holding)
    assert Quantize(scheme).not_applicable(rounded.clone()) == f"already rounded by {scheme}"
    assert Quantize("int4").not_applicable(rounded) is None
    assert Quantize(scheme).not_applicable(wide) is None


@pytest.mark.parametrize("scheme", ["gptq", "awq", "hqq"])
def test_the_library_quantizers_too_can_leave_an_adapter_in_full_precision(wide, holding, scheme):
    given = adapted(wide)
    rounded = attacked(Quantize(scheme, merged=False), given, holding)
    before, now = dict(given.network.named_parameters()), dict(rounded.network.named_parameters())
    moved = {name for name in before if not torch.equal(before[name], now[name])}
    assert moved == {name for name in before if "proj.base_layer" in name or "proj.weight" in name}


def test_texts_of_finished_audits_keep_their_meaning():
    assert canonical(Quantize("int4")) == "quantize(int4, group=64, merged=true, backend=own)"
    assert ATTACKS.build("quantize(nf4, group=64, merged=true)") == Quantize("nf4")
    assert Quantize.version == 2


def test_what_text_or_neighbours_decide_has_no_code_of_its_own_to_compare(wide):
    assert Quantize("gptq").diagnose(wide, AttackContext(seed=0, original=wide)) == {
        "weights_changed_share": 0.0
    }


@pytest.mark.parametrize(
    "text",
    [
        "quantize",
        "quantize(gptq, backend=bitsandbytes)",
        "quantize(int2)",
        "quantize(nf4, group=0)",
        "quantize(nf4, group=1.5)",
        "quantize(nf4, merged=1)",
        "quantize(nf4, backend=gptq)",
        "quantize(int4, backend=bitsandbytes)",
        "quantize(nf4, group=128, backend=bitsandbytes)",
    ],
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(text)
