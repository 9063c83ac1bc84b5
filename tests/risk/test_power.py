"""Planning numbers: the demo's, published tables, and plans that are refused."""

from math import ceil, log

import numpy as np
import pytest
from scipy.stats import hypergeom

from audit.core.errors import AuditError
from audit.risk import power
from audit.risk.losses import twin_rank
from audit.risk.power import SampleDesign

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
