"""Other ways of asking are locked where they are asked, and make no list of other people."""

import dataclasses

import pytest

from audit.core.errors import AuditError
from audit.plan.corpus import corpus_of, side_digest, wordings_digest
from audit.plan.lock import make_lock, write_lock
from audit.plan.schema import parse_plan
from audit.runs import world
from audit.runs.world import World


def plan(tmp_path, *attacks):
    raw = {"laboratory": {"subject": "tiny"}, "candidates": ["npo"], "attacks": ["none", *attacks]}
    return parse_plan(raw, base=tmp_path)


def changed(people):
    """The same people; the first one's first probe can be asked in one way more."""
    first, *others = people
    probe, *rest = first.probes
    probe = dataclasses.replace(probe, wordings=(*probe.wordings, ("cloze", "It is")))
    return (dataclasses.replace(first, probes=(probe, *rest)), *others)


def test_the_laboratorys_persons_carry_wordings_and_their_list_keeps_its_name(tmp_path):
    people = corpus_of(plan(tmp_path)).forget
    assert all(p.wordings for s in people for p in s.probes)
    assert side_digest(changed(people)) == side_digest(people)


def test_a_lock_names_the_wordings_only_where_an_attack_asks_them(tmp_path):
    plain = make_lock(plan(tmp_path), tmp_path)
    asked = make_lock(plan(tmp_path, "reworded(kind=alias)"), tmp_path)
    assert "wordings" not in plain.content
    assert asked.content["wordings"] == wordings_digest(corpus_of(plan(tmp_path)))
    assert asked.content["lists"] == plain.content["lists"]  # one ledger knows who was opened


def test_wordings_of_another_text_are_another_lock_and_stop_a_run(tmp_path, monkeypatch):
    wanted = plan(tmp_path, "reworded")
    write_lock(tmp_path / "run", lock := make_lock(wanted, tmp_path))
    assert World(tmp_path / "run").raw_corpus == corpus_of(wanted)
    other = dataclasses.replace(corpus_of(wanted), forget=changed(corpus_of(wanted).forget))
    assert make_lock(wanted, tmp_path, other).digest != lock.digest
    monkeypatch.setattr(world, "corpus_of", lambda plan: other)
    with pytest.raises(AuditError, match="E504 the wordings"):
        _ = World(tmp_path / "run").raw_corpus
    assert wordings_digest(other) != lock.content["wordings"]
