"""What the table says is what the objects do."""

from __future__ import annotations

from audit.attacks.base import ATTACKS
from audit.attacks.table import attacks_table


def test_the_table_has_one_row_for_every_registered_attack():
    rows = attacks_table()
    assert [row["attack"] for row in rows] == list(ATTACKS)
    assert all(row["about"] and row["source"] and row["control"] for row in rows)


def test_parameters_stand_as_they_are_written_in_a_plan():
    rows = {row["attack"]: row for row in attacks_table()}
    assert rows["quantize"]["parameters"] == "nf4|int4|fp4|int3|int8, group=64, merged=true, backend=own"
    assert rows["relearn"]["doses"] == "5 / 10 / 25 steps"
    assert ATTACKS.build(f"relearn({rows['relearn']['parameters']})") == ATTACKS.build("relearn")
