"""Quantization: round the weights to a few bits, as anybody does who runs the model on a small machine.

Zhang et al. ICLR 2025, arXiv:2410.16454. Unlearning moves weights by little; where a move is smaller than
half a step of the grid, rounding takes it back and the forgotten answer returns. It does so when the original
itself lies on that grid (a released 4-bit or quantization-aware model), hardly otherwise.
``codes_changed_share`` says which case it is: near 0, the rounded model is the rounded original.
GPTQ and AWQ look at text while rounding: here the questions and answers of retained subjects, never a forgotten one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from audit.attacks.base import ATTACKS, AttackContext, Attacked, Tier
from audit.data.records import Probe
from audit.models.bitsandbytes_backend import GROUP, bitsandbytes_network, unsupported
from audit.models.calibration import RULES, quantize_calibrated
from audit.models.hqq import quantize_hqq, ragged
from audit.models.layers import linear_weights
from audit.models.load import LanguageModel
from audit.models.quantization import INTEGER, SCHEMES, code_change_share, quantize_network

BACKENDS = ("own", "bitsandbytes")
ONCE = (*RULES, "hqq")  # what they return is no fixed point of theirs
CALIBRATION = 256  # retained questions with their answers, evenly picked


@ATTACKS.register("quantize")
@dataclass(frozen=True)
class Quantize:
    """Round every 2-D linear weight, not the embeddings and the output head, to a coarse grid.

    ``scheme``: nf4 (16 normal quantiles), int4 (symmetric, rounded to nearest), fp4 (4-bit floats), int3, int8;
    gptq and awq (the grid of int4, rounding chosen on retained text), hqq (4 bits with an optimised zero point).
    ``group``: how many neighbouring weights share a scale; 0: a whole row (per channel, not nf4 and fp4).
    ``merged``: merge the adapter first; false rounds the base under the adapter, as QLoRA serving does.
    ``backend``: own (rounded weights in ordinary layers, the same numbers on every device) or bitsandbytes
    (the library's 4-bit layers and kernels; nf4 or fp4 in groups of 64).
    """

    scheme: Literal["nf4", "int4", "fp4", "int3", "int8", "gptq", "awq", "hqq"]
    group: int = 64
    merged: bool = True
    backend: Literal["own", "bitsandbytes"] = "own"

    name: ClassVar[str]
    tier: ClassVar[Tier] = "weights"
    version: ClassVar[int] = 2
    dose_unit: ClassVar[str] = "bits"
    source: ClassVar[str] = (
        "Zhang et al. 2025, arXiv:2410.16454; NF4: Dettmers et al. 2023, arXiv:2305.14314; GPTQ: Frantar et al. "
        "2023, arXiv:2210.17323; AWQ: Lin et al. 2024, arXiv:2306.00978; HQQ: Badri and Shaji 2023"
    )
    never_trained_control: ClassVar[str] = (
        "The twins' questions to the same rounded weights, and the retrained model rounded in the same way."
    )

    def __post_init__(self) -> None:
        known = (*SCHEMES, *ONCE)
        if self.scheme not in known:
            raise ValueError(f"scheme must be one of {', '.join(known)}, got {self.scheme!r}")
        least = 1 if self.scheme in ("nf4", "fp4") else 0
        if isinstance(self.group, bool) or not isinstance(self.group, int) or self.group < least:
            raise ValueError(f"group must be a whole number of at least {least}, got {self.group!r}")
        if not isinstance(self.merged, bool):
            raise ValueError(f"merged must be true or false, got {self.merged!r}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {self.backend!r}")
        library = self.backend == "bitsandbytes"
        if library and (self.scheme not in ("nf4", "fp4") or self.group != GROUP):
            raise ValueError(
                f"bitsandbytes runs nf4 and fp4 in groups of {GROUP}, got {self.scheme}, {self.group}"
            )

    @property
    def doses(self) -> tuple[float, ...]:
        """The number of bits."""
        return (float(self.scheme[3:]) if self.scheme in INTEGER else 4.0,)

    @property
    def cost(self) -> float:
        """One scoring pass; rounding costs less than that, calibrating a deep model about as much again."""
        return 2.0 if self.scheme in RULES else 1.0

    def zero(self) -> None:
        """Return None: no rounded model changes nothing. Rounding twice is rounding once, or not applicable."""
        return None

    def not_applicable(self, model: LanguageModel, probes: Sequence[Probe] | None = None) -> str | None:
        """Return ``no adapter`` if the base is to be rounded under an adapter that is not there.

        ``already rounded by gptq`` where gptq, awq or hqq would round their own work again; with hqq and
        bitsandbytes also why they cannot run this model.
        """
        if not self.merged and not model.has_adapter:
            return "no adapter"
        if self.scheme in ONCE and getattr(model.network, _MARK, None) == self.scheme:
            return f"already rounded by {self.scheme}"
        if self.scheme == "hqq":
            return ragged(model.network, self.group)
        return unsupported(model) if self.backend == "bitsandbytes" else None

    def apply(
        self, model: LanguageModel, probes: Sequence[Probe], context: AttackContext
    ) -> Iterator[Attacked]:
        """Yield one rounded copy with all probes; ValueError where ``not_applicable`` gives a reason.

        gptq and awq need ``context.retain`` for their calibration text: ValueError without.
        """
        reason = self.not_applicable(model, probes)
        if reason is not None:
            raise ValueError(f"{self.name} is not applicable: {reason}")
        base = model.merged() if self.merged else model.clone()
        if self.backend == "bitsandbytes":
            base = bitsandbytes_network(base, "fp4" if self.scheme == "fp4" else "nf4")
        elif self.scheme in RULES:
            quantize_calibrated(base, self.scheme, self.group, _sequences(base, context))
        elif self.scheme == "hqq":
            quantize_hqq(base.network, self.group)
        else:
            quantize_network(base.network, self.scheme, self.group)
        if self.scheme in ONCE:
            setattr(base.network, _MARK, self.scheme)
        yield Attacked(self.doses[0], base, tuple(probes))

    def diagnose(self, model: LanguageModel, context: AttackContext) -> Mapping[str, float]:
        """Return the shares of weights whose code, and whose value, differs from the original's.

        Codes only of schemes in which a weight's group alone decides its code.
        """
        if context.original is None:
            return {}
        ours, theirs = (self._rounded_part(side) for side in (context.original, model))
        values = {"weights_changed_share": _weight_change_share(ours, theirs)}
        if self.scheme in ONCE:
            return values
        return {"codes_changed_share": code_change_share(ours, theirs, self.scheme, self.group)} | values

    def _rounded_part(self, model: LanguageModel) -> Any:
        return model.merged().network if self.merged and model.has_adapter else model.network


_MARK = "rounded_by"  # an attribute of the network; copies keep it


def _sequences(model: LanguageModel, context: AttackContext) -> list[tuple[int, ...]]:
    """Return token ids of retained questions with their answers, evenly picked from the list."""
    probes = [probe for subject in context.retain for probe in subject.probes]
    if not probes:
        raise ValueError("gptq and awq need retained subjects in the attack's context, got none")
    picked = probes[:: -(-len(probes) // CALIBRATION)]
    return [model.encode(probe.question, probe.answer).ids for probe in picked]


def _weight_change_share(a: Any, b: Any) -> float:
    """Return the share, in [0, 1], of projection weights that differ at all between two networks."""
    ours, theirs = linear_weights(a), linear_weights(b)
    changed = sum(int((matrix != theirs[name].to(matrix.device)).sum()) for name, matrix in ours.items())
    return changed / sum(matrix.numel() for matrix in ours.values())
