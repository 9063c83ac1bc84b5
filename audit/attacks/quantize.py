"""Quantization: round the weights to 4 bits, as anybody does who runs the model on a small machine.

Zhang et al. ICLR 2025, arXiv:2410.16454. Unlearning moves weights by little; where a move is smaller than
half a step of the grid, rounding takes it back and the forgotten answer returns. It does so when the original
itself lies on that grid (a released 4-bit or quantization-aware model), hardly otherwise.
``codes_changed_share`` says which case it is: near 0, the rounded model is the rounded original.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from audit.attacks.base import ATTACKS, AttackContext, Attacked, Tier
from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.layers import linear_weights
from audit.models.load import LanguageModel
from audit.models.quantization import SCHEMES, code_change_share, quantize_network

torch = lazy("torch")
bitsandbytes = lazy("bitsandbytes.functional")

BACKENDS = ("own", "bitsandbytes")
BITSANDBYTES_GROUPS = (64, 128, 256, 512, 1024, 2048, 4096)


@ATTACKS.register("quantize")
@dataclass(frozen=True)
class Quantize:
    """Round every 2-D linear weight, not the embeddings and the output head, to a 4-bit grid.

    ``scheme``: nf4 (16 normal quantiles) or int4 (symmetric, rounded to nearest).
    ``group``: how many neighbouring weights share a scale.
    ``merged``: merge the adapter first; false rounds the base under the adapter, as QLoRA serving does.
    ``backend``: own (the same numbers on every device) or bitsandbytes (nf4 only, its own kernels).
    """

    scheme: Literal["nf4", "int4"]
    group: int = 64
    merged: bool = True
    backend: Literal["own", "bitsandbytes"] = "own"

    name: ClassVar[str]
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 1
    dose_unit: ClassVar[str] = "bits"
    source: ClassVar[str] = "Zhang et al. 2025, arXiv:2410.16454; NF4: Dettmers et al. 2023, arXiv:2305.14314"
    never_trained_control: ClassVar[str] = (
        "The twins' questions to the same rounded weights, and the retrained model rounded in the same way."
    )

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {self.scheme!r}")
        if isinstance(self.group, bool) or not isinstance(self.group, int) or self.group < 1:
            raise ValueError(f"group must be a whole number of at least 1, got {self.group!r}")
        if not isinstance(self.merged, bool):
            raise ValueError(f"merged must be true or false, got {self.merged!r}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {self.backend!r}")
        if self.backend == "bitsandbytes" and (self.scheme != "nf4" or self.group not in BITSANDBYTES_GROUPS):
            raise ValueError(
                f"bitsandbytes rounds to nf4 in groups of 64 to 4096, got {self.scheme}, {self.group}"
            )

    @property
    def doses(self) -> tuple[float, ...]:
        """Only 4 bits."""
        return (4.0,)

    @property
    def cost(self) -> float:
        """One scoring pass; rounding itself costs less than that."""
        return 1.0

    def zero(self) -> None:
        """Return None: no 4-bit model changes nothing. Rounding twice is rounding once."""
        return None

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return ``no adapter`` if the base is to be rounded under an adapter that is not there."""
        return "no adapter" if not self.merged and not model.has_adapter else None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one rounded copy with all probes; ValueError where ``not_applicable`` gives a reason."""
        reason = self.not_applicable(model, probes)
        if reason is not None:
            raise ValueError(f"{self.name} is not applicable: {reason}")
        copy = model.merged() if self.merged else model.clone()
        if self.backend == "own":
            quantize_network(copy.network, self.scheme, self.group)
        else:
            _round_with_bitsandbytes(copy.network, self.group)
        yield Attacked(4.0, copy, tuple(probes))

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return the shares of weights whose 4-bit code, and whose value, differs from the original's."""
        if context.original is None:
            return {}
        ours, theirs = (self._rounded_part(side) for side in (context.original, model))
        return {
            "codes_changed_share": code_change_share(ours, theirs, self.scheme, self.group),
            "weights_changed_share": _weight_change_share(ours, theirs),
        }

    def _rounded_part(self, model: LanguageModel) -> Any:
        return model.merged().network if self.merged and model.has_adapter else model.network


def _round_with_bitsandbytes(network: Any, group: int) -> None:
    """Put every projection on the library's NF4 grid, in place, on the device it lies on."""
    with torch.no_grad():
        for matrix in linear_weights(network).values():
            matrix.copy_(_nf4(matrix.reshape(1, -1), group).reshape(matrix.shape))


def _nf4(row: Any, group: int) -> Any:
    """Return a row of weights, shape (1, N), rounded to NF4 and read back."""
    # Two silent errors of 0.50.2 on CPUs with AVX512 are avoided. Weights are read back before any forward
    # pass, since the first one repacks them. They come as one row, as of a matrix whose rows are no multiple
    # of the group (64 x 96) wrong values are read back; the library cuts the flattened matrix either way.
    try:
        packed, state = bitsandbytes.quantize_4bit(row, blocksize=group, quant_type="nf4")
    except ImportError:
        cause, remedy = "bitsandbytes is not installed", "pip install 'unlearning-auditor[bitsandbytes]'"
        raise AuditError("E230", cause, remedy) from None
    return bitsandbytes.dequantize_4bit(packed, state)


def _weight_change_share(a: Any, b: Any) -> float:
    """Return the share, in [0, 1], of projection weights that differ at all between two networks."""
    ours, theirs = linear_weights(a), linear_weights(b)
    changed = sum(int((matrix != theirs[name].to(matrix.device)).sum()) for name, matrix in ours.items())
    return changed / sum(matrix.numel() for matrix in ours.values())
