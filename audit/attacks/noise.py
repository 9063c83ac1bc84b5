"""Weight noise: Gaussian noise on every projection, in units of that matrix's own spread.

What unlearning hides behind a thin margin may come back when the weights are shaken (noise injection against
sandbagging: Tice et al. 2024, arXiv:2412.01784). Several seeds are several attacks: the worst one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

from audit.attacks.base import ATTACKS, Attack, AttackContext, Attacked, Tier
from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.data.records import Probe
from audit.models.layers import linear_weights
from audit.models.load import LanguageModel

torch = lazy("torch")


@ATTACKS.register("noise")
@dataclass(frozen=True)
class Noise:
    """Add sigma times the matrix's standard deviation times normal noise to every projection.

    ``sigma``: relative sizes, ascending; one draw of noise is scaled to all of them. ``seed``: which draw.
    An adapter is merged first.
    """

    sigma: tuple[float, ...] = (0.01, 0.05, 0.1)
    seed: int = 0

    name: ClassVar[str]
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "sigma"
    source: ClassVar[str] = "Tice et al. 2024, arXiv:2412.01784; sizes are ours"
    never_trained_control: ClassVar[str] = (
        "The twins' questions to the same shaken weights, and the retrained model shaken in the same way."
    )

    def __post_init__(self) -> None:
        sizes = tuple(self.sigma) if isinstance(self.sigma, list | tuple) else (self.sigma,)
        if not sizes or any(isinstance(s, bool) or not isinstance(s, int | float) or s < 0 for s in sizes):
            raise ValueError(f"sigma must be numbers of at least 0, got {self.sigma!r}")
        if any(later <= earlier for earlier, later in pairwise(sizes)):
            raise ValueError(f"sigma must ascend, got {list(sizes)}")
        object.__setattr__(self, "sigma", tuple(map(float, sizes)))

    @property
    def doses(self) -> tuple[float, ...]:
        """The relative sizes."""
        return self.sigma

    @property
    def cost(self) -> float:
        """One scoring pass a size."""
        return float(len(self.sigma))

    def zero(self) -> Attack:
        """Return the attack without noise."""
        return replace(self, sigma=(0.0,))

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return None: every model has weights."""
        return None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one shaken copy a size, each from the weights as given."""
        for size in self.sigma:
            copy = model.merged() if size else model.clone()
            if size:
                _shake(copy, size, derive(context.seed, "noise", self.seed))
            yield Attacked(size, copy, tuple(probes))

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return nothing."""
        return {}


def _shake(model: LanguageModel, size: float, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)  # on the CPU: the same noise on every device
    with torch.no_grad():
        for matrix in linear_weights(model.network).values():
            noise = torch.randn(matrix.shape, generator=dice).to(matrix)
            matrix.add_(noise, alpha=size * float(matrix.std()))
