"""Looks after every unit: the boundary is simulated, sharpness is compared with closed forms and enumeration."""

from itertools import combinations
from math import comb, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc, betaln
from scipy.stats import binom, binomtest, hypergeom

from audit.core.errors import AuditError
from audit.risk.sequential import SequentialAudit, e_holm
from audit.risk.table import Clause, LossTable
from audit.risk.wealth import Wealth

DELTA, ALPHA = 0.05, 0.1


def clause(rows=1, population=None, name="leak", side="forget", **facts):
    return Clause(name, side, np.zeros((rows, 0)), population, **{"binary": True, **facts})


def settled(rows):
    """A utility clause that is decided: a list of one unit, seen before, without loss."""
    return clause(rows, 1, "harm", "utility", seen_units=1, seen_totals=np.zeros(rows))


def audit(*clauses, size=None, **settings):
    rows = len(clauses[0].losses)
    names = tuple(f"c{i}" for i in range(rows))
    return SequentialAudit(LossTable(names, (*clauses, settled(rows)), size or rows), **settings)


def closed_form(n, k, alpha=ALPHA):
    """ln of the average of (m/alpha)^k ((1-m)/(1-alpha))^(n-k) over m uniform in (0, alpha)."""
    with np.errstate(divide="ignore"):  # so many losses that the area underflows: no wealth is left
        area = np.log(betainc(k + 1, n - k + 1, alpha)) + betaln(k + 1, n - k + 1)
    return area - log(alpha) - k * log(alpha) - (n - k) * log(1 - alpha)


def first_certified(losses, population=None, level=DELTA, **facts):
    """Units (R,) after which each row's p-value first falls to ``level``; n + 1 if it never does."""
    wealth = Wealth(clause(len(losses), population, **facts), ALPHA)
    first = np.full(len(losses), losses.shape[1] + 1)
    for unit, column in enumerate(losses.T, start=1):
        wealth.step(column)
        first[(wealth.log_peak >= -log(level)) & (first == losses.shape[1] + 1)] = unit
    return first


def refuted(count, replications, rate=DELTA):
    """Whether the promised rate is contradicted at 1 % evidence."""
    return binomtest(count, replications, rate, alternative="greater").pvalue < 0.01


# -- the e-process of draws --------------------------


@pytest.mark.parametrize(("n", "k"), [(1, 0), (10, 4), (43, 0), (66, 1), (183, 9), (400, 40)])
def test_wealth_on_draws_is_the_truncated_mixture_of_likelihood_ratios(n, k):
    wealth = Wealth(clause(), ALPHA)
    for loss in [1.0] * k + [0.0] * (n - k):
        wealth.step(np.array([loss]))
    assert wealth.log_now[0] == pytest.approx(closed_form(n, k), abs=2e-3)


def test_forty_three_units_without_a_loss_certify_a_tenth():
    assert closed_form(42, 0) < log(20) < closed_form(43, 0)
    assert first_certified(np.zeros((1, 60)))[0] == 43


def units_needed(risk, longest=300):
    """Exact chance that the closed form reached 1/delta within n units, for n = 0, 1, ..., ``longest``."""
    alive, done = np.array([1.0]), [0.0]  # alive[k]: not certified yet, k losses so far
    for n in range(1, longest + 1):
        alive = np.append(alive * (1 - risk), 0) + np.append(0, alive * risk)
        crossed = closed_form(n, np.arange(n + 1)) >= -log(DELTA)
        done.append(done[-1] + alive[crossed].sum())
        alive[crossed] = 0
    return np.array(done)


@pytest.mark.parametrize(("risk", "median"), [(0.01, 43), (0.02, 66), (0.05, 168)])
def test_units_to_certify_at_stated_true_risks(risk, median):
    """Medians by counting paths of the closed form."""
    chance = units_needed(risk)
    assert int(np.argmax(chance >= 0.5)) == median
    drawn = (np.random.default_rng(1).random((2000, 300)) < risk).astype(float)
    found = first_certified(drawn)
    for n in (43, 66, 120, 200, 300):
        assert np.mean(found <= n) == pytest.approx(chance[n], abs=4 * np.sqrt(0.25 / 2000))


def naive(losses, p_value):
    """Rows in which a fixed-n test, repeated after every unit, rejects at some look."""
    failures, n = losses.cumsum(axis=1), np.arange(1, losses.shape[1] + 1)
    return int((p_value(failures, n) <= DELTA).any(axis=1).sum())


def test_looks_after_every_draw_err_no_more_often_than_promised_and_a_repeated_test_does():
    drawn = (np.random.default_rng(2).random((1500, 200)) < ALPHA).astype(float)
    assert not refuted(int((first_certified(drawn) <= 200).sum()), 1500)
    assert refuted(naive(drawn, lambda k, n: binom.cdf(k, n, ALPHA)), 1500)


@pytest.mark.parametrize("law", [(0.2, 1.8), (5, 45)])
def test_looks_at_graded_draws_err_no_more_often_than_promised(law):
    drawn = np.random.default_rng(3).beta(*law, (800, 150))  # mean 0.1
    assert not refuted(int((first_certified(drawn, binary=False) <= 150).sum()), 800)


# -- the e-process of a finite list --------------------------


def test_looks_at_a_list_err_no_more_often_than_promised_and_a_repeated_test_does():
    """21 of 200 exceed a tenth by as little as a list can."""
    random = np.random.default_rng(4)
    listed = np.stack([random.permutation(np.arange(200) < 21) for _ in range(1500)]).astype(float)[:, :180]
    assert not refuted(int((first_certified(listed, 200) <= 180).sum()), 1500)
    assert refuted(naive(listed, lambda k, n: hypergeom.cdf(k, 200, 21, n)), 1500)


@pytest.mark.parametrize("failing", [3, 4, 6])
def test_on_a_short_list_every_order_counted_errs_within_delta(failing):
    """Twelve units, at most 2 may fail at a budget of a fifth; all orders of ``failing`` > 2 failures."""
    orders = list(combinations(range(12), failing))
    losses = np.zeros((len(orders), 12))
    for row, places in enumerate(orders):
        losses[row, list(places)] = 1
    for level in (0.05, 0.2, 0.5):
        wealth, ever = Wealth(clause(len(orders), 12), 0.2), np.zeros(len(orders), dtype=bool)
        for column in losses.T:
            wealth.step(column)
            ever |= wealth.log_peak >= -log(level)
        assert ever.sum() <= level * comb(12, failing)
        assert wealth.broken.all()


def test_graded_losses_of_a_list_err_no_more_often_than_promised():
    random = np.random.default_rng(5)
    listed = random.beta(0.3, 2.7, 150)
    listed *= (ALPHA + 1e-6) / listed.mean()
    assert listed.max() <= 1
    orders = np.stack([random.permutation(listed) for _ in range(800)])
    assert not refuted(int((first_certified(orders, 150, binary=False) <= 149).sum()), 800)


def test_a_list_needs_fewer_units_than_draws():
    assert first_certified(np.zeros((1, 40)), 40)[0] < first_certified(np.zeros((1, 60)))[0] == 43


def test_what_no_list_can_exceed_any_more_is_certain():
    """Two of 20 may fail: after 18 units without loss a third failure is impossible."""
    wealth = Wealth(clause(1, 20), ALPHA)
    for unit in range(1, 19):
        wealth.step(np.zeros(1))
        assert np.isinf(wealth.log_peak[0]) == (unit == 18)


def test_a_list_seen_to_exceed_its_budget_is_never_accepted():
    """Accepted after 16 of 20 units without loss at delta = 1/2, taken back when three have failed."""
    running = audit(clause(1, 20), delta=0.5)
    running.update({"leak": np.zeros((1, 16))})
    assert running.accepted.tolist() == [True]
    running.update({"leak": np.ones((1, 3))})
    assert running.accepted.tolist() == [False]
    assert running.futile.tolist() == [True]


def test_units_seen_before_count_towards_the_list():
    """Of 20, ten were seen: with 3 losses the budget of 2 is broken, with none a census follows sooner."""
    before = np.array([3.0, 2.0, 0.0])
    running = audit(clause(3, 20, seen_units=10, seen_totals=before), delta=1e-9)
    assert running.futile.tolist() == [True, False, False]
    running.update({"leak": np.zeros((3, 8))})
    assert running.accepted.tolist() == [False, False, True]  # 0 + 2 left cannot become 3
    running.update({"leak": np.zeros((3, 2))})
    assert running.accepted.tolist() == [False, True, True]  # a census: 2 of 20 meet the budget


# -- configurations and looks --------------------------


@pytest.mark.slow
def test_all_looks_together_keep_the_familywise_error_under_dependence():
    """Eight configurations at the boundary that share half of their units' fate, 600 audits of 150 looks."""
    random, wrong = np.random.default_rng(6), {"holm": 0, "e_holm": 0}
    for _ in range(600):
        common, own = random.random((1, 150)), random.random((8, 150))
        losses = (np.where(random.random((8, 150)) < 0.5, common, own) < ALPHA).astype(float)
        for family in wrong:
            running = audit(clause(8), family=family)
            running.update({"leak": losses})
            wrong[family] += bool(running.accepted.any())
    assert not refuted(wrong["holm"], 600)
    assert not refuted(wrong["e_holm"], 600)


def test_holm_is_applied_to_the_anytime_p_values_of_the_whole_family():
    """1/delta = 20; a family of three needs wealth 60 for the first and 40 for the second."""
    needed = {size: next(n for n in range(200) if closed_form(n, 0) >= log(20 * size)) for size in (2, 3)}
    running = audit(clause(2), size=3)
    running.update({"leak": np.zeros((2, needed[2]))})
    assert running.accepted.tolist() == [False, False]
    running.update({"leak": np.hstack([np.zeros((2, needed[3] - needed[2])), np.ones((2, 30))])})
    assert running.accepted.tolist() == [True, True]  # the peak stays, whatever comes later


def test_a_configuration_waits_for_its_slowest_clause():
    """Both clauses must be shown; one that is not applicable says nothing, one not measured blocks."""
    first = clause(3, None, "none")
    second = clause(
        3,
        None,
        "int4",
        measured=np.array([True, False, True]),
        applicable=np.array([True, True, False]),
    )
    running = audit(first, second)
    running.update({"none": np.zeros((3, 100))})
    assert running.accepted.tolist() == [False, False, True]
    running.update({"int4": np.zeros((3, 100))})
    assert running.accepted.tolist() == [True, False, True]
    assert running.p_values[1] == 1
    assert running.futile.tolist() == [False, True, False]


def test_utility_decides_too():
    rows = 1
    table = LossTable(("a",), (clause(rows), clause(rows, None, "harm", "utility", binary=False)), 1)
    running = SequentialAudit(table)
    running.update({"leak": np.zeros((1, 80))})
    assert running.p_values.tolist() == [1.0]
    running.update({"harm": np.zeros((1, 80))})
    assert running.accepted.tolist() == [True]


def test_without_a_clause_of_some_side_nothing_is_accepted():
    running = SequentialAudit(LossTable(("a",), (clause(),), 1))
    running.update({"leak": np.zeros((1, 200))})
    assert running.p_values.tolist() == [1.0]


def test_missing_scores_count_as_losses():
    one, other = audit(clause()), audit(clause())
    one.update({"leak": np.array([[0.0, np.nan, 0.0]])})
    other.update({"leak": np.array([[0.0, 1.0, 0.0]])})
    assert one.p_values == other.p_values


def test_batches_and_single_units_come_to_the_same():
    losses = (np.random.default_rng(7).random((4, 90)) < 0.03).astype(float)
    whole, single = audit(clause(4, 120)), audit(clause(4, 120))
    whole.update({"leak": losses})
    for column in losses.T:
        single.update({"leak": column[:, None]})
    assert whole.p_values.tolist() == single.p_values.tolist()
    assert whole.opened == {"leak": 90, "harm": 0}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["holm", "bonferroni", "e_holm"]))
def test_what_is_futile_is_never_accepted_later(seed, family):
    random = np.random.default_rng(seed)
    losses = (random.random((4, 60)) < random.choice([0, 0.02, 0.1, 0.3], size=(4, 1))).astype(float)
    running, hopeless = audit(clause(4, 80), family=family, planned={"forget": 60}), np.zeros(4, dtype=bool)
    for unit in range(0, 60, 6):
        running.update({"leak": losses[:, unit : unit + 6]})
        assert not (hopeless & running.accepted).any()
        hopeless |= running.futile
    assert (running.futile == ~running.accepted).all()  # at the end the rest is decided


def test_futility_is_told_as_soon_as_perfect_units_could_not_help():
    """43 perfect draws certify; with 43 planned one loss ends it, with 66 it does not."""
    for planned, futile in ((43, True), (66, False)):
        running = audit(clause(), planned={"forget": planned})
        assert running.futile.tolist() == [False]
        running.update({"leak": np.ones((1, 1))})
        assert running.futile.tolist() == [futile]


# -- e-Holm --------------------------


def all_subsets(e_values, delta, size):
    """Closed testing written out: k is rejected if every set with k averages at least 1/delta."""
    members = [*e_values, *[0.0] * (size - len(e_values))]
    sets = [s for i in range(1, size + 1) for s in combinations(range(size), i)]
    return [
        all(np.mean([members[i] for i in s]) >= 1 / delta for s in sets if k in s)
        for k in range(len(e_values))
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 15.0, 25.0, 45.0, 90.0, 1e6]), min_size=1, max_size=5),
    st.integers(0, 2),
)
def test_averages_reject_what_closed_testing_over_all_sets_does(e_values, left_out):
    size = len(e_values) + left_out
    assert e_holm(np.array(e_values), DELTA, size).tolist() == all_subsets(e_values, DELTA, size)


def test_averages_reject_more_than_holm_on_one_over_e():
    """Two e-values of 30 in a family of two: Holm asks 40 of the first, the averages 20 of each."""
    assert e_holm(np.array([30.0, 30.0]), DELTA, 2).tolist() == [True, True]


def test_averages_need_the_clauses_of_a_side_to_advance_together():
    running = audit(clause(1, None, "none"), clause(1, None, "int4"), family="e_holm")
    with pytest.raises(ValueError, match="same units"):
        running.update({"none": np.zeros((1, 3))})
    running.update({"none": np.zeros((1, 60)), "int4": np.zeros((1, 60))})
    assert running.accepted.tolist() == [True]


# -- what is refused --------------------------


def test_random_losses_of_a_list_cannot_be_looked_at_early():
    with pytest.raises(AuditError) as error:
        audit(clause(1, 50, fixed=False))
    assert error.value.code == "E440"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 3)), "shape"),
        (np.zeros((1, 21)), "left of the list"),
        (np.full((1, 2), 1.5), "in \\[0, 1\\]"),
        (np.full((1, 2), 0.5), "graded"),
    ],
)
def test_odd_losses_are_refused_before_anything_changes(values, words):
    running = audit(clause(1, 20))
    with pytest.raises(ValueError, match=words):
        running.update({"leak": values})
    assert running.opened["leak"] == 0


def test_unknown_clauses_opened_units_and_impossible_plans_are_refused():
    with pytest.raises(ValueError, match="no clause"):
        audit(clause()).update({"other": np.zeros((1, 1))})
    with pytest.raises(ValueError, match="through update"):
        SequentialAudit(LossTable(("a",), (Clause("x", "forget", np.zeros((1, 2)), None),), 1))
    with pytest.raises(ValueError, match="planned"):
        audit(clause(1, 20), planned={"forget": 21})
    with pytest.raises(ValueError, match="delta"):
        audit(clause(), delta=0.0)
    with pytest.raises(ValueError, match="family"):
        e_holm(np.array([1.0, 2.0]), DELTA, 1)
