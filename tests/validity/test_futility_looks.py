"""Looking after the first subjects of an attack, at the boundary: whoever keeps a budget is called FAIL no more often than
promised, though four looks are taken at each clause, and the planned bound at every look would break the promise.

Every row is a replication of its own, as in ``test_futility_stop``.
"""

import numpy as np
import pytest
from scipy.stats import binomtest

from audit.risk.model import ConformalRiskModel
from audit.risk.table import Clause, LossTable

DELTA, ALPHA, ROWS, ATTACKS = 0.05, 0.1, 1200, 3
LISTED, OPENED = 400, 90
ALLOWED = 40  # a tenth of 400
LOOKS = (12, 23, 45)


def leaks(seed, design, persons, graded=False):
    """Return (ATTACKS, ROWS, OPENED) losses, independent over attacks; graded ones are 0 or a half, of twice as many."""
    dice = np.random.default_rng(seed)
    count, height = (2 * persons, 0.5) if graded else (persons, 1.0)
    if design == "draws":
        return height * (dice.random((ATTACKS, ROWS, OPENED)) < count / LISTED)
    everybody = np.zeros((ATTACKS, ROWS, LISTED))
    everybody[..., :count] = height
    return dice.permuted(everybody, axis=-1)[..., :OPENED]


def fitted(losses, looked, design, graded=False, *, looks=True):
    """``looked`` (ATTACKS, ROWS): units seen of rows given up; -1 where nothing was measured, 0 where all was."""
    population, rows = LISTED if design == "list" else None, losses.shape[1]
    clauses = [
        Clause(
            f"leak {a}",
            "forget",
            losses[a],
            population,
            measured=looked[a] == 0,
            looked=np.maximum(looked[a], 0),
            binary=not graded,
        )
        for a in range(ATTACKS)
    ]
    harm = Clause("harm", "utility", np.zeros((rows, OPENED)), population, binary=True)
    table = LossTable(tuple(map(str, range(rows))), (*clauses, harm), rows, looks=looks)
    return ConformalRiskModel(ALPHA, ALPHA, DELTA, "bonferroni").fit(table)


def stopped(losses, design, graded=False):
    """Return the model after the last attack; a row shown to fail is given up at that look and met by no further attack."""
    looked = np.full(losses.shape[:2], -1)
    going = np.ones(losses.shape[1], dtype=bool)
    for attack in range(ATTACKS):
        for look in (*LOOKS, 0):
            looked[attack, going] = look
            going = going & ~fitted(losses, looked, design, graded).fails_
    return fitted(losses, looked, design, graded), looked


def refuted(count):
    return binomtest(int(count), ROWS, DELTA, alternative="greater").pvalue < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("design", ["list", "draws"])
def test_who_keeps_the_budget_is_called_fail_no_more_often_than_promised(design, graded):
    model, looked = stopped(leaks(11, design, ALLOWED, graded), design, graded)
    assert not refuted(model.fails_.sum())
    assert graded or (looked > 0).any()  # somebody was given up half-way: the looks were at work


@pytest.mark.slow
def test_the_simulation_catches_the_planned_bound_taken_at_every_look():
    """The exact bound of each prefix, as if it had been planned: with four looks at three clauses FAIL comes too often."""
    losses = leaks(12, "draws", ALLOWED)
    failed = np.zeros(ROWS, dtype=bool)
    for look in (*LOOKS, OPENED):
        clauses = [
            Clause(f"leak {a}", "forget", losses[a, :, :look], None, binary=True) for a in range(ATTACKS)
        ]
        table = LossTable(tuple(map(str, range(ROWS))), tuple(clauses), ROWS)
        failed |= ConformalRiskModel(ALPHA, ALPHA, DELTA, "bonferroni").fit(table).fails_
    assert refuted(failed.sum())


@pytest.mark.slow
@pytest.mark.parametrize("design", ["list", "draws"])
def test_a_look_gives_nobody_a_pass(design):
    """One person more than the budget allows under the last attack alone; half of the rows are given up before."""
    losses = leaks(13, design, 8)
    losses[0, ::2] = leaks(14, design, 200)[0, ::2]
    losses[-1] = leaks(15, design, ALLOWED + 1)[-1]
    model, _ = stopped(losses, design)
    whole = fitted(losses, np.zeros((ATTACKS, ROWS), dtype=int), design, looks=False)
    assert (model.p_values_ >= whole.p_values_).all()
    assert not refuted((model.p_values_ <= DELTA).sum())


@pytest.mark.parametrize(("share", "most"), [(1.0, 12), (0.6, 45)])
def test_who_leaks_much_is_given_up_early(share, most):
    """At a rate of 1 each person multiplies the evidence for it by ten: the first look is enough. At .6, half of them."""
    model, looked = stopped(leaks(16, "list", int(share * LISTED))[:, :40], "list")
    assert model.fails_.all()
    assert np.mean((looked[0] > 0) & (looked[0] <= most)) > 0.95
