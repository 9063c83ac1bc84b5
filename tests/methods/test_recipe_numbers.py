"""Recipes with numbers beyond all numbers, or with an ``at`` that names no step: refused in few words."""

import pytest

from audit.core.errors import AuditError
from audit.methods.compose import parse_recipe
from audit.methods.grammar import split

FAR = "1" + "0" * 400


@pytest.mark.parametrize(
    "text",
    [f"npo(steps={FAR})", f"npo(lr={FAR})", f"npo(beta=-{FAR})", f"npo > path({FAR})", "npo(lr=1e999)"],
)
def test_a_number_that_no_machine_holds_is_a_coded_error(text):
    with pytest.raises(AuditError, match="E112") as caught:
        parse_recipe(text)
    assert len(str(caught.value)) < 200


def test_counts_are_exact_up_to_where_a_float_is():
    assert parse_recipe(f"npo(steps={2**53})").budget.steps == 2**53
    with pytest.raises(AuditError, match="E112"):
        parse_recipe(f"npo(steps={2**53 + 1})")


@pytest.mark.parametrize("text", ["npo at", "npo at ", "npo + gu at > path", "npo at @lora(4)"])
def test_at_without_a_step_is_told_what_is_missing(text):
    with pytest.raises(AuditError, match="E464") as caught:
        split(text)
    assert "nothing stands behind at" in caught.value.cause
    assert "at 30" in caught.value.remedy


def test_a_name_that_ends_like_at_is_left_to_the_registry():
    assert split("flat").method == "flat"
    assert split("at").method == "at"
