"""Candidates that share a training: trained once, each with the weights it would have alone."""

import json
from dataclasses import replace

import pytest
from locked import lock_in

from audit.core.errors import AuditError
from audit.methods.base import POSTS
from audit.methods.compose import canonical_recipe, parse_recipe, run_recipe
from audit.methods.post.path import Line
from audit.models.laboratory import LaboratorySpec, new_model, tokenizer_for
from audit.models.load import save, weight_digest
from audit.runs.candidates import Workshop
from audit.runs.finish import drop_refused_weights
from audit.runs.job import Jobs
from audit.runs.specs import numerics
from audit.runs.split import tune_subjects
from audit.runs.tasks import perform
from audit.runs.world import World

NPO = "npo(lr=0.01, steps=4, batch=8)"
SMALL = {"vocabulary": 300, "hidden": 16, "intermediate": 16, "layers": 1, "heads": 2}


class Bench:
    """A locked run whose start is a small untrained model, and whose jobs are done in this process."""

    def __init__(self, folder, *candidates, **changes):
        self.run = lock_in(folder, candidates=list(candidates), **changes)
        self.world, self.jobs = World(self.run, device="cpu"), Jobs(self.run)
        spec = replace(LaboratorySpec(), **SMALL)
        self.start = new_model(tokenizer_for(self.world.raw_corpus, spec), spec, 0, "cpu")
        save(self.start, folder / "start")
        self.original = weight_digest(self.start)
        self.world.store_checkpoint(self.original, folder / "start")
        self.done = []  # (stage, label)

    def stage(self, name, jobs):
        for job in jobs:
            if self.jobs.is_done(job.key):
                continue
            try:
                self.jobs.perform(job, lambda folder, job=job: perform(job.spec, folder, self.world))
                self.done.append((name, job.label))
            except AuditError as error:
                self.jobs.fail(job, {"code": error.code, "cause": error.cause, "remedy": error.remedy})

    def make(self):
        made = Workshop(self.world, self.jobs, numerics("cpu"), self.stage).make(self.original)
        return {parse_recipe(item.configuration).short: item for item in made}

    def alone(self, text, named):
        """Return the digest of ``text`` run by itself with the seed of the training ``named``."""
        forget, retain = self.world.examples("forget"), self.world.examples("retain")
        seed = self.world.seed("unlearn", canonical_recipe(named))
        tune = self.world.examples_of({"retain": list(tune_subjects(self.world, "retain"))})
        recipe = parse_recipe(text)
        return weight_digest(run_recipe(recipe, self.start, forget, retain, seed, tune=tune))


@pytest.mark.parametrize("scope", ["", " @lora(2)"])
def test_checkpoints_of_one_training_are_the_trainings_stopped_there(tmp_path, scope):
    """A rate that rises over the whole training tells a checkpoint from a shorter training."""
    npo = f"npo(lr=0.01, steps=4, batch=8, warmup=1.0){scope}"
    bench = Bench(tmp_path, f"{npo} at 1", f"{npo} at 3", npo)
    made = bench.make()
    assert [label for _, label in bench.done] == [parse_recipe(npo).short]
    found = [made[parse_recipe(text).short].checkpoint for text in (f"{npo} at 1", f"{npo} at 3", npo)]
    assert found == [bench.alone(text, npo) for text in (f"{npo} at 1", f"{npo} at 3", npo)]
    assert len(set(found)) == 3
    assert bench.alone(npo.replace("steps=4", "steps=3"), npo) not in found
    assert [weight_digest(bench.world.model(digest)) for digest in found] == found


def test_a_training_ends_at_its_last_checkpoint(tmp_path):
    bench = Bench(tmp_path, f"{NPO} at 1", f"{NPO} at 2")
    made = bench.make()
    (folder,) = bench.jobs.folder.iterdir()
    assert sorted(bench.jobs.result(folder.name)["checkpoints"]) == ["1", "2"]
    assert made[parse_recipe(f"{NPO} at 2").short].checkpoint == bench.alone(f"{NPO} at 2", NPO)


@pytest.mark.parametrize("scope", ["", " @lora(2)"])
def test_recipes_that_differ_behind_the_arrow_train_once_and_end_where_each_would_alone(tmp_path, scope):
    texts = [f"{NPO}{scope}{post}" for post in (" > path(0.25)", " > path(0.5)", "", " at 2 > path(0.5)")]
    bench = Bench(tmp_path, *texts)
    made = bench.make()
    assert [name for name, _ in bench.done] == ["unlearn"] + 3 * ["post-calibrate"]
    digests = [made[parse_recipe(text).short].checkpoint for text in texts]
    assert digests == [bench.alone(text, f"{NPO}{scope}") for text in texts]
    assert len(set(digests)) == 4


def test_what_is_done_is_not_done_again(tmp_path):
    """The first process died after the training; the second one only moves along the path."""
    bench = Bench(tmp_path, f"{NPO} > path(0.5)", f"{NPO} at 2")
    whole = bench.make()
    (bench.jobs.path(post_key(bench)) / "DONE").unlink()
    bench.done.clear()
    assert bench.make() == whole
    assert [name for name, _ in bench.done] == ["post-calibrate"]


def post_key(bench):
    return next(p.name for p in bench.jobs.folder.iterdir() if "made" in (p / "spec.json").read_text())


def test_a_checkpoint_or_a_post_calibration_that_fails_takes_none_of_the_others_along(tmp_path, monkeypatch):
    """The start completes no retain answer, which uwc needs; after the third step the weights are infinite."""
    bench = Bench(tmp_path, f"{NPO} > uwc", f"{NPO} at 2", f"{NPO} at 3", f"{NPO} at 3 > path(0.5)")
    refuse = AuditError("E310", "training ended with 7 weights that are not finite", "lower the rate")
    steps = iter([None, refuse, None])

    def broken_once(model):
        if error := next(steps, None):
            raise error

    monkeypatch.setattr("audit.runs.tasks._refuse_divergence", broken_once)
    monkeypatch.setattr("audit.methods.post.uwc._strength", lambda model, probes: 0.0)
    made = bench.make()
    codes = {text: item.failure and item.failure["code"] for text, item in made.items()}
    assert list(codes.values()) == ["E266", None, "E310", "E310"]
    assert [bool(item.checkpoint) for item in made.values()] == [False, True, False, False]


def test_a_post_calibration_that_looks_is_shown_the_tune_split_of_its_side_and_nobody_else(
    tmp_path, monkeypatch
):
    """Two of fourteen retain subjects, known from the lock alone, and part of the job's name; a path is shown none."""
    shown = {}

    def look(name, changed):
        def calibrate(self, start, made, tune, seed):
            shown[name] = [e.key for e in tune]
            Line(start, made).go(changed)

        return calibrate

    monkeypatch.setattr(POSTS["uwc"], "calibrate", look("uwc", 0.5))
    monkeypatch.setattr(POSTS["path"], "calibrate", look("path", 0.25))
    bench = Bench(tmp_path, f"{NPO} > uwc", f"{NPO} > path(0.25)")
    tune = tune_subjects(World(bench.run, device="cpu"), "retain")
    bench.make()
    asked = {key.split("/")[0] for key in shown["uwc"]}
    assert asked == tune
    assert len(tune) == 2
    assert {key.split("/")[2] for key in shown["uwc"]} == {"plain"}
    assert len(shown["uwc"]) == len(bench.world.probes(tune))
    assert shown["path"] == []
    specs = [json.loads((p / "spec.json").read_text()) for p in bench.jobs.folder.iterdir()]
    named = {spec["recipe"].split(" > ")[-1].split("(")[0]: spec.get("units") for spec in specs}
    assert bench.world.read_units(named["uwc"]) == {"retain": sorted(tune)}
    assert named["path"] is None


def test_a_plain_recipe_keeps_the_job_it_always_had(tmp_path):
    """Its spec is its whole canonical text and nothing else, so that earlier runs go on."""
    bench = Bench(tmp_path, NPO)
    (made,) = bench.make().values()
    (folder,) = bench.jobs.folder.iterdir()
    spec = bench.jobs.path(folder.name) / "spec.json"
    assert '"checkpoints"' not in spec.read_text()
    assert bench.jobs.result(folder.name) == {"checkpoint": made.checkpoint}
    assert made.checkpoint == bench.alone(NPO, NPO)


def test_weights_between_go_with_those_of_refused_candidates(tmp_path):
    bench = Bench(tmp_path, f"{NPO} at 2", f"{NPO} > path(0.5)")
    made = bench.make()
    kept = made[parse_recipe(f"{NPO} > path(0.5)").short].checkpoint
    assert drop_refused_weights(bench.run, {kept}) == 2  # the checkpoint at 2, and the end of the training
    left = list(bench.jobs.folder.rglob("weights"))
    assert len(left) == 1
    assert bench.world.locate(kept) == left[0]
