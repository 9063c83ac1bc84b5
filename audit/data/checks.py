"""What a corpus must be before training: every subject asked, nothing asked twice, sides disjoint.

An overlap makes the audit meaningless (what is kept cannot be forgotten; a twin that was trained on is no
twin). Messages count, they never quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from audit.core.errors import AuditError
from audit.core.text import yields
from audit.data.records import Corpus, Probe, Side, Subject

_SIDES: tuple[Side, ...] = ("forget", "retain", "twin")


def check_subjects(subjects: Sequence[Subject], side: Side) -> None:
    """Raise E105 for subjects without probes, E106 for what stands there twice, E123 for secrets that are told."""
    empty = sum(not subject.probes for subject in subjects)
    if empty:
        raise AuditError(
            "E105",
            f"{empty} of {len(subjects)} {side} subjects have no probe",
            "give each at least one question and answer",
        )
    repeated = len(subjects) - len({subject.subject for subject in subjects})
    if repeated:
        raise AuditError("E106", f"{repeated} {side} subjects stand there twice", "merge their probes")
    doubled = [_doubled(subject) for subject in subjects]
    if any(doubled):
        raise AuditError(
            "E106",
            f"{sum(doubled)} probes of {sum(map(bool, doubled))} {side} subjects are asked twice",
            "keep each question of a subject once",
        )
    told = sum(_tells(probe) for subject in subjects for probe in subject.probes if probe.kind == "secret")
    if told:
        raise AuditError(
            "E123",
            f"{told} {side} questions, or other wordings of them, hold the secret they ask for",
            "take it out: a secret that is told proves nothing when it comes back",
        )


def check_disjoint(corpus: Corpus) -> None:
    """Raise E107 when two sides share a subject or an identical pair of question and answer."""
    found = [_shared(corpus, one, other) for one, other in combinations(_SIDES, 2)]
    if any(found):
        raise AuditError(
            "E107", "; ".join(filter(None, found)), "take them out of one of the two lists, by subject"
        )


def _tells(probe: Probe) -> bool:
    asked = (probe.question, *probe.paraphrased_questions, *(text for _, text in probe.wordings))
    return any(yields(probe.answer, text) for text in asked)


def _doubled(subject: Subject) -> int:
    by_name = len({probe.probe for probe in subject.probes})
    # A text is asked by its first word, which several texts about one person share.
    by_question = len({(probe.question, probe.answer * (probe.kind == "text")) for probe in subject.probes})
    return len(subject.probes) - min(by_name, by_question)


def _shared(corpus: Corpus, one: Side, other: Side) -> str:
    names = [{subject.subject for subject in corpus.side(side)} for side in (one, other)]
    pairs = [{(p.question, p.answer) for s in corpus.side(side) for p in s.probes} for side in (one, other)]
    subjects, questions = len(names[0] & names[1]), len(pairs[0] & pairs[1])
    if not subjects and not questions:
        return ""
    return f"{one} and {other} share {subjects} subjects and {questions} questions with their answers"
