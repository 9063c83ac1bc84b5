"""Lower bounds of rows that were given up at a look: by hand, by the likelihood ratio, and what a clause says of them."""

import numpy as np
import pytest
from scipy import integrate, stats

from audit.risk.clauses import Levels, bound_clause
from audit.risk.exceedance import anytime_lower
from audit.risk.model import ConformalRiskModel
from audit.risk.table import Clause, LossTable


def clause(row, population=None, looked=None, **facts):
    row = np.asarray(row, dtype=float)[None]
    count = None if looked is None else np.array([looked])
    measured = None if looked is None else np.array([False])
    return Clause("leak", "forget", row, population, measured=measured, looked=count, **facts)


def first(one, losses, budget, delta):
    (found,) = anytime_lower(one, np.array([0]), np.asarray(losses, dtype=float)[None], budget, delta)
    return found


def lower(losses, *, budget, delta, population=None, binary=True):
    losses = np.asarray(losses, dtype=float)
    return first(clause(losses, population, binary=binary), losses, budget, delta)


@pytest.mark.parametrize(("leaks", "kept"), [(3, 2), (4, 0), (6, 1)])
def test_of_draws_a_share_is_refuted_as_soon_as_the_averaged_likelihood_ratio_says_so(leaks, kept):
    """E = mean over r in (s, 1) of r^k (1-r)^(n-k) / s^k (1-s)^(n-k); all shares up to the bound have E >= 1 / delta."""
    losses, delta = [1.0] * leaks + [0.0] * kept, 0.05

    def evidence(s, k, n):
        ratio, _ = integrate.quad(lambda r: (r / s) ** k * ((1 - r) / (1 - s)) ** (n - k), s, 1)
        return ratio / (1 - s)

    def peak(s):
        return max(evidence(s, sum(losses[:n]), n) for n in range(1, len(losses) + 1))

    refuted = [s for s in (step / 50 for step in range(1, 50)) if peak(s) >= 1.02 / delta]
    doubtful = [s for s in (step / 50 for step in range(1, 50)) if peak(s) >= 0.98 / delta]
    found = lower(losses, budget=0.5, delta=delta)
    assert max(refuted) <= found + 1e-12  # 64 alternatives differ from the integral by rounding alone
    assert found <= max(doubtful) + 1e-12


def test_of_a_list_what_was_seen_counts_exactly():
    """2 of 10 leak. Budget .1 allows one: two seen are more, without any chance."""
    assert lower([1, 1], budget=0.1, delta=1e-9, population=10) == pytest.approx(0.2)
    assert lower([1], budget=0.1, delta=1e-9, population=10) == pytest.approx(0.1)
    assert lower([0, 0, 0], budget=0.1, delta=1e-9, population=10) == 0


def test_budgets_that_fall_between_two_units_are_tested_at_the_last_one_that_keeps_them():
    """Budget .25 of 10 allows two; three seen leak, so the share is at least .3."""
    assert lower([1, 1, 1], budget=0.25, delta=1e-9, population=10) == pytest.approx(0.3)
    assert lower([1, 1], budget=0.25, delta=1e-9, population=10) == pytest.approx(0.2)


def test_every_row_is_bounded_as_it_would_be_alone():
    rows = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=float)
    table = Clause("leak", "forget", rows, 100, binary=True)
    together = anytime_lower(table, np.arange(3), rows, 0.1, 0.05)
    assert list(together) == [lower(row, budget=0.1, delta=0.05, population=100) for row in rows]
    assert together[1] == 0 < together[0] < together[2]


def test_nothing_seen_refutes_nothing():
    assert lower([], budget=0.1, delta=0.05) == 0
    assert lower([0] * 50, budget=0.1, delta=0.05) == 0


def test_graded_losses_of_draws_and_lists_are_bounded_too():
    half = [0.9] * 30
    assert 0.5 < lower(half, budget=0.1, delta=0.01, binary=None) < 0.9
    assert 0.5 < lower(half, budget=0.1, delta=0.01, binary=None, population=200) < 0.9


def test_persons_whom_an_earlier_audit_saw_leak_are_counted():
    """Of 20, five were opened before and all leaked; the list exceeds a tenth by these alone."""
    one = clause([0.0, 0.0], 20, binary=True, seen_units=5, seen_totals=np.array([5.0]))
    assert first(one, [0.0, 0.0], 0.1, 1e-9) == pytest.approx(5 / 20)
    missing = clause(
        [0.0], 20, binary=True, seen_units=5, seen_totals=np.array([5.0]), seen_missing=np.array([5])
    )
    assert first(missing, [0.0], 0.1, 0.5) == 0


def test_a_row_given_up_has_a_lower_bound_and_nothing_that_was_not_measured():
    seen = clause([1, 1, 1, np.nan, 0, 0], 60, looked=4, binary=True)
    found = bound_clause(seen, 0.1, Levels(0.05, 0.05, 0.05, looks=True))
    assert (found.upper[0], found.p_value[0]) == (1.0, 1.0)
    assert (found.n[0], found.total[0], found.missing[0]) == (4, 4, 1)  # who has no score counts as 1 above
    by_hand = first(seen, [1.0, 1.0, 1.0, 0.0], 0.1, 0.025)  # and as 0 below
    assert 0 < found.lower[0] == by_hand
    assert found.fails[0]


def test_the_planned_bound_and_the_looks_share_the_error_probability():
    """A row measured to its end is bounded at half of delta where rows may have been given up, at all of it elsewhere."""
    losses = np.array([[1.0] * 30 + [0.0] * 30])
    one = Clause("leak", "forget", losses, 400, binary=True)
    harm = Clause("harm", "utility", np.zeros((1, 60)), 400, binary=True)
    model = ConformalRiskModel(0.1, 0.1, 0.05)

    def first_kept(level):
        """The smallest M of 400 under which 30 or more of 60 have a probability above ``level``."""
        return next(m for m in range(401) if stats.hypergeom(400, m, 60).sf(29) > level) / 400

    plain = model.fit(LossTable(("a",), (one, harm), 1)).clauses_[0].lower_failing[0]
    shared = model.fit(LossTable(("a",), (one, harm), 1, looks=True)).clauses_[0].lower_failing[0]
    assert (plain, shared) == (first_kept(0.025), first_kept(0.0125))
    assert shared < plain


@pytest.mark.parametrize(
    "facts",
    [
        {"looked": np.array([7])},
        {"looked": np.array([-1])},
        {"looked": np.array([2]), "measured": np.array([True])},
        {"looked": np.array([2]), "measured": np.array([False]), "fixed": False},
    ],
)
def test_odd_looks_are_refused(facts):
    with pytest.raises(ValueError, match="leak: "):
        Clause("leak", "forget", np.zeros((1, 6)), 20, **facts)
