"""White box: whether the answer is still readable inside the model, before its last blocks.

Unlearning may teach the last blocks to keep silent about what earlier ones still hold. Of the checks that read
activations without another model the logit lens is the most faithful one (0.93 as AUC over models with and
without the knowledge, 0.88 under quantization and relearning: gnueaj/unlearning-depth-score). Question and
earlier answer tokens are given to every block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.base import METRICS, present
from audit.metrics.likelihood import mean_logp
from audit.models.activations import Lens
from audit.models.scoring import Scored

LAYERS = frozenset({"layers"})


@METRICS.register("logit_lens")
@dataclass(frozen=True)
class LogitLens:
    """Mean log-probability of the answer at the block that tells most, in nats, at most 0; at least -nll."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (None, 0.0)
    needs: ClassVar[frozenset[str]] = LAYERS
    standard: ClassVar[bool] = False
    source: ClassVar[str] = (
        "logit lens, nostalgebraist 2020; as a check of unlearning: Patil et al. 2024, arXiv:2309.17410"
    )

    def value(self, scored: Scored) -> float:
        """Return the largest mean logp over blocks, the last one (the model's own answer) included, nats."""
        return max(mean_logp(block) for block in _lens(scored, self.name).logp)


@METRICS.register("lens_depth")
@dataclass(frozen=True)
class LensDepth:
    """Share of blocks after which the whole answer is the arg max; 0: after none, 1: already after the first."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    tells: ClassVar[Literal["knowledge", "fluency"]] = "knowledge"
    direction: ClassVar[Literal["higher", "lower"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    needs: ClassVar[frozenset[str]] = LAYERS
    standard: ClassVar[bool] = False
    source: ClassVar[str] = "logit lens, nostalgebraist 2020; the share of blocks is ours"

    def value(self, scored: Scored) -> float:
        """Return the share of the L blocks at which every answer token is the most likely one."""
        return float(np.mean(_lens(scored, self.name).greedy.all(axis=1)))


def _lens(scored: Scored, metric: str) -> Lens:
    present(scored.lens, metric, "layers")
    assert scored.lens is not None
    return scored.lens
