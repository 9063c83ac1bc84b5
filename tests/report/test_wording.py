import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.report import wording


def number(text: str) -> float:
    return float(text.removesuffix(f"{wording.SPACE}%"))


@given(st.floats(0, 1))
def test_a_printed_bound_never_says_more_than_the_bound(share):
    assert number(wording.percent_up(share)) >= 100 * share - 1e-6
    assert number(wording.percent_down(share)) <= 100 * share + 1e-6


def test_a_round_share_is_printed_as_it_is():
    # 0.07 * 1000 is 70.00000000000001 in binary; that must not become 7.1 %.
    for tenths in range(1001):
        share = tenths / 1000
        assert number(wording.percent_up(share)) == number(wording.percent_down(share)) == tenths / 10


def test_a_bound_just_above_the_budget_is_not_printed_as_the_budget():
    assert number(wording.percent_up(0.1004)) == 10.1
    assert number(wording.percent_down(0.0996)) == 9.9


def test_budgets_are_printed_without_needless_digits():
    assert [wording.budget(b).replace(wording.SPACE, " ") for b in (0.1, 0.025, 0.95, 1 - 0.05)] == [
        "10 %",
        "2.5 %",
        "95 %",
        "95 %",
    ]


def test_attacks_are_named_as_in_the_sentences():
    assert wording.attack("none", 0.0) == "unattacked"
    assert wording.attack("relearn(steps=[5, 10, 25], lr=0.0003)", 25.0) == "relearn @25 steps"


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (0.00031, "0.00031"), (1.0, "1"), (1e-9, "< 0.0001")]
)
def test_p_values_have_two_digits(value, text):
    assert wording.p_value(value).replace(wording.SPACE, " ") == text


@pytest.mark.parametrize(("total", "text"), [(3.0, "3 of 90"), (0.0, "0 of 90"), (19 / 6, "3.2 of 90")])
def test_counts_of_graded_losses_have_one_decimal(certificate, total, text):
    clause = dataclasses.replace(certificate.configurations[0].clauses[0], total=total)
    assert wording.counts(clause).replace(wording.SPACE, " ") == text
