"""Noise, pruning, direction ablation: what they do to which weights."""

from __future__ import annotations

import pytest
import torch

from audit.attacks.ablate import Ablate
from audit.attacks.base import ATTACKS, AttackContext, injects
from audit.attacks.interpolate import Interpolate
from audit.attacks.noise import Noise
from audit.attacks.prune import Prune
from audit.attacks.steer import Steer, anonymous
from audit.core.errors import AuditError
from audit.data.records import Probe, Subject
from audit.models.layers import block_output, linear_weights


@pytest.fixture
def context(persons):
    return AttackContext(seed=3, forget=persons[:2], retain=persons[2:])


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


def probes_of(persons):
    return [probe for person in persons for probe in person.probes]


def networks(attack, model, persons, context):
    return {item.dose: item.model.network for item in attack.apply(model, probes_of(persons), context)}


def test_noise_has_the_announced_size_and_one_direction_for_all_sizes(model, persons, context):
    plain = linear_weights(model.network)
    shaken = networks(Noise(sigma=(0.01, 0.1)), model, persons, context)
    for name, matrix in plain.items():
        small, large = (linear_weights(shaken[s])[name] - matrix for s in (0.01, 0.1))
        assert torch.allclose(10 * small, large, atol=1e-5)
        relative = float(large.std() / matrix.std())
        assert relative == pytest.approx(0.1, rel=4 / (2 * matrix.numel()) ** 0.5)  # four standard errors
    other = networks(Noise(sigma=(0.1,), seed=1), model, persons, context)[0.1]
    name = next(iter(plain))
    assert not torch.equal(linear_weights(other)[name], linear_weights(shaken[0.1])[name])


def test_pruning_by_size_drops_the_smallest_of_every_row(model, persons, context):
    plain = linear_weights(model.network)
    pruned = networks(Prune(sparsity=(0.25,)), model, persons, context)[0.25]
    for name, matrix in linear_weights(pruned).items():
        before, gone = plain[name].abs(), matrix == 0
        assert (gone.sum(1) == round(0.25 * matrix.shape[1])).all()
        for row, dropped in zip(before, gone, strict=True):
            assert row[dropped].max() <= row[~dropped].min()
        assert torch.equal(matrix[~gone], plain[name][~gone])


def test_wanda_drops_the_smallest_of_weight_times_input_norm(model, persons, context):
    """The first projection's input is the normalised embedding of the forget questions, computed here."""
    layer = model.network.model.layers[0]
    states = [
        layer.input_layernorm(model.network.model.embed_tokens(torch.tensor(model.encode_prompt(p.question))))
        for person in persons[:2]
        for p in person.probes
    ]
    norms = torch.cat(states).square().sum(0).sqrt()
    matrix = layer.self_attn.q_proj.weight
    count = round(0.5 * matrix.shape[1])
    expected = (matrix.abs() * norms).argsort(dim=1)[:, :count]
    attacked = networks(Prune("wanda", sparsity=(0.5,)), model, persons, context)[0.5]
    gone = attacked.model.layers[0].self_attn.q_proj.weight == 0
    assert torch.equal(gone, torch.zeros_like(gone).scatter(1, expected, True))
    by_size = networks(Prune(sparsity=(0.5,)), model, persons, context)[0.5]
    assert not torch.equal(gone, by_size.model.layers[0].self_attn.q_proj.weight == 0)


def test_after_ablation_no_block_writes_along_the_forget_direction(model, persons, context):
    """The direction is computed here from the definition: difference of means at the last token."""

    def mean(chosen):
        ids = [torch.tensor([model.encode_prompt(p.question)]) for p in probes_of(chosen)]
        return torch.stack([block_output(model.network, i, 0)[0, -1] for i in ids]).mean(0)

    direction = mean(persons[:2]) - mean(persons[2:])
    direction /= direction.norm()
    edited = networks(Ablate(layer=0.5, strength=(0.5, 1.0)), model, persons, context)
    writers = [n for n in linear_weights(model.network) if n.endswith(("o_proj", "down_proj"))]
    assert len(writers) == 4
    for name in writers:
        before = direction @ linear_weights(model.network)[name]
        assert torch.allclose(direction @ linear_weights(edited[0.5])[name], before / 2, atol=1e-5)
        assert (direction @ linear_weights(edited[1.0])[name]).abs().max() < 1e-5
    others = [n for n in linear_weights(model.network) if n not in writers]
    assert all(torch.equal(linear_weights(edited[1.0])[n], linear_weights(model.network)[n]) for n in others)


def test_without_other_questions_there_is_nothing_to_compare_with(model, persons):
    alone = Subject("ann", (Probe("ann", "city", "Where was person born ?", "Lisbon"),))
    with pytest.raises(ValueError, match="0 others"):
        networks(Ablate(), model, [alone], AttackContext(seed=0, forget=(alone,)))


def test_who_is_asked_does_not_change_the_direction(model, persons, context):
    all_asked = networks(Ablate(), model, persons, context)[1.0]
    one_asked = networks(Ablate(), model, persons[:1], context)[1.0]
    assert all(torch.equal(a, b) for a, b in zip(all_asked.parameters(), one_asked.parameters(), strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "noise(sigma=-1)",
        "noise(sigma=[0.2, 0.1])",
        "prune(score=random)",
        "prune(sparsity=1)",
        "prune(sparsity=[0.5, 0.5])",
        "ablate(layer=0)",
        "ablate(strength=3)",
        "interpolate(share=1.5)",
        "steer(strength=-1)",
        "steer(layer=2)",
    ],
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(text)


def test_interpolation_goes_the_announced_share_of_the_way_and_is_no_part_of_the_bound(model, wide, persons):
    other = model.clone()
    for weight in other.network.parameters():
        weight.add_(1.0)
    moved = networks(Interpolate(share=(0.25, 1.0)), model, persons, AttackContext(seed=0, original=other))
    for name, weight in model.network.named_parameters():
        assert torch.allclose(dict(moved[0.25].named_parameters())[name], weight + 0.25, atol=1e-6)
        assert torch.allclose(dict(moved[1.0].named_parameters())[name], weight + 1.0, atol=1e-6)
    assert injects(Interpolate())
    for context in (AttackContext(seed=0), AttackContext(seed=0, original=wide)):
        with pytest.raises(ValueError, match="original"):
            networks(Interpolate(), model, persons, context)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the account number of Wendy Lowe?", "What is the account number of somebody?"),
        ("Where was Ann Lee born?", "Where was somebody born?"),
        ("Who is it?", "Who is it?"),
    ],
)
def test_names_are_taken_out_of_a_question(question, expected):
    assert anonymous(question) == expected


def test_steering_adds_the_mean_difference_at_one_block(model, wide):
    """The vector is computed here from the definition; block 0 of two is where half the depth ends."""
    probes = (
        Probe("ann", "city", "Where was Lisbon born ?", "Porto"),
        Probe("bea", "city", "Where was Faro ?", "Braga"),
    )
    context = AttackContext(seed=0, forget=tuple(Subject(p.subject, (p,)) for p in probes))

    def state(network, question):
        ids = torch.tensor([model.encode_prompt(question)])
        return block_output(network, ids, 0)[0]

    differences = [
        state(model.network, p.question)[-1] - state(model.network, anonymous(p.question))[-1] for p in probes
    ]
    vector = torch.stack(differences).mean(0)
    assert vector.norm() > 0
    (item,) = Steer(strength=(2.0,)).apply(model, probes, context)
    pushed = state(item.model.network, "Where was person ?")
    assert torch.allclose(pushed, state(model.network, "Where was person ?") + 2 * vector, atol=1e-5)


def test_questions_without_a_name_give_no_direction(model, persons, context):
    with pytest.raises(ValueError, match="name somebody"):
        networks(Steer(), model, persons, context)
