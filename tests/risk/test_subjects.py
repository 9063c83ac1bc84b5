"""Counts by hand, bounds from SciPy, quantiles by enumerating every sample of a short list."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.stats import beta, hypergeom

from audit.risk.quantiles import quantile_upper
from audit.risk.subjects import quantile_of_list, questions_needed, shared, subject_uppers, tally

NAN = float("nan")


def counted(**attacks):
    """Attack -> (persons, questions) of 1 leaked, 0 kept, NaN no score, None not asked."""
    hits = {
        name: np.array([[NAN if v is None else v for v in row] for row in rows], float)
        for name, rows in attacks.items()
    }
    asked = {name: np.array([[v is not None for v in row] for row in rows]) for name, rows in attacks.items()}
    return tally(hits, asked)


def test_leaks_are_counted_by_attack_by_question_and_by_pair():
    """Person 0: one question leaks under both attacks; person 1: another under each; person 2: nothing."""
    found = counted(none=[[1, 0], [1, 0], [0, 0]], int4=[[1, 0], [0, 1], [0, 0]])
    assert found.attacks_leaked.tolist() == [2, 2, 0]
    assert found.questions_leaked.tolist() == [1, 2, 0]
    assert found.pairs_leaked.tolist() == [2, 2, 0]
    assert found.attacks.tolist() == found.questions.tolist() == [2, 2, 2]
    assert found.share.tolist() == [0.5, 0.5, 0.0]


def test_what_was_not_asked_is_not_counted_and_what_has_no_score_counts_as_leaked():
    found = counted(none=[[0, None], [NAN, 0]], int4=[[None, None], [0, 0]])
    assert found.attacks.tolist() == [1, 2]
    assert found.pairs.tolist() == [1, 4]
    assert found.missing.tolist() == [0, 1]
    assert found.share.tolist() == [0.0, 0.25]


def test_a_person_nobody_asked_about_is_not_called_safe():
    found = counted(none=[[None, None]])
    assert found.share.tolist() == [1.0]
    assert subject_uppers(found, 0.05, 1).tolist() == [1.0]


def test_counts_need_leaks_or_none():
    with pytest.raises(ValueError, match="0 or 1"):
        counted(none=[[0.5]])
    with pytest.raises(ValueError, match="same attacks"):
        tally({"none": np.zeros((1, 1))}, {"int4": np.ones((1, 1), dtype=bool)})


def test_each_subject_is_bounded_at_a_level_shared_over_subjects_and_configurations():
    """Two persons, four configurations: delta / 8 each; three pairs without a leak, one of three."""
    found = counted(none=[[0, 0, 0], [0, 1, 0]])
    expected = [beta.ppf(1 - 0.05 / 8, k + 1, 3 - k) for k in (0, 1)]
    assert subject_uppers(found, 0.05, 4) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("subjects", "alpha", "needed"),
    [(20, 0.1, 57), (20, 0.05, 117), (20, 0.01, 597), (200, 0.1, 79), (200, 0.05, 162), (200, 0.01, 826)],
)
def test_questions_needed_for_every_subject(subjects, alpha, needed):
    """Smallest m with (1 - alpha)^m <= 0.05 / subjects."""
    assert (1 - alpha) ** needed <= 0.05 / subjects < (1 - alpha) ** (needed - 1)
    assert questions_needed(alpha, 0.05, subjects) == needed


def test_levels_of_nobody_are_refused():
    with pytest.raises(ValueError, match="share no delta"):
        shared(0.05, 0, 1)
    with pytest.raises(ValueError, match="alpha"):
        questions_needed(1.0, 0.05, 3)


# -- quantiles of a list --------------------------

LIST = np.array([0.0, 0.0, 0.0, 0.1, 0.1, 0.2, 0.4, 0.4, 0.9, 1.0])


@pytest.mark.parametrize("seen", [0, 3])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("delta", [0.1, 0.3])
def test_a_quantile_errs_in_at_most_delta_of_all_samples(seen, share, delta):
    """Every sample of five from a list of ten, of which some were seen before: all 252 or 21 of them."""
    known, rest = (
        LIST[:seen] if seen == 0 else LIST[[0, 4, 8]],
        LIST if seen == 0 else np.delete(LIST, [0, 4, 8]),
    )
    truth = np.sort(LIST)[int(np.ceil(share * 10 - 1e-9)) - 1]
    samples = list(combinations(range(len(rest)), 5))
    wrong = sum(quantile_of_list(rest[list(s)], known, share, delta, 10) < truth for s in samples)
    assert wrong <= delta * comb(len(rest), 5)


def test_a_quantile_of_everybody_is_the_quantile():
    assert [quantile_of_list(LIST, np.zeros(0), q, 0.05, 10) for q in (0.3, 0.5, 0.9)] == [0.0, 0.1, 0.9]
    assert quantile_of_list(LIST[:7], LIST[7:], 0.5, 0.05, 10) == 0.1
    assert quantile_of_list(np.zeros(0), LIST, 0.8, 0.05, 10) == 0.4


def test_without_subjects_seen_before_it_is_the_order_statistic():
    sample = np.linspace(0, 1, 60)
    for share in (0.5, 0.9):
        expected = quantile_upper(sample, share, 0.05, 80)
        assert quantile_of_list(sample, np.zeros(0), share, 0.05, 80) == expected


def test_seen_subjects_make_the_statement_sharper():
    """Of 80, 20 were seen without a leak, of the other 60 forty are drawn and three leak everything.

    90 % of 80 leave room for 8 leaking among the 60, and 9 would show 3 or fewer too rarely; 90 % of 60 leave room
    for 6, and 7 would show 3 or fewer often enough.
    """
    assert hypergeom.cdf(3, 60, 9, 40) <= 0.05 < hypergeom.cdf(3, 60, 7, 40)
    sample = np.array([0.0] * 37 + [1.0] * 3)
    assert quantile_of_list(sample, np.zeros(20), 0.9, 0.05, 80) == 0.0
    assert quantile_upper(sample, 0.9, 0.05, 60) == 1.0


def test_too_few_subjects_and_missing_scores_say_nothing():
    assert quantile_of_list(np.zeros(3), np.zeros(0), 0.95, 0.05, 100) == 1.0
    assert quantile_of_list(np.zeros(0), np.zeros(0), 0.5, 0.05, 100) == 1.0
    assert quantile_of_list(np.full(40, NAN), np.zeros(0), 0.5, 0.05, 50) == 1.0
