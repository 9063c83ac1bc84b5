"""What the table says is what the objects do."""

from __future__ import annotations

from audit.attacks.base import ATTACKS, TIERS
from audit.attacks.cost import seconds
from audit.attacks.table import attacks_table


def test_the_table_has_one_row_for_every_registered_attack():
    rows = attacks_table()
    assert sorted(row["attack"] for row in rows) == list(ATTACKS)
    tiers = [TIERS.index(row["tier"]) for row in rows]
    assert tiers == sorted(tiers)  # from the weakest attacker to the strongest
    assert all(row["about"] and row["source"] and row["control"] for row in rows)


def test_parameters_stand_as_they_are_written_in_a_plan():
    rows = {row["attack"]: row for row in attacks_table()}
    assert (
        rows["quantize"]["parameters"]
        == "nf4|int4|fp4|int3|int8|gptq|awq|hqq, group=64, merged=true, backend=own"
    )
    assert rows["relearn"]["doses"] == "5 / 10 / 25 steps"
    assert ATTACKS.build(f"relearn({rows['relearn']['parameters']})") == ATTACKS.build("relearn")


def test_seconds_follow_from_two_operations_a_weight_and_token():
    """none: 1,000 subjects x 6 probes x 75 tokens x 2 x 1e9 weights / 2e14 a second = 4.5 s."""
    rows = {row["attack"]: row for row in attacks_table()}
    assert rows["none"]["1,000 subjects, H200"].split(" / ")[1] == "4.5 s"
    assert seconds(ATTACKS.build("relearn"), 1e8, 4e11) == ATTACKS.build("relearn").cost * 225
