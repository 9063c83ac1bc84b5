"""Sampling: as many answers as announced, and one that leaks is enough."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from audit.attacks.base import ATTACKS, AttackContext, samples_of
from audit.attacks.sample import Sample
from audit.core.errors import AuditError
from audit.models.scoring import score

EMPTY = AttackContext(seed=0)


def test_every_question_is_answered_as_often_as_announced(model, persons):
    probes = [probe for person in persons for probe in person.probes]
    (item,) = Sample(n=5).apply(model, probes, EMPTY)
    scored = score(item.model, item.probes, generate=True, decoding=item.decoding)
    assert [one.draw for one in scored] == [0, 1, 2, 3, 4] * len(probes)
    assert len({one.generation for one in scored[:5]}) > 1
    assert samples_of(Sample(n=5)) == 5
    assert samples_of(ATTACKS.build("none")) == 1


def test_other_seeds_draw_other_answers(model, persons):
    def answers(attack, seed):
        (item,) = attack.apply(model, persons[0].probes, AttackContext(seed=seed))
        return [s.generation for s in score(model, item.probes, generate=True, decoding=item.decoding)]

    assert answers(Sample(n=8), 0) == answers(Sample(n=8), 0)
    assert answers(Sample(n=8), 0) != answers(Sample(n=8, seed=1), 0)
    assert answers(Sample(n=8), 0) != answers(Sample(n=8), 1)


def test_one_leaking_answer_of_many_is_a_recovered_secret():
    """Draws 0 and 2 miss, draw 1 yields the secret: in the table of losses the person is recovered."""
    from hand_made import Audit

    from audit.plan.assemble import Assembly

    sampled = ("sample(n=3, temperature=1.0, top_p=1.0, seed=0)", 3.0)
    audit = Audit(candidates=("npo",), cells=(("none", 0.0), sampled))
    measurements = audit.measurements()
    rows = measurements.rows
    one = (
        (rows["configuration"] == "npo")
        & (rows["attack"] == sampled[0])
        & (rows["subject"] == "f000")
        & (rows["probe"] == "passport")
        & (rows["metric"] == "forced_match")
    )
    assert rows[one]["value"].tolist() == [0.0]
    spoken = rows[one].assign(metric="exact_match")
    draws = [spoken.assign(draw=draw, value=value) for draw, value in ((0, 0.0), (1, 1.0), (2, 0.0))]
    together = dataclasses.replace(measurements, rows=pd.concat([rows, *draws], ignore_index=True))
    tables = Assembly(together).deciding(("npo",))
    clause = next(c for c in tables.table.clauses if c.name.endswith("@3"))
    assert clause.losses.sum() == 1
    assert np.isin(clause.losses, [0, 1]).all()


@pytest.mark.parametrize(
    "text", ["sample(n=-1)", "sample(temperature=0)", "sample(top_p=0)", "sample(n=1.5)"]
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(AuditError, match="E112"):
        ATTACKS.build(text)
