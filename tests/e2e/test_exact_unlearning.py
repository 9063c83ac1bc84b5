"""Exact unlearning audited like any candidate: it must come out clean, and bit-identical to what it claims to be."""

import pytest
import torch
from commands import command

from audit.evidence import bundle
from audit.models.digests import weight_digest
from audit.models.joined import constituents
from audit.runs.world import World

pytestmark = pytest.mark.slow

PLAN = """
laboratory: {{subject: tiny, facts: 2, training: {training}}}
candidates: [{candidates}]
attacks: [none, quantize(int4), "relearn(steps=[5])"]
budget: {{forget: 0.5, utility: 0.5}}
sizes:
  forget: {{tune: 0, calibrate: 10, sealed: 2}}
  retain: {{tune: 0, calibrate: 10, sealed: 2}}
keep: all
"""


def audited(folder, training, *candidates):
    """Return the run directory of a finished audit of a laboratory trained so."""
    text = ", ".join(f'"{item}"' for item in candidates)
    (folder / "audit.yaml").write_text(PLAN.format(training=training, candidates=text))
    done = command("run", folder / "audit.yaml", "-o", folder / "run", "--device", "cpu", "--quiet")
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return folder / "run"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return audited(
        tmp_path_factory.mktemp("adapter"),
        "adapter",
        "adapter_drop",
        "retrain",
        "adapter_drop(share=0.1)",
        "ga(lr=1e-5, steps=2) @lora(4)",
    )


@pytest.fixture(scope="module")
def sisa(tmp_path_factory):
    return audited(tmp_path_factory.mktemp("sisa"), "sisa(slices=2)", "sisa", "retrain(without=nobody)")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    return audited(tmp_path_factory.mktemp("sharded"), "sharded(shards=2)", "sisa")


def found(run, start):
    return next(c for c in bundle.read(run).configurations if c.configuration.startswith(start))


def forgetting(result):
    return [clause.total for clause in result.clauses if clause.side == "forget"]


def test_dropping_the_adapter_passes_under_every_attack_and_keeps_the_rest(adapter):
    certificate = bundle.read(adapter)
    assert [c.outcome for c in certificate.controls] == ["as expected", "as expected"]
    assert certificate.family_size == 4
    dropped = found(adapter, "adapter_drop(share=1.0)")
    assert dropped.verdict == "PASS"
    assert forgetting(dropped) == [0, 0, 0]
    assert not World(adapter).model(dropped.checkpoint).has_adapter


def test_dropping_the_adapter_is_retraining_to_the_last_bit(adapter):
    assert found(adapter, "adapter_drop(share=1.0)").checkpoint == found(adapter, "retrain").checkpoint


def test_a_tenth_of_the_adapter_less_is_no_unlearning(adapter):
    assert found(adapter, "adapter_drop(share=0.1)").verdict == "FAIL"


def test_other_methods_start_from_the_adapter_merged(adapter):
    """Two steps of almost nothing leave what the original knows, and the stored weights load again."""
    other = found(adapter, "ga")
    assert other.verdict == "FAIL"
    assert World(adapter).model(other.checkpoint).has_adapter


def test_sisa_passes_and_keeps_the_slices_before_the_forgotten(sisa):
    made = found(sisa, "sisa")
    assert made.verdict == "PASS"
    assert forgetting(made) == [0, 0, 0]


def test_shards_of_the_forgotten_trained_again_pass_and_the_others_stay(sharded):
    """One of two constituents is trained again; that both together are then ``retrain`` is a test of the training."""
    made = found(sharded, "sisa")
    assert made.verdict == "PASS"
    assert forgetting(made) == [0, 0, 0]
    world = World(sharded)
    (original,) = (r.checkpoint for r in bundle.read(sharded).references if r.role == "original")
    pairs = zip(*(constituents(world.model(d), 2) for d in (original, made.checkpoint)), strict=True)
    assert [weight_digest(one) == weight_digest(other) for one, other in pairs] == [True, False]


def test_training_on_everybody_again_is_the_original(sisa):
    """What the laboratory says about its original's training is true: the same weights, merged for storage."""
    again, world = found(sisa, "retrain(without=nobody"), World(sisa)
    (original,) = (r.checkpoint for r in bundle.read(sisa).references if r.role == "original")
    one, other = (
        world.model(digest).merged().network.state_dict() for digest in (again.checkpoint, original)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert again.verdict == "FAIL"
