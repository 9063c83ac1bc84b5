"""Recipes take the plan's budgets where they name none of their own."""

import pytest

from audit.plan.lock import make_lock
from audit.plan.schema import parse_plan


def candidates(*texts, utility=0.3, folder=None):
    raw = {"laboratory": {"subject": "lab"}, "candidates": list(texts), "budget": {"utility": utility}}
    return parse_plan(raw, base=folder).candidates


@pytest.mark.parametrize(
    ("written", "locked"),
    [
        ("pdu", "pdu(utility_budget=0.3)"),
        ("pdu(lr=0.001) @lora(4)", "pdu(lr=0.001, utility_budget=0.3) @lora(4)"),
        (
            "pdu() + gu @layers(0:1) at 30 > path(0.5)",
            "pdu(utility_budget=0.3) + gu @layers(0:1) at 30 > path(0.5)",
        ),
        ("pdu(utility_budget=0.1)", "pdu(utility_budget=0.1)"),
        ("pdu(0.1)", "pdu(0.1)"),
        ("npo + sam", "npo + sam"),
    ],
)
def test_the_ceiling_of_pdu_follows_the_utility_budget_unless_the_recipe_says_otherwise(
    written, locked, tmp_path
):
    assert candidates(written, folder=tmp_path) == (locked,)


def test_at_the_default_budget_recipes_stay_as_they_were_written(tmp_path):
    assert candidates("pdu", "pdu(lr=0.001)", utility=0.1, folder=tmp_path) == ("pdu", "pdu(lr=0.001)")


def test_sweeps_take_it_too_and_the_lock_writes_it_out(tmp_path):
    raw = {
        "laboratory": {"subject": "lab"},
        "candidates": [{"sweep": "pdu", "lr": [1e-4, 1e-3]}, "simnpo"],
        "budget": {"forget": 0.2, "utility": 0.25},
    }
    locked = make_lock(parse_plan(raw, base=tmp_path), tmp_path).configurations
    assert [("utility_budget=0.25" in text) for text in locked] == [True, True, False]


def test_what_is_no_recipe_is_left_for_others_to_refuse(tmp_path):
    assert candidates("no such method", "pdu(", folder=tmp_path) == ("no such method", "pdu(")


def test_a_ceiling_that_a_sweep_names_stays_though_it_is_the_default(tmp_path):
    sweeps = [
        {"sweep": "pdu(utility_budget=0.1)", "lr": [1e-4, 1e-3]},
        {"sweep": "pdu", "utility_budget": [0.1, 0.2]},
    ]
    raw = {"laboratory": {"subject": "lab"}, "candidates": sweeps, "budget": {"utility": 0.25}}
    locked = make_lock(parse_plan(raw, base=tmp_path), tmp_path).configurations
    assert [text.partition("utility_budget=")[2][:3] for text in locked] == ["0.1", "0.1", "0.1", "0.2"]
