"""UDS, the unlearning depth score: how much of an answer is gone from the blocks, by activation patching.

Lee, Kim, Jo 2026, arXiv:2605.24614, eqs. 1-6. Another model's states at the positions that predict the answer are
put into the original after one block; the drop of the answer's mean log-probability says what that model no longer
tells there. The retrained model's drops find the blocks that hold the knowledge and weigh them, the unlearned
model's are compared with them. The paper patches an entity marked by hand, here the whole answer is patched.

States can be exchanged only between models fine-tuned from the same weights: where each was trained from a start of
its own, a patch destroys what both know, and depth means nothing. ``survival`` tells the two cases apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.data.records import Probe
from audit.models.activations import answer_batches, block_states
from audit.models.batches import Batch, forward_answer_logits, sum_by_row
from audit.models.language_model import LanguageModel
from audit.models.layers import blocks
from audit.models.scoring import inference_context, score

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

COUNTED = 0.05  # nats a token: a block counts where the retrained model's patch costs more (the paper's tau)
KNOWN = math.log(
    1 / 2
)  # mean log-probability from which an answer counts as known; the paper drops others by hand
SURVIVING = 0.5  # share of what both models know that has to outlive a patch


@dataclass(frozen=True)
class Patched:
    """Mean log-probability of an answer of the original, nats a token: ``plain``, and (L,) patched after each block."""

    plain: float
    after: np.ndarray

    @property
    def drops(self) -> np.ndarray:
        """Return (L,) what the patches cost, positive where the other model tells less."""
        return self.plain - self.after


def patched(
    original: LanguageModel, source: LanguageModel, probes: Sequence[Probe], batch_tokens: int | None = None
) -> list[Patched]:
    """Return what ``original`` says of each probe's answer (EOS left out) with the states of ``source``, in order.

    Costs a forward of the source and L + 1 of the original. E290 where the two models' blocks do not fit.
    """
    _refuse_misfit(original, source)
    found: dict[int, Patched] = {}
    for chosen, batch in answer_batches(original, probes, batch_tokens):
        states, _ = block_states(source, batch, batch.rows, batch.positions)
        plain, after = _mean_logp(original, batch), []
        for block, state in zip(blocks(original.network), states, strict=True):
            with _replaced(block, batch, state):
                after.append(_mean_logp(original, batch))
        rows = zip(plain.tolist(), np.stack(after, axis=1), strict=True)
        found |= dict(zip(chosen, (Patched(*row) for row in rows), strict=True))
    return [found[index] for index in range(len(probes))]


def depth(unlearned: np.ndarray, retrained: np.ndarray, counted: float = COUNTED) -> float:
    """Return a score in [0, 1] from two models' drops (L,): 0 nothing is gone, 1 as much as from ``retrained``.

    Over the blocks where ``retrained`` exceeds ``counted``: sum of clip(unlearned, 0, retrained) over sum of
    retrained (eqs. 2-5). NaN where no block counts or a drop there is not finite.
    """
    unlearned, retrained = (np.asarray(x, dtype=np.float64) for x in (unlearned, retrained))
    if unlearned.shape != retrained.shape or unlearned.ndim != 1:
        raise ValueError(f"drops of the same blocks are needed, got {unlearned.shape}, {retrained.shape}")
    holds = ~(retrained <= counted)  # a drop that is not a number counts, and makes the score none
    if not holds.any() or not np.isfinite([unlearned[holds], retrained[holds]]).all():
        return float("nan")
    return float(np.clip(unlearned[holds], 0, retrained[holds]).sum() / retrained[holds].sum())


def patching_depth(
    model: LanguageModel, original: LanguageModel, retrained: LanguageModel, probes: Sequence[Probe]
) -> np.ndarray:
    """Return (n,) each probe's depth under ``model``; the mean over those that have one is the paper's UDS.

    NaN where no block counts, or where the original does not know the answer (``KNOWN``).
    """
    ours, theirs = (patched(original, source, probes) for source in (model, retrained))
    return np.array(
        [
            depth(mine.drops, other.drops) if mine.plain >= KNOWN else math.nan
            for mine, other in zip(ours, theirs, strict=True)
        ]
    )


def survival(original: LanguageModel, retrained: LanguageModel, retained: Sequence[Probe]) -> float:
    """Return the share in [0, 1] of (block, probe) in which the original still knows what both models know.

    About 1 where both were fine-tuned from the same weights. NaN where no probe is known to both.
    """
    known = [
        one.after
        for one, own in zip(patched(original, retrained, retained), score(retrained, retained), strict=True)
        if min(one.plain, float(own.logp.mean())) >= KNOWN
    ]
    return float((np.stack(known) >= KNOWN).mean()) if known else math.nan


def refuse_foreign(original: LanguageModel, retrained: LanguageModel, retained: Sequence[Probe]) -> None:
    """Raise E291 where patches destroy what both models know: then a depth would mean nothing."""
    share = survival(original, retrained, retained)
    if not share >= SURVIVING:
        raise AuditError(
            "E291",
            "with the states of `retrained` the original answers "
            + ("nothing that both know" if math.isnan(share) else f"{share:.0%} of what both know")
            + ": patching_depth compares models fine-tuned from the same weights",
            "train `retrained` from the weights that `original` started from, or leave patching_depth out",
        )


def _mean_logp(model: LanguageModel, batch: Batch) -> np.ndarray:
    """Return (B,) float64, the mean log-probability of each answer's tokens, nats."""
    with torch.inference_mode(), inference_context(model):
        every = forward_answer_logits(model.network, batch).log_softmax(-1)
        logp = every.gather(1, batch.targets[:, None])[:, 0].double()
        return (sum_by_row(logp, batch) / sum_by_row(torch.ones_like(logp), batch)).cpu().numpy()


@contextmanager
def _replaced(block: Any, batch: Batch, state: Tensor) -> Iterator[None]:
    """Let the block give ``state`` (N, H) at the batch's N answer positions."""

    def put(_module: Any, _inputs: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[batch.rows, batch.positions] = state.to(hidden)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = block.register_forward_hook(put)
    try:
        yield
    finally:
        handle.remove()


def _refuse_misfit(original: LanguageModel, source: LanguageModel) -> None:
    (ours, width), (theirs, other) = (
        (len(blocks(m.network)), m.network.get_input_embeddings().weight.shape[1]) for m in (original, source)
    )
    if (ours, width) != (theirs, other):
        raise AuditError(
            "E290",
            f"states of {theirs} blocks of width {other} cannot stand in {ours} blocks of width {width}",
            "compare models of one architecture, or leave patching_depth out",
        )
