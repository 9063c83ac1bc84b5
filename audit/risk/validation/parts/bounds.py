"""Every registered bound, in every design it claims, at a true null on the edge of its hypothesis.

The test rejects, the upper bound misses, the lower bound misses: three promises at delta each. The test of a
lower bound is that of the mirrored losses, as the bounds themselves have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.risk.bounds.base import BOUNDS, Design, build
from audit.risk.validation import batch
from audit.risk.validation.base import PARTS
from audit.risk.validation.coverage import EDGE, Setting
from audit.risk.validation.laws import LAWS

Promise = Literal["test", "test from below", "upper bound", "lower bound"]
DESIGNS: tuple[Design, ...] = ("draws", "list", "random list")
SIZES = ((20, 200), (29, 290), (90, 100), (89, 178), (200, 400), (400, 444), (1000, 2000))  # (n, N)


@dataclass(frozen=True)
class BoundCell:
    """All bounds that claim the setting, on the same samples."""

    setting: Setting
    promise: Promise = "test"
    slow: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The promise and the setting."""
        return f"{self.promise}: {self.setting.label}"

    @property
    def promised(self) -> float:
        """Delta."""
        return self.setting.delta

    @property
    def procedures(self) -> tuple[str, ...]:
        """Names of the bounds."""
        return tuple(
            name
            for name in BOUNDS.names()
            if self.setting.design in BOUNDS[name].designs
            and (self.setting.law == "bernoulli" or not BOUNDS[name].binary)
        )

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (P,) false rejections or misses of each bound."""
        losses = self.setting.draw(random, replications)
        return np.array([self._broken(name, losses) for name in self.procedures])

    def _broken(self, name: str, losses: np.ndarray) -> int:
        bound, delta, size = build(name, self.promised), self.promised, self.setting.size
        from_below = self.promise in ("test from below", "lower bound")
        losses, truth = (1 - losses, 1 - self.setting.truth) if from_below else (losses, self.setting.truth)
        if self.promise.startswith("test"):
            return int((batch.p_values(bound, losses, truth - EDGE, size) <= delta).sum())
        return int((batch.uppers(bound, losses, delta, size) < truth - 1e-9).sum())


@PARTS.register("bounds")
@dataclass(frozen=True)
class Bounds:
    """Bounds and their tests, one configuration at a time."""

    name: ClassVar[str]

    def cells(self) -> Iterator[BoundCell]:
        """Yield the cells design by design."""
        for design in DESIGNS:
            for law in LAWS:
                yield BoundCell(Setting(design, law, n=60, population=120))
            for n, population in SIZES:
                yield BoundCell(Setting(design, "bernoulli", n=n, population=population))
            yield BoundCell(Setting(design, "bernoulli", n=65, population=130, delta=0.1))
            yield BoundCell(Setting(design, "bernoulli", risk=0.02, n=150, population=200))
            yield BoundCell(Setting(design, "bernoulli", risk=0.4, n=50, population=100))
            for law in ("bernoulli", "beta, wide"):
                yield BoundCell(Setting(design, law, n=90, population=120, delta=0.05 / 16))
            yield BoundCell(Setting(design, "zero-inflated", n=60, population=120), "test from below")
            for law in ("bernoulli", "0 and 1/2"):
                setting = Setting(design, law, n=60, population=90)
                yield BoundCell(setting, "upper bound")
                yield BoundCell(setting, "lower bound")
        for law in ("bernoulli", "beta, wide"):  # every stratum is drawn from once, with a risk of its own
            yield BoundCell(Setting("random list", law, n=60, population=60))
