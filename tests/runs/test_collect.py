"""From finished jobs to measurements: of every planned cell it is said what became of it."""

import pandas as pd
import pytest

from audit.measurements import store
from audit.runs.collect import Configured, collect
from audit.runs.job import Job, Jobs
from audit.runs.split import Unit
from audit.runs.tasks import ROW_FIELDS

NONE, INT4, RELEARN, PARAPHRASE = range(4)  # the plan's attacks


def subjects(world, side, count):
    return [s.subject for s in world.corpus.side(side)[:count]]


@pytest.fixture
def units(world):
    """Three forgotten, two retained persons and two twins."""
    return [
        *(Unit(s, "forget", "calibrate", i, True) for i, s in enumerate(subjects(world, "forget", 3))),
        *(Unit(s, "retain", "calibrate", i, True) for i, s in enumerate(subjects(world, "retain", 2))),
        *(Unit(s, "twin", "threshold", i, True) for i, s in enumerate(subjects(world, "twin", 2))),
    ]


def job(world, attack, checkpoint, sides=("forget", "retain", "twin")):
    text = world.lock.attacks[attack]
    return Job(
        {"kind": "measure", "attack": text, "checkpoint": checkpoint, "sides": sorted(sides)}, f"under {text}"
    )


def rows_of(world, side, dose, folds=(0,), count=2):
    """Return one row per probe of the first persons of a side."""
    return [
        (dose, fold, 0, p.subject, p.probe, "forced_match", 0.5)
        for fold in folds
        for s in world.corpus.side(side)[:count]
        for p in s.probes
    ]


def finish(jobs, item, rows=(), cells=(), *, state="measured", reason="", not_asked=(), share=None):
    """Let a job be done."""

    def work(folder):
        pd.DataFrame(list(rows), columns=list(ROW_FIELDS)).to_parquet(folder / "rows.parquet", index=False)
        return {
            "state": state,
            "reason": reason,
            "cells": [list(cell) for cell in cells],
            "not_asked": [list(question) for question in not_asked],
            "diagnostics": {} if share is None else {"codes_changed_share": share},
        }

    jobs.perform(item, work)


def states(measurements, configuration):
    return {
        (c["attack"].partition("(")[0], c["dose"], c["side"]): (c["state"], c["reason"])
        for c in measurements.header["coverage"]
        if c["configuration"] == configuration
    }


@pytest.fixture
def collected(world, units, tmp_path):
    """An original, a candidate with every kind of outcome, one that could not be made, one that is late."""
    jobs, first = Jobs(tmp_path), world.corpus.forget[0]
    sides = ("forget", "retain", "twin")
    everybody = [row for side in sides for row in rows_of(world, side, 0.0)]
    plain, mine = job(world, NONE, "aa" * 32), [job(world, NONE, "bb" * 32)]
    mine += [job(world, attack, "bb" * 32, ("forget", "twin")) for attack in (INT4, RELEARN, PARAPHRASE)]
    for item in (plain, mine[NONE]):
        finish(jobs, item, everybody, [(0.0, side) for side in sides], share=0.25)
    jobs.fail(mine[INT4], {"code": "E302", "cause": "its worker died 3 times", "remedy": "again"})
    finish(
        jobs,
        mine[RELEARN],
        [*rows_of(world, "forget", 1.0, [1]), *rows_of(world, "twin", 2.0, [1, 2], count=1)],
        [(1.0, "forget"), (2.0, "forget"), (2.0, "twin")],
        not_asked=[(1.0, first.subject, first.probes[0].probe)],
    )
    finish(jobs, mine[PARAPHRASE], state="not_applicable", reason="no paraphrases")
    unmade = tuple(job(world, attack, "", ("forget", "twin")) for attack in (NONE, INT4))
    configured = [
        Configured("original", "original", "aa" * 32, (plain,)),
        Configured("npo", "candidate", "bb" * 32, tuple(mine)),
        Configured("ga", "candidate", "", unmade, {"code": "E310", "cause": "7 weights are not finite"}),
        Configured("late", "candidate", "dd" * 32, (job(world, NONE, "dd" * 32, ("forget",)),)),
    ]
    return collect(world, configured, units, jobs, known={s: ("city",) for s in subjects(world, "retain", 2)})


def test_every_planned_cell_says_what_became_of_it(collected):
    assert states(collected, "npo") == {
        ("none", 0.0, "forget"): ("measured", ""),
        ("none", 0.0, "retain"): ("measured", ""),
        ("none", 0.0, "twin"): ("measured", ""),
        ("quantize", 4.0, "forget"): ("failed", "E302 its worker died 3 times"),
        ("quantize", 4.0, "twin"): ("failed", "E302 its worker died 3 times"),
        ("relearn", 1.0, "forget"): ("measured", ""),
        ("relearn", 1.0, "twin"): ("not_applicable", "twins are scored at the last dose"),
        ("relearn", 2.0, "forget"): ("measured", ""),
        ("relearn", 2.0, "twin"): ("measured", ""),
        ("paraphrase", 1.0, "forget"): ("not_applicable", "no paraphrases"),
        ("paraphrase", 1.0, "twin"): ("not_applicable", "no paraphrases"),
    }


def test_a_candidate_that_could_not_be_made_failed_in_every_cell_with_its_reason(collected):
    found = states(collected, "ga")
    assert len(found) == 4
    assert set(found.values()) == {("failed", "E310 7 weights are not finite")}
    record = next(c for c in collected.header["configurations"] if c["configuration"] == "ga")
    assert (record["checkpoint"], record["status"]) == ("", "failed")


def test_a_job_that_is_neither_done_nor_failed_did_not_finish(collected):
    assert states(collected, "late") == {("none", 0.0, "forget"): ("failed", "E301 the job did not finish")}


def test_rows_carry_who_was_asked_and_nothing_of_what_was_said(collected, world):
    rows = collected.rows
    assert set(rows["configuration"]) == {"original", "npo"}
    assert set(rows.loc[rows["configuration"] == "npo", "checkpoint"]) == {"bb" * 32}
    assert set(rows["attack"]) == {world.lock.attacks[NONE], world.lock.attacks[RELEARN]}
    assert {len(s) for s in rows["subject"]} == {16}  # pseudonyms
    assert not rows.duplicated().any()


def test_what_could_not_be_asked_and_what_was_diagnosed_stands_in_the_header(collected, world):
    first = world.corpus.forget[0]
    relearn = world.lock.attacks[RELEARN]
    assert collected.header["not_asked"] == [(relearn, 1.0, first.subject, first.probes[0].probe)]
    assert ["npo", world.lock.attacks[NONE], "codes_changed_share", 0.25] in collected.header["diagnostics"]
    assert collected.header["known"] == {s: ["city"] for s in subjects(world, "retain", 2)}


def test_the_header_names_lock_lists_metrics_and_attacks(collected, world):
    header = collected.header
    assert header["lock_digest"] == world.lock.digest
    assert {side: entry["size"] for side, entry in header["lists"].items()} == {
        "forget": 20,
        "retain": 14,
        "twin": 8,
    }
    assert header["lists"]["forget"]["drawn"] == "lock+checkpoints"
    assert [a["attack"] for a in header["attacks"]] == world.lock.attacks
    assert header["losses"] == "fixed"
    assert {m["direction"] for m in header["metrics"]} == {"higher", "lower"}


def test_units_have_the_halves_of_the_cross_fitted_attacks(collected, world):
    units = collected.units.set_index("subject")
    forget = units[units["side"] == "forget"]
    assert forget["half"].to_dict() == {s: world.halves[s] for s in forget.index}
    assert set(units.loc[units["side"] != "forget", "half"]) == {0}
    assert sorted(world.halves.values()) == [1] * 10 + [2] * 10


def test_the_tables_can_be_written_and_read(collected, tmp_path):
    store.write(tmp_path / "m", collected)
    assert store.same(store.read(tmp_path / "m"), collected)


@pytest.mark.parametrize("second", ["done", "given up", "failed", "late"])
def test_of_an_attack_in_two_parts_there_is_one_record_and_the_graver_state_counts(
    world, units, tmp_path, second
):
    jobs, parts = Jobs(tmp_path), [job(world, NONE, f"{n:02x}" * 32, ("forget",)) for n in (1, 2)]
    rows = rows_of(world, "forget", 0.0)
    mine, other = ([row for row in rows if row[3] == s] for s in subjects(world, "forget", 2))
    finish(jobs, parts[0], mine, [(0.0, "forget")], share=0.5)
    if second == "done":
        finish(jobs, parts[1], other, [(0.0, "forget")], share=0.5)
    if second == "failed":
        jobs.fail(parts[1], {"code": "E302", "cause": "its worker died 3 times", "remedy": "again"})
    stopped = second == "given up"
    item = Configured(
        "npo",
        "candidate",
        "bb" * 32,
        tuple(parts[:1] if stopped else parts),
        given_up=tuple(parts[1:] if stopped else ()),
        because="shown to fail unattacked after 1 subjects" if stopped else "",
        looked={"forget": 1} if stopped else {},
    )
    found = collect(world, [item], units, jobs, known={})
    (cell,) = found.header["coverage"]
    expected = {"done": "measured", "given up": "stopped", "failed": "failed", "late": "failed"}
    assert cell["state"] == expected[second]
    assert cell.get("subjects") == (1 if stopped else None)
    assert len(found.header["diagnostics"]) == 1
    assert found.rows["subject"].nunique() == (2 if second == "done" else 1)
