"""What a measuring job asks of whom."""

from types import SimpleNamespace

import pytest

from audit.attacks.base import ATTACKS, AttackContext
from audit.data.records import Probe, Subject
from audit.plan.schema import parse_plan
from audit.runs.tasks import _out_of_reach, compares_twins


@pytest.mark.parametrize(
    ("primary", "asked"),
    [(["recovered"], [10.0]), (["above_twins"], [5.0, 10.0]), (["recovered", "above_twins"], [5.0, 10.0])],
)
def test_twins_answer_at_the_last_dose_and_wherever_their_threshold_decides(tmp_path, primary, asked):
    raw = {"laboratory": {"subject": "lab"}, "candidates": ["npo"], "loss": {"primary": primary}}
    plan, attack = parse_plan(raw, base=tmp_path), ATTACKS.build("relearn(steps=[5, 10])")
    assert [dose for dose in attack.doses if compares_twins(dose, attack, plan)] == asked


def test_twins_answer_at_every_dose_of_an_attack_that_puts_the_answer_in(tmp_path):
    plan = parse_plan({"laboratory": {"subject": "lab"}, "candidates": ["npo"]}, base=tmp_path)
    attack = ATTACKS.build("soft_prompt(steps=[5, 10])")
    assert [dose for dose in attack.doses if compares_twins(dose, attack, plan)] == [5.0, 10.0]


def test_persons_whom_a_rewording_cannot_reach_are_named_before_they_are_opened():
    """Of three persons one is scored; of the others one has a second wording, one has none."""
    roomy = SimpleNamespace(fits=lambda question, answer: True)
    people = [
        Subject(name, (Probe(name, "code", "Which?", "7", paraphrased_questions=wordings),))
        for name, wordings in (("scored", ()), ("reached", ("What?",)), ("out", ()))
    ]
    context = AttackContext(seed=0, forget=people)
    scored = people[0].probes
    assert _out_of_reach(ATTACKS.build("paraphrase"), roomy, scored, context) == {(1.0, "out", "code")}
    assert _out_of_reach(ATTACKS.build("none"), roomy, scored, context) == set()
