"""The methods on a terminal and in the docs: nothing of a row is lost, no line is too wide."""

import json

import pytest
from typer.testing import CliRunner

from audit.cli import app
from audit.methods.table import methods_table, row_of, shared_budget
from audit.report.methods_text import WIDTH, described, listed
from audit.report.reference import methods_markdown

ROWS = methods_table()


def test_the_list_names_everybody_once_within_its_width():
    lines = listed(ROWS).splitlines()
    assert max(map(len, lines)) <= WIDTH
    cells = [[cell.strip() for cell in line.split("│")] for line in lines if "│" in line]
    assert [row[0] for row in cells if row[0]] == [f"{row.sign}{row.name}" for row in ROWS]
    npo = next(row for row in cells if row[0] == "npo")
    assert (npo[1], npo[3], npo[4]) == ("preference", "1 a step", "paper")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_one_in_full_shows_all_that_its_row_holds(row):
    lines = described(row)
    assert max(map(len, lines)) <= WIDTH
    text = " ".join(" ".join(lines).split())
    values = {**row.parameters, **row.budget}
    for said in (row.summary, *row.needs, row.cost_unit, row.source, row.measured, row.never, row.evidence):
        assert " ".join(said.split()) in text
    for name, value in values.items():
        assert f"{name}={value}" in text


def test_costs_are_said_in_their_own_unit():
    """npo's one forward-equivalent, pcgrad's factor, guard's one epoch, uwc's start and twenty points."""
    units = {name: (row_of(name).cost, row_of(name).cost_unit) for name in ("npo", "pcgrad", "guard", "uwc")}
    assert units == {
        "npo": (1, "per step, graddiff = 1"),
        "pcgrad": (1, "× the method's step"),
        "guard": (1, "epochs of graddiff, once"),
        "uwc": (21, "passes over tune subjects, at most"),
    }
    assert row_of("retrain").cost_unit == row_of("sisa").cost_unit == "× the original's training, at most"


def test_a_default_that_somebody_changes_is_not_said_once_for_all():
    shared = shared_budget(ROWS)
    assert "batch" in shared
    assert not {"lr", "steps", "retain_weight"} & set(shared)


def test_the_command_shows_one_or_all_and_json_has_every_field():
    call = CliRunner().invoke
    assert call(app, ["methods", "npo"]).stdout.splitlines() == described(row_of("npo"))
    (row,) = json.loads(call(app, ["methods", "npo", "--json"]).stdout)["rows"]
    assert (row["needs"], row["budget"]["lr"]) == (["reference_nll", "retain"], 0.0003)
    wrong = call(app, ["methods", "npoo"])
    assert (wrong.exit_code, "did you mean 'npo'?" in wrong.stderr) == (2, True)


def test_the_docs_have_a_row_each_with_needs_defaults_and_unit():
    lines = methods_markdown().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")
    ]
    assert [row[0].strip("` *+>") for row in rows] == [row.name for row in ROWS]
    assert all(all(row) for row in rows)
    npo = next(row for row in rows if row[0] == "`npo`")
    assert "reference_nll, retain" in npo
    assert "lr=0.0003, steps=60, forget_weight=1.0, retain_weight=1.0" in npo
    assert "1 per step, graddiff = 1" in npo
    assert "batch=32" in lines[-1]
