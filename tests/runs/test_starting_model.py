"""What a candidate starts from: an adapter apart or merged, and the training that exact methods do again."""

import json

import pytest
import torch

from audit.core.errors import AuditError
from audit.data.registry_lab import generate
from audit.data.writers import write_corpus
from audit.methods.compose import parse_recipe, run_recipe
from audit.models.digests import weight_digest
from audit.models.laboratory import LaboratorySpec, new_model, tokenizer_for
from audit.models.load import folder_digest, load, save
from audit.models.provenance import FineTuning
from audit.models.scope import Scope
from audit.models.sliced import base_of
from audit.plan.lock import make_lock, write_lock
from audit.plan.schema import parse_plan
from audit.runs.coordinator import Coordinator
from audit.runs.references import starting_model, training_of
from audit.runs.world import BASE, World

PLAN = {
    "model": "model",
    "data": {"forget": "data/forget.jsonl", "retain": "data/retain.jsonl"},
    "candidates": ["adapter_drop", "ga(steps=1)"],
    "attacks": ["none"],
    "budget": {"forget": 0.5, "utility": 0.5},
    "sizes": {side: {"tune": 0, "calibrate": 10, "sealed": 2} for side in ("forget", "retain")},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Somebody's own base, and an adapter on it that is the model to unlearn."""
    folder = tmp_path_factory.mktemp("own")
    corpus = generate(5, forget=12, retain=12, twins=0)
    write_corpus(corpus, folder / "data")
    spec = LaboratorySpec(hidden=32, intermediate=64, layers=1, heads=2, vocabulary=300)
    save(new_model(tokenizer_for(corpus, spec), spec, 0, "cpu"), folder / "base")
    adapted = load(folder / "base", device="cpu")
    adapted.network.config._name_or_path = str(folder / "base")
    adapted.network.name_or_path = str(folder / "base")
    Scope("lora", rank=2).apply(adapted)
    with torch.no_grad():
        for name, weight in adapted.network.named_parameters():
            if ".lora_B." in name:
                weight.fill_(0.01)
    save(adapted, folder / "model")
    return folder


@pytest.fixture
def world(project, tmp_path):
    """Return the world of an audit of that adapter, with changes to its plan."""

    def opened(**changes):
        lock = make_lock(parse_plan(PLAN | changes, base=project), project)
        write_lock(tmp_path / "run", lock)
        coordinator = Coordinator(tmp_path / "run", device="cpu")
        assert list(coordinator._references()) == ["original"]
        return World(tmp_path / "run", device="cpu"), lock.content["weights"]

    return opened


def test_an_own_adapter_finds_its_base_and_can_be_dropped(project, world):
    opened, weights = world()
    start = starting_model(opened, weights["model"], parse_recipe("adapter_drop"))
    assert weight_digest(start) == folder_digest(project / "model")
    made = run_recipe(parse_recipe("adapter_drop"), start, (), (), 0)
    assert weight_digest(made) == folder_digest(project / "base")


@pytest.mark.parametrize("text", ["ga", "npo @lora(4)", "task_vector"])
def test_methods_that_train_find_the_adapter_merged(project, world, text):
    """Their changes would be lost with an adapter beside them: only the adapter is stored."""
    opened, weights = world()
    start = starting_model(opened, weights["model"], parse_recipe(text))
    assert not start.has_adapter
    assert weight_digest(start) == weight_digest(load(project / "model", device="cpu").merged())


def test_attenuation_changes_the_adapter_and_nothing_of_its_base(project, world):
    """Every row of a changed B stays a multiple of its old one: whole columns of B were turned down."""
    opened, weights = world(candidates=["u_can"])
    recipe = parse_recipe("u_can(threshold=0)")
    start = starting_model(opened, weights["model"], recipe)
    made = run_recipe(recipe, start, opened.examples("forget"), opened.examples("retain"), 0)
    before, after = start.network.state_dict(), made.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(".lora_B." in name for name in moved)
    for name in moved:
        left = after[name] / before[name]
        torch.testing.assert_close(left, left[:1].expand_as(left))


@pytest.mark.parametrize("text", ["u_can @layers(0:1)", "u_can > path(0.5)"])
def test_attenuation_of_named_blocks_and_its_calibration_find_the_adapter_merged(project, world, text):
    """Blocks are those of the whole weights, and a path leads to weights that are stored merged."""
    opened, weights = world(candidates=["u_can"])
    start = starting_model(opened, weights["model"], parse_recipe(text))
    assert weight_digest(start) == weight_digest(load(project / "model", device="cpu").merged())


def test_a_trained_adapter_brings_its_base_along(project, world, tmp_path):
    opened, _ = world()
    model = load(project / "model", device="cpu")
    save(model, tmp_path / "made")
    save(base_of(model), tmp_path / "made" / BASE)
    config = tmp_path / "made" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": None}))
    opened.store_checkpoint("ab" * 32, tmp_path / "made")
    assert weight_digest(opened.model("ab" * 32)) == weight_digest(model)


def test_an_adapter_on_a_model_that_carries_one_stands_on_the_two_merged(project, world, tmp_path):
    opened, weights = world()
    merged = opened.model(weights["model"]).merged()
    Scope("lora", rank=3).apply(merged)
    save(merged, tmp_path / "made")
    opened.store_checkpoint("cd" * 32, tmp_path / "made", base=weights["model"])
    assert weight_digest(opened.model("cd" * 32)) == weight_digest(merged)


def test_a_stated_training_is_done_again_from_its_base_on_the_retain_file(project, world):
    stated = {"base": "base", "epochs": 2, "batch": 8, "lr": 1e-3}
    opened, weights = world(training=stated, candidates=["retrain", "retrain(seed=1)"])
    assert weights["base"] == folder_digest(project / "base")
    recipe = parse_recipe("retrain")
    start = starting_model(opened, weights["model"], recipe)
    before = weight_digest(start)
    forget, retain = opened.examples("forget"), opened.examples("retain")
    made = run_recipe(recipe, start, forget, retain, 0)
    by_hand = FineTuning(lambda: load(project / "base", device="cpu"), (), retain, 2, 8, 1e-3, seed=0)
    assert weight_digest(made) == weight_digest(by_hand.again(with_forgotten=False, seed=0)) != before
    other = run_recipe(parse_recipe("retrain(seed=1)"), start, forget, retain, 0)
    assert weight_digest(other) != weight_digest(made)
    assert opened.lock.content["training"] == {"epochs": 2.0, "batch": 8, "lr": 1e-3, "seed": 0}
    assert (weight_digest(start), folder_digest(project / "base")) == (before, weights["base"])


def test_a_fine_tuning_needs_somebody_to_retain_and_has_no_slices(project):
    again = FineTuning(lambda: load(project / "base", device="cpu"), (), (), 2, 8, 1e-3, seed=0)
    with pytest.raises(AuditError, match="E237"):
        again.again(with_forgotten=False, seed=0)
    with pytest.raises(AuditError, match="E232"):
        again.resume(load(project / "base", device="cpu"), with_forgotten=False)


def test_nothing_is_known_of_a_training_that_the_plan_does_not_state(world):
    assert training_of(world()[0]) is None
