"""A plan names metrics beside the standard ones; the lock fixes them and a job measures exactly those."""

from __future__ import annotations

import json

import pytest
from locked import lock_in
from random_networks import random_network

from audit.attacks.base import ATTACKS
from audit.core.errors import AuditError
from audit.data.registry_lab import generate
from audit.data.writers import write_corpus
from audit.metrics.base import standard_metrics
from audit.models.laboratory import LaboratorySpec, tokenizer_for
from audit.models.load import LanguageModel, PromptTemplate
from audit.plan.lock import make_lock
from audit.plan.schema import parse_plan
from audit.runs import tasks
from audit.runs.world import World


def locked_metrics(run):
    return json.loads((run / "lock.json").read_text())["content"]["metrics"]


def test_without_a_word_the_standard_metrics_are_locked(tmp_path):
    assert locked_metrics(lock_in(tmp_path)) == dict.fromkeys(standard_metrics(), 1)


def test_named_metrics_are_locked_beside_them_and_make_another_audit(tmp_path):
    plain, more = tmp_path / "plain", tmp_path / "more"
    plain.mkdir(), more.mkdir()
    first, second = lock_in(plain), lock_in(more, metrics=["truth_ratio_geometric", "nll"])
    assert set(locked_metrics(second)) == {*standard_metrics(), "truth_ratio_geometric"}
    digests = [json.loads((run / "lock.json").read_text())["lock_digest"] for run in (first, second)]
    assert digests[0] != digests[1]


def test_an_unknown_metric_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(AuditError) as caught:
        lock_in(tmp_path, metrics=["truth_ration"])
    assert caught.value.code == "E110"


def own_plan(folder, *metrics, twins=0, retrained=False):
    """Lock somebody's own lists; ``folder_digest`` is replaced, so weights may be empty files."""
    for role in ("model", "retrained"):
        (folder / role).mkdir()
        for file in ("config.json", "model.safetensors"):
            (folder / role / file).touch()
    write_corpus(generate(5, forget=30, retain=30, twins=twins, facts=1, secrets=2), folder)
    data = {"forget": "forget.jsonl", "retain": "retain.jsonl"}
    plan = {"model": "model", "data": data, "candidates": ["npo(steps=5)"], "metrics": list(metrics)}
    plan |= {"retrained": "retrained"} if retrained else {}
    plan["data"] |= {"twins": "twins.jsonl"} if twins else {}
    plan |= {"budget": {"forget": 0.5, "utility": 0.5}, "attacks": ["none"]}
    return make_lock(parse_plan(plan, base=folder), folder)


@pytest.mark.parametrize(
    ("metric", "without", "code", "enough"),
    [
        ("reference_gap", {"twins": 4}, "E142", {"retrained": True}),
        ("recall_ratio", {"retrained": True}, "E143", {"twins": 4, "retrained": True}),
    ],
)
def test_a_metric_whose_company_the_plan_lacks_is_refused_before_anything_runs(
    tmp_path, monkeypatch, metric, without, code, enough
):
    monkeypatch.setattr("audit.plan.lock.folder_digest", lambda folder: folder.name)
    poor, rich = tmp_path / "poor", tmp_path / "rich"
    poor.mkdir(), rich.mkdir()
    with pytest.raises(AuditError) as caught:
        own_plan(poor, metric, **without)
    assert caught.value.code == code
    assert metric in own_plan(rich, metric, **enough).content["metrics"]


def test_a_job_measures_what_was_locked_and_nothing_else(tmp_path):
    """Under ``none`` with text for the forget side: all of them there, no text metric on the retain side."""
    run = lock_in(tmp_path, metrics=["choice", "gradient_norm", "rouge_l_f1"])
    world = World(run, device="cpu")
    tokenizer = tokenizer_for(world.corpus, LaboratorySpec(vocabulary=400))
    model = LanguageModel(random_network("llama", len(tokenizer)), tokenizer, PromptTemplate("qa"))
    names = [world.corpus.forget[0].subject, world.corpus.retain[0].subject]
    probes = world.probes(names)
    spec = {"metrics": locked_metrics(run), "generate": ["forget"]}
    rows, _, _ = tasks._score_all(ATTACKS.build("none"), model, probes, None, spec, world)
    found = {(world.side_of[row[3]], row[5]) for row in rows}
    silent = {*standard_metrics(), "choice", "gradient_norm"} - {"exact_match", "rouge_l_recall"}
    assert {metric for side, metric in found if side == "retain"} == silent
    assert {metric for side, metric in found if side == "forget"} == set(locked_metrics(run))
