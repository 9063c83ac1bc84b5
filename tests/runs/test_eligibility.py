"""Who can be audited: whom the original knows and the retrained model does not, on the whole list."""

import pandas as pd
import pytest

from audit.core.errors import AuditError
from audit.runs.eligibility import decide


def frame(world, wrong=(), metric_of=lambda probe: 1.0):
    """Rows of one model that answers everything right except the (subject, probe) pairs in ``wrong``."""
    rows = [
        (p.subject, p.probe, metric, 0.0 if (p.subject, p.probe) in wrong else metric_of(p))
        for side in ("forget", "retain")
        for s in world.corpus.side(side)
        for p in s.probes
        for metric in ("exact_match", "forced_match", "extraction_strength")
    ]
    return pd.DataFrame(rows, columns=["subject", "probe", "metric", "value"])


def ignorant(world):
    return frame(world, metric_of=lambda probe: 0.0)


def secrets(subject):
    return [(p.subject, p.probe) for p in subject.probes if p.kind == "secret"]


def test_a_person_is_audited_if_one_secret_is_known_to_the_original_alone(world):
    first, second, third = world.corpus.forget[:3]
    original = frame(world, wrong={*secrets(first), secrets(second)[0]})
    found = decide(world, original, ignorant(world)).auditable
    assert first.subject not in found  # the original gave neither secret away
    assert {second.subject, third.subject} <= set(found)
    guessed = frame(
        world, wrong={(p.subject, p.probe) for s in world.corpus.forget for p in s.probes} - {*secrets(third)}
    )
    assert third.subject not in decide(world, original, guessed).auditable  # anybody could have said it


def test_a_secret_counts_as_known_by_generation_or_teacher_forcing(world):
    subject = world.corpus.forget[0]
    original = frame(world)
    mine = (original["subject"] == subject.subject) & (original["metric"] == "exact_match")
    original.loc[mine, "value"] = 0.0
    assert subject.subject in decide(world, original, None).auditable


def test_a_retained_person_counts_by_the_answers_the_original_gives_right(world):
    first, second = world.corpus.retain[:2]
    wrong = {(first.subject, p.probe) for p in first.probes} | {(second.subject, second.probes[0].probe)}
    found = decide(world, frame(world, wrong), None)
    assert found.known[first.subject] == ()
    assert found.known[second.subject] == tuple(p.probe for p in second.probes[1:])
    assert first.subject not in found.retained
    assert list(found.known) == [s.subject for s in world.corpus.retain]


def test_an_original_that_answers_fewer_than_half_right_stops_the_run(world):
    """Half is enough: utility means something from half on."""
    asked = [(p.subject, p.probe) for s in world.corpus.retain for p in s.probes]
    half = set(asked[: len(asked) // 2])
    decide(world, frame(world, half), None)
    with pytest.raises(AuditError) as caught:
        decide(world, frame(world, {*half, *asked[len(asked) // 2 :][:1]}), None)
    assert (caught.value.code, caught.value.exit_code) == ("E410", 2)
    assert f"of {len(asked)} retain probes" in caught.value.cause


def test_fewer_known_persons_than_the_plan_opens_stop_the_run(world):
    unknown = {key for s in world.corpus.forget[:11] for key in secrets(s)}  # nine are left, ten are planned
    with pytest.raises(AuditError) as caught:
        decide(world, frame(world, unknown), None)
    assert caught.value.code == "E411"
    assert "knows 9 forget subjects, the plan opens 10" in caught.value.cause
