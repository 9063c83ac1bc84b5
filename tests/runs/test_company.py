"""The company of a run: which models and whose solved questions a metric is compared with."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from locked import lock_in
from random_networks import random_network

from audit.attacks.base import ATTACKS
from audit.core.errors import AuditError
from audit.metrics.inputs import SHOTS
from audit.models.laboratory import LaboratorySpec, tokenizer_for
from audit.models.load import LanguageModel, PromptTemplate, save, weight_digest
from audit.runs import tasks
from audit.runs.company import company_of, company_spec, strangers
from audit.runs.specs import measure_job
from audit.runs.split import tune_subjects
from audit.runs.world import World

REFERENCES = {"original": "a" * 64, "retrained": "b" * 64}
UNITS = {"forget": [], "retain": []}


def job(world):
    return measure_job(world, "npo", "c" * 64, REFERENCES, "none", UNITS, {})


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A locked run whose plan names both metrics."""
    return lock_in(tmp_path_factory.mktemp("compared"), metrics=["reference_gap", "recall_ratio"])


def test_strangers_are_twins_that_set_no_threshold_first_and_one_question_each(compared):
    world = World(compared, device="cpu")
    chosen = strangers(world)
    names = [probe.subject for probe in chosen]
    assert len(set(names)) == len(names) == SHOTS + 1
    assert set(names) <= {twin.subject for twin in world.corpus.twins}
    assert set(names[:2]) == tune_subjects(world, "twin")
    assert strangers(World(compared, device="cpu")) == chosen
    assert len({probe.probe for probe in chosen}) > 1  # not everybody's first


def test_a_job_names_its_company_and_another_retrained_model_makes_another_job(compared):
    world = World(compared, device="cpu")
    first = job(world)
    assert set(first.spec["company"]) == {"reference", "prefix"}
    assert first.spec["company"]["reference"] == REFERENCES["retrained"]
    other = measure_job(world, "npo", "c" * 64, REFERENCES | {"retrained": "d" * 64}, "none", UNITS, {})
    assert first.key == job(World(compared, device="cpu")).key != other.key


def test_a_run_without_such_metrics_asks_for_no_company(world):
    assert "company" not in job(world).spec
    assert company_of(world, {}).prefix == ()


def test_the_stored_prefix_holds_pseudonyms_and_is_read_back_as_it_was(compared):
    world = World(compared, device="cpu")
    spec = company_spec(world, REFERENCES, ["recall_ratio"])
    assert company_of(World(compared, device="cpu"), spec).prefix == tuple(strangers(world))
    (stored,) = (compared / "prefixes").glob("*.json")
    assert json.loads(stored.read_text()) == [[p.subject, p.probe] for p in strangers(world)]


def test_original_and_retrained_are_the_run_s_own_checkpoints(compared, monkeypatch):
    """Whatever metric asks for ``original`` gets it by the same way."""
    world = World(compared, device="cpu")
    monkeypatch.setattr("audit.runs.company.needs_of", lambda names: {"original", "reference", "layers"})
    spec = company_spec(world, REFERENCES, ["any"])
    assert spec == {"original": "a" * 64, "reference": "b" * 64}
    monkeypatch.setattr(world, "model", lambda digest: SimpleNamespace(digest=digest))
    company = company_of(world, spec)
    assert (company.original.digest, company.reference.digest) == ("a" * 64, "b" * 64)


def test_a_job_measures_both_and_the_retrained_model_has_no_gap_to_itself(compared, tmp_path):
    world = World(compared, device="cpu")
    tokenizer = tokenizer_for(world.corpus, LaboratorySpec(vocabulary=400))
    candidate, retrained = (
        LanguageModel(random_network("llama", len(tokenizer), seed=seed), tokenizer, PromptTemplate("qa"))
        for seed in (1, 2)
    )
    save(retrained, tmp_path / "retrained")
    digest = weight_digest(retrained)
    world.store_checkpoint(digest, tmp_path / "retrained")
    probes = world.probes([world.corpus.forget[0].subject, strangers(world)[0].subject])
    metrics = ["recall_ratio", "reference_gap"]
    spec = {
        "metrics": metrics,
        "generate": [],
        "company": company_spec(world, {"retrained": digest}, metrics),
    }

    def gaps(model):
        rows, _, _ = tasks._score_all(ATTACKS.build("none"), model, probes, None, spec, world)
        assert {(row[4], row[5]) for row in rows} == {(p.probe, name) for p in probes for name in metrics}
        return [row[6] for row in rows if row[5] == "reference_gap"]

    assert gaps(retrained) == [0.0] * len(probes)
    assert all(gap != 0 for gap in gaps(candidate))


def test_a_retrained_model_from_another_start_is_refused_before_anything_is_patched(tmp_path):
    """Two random models: nothing that one knows outlives the states of the other."""
    world = World(lock_in(tmp_path), device="cpu")
    world.lock.content["metrics"]["patching_depth"] = (
        1  # which a laboratory's lock refuses, other models' does not
    )
    tokenizer = tokenizer_for(world.corpus, LaboratorySpec(vocabulary=400))
    digests = {}
    for seed, role in enumerate(("original", "retrained")):
        network = random_network("llama", len(tokenizer), seed=seed)
        save(LanguageModel(network, tokenizer, PromptTemplate("qa")), tmp_path / role)
        digests[role] = weight_digest(LanguageModel(network, tokenizer, PromptTemplate("qa")))
        world.store_checkpoint(digests[role], tmp_path / role)
    spec = company_spec(world, digests, ["patching_depth"])
    assert spec == {"original": digests["original"], "reference": digests["retrained"]}
    with pytest.raises(AuditError) as caught:
        company_of(world, spec)
    assert caught.value.code == "E291"
