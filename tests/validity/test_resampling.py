"""Audits drawn from a complete matrix: counts that can be known exactly, and the real logs where they are."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from audit.core.seeds import generator
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.validation.judging import too_often
from audit.risk.validation.resampling import UNCORRECTED, Drawing, Matrix, resample

ROOT = Path(__file__).parents[2]
LOGS = ROOT.parent / "shared" / "data"


def failing(*counts, size=60):
    """(C, 1, size) losses with so many failures each, spread over the units."""
    random = generator(0, "failing", size)
    return np.array([(random.permutation(size) < count).astype(float)[None] for count in counts])


def matrix(forget, utility=None, binary=True):
    utility = np.zeros((len(forget), 1, 40)) if utility is None else utility
    return Matrix("toy", forget, utility, binary)


def by_name(outcomes):
    return {(o.procedure, o.budgets): o for o in outcomes}


def test_the_truth_is_the_mean_under_the_worst_attack():
    losses = np.concatenate([failing(6, 12), failing(3, 30)], axis=1)
    assert matrix(losses).risks.tolist() == [[0.1, 0.0], [0.5, 0.0]]


def test_budgets_slide_to_just_below_each_true_risk():
    found = matrix(failing(6, 12, 6), failing(4, 4, 8, size=40)).budgets(0.5, 0.3)
    expected = [(0.1, 0.3), (0.2, 0.3), (0.5, 0.1), (0.5, 0.2)]
    assert found == [pytest.approx(pair, abs=1e-6) for pair in expected]
    assert all(pair[0] < e[0] or pair[1] < e[1] for pair, e in zip(found, expected, strict=True))


@pytest.mark.parametrize("binary", [True, False])
def test_with_every_unit_opened_exactly_the_valid_ones_are_listed(binary):
    """A sample of the whole list leaves no doubt; a walk may still stop at a bad candidate in front."""
    given = matrix(failing(3, 9, 30), binary=binary)
    outcomes = resample(given, Drawing("list", (50, 30), tune=10), [(0.2, 0.1)], generator(0, "all"), 40)
    for outcome in outcomes:
        assert outcome.false == 0
        if outcome.procedure == UNCORRECTED or not PROCEDURES[outcome.procedure].ordered:
            assert outcome.listed == outcome.valid


def test_a_budget_just_below_a_true_risk_makes_that_configuration_false():
    given = matrix(failing(6, 6, 6))
    (budgets, *_) = given.budgets(0.5, 0.3)
    outcomes = resample(given, Drawing("draws", (20, 20), tune=0), [budgets], generator(0, "x"), 50)
    assert all(outcome.valid == 0 for outcome in outcomes)


@pytest.mark.parametrize("design", ["list", "draws"])
def test_uncorrected_tests_are_caught_and_procedures_are_not(design):
    """Twelve configurations with the same risk of .1 on different units; the budget just below it."""
    given = matrix(failing(*[60] * 12, size=600), np.zeros((12, 1, 600)))
    drawing = Drawing(design, (89, 89), tune=0)
    (budgets, *_) = given.budgets(0.5, 0.3)
    found = by_name(resample(given, drawing, [budgets], generator(0, "catch", design), 600))
    for (name, _), outcome in found.items():
        assert too_often(outcome.false, 600, 0.05) == (name == UNCORRECTED), (name, outcome.false)


def test_a_configuration_that_breaks_the_utility_budget_is_false_too():
    given = matrix(failing(0, 0), failing(20, 0, size=40))
    (outcome, *_) = resample(given, Drawing("list", (60, 40), tune=0), [(0.1, 0.4)], generator(0, "u"), 5)
    assert (outcome.false, outcome.listed, outcome.valid) == (0, 1.0, 1.0)


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_a_matrix_with_a_gap_has_no_truth(bad):
    losses = failing(3, 4)
    losses[0, 0, 0] = bad
    with pytest.raises(ValueError, match="without gaps"):
        matrix(losses)


def test_graded_losses_cannot_be_declared_0_1():
    with pytest.raises(ValueError, match="some losses are graded"):
        matrix(failing(3, 4) / 2)


# -- the published logs ---------------------------------------------


@pytest.fixture(scope="module")
def benchmark():
    if not all((LOGS / name).is_dir() for name in ("duet_8b", "open_unlearning_eval")):
        pytest.skip("the real evaluation logs are not beside this checkout")
    spec = importlib.util.spec_from_file_location("real_losses", ROOT / "benchmarks" / "real_losses.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def real(benchmark):
    return benchmark.matrices(LOGS)


def test_the_real_matrices_have_the_published_shapes_and_rates(real):
    """DUET: 935 and 482 cities, ten configurations; gradient ascent at 1e-3 answers nothing on either side."""
    duet, tofu, answers = real
    assert duet["0/1"].forget.shape == (10, 2, 935)
    assert duet["0/1"].utility.shape == (10, 1, 482)
    assert tofu.forget.shape == (6, 2, 20)
    assert answers.shape == (6, 20, 20)
    assert [0.0, 1.0] in duet["0/1"].risks.tolist()


def test_on_real_losses_no_procedure_breaks_its_promise(benchmark, real):
    duet, tofu, _ = real
    for given, drawing in (
        (duet["0/1"], Drawing("list", (100, 100))),
        (tofu, Drawing("draws", (40, 40), tune=20)),
    ):
        for outcome in benchmark.outcomes(given, drawing, 100):
            if outcome.procedure != UNCORRECTED:
                assert not too_often(outcome.false, 100, 0.05, evidence=0.01 / 200), outcome


def test_on_real_authors_questions_as_units_are_caught_and_authors_are_not(benchmark, real):
    found = benchmark.questions_as_units(real[2], 500)
    assert sum(too_often(false, 500, 0.05, evidence=0.01 / 6) for _, _, false, _ in found) >= 2
    assert not any(too_often(honest, 500, 0.05) for *_, honest in found)
