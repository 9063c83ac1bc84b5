"""Rewordings that come with the data: what templates of ours could not write for somebody else's questions.

A cloze sentence, synonyms, another language, a question by way of somebody else (multi-hop, Unlearning Mirage,
arXiv:2603.11266). Each probe of the data may carry them in its field ``wordings``; the answer stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from audit.attacks.base import ATTACKS
from audit.attacks.prompts.rewording import Rewording
from audit.data.records import Probe

Kind = Literal["cloze", "synonyms", "cross_lingual", "multi_hop", "alias"]


@ATTACKS.register("reworded")
@dataclass(frozen=True)
class Reworded(Rewording):
    """Ask the data's own rewordings of one kind; the dose is the number of the wording."""

    kind: Kind = field(default="cloze", metadata={"said": True})

    most: ClassVar[int] = 16
    source: ClassVar[str] = "RWKU, arXiv:2406.10890; Unlearning Mirage, arXiv:2603.11266"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")

    def ask(self, probe: Probe, index: int, siblings: Sequence[Probe]) -> str | None:
        """Return the ``index``-th wording of this kind; None where the data hold none."""
        found = [question for kind, question in probe.wordings if kind == self.kind]
        return found[index] if index < len(found) else None
