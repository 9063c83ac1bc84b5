"""The baseline: its arithmetic by hand, and the miscoverage printed beside it against a fresh simulation."""

import copy
import json
from math import e, exp, log
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

import audit.risk
from audit.risk import froc_study
from audit.risk.froc_reconstruction import NORMALISERS, reconstruct
from audit.risk.froc_study import SETTINGS, Setting, study

NAN = np.nan
COUNTS = json.loads(
    Path(audit.risk.__file__).with_name("froc_reconstruction.json").read_text(encoding="utf-8")
)
ROUGH = 400  # replications of the fresh simulation


def test_each_normaliser_does_what_its_name_says():
    scores = np.array([1.0, 3.0, NAN, 2.0])
    np.testing.assert_allclose(NORMALISERS["min–max"](scores), [0, 1, NAN, 0.5])
    np.testing.assert_allclose(NORMALISERS["divide by max"](scores), [1 / 3, 1, NAN, 2 / 3])
    np.testing.assert_allclose(
        NORMALISERS["fixed 1 − exp(−e)"](scores), [1 - exp(-1), 1 - exp(-3), NAN, 1 - exp(-2)]
    )


@pytest.mark.parametrize(("n", "bound"), [(50, 0.0450), (100, 0.0228), (400, 0.0057)])
def test_the_bound_at_zero_is_not_the_start_value_of_a_root_finder(n, bound):
    """h(0, b) = -log(1 - b), so the bound is 1 - delta^(1/n); C-RAG's released code gives 0.02 whatever n."""
    found = reconstruct(np.array([1.0, 2.0]), n, 0.1, 0.1, "min–max")
    assert found.cur[0] == pytest.approx(1 - 0.1 ** (1 / n), abs=1e-9)
    assert found.cur[0] == pytest.approx(bound, abs=5e-5)


def test_min_max_gives_the_best_configuration_the_same_risk_whatever_it_leaks():
    good, bad = np.array([0.1, 0.2, 0.3]), np.array([50.1, 50.2, 50.3])
    found = [reconstruct(scores, 100, 0.1, 0.1, "min–max") for scores in (good, bad)]
    assert found[0].cur[0] == found[1].cur[0] < 0.03
    assert found[1].listed.tolist() == [True, False, False]


def test_only_the_fixed_map_is_blind_to_the_other_configurations():
    scores = np.array([0.5, 1.0])
    for name in NORMALISERS:
        before = reconstruct(scores, 100, 0.1, 0.1, name).cur[1]
        after = reconstruct(np.append(scores, 9.0), 100, 0.1, 0.1, name).cur[1]
        assert (before == after) == (name == "fixed 1 − exp(−e)")


def test_valid_sets_are_bonferronis():
    """Two configurations, the better one at mean 0: p = (1 - alpha)^n, listed where that is at most delta / 2."""
    least = log(0.05) / log(0.9)  # 28.4 units at alpha = delta = 0.1
    for n, listed in ((int(least), False), (int(least) + 1, True)):
        assert reconstruct(np.array([1.0, 2.0]), n, 0.1, 0.1, "min–max").listed[0] == listed


@pytest.mark.parametrize("scores", [[NAN, NAN], [1.0, 1.0], []])
def test_without_a_value_there_is_no_claim(scores):
    found = reconstruct(np.array(scores), 100, 0.1, 0.1, "min–max")
    assert found.selected == -1
    assert (found.cur == 1).all()
    assert not found.listed.any()


def test_what_was_not_measured_is_never_selected_or_listed():
    found = reconstruct(np.array([NAN, 2.0, 0.1]), 1000, 0.5, 0.1, "divide by max")
    assert found.selected == 2
    assert found.listed.tolist() == [False, False, True]
    assert found.cur[0] == 1


def test_scores_that_no_sum_of_margins_can_have_are_refused():
    with pytest.raises(ValueError, match="negative"):
        reconstruct(np.array([-0.1]), 100, 0.1, 0.1, "min–max")


# -- the study ---------------------------------


@pytest.mark.parametrize("name", NORMALISERS)
def test_the_fast_count_equals_bounding_every_sample_one_by_one(name):
    """The study inverts the test once per truth; here each CUR and each valid set is computed and compared."""
    setting = Setting("heavy", "apart", 100)
    truth = NORMALISERS[name](froc_study._true(setting))
    budget = np.sort(truth)[5]
    selected = listed = 0
    for scores in np.concatenate(list(froc_study._samples(setting, 60, 3))):
        found = reconstruct(scores, setting.n, min(budget, 1 - 1e-12), setting.delta, name)
        selected += found.cur[found.selected] < truth[found.selected]
        listed += bool((found.listed & (truth > budget)).any())
    fast = study(setting, 60, 3)[name]
    assert (fast.selected, fast.listed, fast.replications) == (selected, listed, 60)


def test_simulated_losses_have_the_mean_they_are_judged_by():
    setting = Setting("light", "close", 400)
    drawn = froc_study._losses(np.random.default_rng(0), setting, np.array([1.0, 2.0]), 500)
    deviation = np.sqrt((exp(0.25) - 1) / 400 / 500) * np.array([1, 2])  # of a log-normal's average
    assert (np.abs(drawn.mean(axis=0) - [1, 2]) < 4 * deviation).all()


def test_true_scores_follow_from_the_published_formulas():
    """First configuration of a sweep: losses 1.5 and 0.6, best at both accuracies; r = 0."""
    true = froc_study._true(Setting("light", "close", 100))
    assert true[0] == pytest.approx(0.5 * np.log1p(2 / 1.5) + 0.5 * log(2))
    last = 1.5 * exp(0.3) * exp(0.09)  # exp(s) of the last: loss 1.5 e^0.3, accuracy lower by 0.09
    assert true[-1] == pytest.approx(0.5 * np.log1p(2 / last) + 0.5 * np.log1p(e**0.39))


@pytest.fixture(scope="module")
def fresh():
    return {
        (setting, name): broken
        for setting in SETTINGS
        for name, broken in study(setting, ROUGH, seed=1).items()
    }


def test_the_printed_miscoverage_is_what_a_fresh_simulation_measures(fresh):
    assert contradicted(COUNTS, fresh) == []


def test_a_stale_number_would_be_noticed(fresh):
    stale = copy.deepcopy(COUNTS)
    for cell in stale[:6]:
        for what in ("selected", "listed"):
            share = cell[what] / cell["replications"]
            cell[what] = round((share + (0.25 if share < 0.5 else -0.25)) * cell["replications"])
    assert len(contradicted(stale, fresh)) == 12


def test_the_printed_counts_cover_every_setting_and_normaliser(fresh):
    assert {key(cell) for cell in COUNTS} == set(fresh)
    assert {cell["replications"] for cell in COUNTS} == {10_000}


def key(cell):
    return Setting(**cell["setting"]), cell["normaliser"]


def contradicted(counts, fresh):
    """Counts whose Clopper-Pearson interval does not meet that of the fresh simulation, at 99.99 % each."""
    out = []
    for cell in counts:
        again = fresh[key(cell)]
        for what in ("selected", "listed"):
            low, high = limits(cell[what], cell["replications"])
            other_low, other_high = limits(getattr(again, what), again.replications)
            if low > other_high or high < other_low:
                out.append((key(cell), what))
    return out


def limits(count, size, tail=5e-5):
    low = beta.ppf(tail, count, size - count + 1) if count else 0.0
    high = beta.ppf(1 - tail, count + 1, size - count) if count < size else 1.0
    return low, high
