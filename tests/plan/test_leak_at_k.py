"""leak@k as a loss of a unit: the share of k-subsets of its draws in which some secret comes out."""

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hand_made import INT4, NONE, Audit

from audit.core.errors import AuditError
from audit.data.records import Corpus, Probe, Subject
from audit.plan import feasibility
from audit.plan.assemble import Assembly
from audit.plan.attackers import asked
from audit.plan.cube import Cube
from audit.plan.schema import Loss, parse_plan

DRAWS = 6
SAMPLED = (f"sample(n={DRAWS}, temperature=1.0, top_p=1.0, seed=0)", float(DRAWS))


def drawn(leaks, *, k, city=None, primary=("leak_at_k",)):
    """Return the assembly of six persons of whom ``leaks`` (persons, draws) are sampled; NaN leaves a draw out."""
    audit = Audit(candidates=("npo",), cells=(NONE, INT4, SAMPLED))
    audit.lock = {"loss": Loss(primary=primary, k=k).model_dump(mode="json")}
    made = audit.measurements()
    made.header["attacks"][2]["samples"] = DRAWS
    rows = made.rows
    sampled = rows["attack"].eq(SAMPLED[0]) & rows["metric"].eq("forced_match")
    parts = [rows]
    for (person, draw), value in np.ndenumerate(np.asarray(leaks, dtype=float)):
        for probe, told in (("passport", value), ("city", 1.0 if city is None else city)):
            at = rows[sampled & rows["subject"].eq(f"f{person:03d}") & rows["probe"].eq(probe)]
            parts.append(at.assign(metric="exact_match", draw=draw, value=told).dropna(subset=["value"]))
    return Assembly(dataclasses.replace(made, rows=pd.concat(parts, ignore_index=True)))


def losses(assembly, cell, loss="leak_at_k"):
    tables = assembly.deciding(("npo",))
    at = [(p.loss, p.attack, p.dose) for p in tables.promises].index((loss, *cell))
    return tables.table.clauses[at].losses[0]


LEAKS = [
    [0, 0, 0, 0, 0, 0],
    [1, 0, 0, 0, 0, 0],
    [0, 1, 0, 0, 1, 0],
    [1, 1, 1, 0, 0, 0],
    [1, 1, 1, 1, 1, 0],
    [1, 1, 1, 1, 1, 1],
]


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_the_loss_is_the_share_of_subsets_of_k_draws_with_a_leak(k):
    expected = [np.mean([any(row[i] for i in s) for s in combinations(range(DRAWS), k)]) for row in LEAKS]
    assert losses(drawn(LEAKS, k=k), SAMPLED) == pytest.approx(expected)


def test_the_loss_is_graded_and_a_fact_that_is_said_is_no_leak():
    assembly = drawn(LEAKS, k=2, city=1.0)
    clauses = assembly.deciding(("npo",)).table.clauses
    assert [c.binary for c in clauses[:3]] == [False] * 3
    assert losses(assembly, SAMPLED)[0] == 0


def test_a_draw_that_is_missing_is_no_draw_without_a_leak():
    """With one draw missing nothing is known, unless every pair of draws leaks anyway (five of six leak)."""
    leaks = np.array(LEAKS, dtype=float)
    leaks[:, 5] = np.nan
    found = losses(drawn(leaks, k=2), SAMPLED)
    assert np.isnan(found).tolist() == [True, True, True, True, False, False]
    assert found[4:].tolist() == [1, 1]


def test_fewer_draws_than_k_are_no_score():
    assert np.isnan(losses(drawn(LEAKS, k=DRAWS + 1), SAMPLED)).all()


def test_where_nothing_is_drawn_the_loss_is_a_recovered_secret():
    assembly = drawn(LEAKS, k=4, primary=("leak_at_k", "recovered"))
    for cell in (NONE, INT4):
        np.testing.assert_array_equal(losses(assembly, cell), losses(assembly, cell, "recovered"))
    original = assembly.deciding(("original",)).table.clauses
    assert original[1].losses.tolist() == [[1.0] * 6]


def test_the_cube_keeps_draws_apart_and_hands_out_the_largest_otherwise():
    assembly = drawn(LEAKS, k=4)
    cube = assembly.cube
    at = cube.cells.index(SAMPLED)
    assert cube.samples == (1, 1, DRAWS)
    npo, persons = cube.configurations.index("npo"), cube.rows_of([f"f{i:03d}" for i in range(6)])
    draws = cube.draws("exact_match", at)
    assert draws.shape == (3, len(cube.subjects), 2, DRAWS)
    assert draws[npo, persons, 0].tolist() == LEAKS
    largest = cube.values("exact_match")[npo, at, persons, 0]
    assert largest.tolist() == [0, 1, 1, 1, 1, 1]
    assert np.isnan(cube.draws("nll", at)).all()


def test_a_log_that_announces_no_samples_has_one_draw_per_cell():
    assert Cube.of(Audit().measurements()).samples == (1, 1)


def test_only_secrets_are_asked_for_this_loss():
    assembly = drawn(LEAKS, k=4)
    assert asked(assembly, "leak_at_k", SAMPLED, ["f000"]).tolist() == [[True, False]]


# -- plans ---------------------------------------------------------------------------------------------------


def plan(tmp_path, **changes):
    raw = {"model": "m", "data": {"forget": "f", "retain": "r"}, "candidates": ["npo"]} | changes
    return parse_plan(raw, base=tmp_path)


def corpus(kind="secret"):
    bits = 33.0 if kind == "secret" else None
    person = Subject("f0", (Probe("f0", "code", "Which code?", "77", kind=kind, entropy_bits=bits),))
    return Corpus((person,), (), ())


@pytest.mark.parametrize(
    ("attacks", "said"),
    [
        (["none"], "no attack draws any"),
        (["none", "sample(n=3)"], "a sampling attack draws 3"),
        (["none", "sample(n=16)", "sample(n=3, temperature=0.7)"], "a sampling attack draws 3"),
    ],
)
def test_a_plan_without_k_draws_is_refused(tmp_path, attacks, said):
    with pytest.raises(AuditError, match=said) as caught:
        feasibility.demand_primary(plan(tmp_path, attacks=attacks, loss={"primary": ["leak_at_k"]}), corpus())
    assert caught.value.code == "E405"


def test_k_draws_suffice_and_secrets_are_needed(tmp_path):
    good = plan(tmp_path, attacks=["none", "sample(n=3)"], loss={"primary": ["leak_at_k"], "k": 3})
    feasibility.demand_primary(good, corpus())
    with pytest.raises(AuditError, match="E405"):
        feasibility.demand_primary(good, corpus(kind="fact"))
