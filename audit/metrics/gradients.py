"""The gradient's size on one answer: the only metric input that needs a backward pass.

GradNorm (arXiv:2402.17012) as open-unlearning computes it: the 2-norm of each weight tensor's gradient, averaged
over the tensors. It takes the memory of one more copy of the weights and goes probe by probe: the gradient of
a batch is a sum, its norm says nothing about one probe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.batches import Example, collate, forward_answer_logits
from audit.models.language_model import Encoded, LanguageModel

torch = lazy("torch")


def gradient_norms(model: LanguageModel, probes: Sequence[Probe]) -> list[float]:
    """Return one norm per probe, in order; the model is left as it was, gradients and all.

    Weights that are no floating-point numbers (quantized ones) have no gradient and are left out.
    """
    weights = [weight for weight in model.network.parameters() if weight.is_floating_point()]
    frozen = [weight for weight in weights if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        return [_norm(model, probe, weights) for probe in probes]
    finally:
        for weight in frozen:
            weight.requires_grad_(False)


def _norm(model: LanguageModel, probe: Probe, weights: list[Any]) -> float:
    item = model.encode(probe.question, probe.answer)
    bare = Encoded(item.ids[: len(item.ids) - item.eos], item.answer_start, False)
    batch = collate([Example("", "", "")], [bare], model.device)
    with torch.enable_grad():
        logits = forward_answer_logits(model.network, batch)  # (N, V)
        nll = torch.nn.functional.cross_entropy(logits, batch.targets)
        gradients = torch.autograd.grad(nll, weights, allow_unused=True)
    norms = [gradient.detach().float().norm() for gradient in gradients if gradient is not None]
    return float(torch.stack(norms).mean())
