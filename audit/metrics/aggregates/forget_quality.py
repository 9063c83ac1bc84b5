"""TOFU's forget quality: whether the truth ratios of two models could come from one distribution.

Maini et al. 2024, arXiv:2401.06121, Section 2.2: the p-value of the two-sample Kolmogorov-Smirnov test. A large
p-value is absence of evidence: on two authors hardly anything is rejected, and questions of one author are not
independent. It is a legacy column here, never a reason to certify.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audit.core.lazy import lazy
from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked

stats = lazy("scipy.stats")


@AGGREGATES.register("forget_quality")
@dataclass(frozen=True)
class ForgetQuality:
    """p-value of the two-sided KS test between the truth ratios of the unlearned and the retrained model."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {
        "forget": Input("truth ratios of the forget list under the model", 0.0),
        "retrained_forget": Input("truth ratios of the forget list under the retrained model", 0.0),
    }
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = "Maini et al. 2024, arXiv:2401.06121, Section 2.2"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``forget_quality``."""
        values = checked(self, scores)
        found = stats.ks_2samp(values["forget"].ravel(), values["retrained_forget"].ravel())
        return {"forget_quality": float(found.pvalue)}
