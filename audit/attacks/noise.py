"""Weight noise: Gaussian noise on every projection, in units of that matrix's own spread.

What unlearning hides behind a thin margin may come back when the weights are shaken (noise injection against
sandbagging: Tice et al. 2024, arXiv:2412.01784). Several seeds are several attacks: the worst one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from audit.attacks.base import ATTACKS, AttackContext, Attacked, Tier
from audit.attacks.dial import Dialled
from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.data.records import Probe
from audit.models.layers import linear_weights
from audit.models.load import LanguageModel

torch = lazy("torch")


@ATTACKS.register("noise")
@dataclass(frozen=True)
class Noise(Dialled):
    """Add sigma times the matrix's standard deviation times normal noise to every projection.

    ``sigma``: relative sizes, ascending; one draw of noise is scaled to all of them. ``seed``: which draw.
    An adapter is merged first.
    """

    sigma: tuple[float, ...] = (0.01, 0.05, 0.1)
    seed: int = 0

    name: ClassVar[str]
    dial: ClassVar[str] = "sigma"
    most: ClassVar[float] = 10.0
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "sigma"
    source: ClassVar[str] = "Tice et al. 2024, arXiv:2412.01784; sizes are ours"
    never_trained_control: ClassVar[str] = (
        "The twins' questions to the same shaken weights, and the retrained model shaken in the same way."
    )

    def __post_init__(self) -> None:
        self.check_dial()

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one shaken copy a size, each from the weights as given."""
        for size in self.sigma:
            copy = model.merged() if size else model.clone()
            if size:
                _shake(copy, size, derive(context.seed, "noise", self.seed))
            yield Attacked(size, copy, tuple(probes))


def _shake(model: LanguageModel, size: float, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)  # on the CPU: the same noise on every device
    with torch.no_grad():
        for matrix in linear_weights(model.network).values():
            noise = torch.randn(matrix.shape, generator=dice).to(matrix)
            matrix.add_(noise, alpha=size * float(matrix.std()))
