"""What a measuring job asks of whom."""

import pytest

from audit.attacks.base import ATTACKS
from audit.plan.schema import parse_plan
from audit.runs.tasks import compares_twins


@pytest.mark.parametrize(
    ("primary", "asked"),
    [(["recovered"], [10.0]), (["above_twins"], [5.0, 10.0]), (["recovered", "above_twins"], [5.0, 10.0])],
)
def test_twins_answer_at_the_last_dose_and_wherever_their_threshold_decides(tmp_path, primary, asked):
    raw = {"laboratory": {"subject": "lab"}, "candidates": ["npo"], "loss": {"primary": primary}}
    plan, attack = parse_plan(raw, base=tmp_path), ATTACKS.build("relearn(steps=[5, 10])")
    assert [dose for dose in attack.doses if compares_twins(dose, attack, plan)] == asked
