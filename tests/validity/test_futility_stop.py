"""Stopping for futility at the boundary: attack after attack, each looked at once, nobody attacked further who fails.

Every row is a replication of its own: a list of which exactly the budget, or one person more, leaks under each attack.
"""

import numpy as np
import pytest
from scipy.stats import binomtest

from audit.risk.model import ConformalRiskModel
from audit.risk.table import Clause, LossTable

DELTA, ALPHA, ROWS, ATTACKS = 0.05, 0.1, 3000, 5
LISTED, OPENED = 400, 90
ALLOWED = 40  # a tenth of 400


def leaks(seed, design, persons):
    """Return (ATTACKS, ROWS, OPENED) 0/1 losses, independent over attacks, which is hardest for a union bound."""
    dice = np.random.default_rng(seed)
    if design == "draws":
        return (dice.random((ATTACKS, ROWS, OPENED)) < persons / LISTED).astype(float)
    everybody = np.zeros((ATTACKS, ROWS, LISTED))
    everybody[..., :persons] = 1
    return dice.permuted(everybody, axis=-1)[..., :OPENED]


def fitted(losses, measured, design):
    population = LISTED if design == "list" else None
    clauses = [
        Clause(f"leak {a}", "forget", losses[a], population, measured=measured[a], binary=True)
        for a in range(ATTACKS)
    ]
    harm = Clause("harm", "utility", np.zeros((ROWS, OPENED)), population, binary=True)
    table = LossTable(tuple(map(str, range(ROWS))), (*clauses, harm), ROWS)
    return ConformalRiskModel(ALPHA, ALPHA, DELTA, "bonferroni").fit(table)


def stopped(losses, design):
    """Return the model after the last attack: a row that fails meets no further one."""
    measured = np.zeros((ATTACKS, ROWS), dtype=bool)
    going = np.ones(ROWS, dtype=bool)
    for attack in range(ATTACKS):
        measured[attack] = going
        model = fitted(losses, measured, design)
        going = ~model.fails_
    return model, measured


def refuted(count):
    return binomtest(int(count), ROWS, DELTA, alternative="greater").pvalue < 0.01


@pytest.mark.parametrize("design", ["list", "draws"])
def test_who_keeps_the_budget_is_called_fail_no_more_often_than_promised_and_as_without_stopping(design):
    losses = leaks(1, design, ALLOWED)
    model, measured = stopped(losses, design)
    assert not refuted(model.fails_.sum())
    whole = fitted(losses, np.ones((ATTACKS, ROWS), dtype=bool), design)
    assert (model.fails_ == whole.fails_).all()
    assert not measured.all()  # somebody was stopped: the rule was at work


@pytest.mark.parametrize("design", ["list", "draws"])
def test_who_exceeds_the_budget_passes_no_more_often_when_stopped(design):
    losses = leaks(2, design, 8)
    losses[-1] = leaks(3, design, ALLOWED + 1)[-1]  # only the last attack shows it
    model, _ = stopped(losses, design)
    whole = fitted(losses, np.ones((ATTACKS, ROWS), dtype=bool), design)
    assert (model.p_values_ >= whole.p_values_).all()
    assert not refuted((model.p_values_ <= DELTA).sum())
    assert (model.p_values_ <= DELTA).any()  # the null is at the boundary, not far beyond it


def test_the_simulation_catches_a_stop_at_the_uncorrected_level():
    """Each clause alone at delta: some clause of five fails far too often."""
    losses = leaks(4, "draws", ALLOWED)
    model = fitted(losses, np.ones((ATTACKS, ROWS), dtype=bool), "draws")
    wrong = np.any([c._answers.lowers(DELTA) > ALPHA for c in model.clauses_], axis=0)
    assert refuted(wrong.sum())
