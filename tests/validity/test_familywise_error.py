"""The whole model at the boundary: shared units, several attacks, and procedures that must be caught.

400 replications by default, 10,000 among the slow tests (graded losses 60 and 600). Ten configurations; a
fresh draw of the same list each time.
"""

import numpy as np
import pytest
from scipy.stats import binom

from audit.core.seeds import generator
from audit.risk.bounds.base import Sample, build
from audit.risk.model import ConformalRiskModel
from audit.risk.table import Clause, LossTable
from audit.risk.validation import false_listings, interval, too_often

CONFIGURATIONS, SIZE, UNITS = 10, 150, 100
DELTA = 0.05
NAMES = tuple(f"c{i}" for i in range(CONFIGURATIONS))
sizes = pytest.mark.parametrize("replications", [400, pytest.param(10_000, marks=pytest.mark.slow)])
graded_sizes = pytest.mark.parametrize("replications", [60, pytest.param(600, marks=pytest.mark.slow)])
few = pytest.mark.parametrize("replications", [400])


def failing_lists(dependence, failing):
    """(C, N) fixed 0/1 losses with ``failing`` (C,) failing units each, the same ones or independent ones."""
    random = generator(0, "lists", dependence)
    order = random.permutation(SIZE)
    rows = [order if dependence == "comonotone" else random.permutation(SIZE) for _ in failing]
    return np.array([(row < count).astype(float) for row, count in zip(rows, failing, strict=True)])


def drawn_from(listed, attacked, harmed):
    """Return a function that draws one table: n of the N units, shared by configurations and attacks."""

    def draw(random):
        units, kept = random.permutation(SIZE)[:UNITS], random.permutation(SIZE)[:UNITS]
        clauses = (
            Clause("none", "forget", listed[:, units], SIZE, binary=True),
            Clause("int4", "forget", attacked[:, units], SIZE, binary=True),
            Clause("utility", "utility", harmed[:, kept], SIZE, binary=True),
        )
        return LossTable(NAMES, clauses, CONFIGURATIONS)

    return draw


def boundary(dependence, good=0):
    """Every configuration one unit above the budget under one attack, the first ``good`` far below."""
    failing = np.full(CONFIGURATIONS, 16)  # 15 of 150 are allowed
    failing[:good] = 1
    attacked = failing_lists(dependence, failing)
    return drawn_from(np.zeros_like(attacked), attacked, np.zeros_like(attacked)), failing > 15


def listed_by(**params):
    return lambda table: ConformalRiskModel(delta=DELTA, **params).fit(table).valid_


@sizes
@pytest.mark.parametrize(("dependence", "good"), [("independent", 0), ("comonotone", 0), ("independent", 5)])
def test_a_configuration_above_a_budget_is_listed_in_at_most_delta_of_all_draws(
    dependence, good, replications
):
    """Holm; Bonferroni lists no configuration that Holm does not."""
    draw, violating = boundary(dependence, good)
    count = false_listings(listed_by(), draw, violating, replications)
    assert not too_often(count, replications, DELTA), interval(count, replications)


@sizes
def test_a_configuration_whose_utility_fails_is_not_listed_either(replications):
    harmed = failing_lists("independent", np.full(CONFIGURATIONS, 16))
    draw = drawn_from(np.zeros_like(harmed), np.zeros_like(harmed), harmed)
    count = false_listings(listed_by(), draw, np.ones(CONFIGURATIONS, dtype=bool), replications)
    assert not too_often(count, replications, DELTA)


@sizes
def test_the_simultaneous_cur_of_the_selected_configuration_covers_its_risk(replications):
    """Any configuration may be quoted, the one with the smallest CUR too."""
    lists = failing_lists("independent", np.full(CONFIGURATIONS, 16))
    decide = selected_below_truth("cur_", True)
    count = false_listings(decide, draw_one(lists, True), all_true(), replications)
    assert not too_often(count, replications, DELTA)


@graded_sizes
def test_zero_one_losses_that_were_not_declared_keep_the_promise_too(replications):
    lists = failing_lists("independent", np.full(CONFIGURATIONS, 16))
    decide = selected_below_truth("cur_", None)
    count = false_listings(decide, draw_one(lists, None), all_true(), replications)
    assert not too_often(count, replications, DELTA)


@graded_sizes
def test_graded_losses_on_a_list_keep_the_promise(replications):
    """Shares of three probes per person; the budget lies just below the mean of the list."""
    random = generator(0, "graded list")
    graded = random.binomial(3, 0.1, (CONFIGURATIONS, SIZE)) / 3
    alpha = float(graded.mean(axis=1).min()) - 1e-6
    zeros = np.zeros_like(graded)

    def draw(random):
        units = random.permutation(SIZE)[:UNITS]
        clauses = (
            Clause("none", "forget", graded[:, units], SIZE, binary=False),
            Clause("utility", "utility", zeros[:, units], SIZE, binary=True),
        )
        return LossTable(NAMES, clauses, CONFIGURATIONS)

    count = false_listings(listed_by(alpha_forget=alpha), draw, all_true(), replications)
    assert not too_often(count, replications, DELTA)


@sizes
def test_a_checkpoint_within_its_budgets_is_called_fail_in_at_most_delta_of_all_draws(replications):
    """At the budget (15 of 150) under two attacks and in utility; each configuration on its own."""
    lists = [failing_lists(name, np.full(CONFIGURATIONS, 15)) for name in ("a", "b", "c")]
    draw, one = drawn_from(*lists), np.arange(CONFIGURATIONS) == 0
    count = false_listings(
        lambda table: ConformalRiskModel(delta=DELTA).fit(table).fails_, draw, one, replications
    )
    assert not too_often(count, replications, DELTA)


def all_true():
    return np.ones(CONFIGURATIONS, dtype=bool)


def draw_one(lists, binary):
    def draw(random):
        units = random.permutation(SIZE)[:UNITS]
        return LossTable(
            NAMES, (Clause("none", "forget", lists[:, units], SIZE, binary=binary),), CONFIGURATIONS
        )

    return draw


def selected_below_truth(field, binary):
    def decide(table):
        cur = getattr(ConformalRiskModel(delta=DELTA).fit(table), field)
        return (np.arange(CONFIGURATIONS) == np.argmin(cur)) & (cur < 16 / SIZE)

    return decide


# Procedures known to be invalid: the harness must catch each of them.


@few
def test_uncorrected_tests_are_caught(replications):
    draw, violating = boundary("independent")
    count = false_listings(
        lambda table: ConformalRiskModel(delta=DELTA).fit(table).p_values_ <= DELTA,
        draw,
        violating,
        replications,
    )
    assert too_often(count, replications, DELTA)


@few
def test_the_marginal_cur_of_the_selected_configuration_is_caught(replications):
    lists = failing_lists("independent", np.full(CONFIGURATIONS, 16))
    decide = selected_below_truth("cur_marginal_", True)
    count = false_listings(decide, draw_one(lists, True), all_true(), replications)
    assert too_often(count, replications, DELTA)


def persons(random, subjects, questions, correlation, risk=0.1):
    """(subjects, questions) leaks with mean ``risk``: beta-binomial with an intraclass correlation."""
    spread = (1 - correlation) / correlation
    chance = random.beta(risk * spread, (1 - risk) * spread, (subjects, 1))
    return (random.random((subjects, questions)) < chance).astype(float)


@few
@pytest.mark.parametrize(("correlation", "known"), [(0.05, 0.098), (0.2, 0.224), (0.5, 0.318)])
def test_questions_passed_off_as_units_are_caught(correlation, known, replications):
    """20 persons with 20 questions each; the false rates are known (reference/statistics.md section 4a)."""
    random = generator(0, "clusters", correlation)
    rejected = [
        binom.cdf(persons(random, 20, 20, correlation).sum(), 400, 0.1) <= DELTA
        for _ in range(5 * replications)
    ]
    assert too_often(sum(rejected), 5 * replications, DELTA)
    assert np.mean(rejected) == pytest.approx(known, abs=0.03)


@few
@pytest.mark.parametrize("correlation", [0.05, 0.2, 0.5])
def test_means_of_persons_are_honest_where_questions_are_not(correlation, replications):
    random, bound = generator(0, "clusters", correlation), build("betting", DELTA)
    rejected = [
        bound.p_value(Sample(persons(random, 20, 20, correlation).mean(axis=1)), 0.1 - 1e-9) <= DELTA
        for _ in range(5 * replications)
    ]
    assert not too_often(sum(rejected), 5 * replications, DELTA)


@few
def test_the_hypergeometric_on_losses_that_are_not_fixed_is_caught(replications):
    """90 of 100 units opened, each leaking with chance .1 anew: the ten unopened are not the only doubt."""
    random = generator(0, "random losses")
    wrong, right = build("hypergeometric", DELTA), build("binomial", DELTA)
    samples = [Sample((random.random(90) < 0.1).astype(float), 100) for _ in range(replications)]
    assert too_often(sum(wrong.p_value(s, 0.099) <= DELTA for s in samples), replications, DELTA)
    assert not too_often(sum(right.p_value(s, 0.099) <= DELTA for s in samples), replications, DELTA)


@few
def test_the_best_of_twenty_orders_is_caught(replications):
    random, bound = generator(0, "orders"), build("betting", DELTA)
    draws = [(random.random(200) < 0.1).astype(float) for _ in range(replications)]
    best = [min(bound.p_value(Sample(random.permutation(d)), 0.1) for _ in range(20)) <= DELTA for d in draws]
    assert too_often(sum(best), replications, DELTA)


@few
def test_a_family_that_forgets_its_dropped_members_is_caught(replications):
    """Ten nulls were tried, the two best are certified as if they had been the whole family."""
    draw, _ = boundary("independent")

    def decide(table):
        p_values = ConformalRiskModel(delta=DELTA).fit(table).p_values_
        kept = np.argsort(p_values)[:2]
        listed = np.zeros(CONFIGURATIONS, dtype=bool)
        listed[kept] = p_values[kept] <= DELTA / 2
        return listed

    assert too_often(false_listings(decide, draw, all_true(), replications), replications, DELTA)
