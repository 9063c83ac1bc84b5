"""After the verdict: whose weights go, and what it takes to break the seal."""

import json

import pytest
from hand_made import Audit
from locked import lock_in

from audit.core.errors import AuditError
from audit.measurements import store
from audit.runs.confirm import open_seal
from audit.runs.finish import drop_refused_weights, outputs
from audit.runs.job import Job, Jobs
from audit.runs.project import Ledger
from audit.runs.world import World


def trained(run, kind, digest):
    """Let a job be done that made the weights ``digest``; return their folder."""
    jobs = Jobs(run)
    job = Job({"kind": kind, "digest": digest}, digest[:2])

    def work(folder):
        (folder / "weights").mkdir()
        (folder / "weights" / "model.safetensors").write_bytes(b"x")
        return {"checkpoint": digest}

    jobs.perform(job, work)
    return jobs.path(job.key) / "weights"


@pytest.fixture
def weights(run):
    return {
        name: trained(run, kind, name * 32)
        for name, kind in (("aa", "reference"), ("bb", "unlearn"), ("cc", "unlearn"))
    }


def test_weights_of_refused_candidates_go_and_everything_else_stays(run, weights):
    assert drop_refused_weights(run, {"bb" * 32}) == 1
    assert {name: folder.exists() for name, folder in weights.items()} == {
        "aa": True,
        "bb": True,
        "cc": False,
    }
    assert json.loads((weights["cc"].parent / "result.json").read_text()) == {"checkpoint": "cc" * 32}
    assert Jobs(run).is_done(weights["cc"].parent.name)
    assert drop_refused_weights(run, {"bb" * 32}) == 0


def test_the_original_stays_where_it_was_when_a_refused_candidate_has_the_same_weights(run, weights):
    """As retrain(without=nobody) has in the laboratory: the seal cannot be broken without the original."""
    world = World(run, device="cpu")
    world.store_checkpoint("aa" * 32, weights["aa"])
    world.store_checkpoint("aa" * 32, trained(run, "unlearn", "aa" * 32), base="aa" * 32)
    drop_refused_weights(run, set())
    assert World(run, device="cpu").locate("aa" * 32) == weights["aa"]


def test_weights_stay_from_which_a_failed_job_would_be_tried_again(run, weights):
    """A post-calibration of one, a measurement of the other."""
    Jobs(run).fail(
        Job({"kind": "calibrate", "made": "bb" * 32}, "npo > uwc"), {"code": "E304", "cause": "died"}
    )
    Jobs(run).fail(Job({"kind": "measure", "checkpoint": "cc" * 32}, "ga"), {"code": "E304", "cause": "died"})
    assert drop_refused_weights(run, set()) == 0
    assert all(folder.exists() for folder in weights.values())
    Jobs(run).clear_leftovers(lambda key: False)  # the next attempt begins
    assert drop_refused_weights(run, set()) == 2


def test_weights_that_are_gone_may_be_made_again_elsewhere(run, weights):
    world = World(run, device="cpu")
    world.store_checkpoint("cc" * 32, weights["cc"])
    drop_refused_weights(run, set())
    world.store_checkpoint("cc" * 32, weights["aa"])
    assert world.locate("cc" * 32) == weights["aa"]


def test_a_plan_that_keeps_all_weights_keeps_them(tmp_path):
    run = lock_in(tmp_path, keep="all")
    folder = trained(run, "unlearn", "cc" * 32)
    assert drop_refused_weights(run, set()) == 0
    assert folder.exists()


def test_what_is_searched_for_leaks_is_every_file_but_weights(run, weights):
    (run / "logs").mkdir()
    (run / "logs" / "worker0.log").write_text("x")
    names = {str(p.relative_to(run)).split("/")[0] for p in outputs(run)}
    assert names == {"jobs", "lock.json", "logs"}
    assert not [p for p in outputs(run) if p.suffix == ".safetensors"]


# -- the seal ---------------------------------


@pytest.fixture
def measured(run):
    """A run whose measurements were written by hand: npo and simnpo, ten sealed persons."""

    def build(sealed=10):
        audit = Audit(candidates=("npo", "simnpo"), forget=30, sealed=sealed, retain=30, retain_sealed=5)
        store.write(run / "measurements", audit.measurements())
        (run / "split.json").write_text(json.dumps({"family_digest": "f", "units": []}))
        world = World(run)
        for name in ("npo", "simnpo"):
            digest = audit.digest(name)
            world.store_checkpoint(digest, trained(run, "unlearn", digest))
        return {name: audit.digest(name) for name in audit.configurations}

    return build


def opened(run):
    return [o for o in Ledger(World(run).lock.project).openings() if o.split == "sealed"]


def refused(run, checkpoint):
    with pytest.raises(AuditError) as caught:
        open_seal(run, checkpoint, device="cpu", workers=1)
    return caught.value


def test_where_nobody_is_sealed_there_is_nothing_to_confirm(run, measured):
    digests = measured(sealed=0)
    assert refused(run, digests["npo"]).code == "E508"
    assert opened(run) == []


def test_weights_that_are_gone_do_not_cost_the_seal(run, measured):
    digests = measured()
    drop_refused_weights(run, set())
    assert refused(run, digests["npo"]).code == "E505"
    assert opened(run) == []


def test_the_seal_is_broken_before_anything_is_measured_and_for_one_checkpoint_only(
    run, measured, monkeypatch
):
    """A run that dies in between leaves on record which checkpoint it was for."""
    digests = measured()

    class Died(Exception):
        pass

    def die(self, name, jobs):
        raise Died

    monkeypatch.setattr("audit.runs.coordinator.Coordinator.perform", die)
    for _ in range(2):  # the second time resumes
        with pytest.raises(Died):
            open_seal(run, digests["npo"], device="cpu", workers=1)
    assert [(o.side, o.checkpoint, len(o.units)) for o in opened(run)] == [
        ("forget", digests["npo"], 10),
        ("retain", digests["npo"], 5),
    ]
    error = refused(run, digests["simnpo"])
    assert (error.code, error.exit_code) == ("E507", 5)
    assert len(opened(run)) == 2
