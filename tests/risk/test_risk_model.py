"""ConformalRiskModel: each rule of STATISTICS §3 to §5 on tables small enough to work out by hand."""

from math import comb

import numpy as np
import pytest
from scipy.stats import binom, hypergeom
from sklearn.base import clone

from audit.core.errors import AuditError
from audit.risk.bounds.base import Sample, build
from audit.risk.bounds.betting import Betting
from audit.risk.bounds.binomial import Binomial
from audit.risk.model import ConformalRiskModel
from audit.risk.table import Clause, LossTable

N, UNITS = 120, 90


def counted(*failures, n=UNITS):
    """Rows of 0/1 losses with the given numbers of failures."""
    return np.array([np.repeat([1.0, 0.0], [k, n - k]) for k in failures])


def forget(losses, name="none", **changes):
    return Clause(name, "forget", losses, **{"population": N, "binary": True, **changes})


def utility(losses, **changes):
    return Clause("utility", "utility", losses, **{"population": N, "binary": True, **changes})


def fitted(*clauses, family_size=None, **params):
    rows = len(clauses[0].losses)
    names = tuple(f"c{i}" for i in range(rows))
    return ConformalRiskModel(**params).fit(LossTable(names, tuple(clauses), family_size or rows))


def test_it_keeps_scikit_learns_conventions():
    model = ConformalRiskModel(alpha_forget=0.2, family="bonferroni")
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert model.set_params(delta=0.01) is model
    assert model.get_params()["delta"] == 0.01
    assert "family='bonferroni'" in repr(model)
    with pytest.raises(ValueError, match="alfa"):
        model.set_params(alfa=1)
    with pytest.raises(ValueError, match="must be in"):
        ConformalRiskModel(delta=2).fit(LossTable(("a",), (), 1))  # checked when fitted, not when built


def test_fit_returns_the_model_and_never_changes_its_parameters():
    model = ConformalRiskModel()
    before = model.get_params()
    assert model.fit(LossTable(("a",), (forget(counted(0)),), 1)) is model
    assert model.get_params() == before
    assert clone(model).get_params() == before


def test_p_is_the_largest_over_attacks_and_utility():
    model = fitted(forget(counted(0, 4)), forget(counted(3, 1), "int4"), utility(counted(1, 2)))

    def p(k):
        return hypergeom.cdf(k, N, 13, UNITS)  # null: 12 of 120 allowed, so 13 or more fail

    np.testing.assert_allclose(model.p_forget_, [p(3), p(4)])
    np.testing.assert_allclose(model.p_utility_, [p(1), p(2)])
    np.testing.assert_allclose(model.p_values_, [p(3), p(4)])


def test_cur_is_the_largest_upper_bound_and_names_its_attack():
    model = fitted(
        forget(counted(0, 4)), forget(counted(3, 1), "int4"), utility(counted(9, 9)), family_size=16
    )
    bound = build("hypergeometric", 0.05)

    def upper(k, level):
        return bound.upper(Sample(counted(k)[0], N), level)

    assert model.cur_.tolist() == [upper(3, 0.05 / 16), upper(4, 0.05 / 16)]
    assert model.cur_clause_.tolist() == [1, 0]
    assert model.cur_marginal_.tolist() == [upper(3, 0.05), upper(4, 0.05)]
    assert (model.cur_marginal_ < model.cur_).all()


def test_the_demos_numbers_hold_in_the_model():
    """90 of 120 persons opened, K = 16: four failures pass, five do not, 13 fail."""
    model = fitted(
        forget(counted(0, 4, 5, 12, 13)), utility(counted(0, 0, 0, 0, 0)), family_size=16, family="bonferroni"
    )
    assert model.valid_.tolist() == [True, True, False, False, False]
    assert model.valid_set_ == ("c0", "c1")
    assert model.fails_.tolist() == [False, False, False, False, True]


def test_with_the_locked_budget_cur_and_bonferroni_agree():
    model = fitted(forget(counted(*range(13))), utility(counted(*[0] * 13)), family="bonferroni")
    assert ((model.cur_ <= 0.1) == model.valid_).all()


def test_holm_lists_what_bonferroni_lists_and_more():
    clauses = forget(counted(0, 4, 5, 5)), utility(counted(0, 0, 0, 0))
    few = fitted(*clauses, family="bonferroni").valid_
    many = fitted(*clauses, family="holm").valid_
    assert (many >= few).all()


@pytest.mark.parametrize(
    ("changes", "graded", "expected"),
    [
        ({}, False, "hypergeometric"),
        ({}, True, "betting_without_replacement"),
        ({"population": None}, False, "binomial"),
        ({"population": None}, True, "betting"),
        ({"fixed": False}, False, "binomial"),
        ({"fixed": False}, True, "mixture"),
        ({"population": None, "fixed": False}, True, "betting"),
        ({"population": UNITS}, False, "census"),
        ({"population": UNITS, "fixed": False}, False, "binomial"),
    ],
)
def test_auto_picks_the_theorem_from_the_declared_design(changes, graded, expected):
    assert fitted(forget(counted(1), **{"binary": not graded, **changes})).clauses_[0].bound == expected


def test_zero_one_values_alone_do_not_make_a_loss_binary():
    """A graded loss can show only 0 and 1 in a sample; choosing by that is choosing by the data."""
    assert fitted(forget(counted(1), binary=None)).clauses_[0].bound == "betting_without_replacement"


@pytest.mark.parametrize(
    ("bound", "changes"),
    [
        ("hypergeometric", {"binary": False}),
        ("hypergeometric", {"fixed": False}),
        ("betting_without_replacement", {"fixed": False}),
        ("betting_without_replacement", {"population": None}),
        ("betting", {}),
        ("binomial", {"binary": None}),
    ],
)
def test_a_bound_is_refused_where_its_theorem_does_not_hold(bound, changes):
    with pytest.raises(ValueError, match=f"{bound} does not hold"):
        fitted(forget(counted(1), **changes), bound=bound)


def test_a_baseline_can_be_asked_for_by_name_and_a_typing_error_gets_a_hint():
    model = fitted(forget(counted(1)), utility(counted(0)), bound="hoeffding_bentkus")
    assert [clause.bound for clause in model.clauses_] == ["hoeffding_bentkus"] * 2
    with pytest.raises(AuditError, match="did you mean 'hoeffding'"):
        fitted(forget(counted(1)), bound="hoefding")
    with pytest.raises(AuditError, match="did you mean 'holm'"):
        fitted(forget(counted(1)), family="hlm")


@pytest.mark.parametrize(("failures", "p_value"), [(9, 0.0), (10, 1.0)])
def test_a_census_is_counted_and_not_bounded(failures, p_value):
    """90 of 90 opened at a budget of 10 %: nine are allowed, ten are not, and nothing is random."""
    clause = fitted(forget(counted(failures), population=UNITS)).clauses_[0]
    assert clause.census
    for value in (clause.estimate, clause.upper, clause.lower, clause.upper_marginal, clause.lower_failing):
        assert value.tolist() == [failures / UNITS]
    assert clause.p_value.tolist() == [p_value]
    assert clause.fails.tolist() == [failures > 9]


def test_a_census_of_graded_losses_is_their_mean():
    """36 losses of 1/3 on 120 units: the mean is .1, within a budget of .1, though 1/3 is rounded."""
    losses = np.concatenate([np.full(36, 1 / 3), np.zeros(84)])[None]
    clause = fitted(forget(losses, binary=False)).clauses_[0]
    assert clause.upper[0] == pytest.approx(0.1, rel=1e-15)
    assert clause.p_value.tolist() == [0.0]


def test_budgets_on_a_list_are_exact_decimals():
    """alpha = .3 of 10 units allows 3; the double nearest to .3 times 10 would round down to 2."""
    clauses = forget(counted(3, n=10), population=10), utility(counted(0))
    assert fitted(*clauses, alpha_forget=0.3).valid_.tolist() == [True]


def test_a_unit_without_a_score_fails_upward_and_passes_downward():
    losses = counted(2)
    losses[0, -3:] = np.nan
    clause = fitted(forget(losses)).clauses_[0]
    worst, best = (fitted(forget(counted(k))).clauses_[0] for k in (5, 2))
    assert (clause.missing[0], clause.n[0], clause.total[0]) == (3, 90, 5)
    assert clause.upper == worst.upper
    assert clause.p_value == worst.p_value
    assert clause.lower == best.lower
    assert clause.lower_failing == best.lower_failing


def test_in_a_census_missing_scores_leave_a_gap():
    losses = counted(5)
    losses[0, -6:] = np.nan
    clause = fitted(forget(losses, population=UNITS)).clauses_[0]
    assert clause.lower[0] == 5 / 90
    assert clause.upper[0] == 11 / 90
    assert clause.p_value[0] == 1


@pytest.mark.parametrize("bound", ["hypergeometric", "binomial", "hoeffding_bentkus", "hoeffding", "mixture"])
def test_scores_that_are_all_missing_certify_nothing_and_convict_nobody(bound):
    model = fitted(forget(np.full((1, UNITS), np.nan)), utility(counted(0)), bound=bound)
    assert model.p_values_.tolist() == [1.0]
    assert model.cur_.tolist() == [1.0]
    assert model.fails_.tolist() == [False]


def test_a_planned_clause_without_a_result_blocks_its_configuration_only():
    model = fitted(
        forget(counted(0, 0)),
        forget(counted(0, 0), "int4", measured=np.array([True, False])),
        utility(counted(0, 0)),
    )
    assert model.valid_.tolist() == [True, False]
    assert model.cur_.tolist()[1] == 1.0
    assert model.cur_clause_.tolist()[1] == 1
    late = model.clauses_[1]
    assert (late.upper[1], late.lower[1], late.p_value[1], late.n[1]) == (1, 0, 1, 0)
    assert np.isnan(late.estimate[1])


def test_a_clause_that_does_not_apply_is_skipped():
    """Unmerged quantisation has no meaning for a full-weight candidate; its absence is no promise broken."""
    one = forget(counted(0, 9), "unmerged", applicable=np.array([True, False]))
    model = fitted(forget(counted(0, 0)), one, utility(counted(0, 0)))
    assert model.valid_.tolist() == [True, True]
    assert np.isnan([model.clauses_[1].upper[1], model.clauses_[1].p_value[1]]).all()
    assert model.cur_clause_.tolist()[1] == 0


@pytest.mark.parametrize(
    "clauses",
    [
        (forget(counted(0)),),
        (utility(counted(0)),),
        (forget(counted(0), applicable=np.array([False])), utility(counted(0))),
        (forget(counted(0)), utility(counted(0), applicable=np.array([False]))),
        (forget(counted(0), measured=np.array([False])), utility(counted(0))),
        (forget(np.zeros((1, 0))), utility(counted(0))),
    ],
    ids=[
        "no utility",
        "no forget",
        "forget not applicable",
        "utility not applicable",
        "not measured",
        "no units",
    ],
)
def test_nothing_promised_is_nothing_certified(clauses):
    model = fitted(*clauses)
    assert model.p_values_.tolist() == [1.0]
    assert model.valid_set_ == ()
    assert model.fails_.tolist() == [False]


def test_without_a_forget_clause_cur_is_one_and_names_no_attack():
    model = fitted(utility(counted(0)))
    assert (model.cur_[0], model.cur_clause_[0], model.cur_lower_[0]) == (1.0, -1, 0.0)


def test_an_empty_table_certifies_nothing():
    model = ConformalRiskModel().fit(LossTable(("a",), (), 3))
    assert model.p_values_.tolist() == [1.0]
    assert model.fails_.tolist() == [False]


def test_units_opened_before_enter_as_counted():
    """N = 150 with 30 opened before, 2 of them failing: (2 + M+) / 150, M+ from 90 of the other 120."""
    seen = {"population": 150, "seen_units": 30, "seen_totals": np.array([2.0])}
    clause = fitted(forget(counted(3), **seen)).clauses_[0]
    rest = build("hypergeometric", 0.05)
    most = round(rest.upper(Sample(counted(3)[0], 120), 0.05) * 120)
    assert clause.upper.tolist() == [(2 + most) / 150]
    assert clause.p_value[0] == pytest.approx(
        hypergeom.cdf(3, 120, 15 + 1 - 2, 90)
    )  # 15 of 150 allowed, 2 spent
    assert clause.estimate[0] == pytest.approx((2 + 120 * 3 / 90) / 150)


def test_on_every_count_the_test_and_the_bound_agree_with_units_seen_before():
    for spent in (0.0, 2.0, 11.0, 15.0, 16.0):
        seen = {"population": 150, "seen_units": 30, "seen_totals": np.full(14, spent)}
        model = fitted(forget(counted(*range(14)), **seen), utility(counted(*[0] * 14)), family="bonferroni")
        assert ((model.cur_ <= 0.1) == model.valid_).all()
        assert spent <= 15 or not model.valid_.any()


def test_graded_losses_seen_before_shift_the_budget_of_the_rest():
    losses = np.random.default_rng(0).beta(0.5, 20, (1, UNITS))
    seen = {"population": 150, "seen_units": 30, "seen_totals": np.array([3.0]), "binary": False}
    clause = fitted(forget(losses, **seen)).clauses_[0]
    bound = build("betting_without_replacement", 0.05)
    sample = Sample(losses[0], 120)
    assert clause.upper[0] == pytest.approx((3 + 120 * bound.upper(sample, 0.05)) / 150, abs=1e-9)
    assert clause.p_value[0] == pytest.approx(bound.p_value(sample, (15 - 3) / 120), rel=1e-9)


def test_opening_the_sealed_units_turns_the_bound_into_a_count():
    """Confirmation: 90 opened with 4 failing, the last 30 with 3: exactly 7 of 120."""
    clause = fitted(forget(counted(3, n=30), seen_units=90, seen_totals=np.array([4.0]))).clauses_[0]
    assert clause.census
    assert (clause.upper[0], clause.lower[0], clause.p_value[0]) == (7 / 120, 7 / 120, 0.0)


def test_missing_scores_of_units_opened_before_count_for_neither_side():
    """5 failures counted before, 3 of them units without a score: 5 + 1 upward, 2 + 1 downward, of 120."""
    seen = {"seen_units": 90, "seen_totals": np.array([5.0]), "seen_missing": np.array([3])}
    clause = fitted(forget(counted(1, n=30), **seen)).clauses_[0]
    assert (clause.upper[0], clause.lower[0]) == (6 / 120, 3 / 120)


def test_a_configuration_fails_when_a_lower_bound_at_delta_over_all_clauses_exceeds_its_budget():
    """12 of 90, 12 of 120 allowed: P(Hyp(120, 12, 90) = 12) = .026 convicts at .05, not at .05 / 2."""
    assert comb(90, 12) / (comb(120, 12)) == pytest.approx(0.026, abs=5e-4)
    assert fitted(forget(counted(12))).fails_.tolist() == [True]
    assert fitted(forget(counted(12)), utility(counted(0))).fails_.tolist() == [False]
    assert fitted(forget(counted(0)), utility(counted(13))).fails_.tolist() == [True]


def test_bounds_on_draws_are_the_binomials():
    model = fitted(forget(counted(2), population=None), utility(counted(1), population=None))
    assert model.p_values_[0] == pytest.approx(binom.cdf(2, UNITS, 0.1))


def test_lower_bounds_never_exceed_upper_bounds():
    random = np.random.default_rng(3)
    losses = random.beta(0.3, 3, (12, UNITS))
    for design in ({"population": None}, {"population": N}, {"population": N, "fixed": False}):
        clause = fitted(forget(losses, binary=False, **design)).clauses_[0]
        assert (clause.lower <= clause.upper).all()
        assert (clause.lower <= clause.estimate + 1e-9).all()
        assert (clause.estimate <= clause.upper + 1e-9).all()


@pytest.mark.parametrize("seen", [0, 20])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("design", ["draws", "list", "random list"])
def test_every_number_is_what_its_theorem_says_of_that_row_alone(design, binary, seen):
    """All rows at once, with scores missing and units seen before, against one Sample at a time."""
    if seen and design != "list":
        pytest.skip("only a fixed list counts units seen before")
    random = np.random.default_rng(5)
    risks = random.uniform(0.0, 0.2, (25, 1))
    losses = (random.random((25, 60)) < risks).astype(float) if binary else random.beta(0.5, 5, (25, 60))
    losses[random.random(losses.shape) < 0.02] = np.nan
    spent = random.integers(0, 3, 25) * 1.0
    changes = {"binary": binary, "population": None if design == "draws" else 100, "fixed": design == "list"}
    if seen:
        changes |= {"seen_units": seen, "seen_totals": spent}
    clause = fitted(forget(losses, **changes), family_size=25).clauses_[0]
    bound, left = build(clause.bound, 0.05 / 25), None if design == "draws" else 100 - seen

    def over_list(value, row):
        return (spent[row] + value * (100 - seen)) / 100 if seen else value

    for row, values in enumerate(losses):
        high, low = (Sample(np.where(np.isnan(values), absent, values), left) for absent in (1.0, 0.0))
        budget = (10 - spent[row]) / (100 - seen) if seen else 0.1
        expected = {
            "p_value": bound.p_value(high, budget),
            "upper": over_list(bound.upper(high, 0.05 / 25), row),
            "lower": over_list(bound.lower(low, 0.05 / 25), row),
            "upper_marginal": over_list(bound.upper(high, 0.05), row),
            "lower_failing": over_list(bound.lower(low, 0.05), row),
            "estimate": over_list(high.losses.sum() / 60, row),
            "total": high.losses.sum(),
        }
        for field, value in expected.items():
            assert getattr(clause, field)[row] == pytest.approx(value, abs=1e-12), field


def test_a_theorem_that_ignores_order_is_asked_once_per_number_of_failures(monkeypatch):
    asked, one_at_a_time = [], Binomial.p_value

    def counted_p_value(self, sample, alpha):
        asked.append(sample.failures)
        return one_at_a_time(self, sample, alpha)

    monkeypatch.setattr(Binomial, "p_value", counted_p_value)
    rows = np.random.default_rng(0).permuted(counted(*[0, 3, 7] * 50), axis=1)
    model = fitted(forget(rows, population=None), utility(counted(*[0] * 150)))
    assert sorted(asked) == [0, 3, 7]
    np.testing.assert_allclose(model.p_forget_, np.tile(binom.cdf([0, 3, 7], UNITS, 0.1), 50))


def test_a_theorem_that_bets_in_order_is_asked_of_every_row():
    """The same three losses of 1, early or late: the evidence differs, so one answer may not serve both."""
    late = counted(3)[:, ::-1]
    model = fitted(
        forget(np.vstack([counted(3), late]), binary=False, population=None), utility(counted(0, 0))
    )
    bound = build("betting", 0.025)
    early, after = (bound.p_value(Sample(losses), 0.1) for losses in (counted(3)[0], late[0]))
    assert early != after
    assert model.p_forget_.tolist() == [early, after]


def test_the_valid_set_costs_no_bound_and_a_bound_is_computed_when_it_is_read(monkeypatch):
    def unwanted(self, sample, delta):
        raise RuntimeError("a bound was inverted")

    monkeypatch.setattr(Betting, "upper", unwanted)
    graded = {"binary": False, "population": None}
    model = fitted(forget(counted(0), **graded), utility(counted(0), **graded))
    assert model.valid_.tolist() == [True]
    for read in ("cur_", "cur_clause_", "cur_marginal_", "cur_lower_", "fails_"):
        with pytest.raises(RuntimeError, match="inverted"):
            getattr(model, read)


def test_before_fitting_there_is_no_result_to_read():
    for name in ("cur_", "cur_clause_", "cur_marginal_", "cur_lower_", "fails_", "valid_", "p_values_"):
        assert not hasattr(ConformalRiskModel(), name)


def test_changing_a_parameter_afterwards_changes_no_result_already_fitted():
    model = fitted(forget(counted(2)), utility(counted(1)))
    expected = fitted(forget(counted(2)), utility(counted(1))).cur_
    assert model.set_params(delta=0.4, alpha_forget=0.3).cur_.tolist() == expected.tolist()
