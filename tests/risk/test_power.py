"""Planning numbers: the demo's, published tables, and plans that are refused."""

from math import ceil, log

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binom, hypergeom

from audit.core.errors import AuditError
from audit.risk import power
from audit.risk.bounds.base import Sample, build
from audit.risk.catalogue import covering
from audit.risk.clauses import choose
from audit.risk.losses import twin_rank
from audit.risk.power import SampleDesign
from audit.risk.table import Clause

DEMO = SampleDesign(n=90, population=120, alpha=0.1, delta=0.05, family_size=16, clauses=9)


def test_the_demos_numbers():
    """Four failures of 90 are allowed; PASS is sure with up to 4 leaking of 120; FAIL starts at 13 of 90.

    13 of 90 is certainty (12 of 120 are allowed), so it holds for every number of forget clauses A >= 1.
    With a single clause (A = 0, level .05) FAIL would start at 12, since P(Hyp(120, 12, 90) = 12) = .026.
    """
    assert power.allowed_failures(DEMO) == 4
    assert power.certification_probability(DEMO, 4 / 120) == 1
    assert power.certification_probability(DEMO, 5 / 120) < 1
    assert [power.failing_from(SampleDesign(90, 120, clauses=a + 1)) for a in (0, 1, 2, 8, 40)] == [
        12,
        13,
        13,
        13,
        13,
    ]


def test_where_looks_are_taken_fail_starts_at_half_the_level():
    """The fewest k of 90 that have a probability of at most .05 / 9 / 2 in a list of 120 of which 12 fail."""
    level = 0.05 / 9 / 2
    expected = next(k for k in range(91) if stats.hypergeom(120, 12, 90).sf(k - 1) <= level)
    design = SampleDesign(90, 120, alpha=0.1, delta=0.05, family_size=16, clauses=9, looks=True)
    assert power.failing_from(design) == expected


def test_the_demos_utility_passes_at_three_percent_harm():
    """120 of 160 retained persons, three probes each answered wrong independently with probability 3 %."""
    retain = SampleDesign(n=120, population=160, alpha=0.1, delta=0.05, family_size=16)
    harm = np.random.default_rng(0).binomial(3, 0.03, 4000) / 3
    assert power.simulated_certification(retain, harm, replications=200) > 0.99


def test_the_second_subjects_numbers():
    """DECISIONS §25: 45 of 60, four configurations: two failures of 45 are allowed."""
    assert power.allowed_failures(SampleDesign(45, 60, family_size=4)) == 2


@pytest.mark.parametrize(("family_size", "needed"), [(1, (29, 59, 299)), (16, (55, 113, 574))])
def test_units_without_failure_needed_at_ten_five_and_one_percent(family_size, needed):
    """Draws: (1 - alpha)^n <= delta / K."""
    for alpha, n in zip((0.1, 0.05, 0.01), needed, strict=True):
        assert power.units_needed(SampleDesign(0, None, alpha, 0.05, family_size)) == n
        assert n == ceil(log(0.05 / family_size) / log(1 - alpha))
        assert (
            power.units_needed(SampleDesign(0, 1000, alpha, 0.05, family_size)) < n
        )  # finite lists need fewer


@pytest.mark.parametrize(
    ("n", "allowed"), [(100, (4, 2, 1)), (200, (12, 8, 7)), (400, (29, 23, 21)), (1000, (84, 73, 70))]
)
def test_failures_allowed_at_a_tenth_for_families_of_1_20_and_60(n, allowed):
    """Table of exact values, reference/statistics.md section 4c."""
    assert tuple(power.allowed_failures(SampleDesign(n, None, family_size=k)) for k in (1, 20, 60)) == allowed


@pytest.mark.parametrize(("n", "chances"), [(200, (0.80, 0.33, 0.21)), (400, (0.98, 0.79, 0.65))])
def test_power_at_five_percent(n, chances):
    """Same table."""
    found = [power.certification_probability(SampleDesign(n, None, family_size=k), 0.05) for k in (1, 20, 60)]
    np.testing.assert_allclose(found, chances, atol=0.006)


def test_finite_lists_are_more_powerful():
    """N = 200, n = 100, true 5 %, alpha 10 %: hypergeometric .83 (same reference)."""
    assert power.certification_probability(SampleDesign(100, 200), 0.05) == pytest.approx(0.83, abs=0.005)


def test_units_needed_with_failures_are_the_smallest_that_suffice():
    for failures in (0, 1, 3):
        n = power.units_needed(SampleDesign(0, 300), failures)
        assert hypergeom.cdf(failures, 300, 31, n) <= 0.05 < hypergeom.cdf(failures, 300, 31, n - 1)


def test_the_smallest_risk_that_can_be_shown():
    """Draws: 1 - delta^(1/n). A census shows 0."""
    assert power.smallest_certifiable_risk(SampleDesign(29, None)) == pytest.approx(1 - 0.05 ** (1 / 29))
    assert power.smallest_certifiable_risk(SampleDesign(120, 120)) == 0


def test_a_census_allows_what_the_budget_allows():
    census = SampleDesign(120, 120, family_size=16)
    assert (power.allowed_failures(census), power.failing_from(census)) == (12, 13)
    assert power.certification_probability(census, 0.1) == 1
    assert power.certification_probability(census, 13 / 120) == 0
    assert power.simulated_certification(census, np.full(10, 0.2)) == 0


def test_graded_clauses_bet():
    """32 zero losses at a tenth with bets of 1 (exact binomial 29); on a list fewer."""
    assert power.units_needed(SampleDesign(0, None, graded=True)) == 32
    assert power.units_needed(SampleDesign(0, 200, graded=True)) < 32
    with pytest.raises(ValueError, match="graded"):
        power.allowed_failures(SampleDesign(50, None, graded=True))
    with pytest.raises(ValueError, match="graded"):
        power.units_needed(SampleDesign(50, None, graded=True), failures=2)


def test_simulated_power_of_draws_matches_the_published_value():
    """Beta with mean .05 and sd .05, n = 73: betting certifies in 80 % (same reference)."""
    sample = np.random.default_rng(0).beta(0.9, 17.1, 20_000)
    chance = power.simulated_certification(SampleDesign(73, None), sample, replications=400)
    assert chance == pytest.approx(0.8, abs=0.08)


def test_a_simulation_is_the_same_every_time():
    sample = np.random.default_rng(0).beta(0.9, 17.1, 500)
    one, two = (
        power.simulated_certification(SampleDesign(60, 90), sample, replications=50, seed=7) for _ in range(2)
    )
    assert one == two


def test_a_perfect_model_is_certified_on_above_twins_by_the_beta_binomial():
    """m = 200, beta = .01: units above the 199th of 200 twins; simulated by exchangeable ranks."""
    rank = twin_rank(200, 0.01)
    random, hits = np.random.default_rng(0), 0
    for _ in range(4000):
        scores = random.random(290)
        hits += np.sum(scores[200:] > np.sort(scores[:200])[rank - 1]) <= 4
    assert power.perfect_certification(DEMO, 200, rank) == pytest.approx(hits / 4000, abs=0.01)
    power.refuse_unlikely(DEMO, 200, rank, "above_twins")


def test_a_plan_that_would_refuse_a_perfect_model_is_refused():
    with pytest.raises(AuditError, match="E404 above_twins: a perfect model"):
        power.refuse_unlikely(DEMO, 19, twin_rank(19, 0.1), "above_twins")
    with pytest.raises(AuditError, match="E404"):
        power.refuse_unlikely(SampleDesign(20, None), 200, 199, "above_twins")


def test_a_plan_that_cannot_conclude_is_refused_with_the_n_that_could():
    power.refuse_hopeless(DEMO, "recovered")
    with pytest.raises(AuditError, match=r"E403 recovered: 28 units .* at least 29 units"):
        power.refuse_hopeless(SampleDesign(28, None), "recovered")
    with pytest.raises(AuditError, match=r"at least 41 units"):
        power.refuse_hopeless(SampleDesign(30, 120, family_size=16), "recovered")
    with pytest.raises(AuditError, match=r"E403 .* at least \d+ units"):
        power.refuse_hopeless(SampleDesign(30, None, graded=True), "utility")


def test_forty_one_of_120_is_the_first_n_that_certifies_sixteen_configurations():
    """P(no failure) = C(107, n) / C(120, n) <= .05 / 16, counted exactly."""
    assert hypergeom.pmf(0, 120, 13, 41) <= 0.05 / 16 < hypergeom.pmf(0, 120, 13, 40)


@pytest.mark.parametrize(
    "values",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"delta": 0.0},
        {"n": -1},
        {"n": 200},
        {"family_size": 0},
        {"clauses": 0},
    ],
)
def test_impossible_designs_are_refused(values):
    with pytest.raises(ValueError, match=str(next(iter(values.values())))):
        SampleDesign(**{"n": 10, "population": 120, **values})


def test_a_list_too_small_for_its_budget_has_no_sufficient_n_short_of_itself():
    """5 units at 10 %: none may fail, so only the census decides."""
    assert power.units_needed(SampleDesign(0, 5, family_size=16)) == 5
    assert power.units_needed(SampleDesign(0, 5, family_size=16), failures=1) is None


@pytest.mark.parametrize(
    ("bound", "needed"),
    [
        ("hoeffding", (600, 461, 150, 116, 38, 29)),
        ("kl", (59, 45, 29, 22, 14, 11)),
        ("hoeffding_bentkus", (59, 45, 29, 22, 14, 11)),
        ("binomial", (59, 45, 29, 22, 14, 11)),
        ("betting", (63, 48, 32, 25, 17, 13)),
    ],
)
def test_every_bound_says_how_many_units_it_needs_without_a_failure(bound, needed):
    """Columns of the table in reference/statistics.md section 4c, at budgets of 5, 10 and 20 %."""
    cases = [(alpha, delta) for alpha in (0.05, 0.1, 0.2) for delta in (0.05, 0.1)]
    found = tuple(
        power.units_needed(SampleDesign(0, None, alpha, delta, bound=bound)) for alpha, delta in cases
    )
    assert found == needed


@pytest.mark.parametrize(
    ("alpha", "failures", "needed"), [(0.1, 1, 46), (0.1, 2, 61), (0.05, 4, 181), (0.05, 5, 208)]
)
def test_units_needed_at_two_percent_failures(alpha, failures, needed):
    """Exact binomial, first and sustained n with ceil(.02 n) failures: 46/61 and 181/208 (same table)."""
    assert power.units_needed(SampleDesign(0, None, alpha), failures) == needed


@pytest.mark.parametrize("bound", covering("list", binary=True))
@pytest.mark.parametrize("failures", [0, 2])
def test_units_needed_are_minimal_whatever_the_bound(bound, failures):
    """Against asking every n of a list of 90 in turn; short of the census, where the count decides."""
    design = SampleDesign(0, 90, 0.15, 0.1, bound=bound)
    if failures and not design.countable:
        with pytest.raises(ValueError, match="failures are counted"):
            power.units_needed(design, failures)
        return

    def certified(n):
        sample = Sample(np.repeat([1.0, 0.0], [failures, n - failures]), 90)
        return build(bound, 0.1).p_value(sample, 0.15) <= 0.1

    assert power.units_needed(design, failures) == next(
        (n for n in range(failures + 1, 90) if certified(n)), 90
    )


@pytest.mark.parametrize("bound", covering("draws", binary=True))
@pytest.mark.parametrize("alpha", [0.05, 0.3, 0.8])
def test_failures_allowed_are_those_of_the_bound_that_was_named(bound, alpha):
    """Against asking every count in turn: certified up to some number, and never again beyond it."""
    design = SampleDesign(160, None, alpha, 0.1, bound=bound)
    if not design.countable:
        with pytest.raises(ValueError, match="without an order"):
            power.allowed_failures(design)
        return
    certified = [
        k
        for k in range(161)
        if build(bound, 0.1).p_value(Sample(np.repeat([1.0, 0.0], [k, 160 - k])), alpha) <= 0.1
    ]
    assert certified == list(range(len(certified)))
    assert power.allowed_failures(design) == (len(certified) - 1 if certified else None)
    assert power.certification_probability(design, 0.2) == pytest.approx(
        binom.cdf(len(certified) - 1, 160, 0.2), rel=1e-12
    )


@pytest.mark.parametrize(
    ("bound", "needed"), [("hoeffding", 150), ("kl", 29), ("betting", 32), ("binomial", 29)]
)
def test_a_hopeless_plan_is_told_the_n_that_its_own_bound_needs(bound, needed):
    """Values without failure at 10 % of the table in reference/statistics.md section 4c."""
    with pytest.raises(AuditError, match=rf"E403 .* at least {needed} units"):
        power.refuse_hopeless(SampleDesign(28, None, bound=bound), "recovered")
    power.refuse_hopeless(SampleDesign(needed, None, bound=bound), "recovered")


@pytest.mark.parametrize(
    ("bound", "n"), [("hoeffding_bentkus", 264), ("maurer_pontil", 589), ("binomial", 181)]
)
def test_eighty_percent_power_at_five_percent_failures_as_published(bound, n):
    """Same reference, continuous-loss table, column Bernoulli .05; counts jump, so a few points above .8."""
    assert 0.8 <= power.certification_probability(SampleDesign(n, None, bound=bound), 0.05) < 0.84


@pytest.mark.parametrize(
    ("bound", "n"), [("hoeffding_bentkus", 209), ("maurer_pontil", 235), ("betting", 73)]
)
def test_eighty_percent_power_at_graded_losses_as_published(bound, n):
    """Beta with mean .05 and sd .05 (same table); 400 simulations, four standard errors of .02."""
    sample = np.random.default_rng(0).beta(0.9, 17.1, 20_000)
    design = SampleDesign(n, None, graded=True, bound=bound)
    assert power.simulated_certification(design, sample, replications=400) == pytest.approx(0.81, abs=0.08)


def test_losses_that_are_not_fixed_are_planned_with_the_bound_that_may_be_used():
    """Exact binomial on 90 of 120, not the hypergeometric; opening all 120 is no census then."""
    loose = SampleDesign(90, 120, family_size=16, fixed=False)
    assert (
        power.allowed_failures(loose) == power.allowed_failures(SampleDesign(90, None, family_size=16)) == 1
    )
    assert power.certification_probability(loose, 0.02) == pytest.approx(binom.cdf(1, 90, 0.02), rel=1e-12)
    everybody = SampleDesign(120, 120, family_size=16, fixed=False)
    assert not everybody.census
    assert power.smallest_certifiable_risk(everybody) > 0


def test_a_bound_whose_theorem_does_not_cover_the_design_is_refused():
    with pytest.raises(ValueError, match=r"hypergeometric does not hold for this design, bentkus, betting"):
        SampleDesign(50, None, bound="hypergeometric")
    with pytest.raises(ValueError, match="binomial does not hold"):
        SampleDesign(50, None, graded=True, bound="binomial")
    with pytest.raises(ValueError, match="hypergeometric does not hold"):
        SampleDesign(50, 90, fixed=False, bound="hypergeometric")


@pytest.mark.parametrize("population", [None, 90])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("graded", [True, False])
def test_the_plan_asks_the_bound_that_will_decide(population, fixed, graded):
    clause = Clause("x", "forget", np.zeros((1, 60)), population, fixed=fixed, binary=not graded)
    design = SampleDesign(60, population, graded=graded, fixed=fixed)
    named = SampleDesign(60, population, graded=graded, fixed=fixed, bound=choose(clause))
    assert power.smallest_certifiable_risk(design) == power.smallest_certifiable_risk(named)
    assert power.units_needed(design) == power.units_needed(named)


@pytest.mark.parametrize("mean", [0.0, 0.02, 0.05, 0.4, 0.9])
def test_both_laws_have_the_mean_that_was_asked_for(mean):
    assert power.concentrated(mean).mean() == pytest.approx(mean, abs=1e-4)
    assert set(power.concentrated(mean)) <= {0.0, 1.0}
    spread = power.diffuse(mean)
    assert spread.mean() == pytest.approx(mean, abs=1e-3)
    assert spread.std() == pytest.approx(mean * (1 - mean), abs=2e-3)
    assert np.all((spread >= 0) & (spread <= 1))
