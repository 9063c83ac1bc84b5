"""What is shown beside a method is what the committed table says, and nothing is shown that was not measured."""

from pathlib import Path

import pytest

from audit.methods.compose import parse_recipe
from audit.methods.measured import CARRIER, Measured, measured
from audit.methods.table import methods_table

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
TABLE = RESULTS / "2026-11-21-methods.md"
NUMBERS = slice(2, 7)  # recovered, harm, CUR under three attacks


@pytest.fixture(scope="module")
def committed():
    """Recipe -> cells of its row in the committed table."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0]: cells for cells in rows}


@pytest.mark.parametrize("recipe", sorted(measured()))
def test_every_result_stands_in_the_committed_table_with_the_same_numbers(committed, recipe):
    parse_recipe(recipe)
    found, cells = measured()[recipe], committed[recipe]
    if found.cur is None:
        assert cells[-1] == f"no result: {found.failure}"
    else:
        assert cells[NUMBERS] == [found.recovered, found.harm, *found.cur.values()]
        assert cells[-1] == found.reading
        assert all(float(upper) >= float(found.recovered) for upper in list(found.cur.values())[:1])


def test_a_part_is_shown_with_its_result_on_the_carrier_and_a_stranger_as_not_measured():
    rows = {row.name: row.measured for row in methods_table()}
    results = measured()
    assert rows["gu"] == results[f"{CARRIER} + gu"].words
    assert rows["guard"] == results[f"{CARRIER} * guard"].words
    assert rows["uwc"] == results[f"{CARRIER} > uwc"].words
    assert rows["npo"] == results["npo"].words
    unmeasured = {name for name, words in rows.items() if words == "not measured"}
    signs = ("", f"{CARRIER} + ", f"{CARRIER} * ", f"{CARRIER} > ")
    assert unmeasured == {name for name in rows if not any(sign + name in results for sign in signs)}


def test_a_result_is_told_with_its_numbers_and_a_failure_with_its_reason():
    cur = {"none": "0.100", "quantize": "0.900", "relearn": "0.200"}
    works = Measured("npo", "npo(lr=0.1)", "0.033", "0.011", cur, "works until attacked")
    assert works.words == "works until attacked (recovered 0.033, harm 0.011, CUR 0.100 / 0.900 / 0.200)"
    assert Measured("npo", failure="E310 x").words == "no result: E310 x"
