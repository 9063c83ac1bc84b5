"""Subjects and their probes: the unit of inference is the subject, never the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["secret", "fact", "text"]
Side = Literal["forget", "retain", "twin"]


@dataclass(frozen=True)
class Probe:
    """One question about one subject.

    ``probe`` is unique within the subject. ``form`` names the wording (``plain``, ``paraphrase``).
    ``entropy_bits`` is the entropy of a secret's value under its generator, None if unknown. ``wordings`` are
    (kind, question) pairs for attacks that need to know how a question was changed: cloze, cross_lingual, …
    """

    subject: str
    probe: str
    question: str
    answer: str
    kind: Kind = "fact"
    form: str = "plain"
    entropy_bits: float | None = None
    paraphrased_questions: tuple[str, ...] = ()
    paraphrased_answer: str | None = None
    perturbed_answers: tuple[str, ...] = ()
    wordings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Subject:
    """A person or document that asked to be forgotten, must be kept, or was never trained on (twin)."""

    subject: str
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class Corpus:
    """The three disjoint sides; ``lists`` names the list each side stands for (``forget10``)."""

    forget: tuple[Subject, ...]
    retain: tuple[Subject, ...]
    twins: tuple[Subject, ...] = ()
    lists: tuple[tuple[Side, str], ...] = (("forget", "forget"), ("retain", "retain"), ("twin", "twins"))

    def side(self, side: Side) -> tuple[Subject, ...]:
        """Return the subjects of one side, in file order."""
        return {"forget": self.forget, "retain": self.retain, "twin": self.twins}[side]
