"""leak@k: the chance that one of k sampled answers leaks, estimated without bias from n >= k samples.

arXiv:2511.04934: mean over questions of 1 - C(n - c, k) / C(n, k), c the number of leaking samples, the form of
pass@k (Chen et al. 2021, arXiv:2107.03374). It speaks about decoding at these questions, not about other people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked, undefined
from audit.risk.losses import leak_at_k


@AGGREGATES.register("leak_at_k")
@dataclass(frozen=True)
class LeakAtK:
    """Mean chance that at least one of k sampled answers to a question leaks."""

    k: int = 8

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {
        "leaks": Input("whether each sampled answer leaks (0 or 1), questions by samples", 0.0, 1.0)
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "paper"
    source: ClassVar[str] = "arXiv:2511.04934; estimator of Chen et al. 2021, arXiv:2107.03374"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k needs a value of at least 1, got {self.k}")

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``leak_at_k``; ``leaks`` has shape (questions, samples), E353 with fewer than k samples."""
        leaks = checked(self, scores)["leaks"]
        if leaks.ndim != 2 or leaks.shape[1] < self.k:
            raise undefined(self, f"k = {self.k} needs as many samples per question, got shape {leaks.shape}")
        return {"leak_at_k": float(leak_at_k(leaks, self.k).mean())}
