"""MUSE's six ways of looking at an unlearned model; the last two are the first four again.

Shi et al. 2024, arXiv:2407.06460; code swj0419/muse_bench. Verbatim memorization: ROUGE-L F1 between a greedy
continuation of 128 tokens and the true one. Knowledge memorization and utility: ROUGE-L F1 of answers after ten
solved questions, on the forget and the retain list. Privacy leakage from Min-40 % scores. Scalability is this
table for growing forget lists, sustainability this table after each of several requests: one audit each. MUSE
takes the retrained model's AUC from a stored constant; here it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked
from audit.metrics.aggregates.membership import PrivLeak


@AGGREGATES.register("muse")
@dataclass(frozen=True)
class Muse:
    """MUSE's verbatim and knowledge memorization, privacy leakage and utility, in percent."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (-100.0, None)
    inputs: ClassVar[dict[str, Input]] = {
        "verbatim": Input("ROUGE-L F1 of continuations of forgotten texts", 0.0, 1.0),
        "knowledge": Input("ROUGE-L F1 of answers about the forget list", 0.0, 1.0),
        "retain_knowledge": Input("ROUGE-L F1 of answers about the retain list", 0.0, 1.0),
        **PrivLeak.inputs,
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = "Shi et al. 2024, MUSE, arXiv:2407.06460, Section 3"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``verbmem``, ``knowmem`` and ``privleak`` of the forget list, ``utility`` of the retain list."""
        values = checked(self, scores)
        leak = PrivLeak().table({name: values[name] for name in PrivLeak.inputs})
        return {
            "verbmem": 100 * float(np.mean(values["verbatim"])),
            "knowmem": 100 * float(np.mean(values["knowledge"])),
            "privleak": leak["privleak"],
            "utility": 100 * float(np.mean(values["retain_knowledge"])),
        }
