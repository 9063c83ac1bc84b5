"""What open-unlearning averages over: every position of the padded batch, prompt and padding included.

locuslab/open-unlearning at d3d7cf9 takes UNDIAL's term and the KL divergence over all positions, which
dilutes both by the share of answer tokens. ``compat=open_unlearning`` reproduces that, to compare with
checkpoints published from there. Its collator also hides real end-of-sequence tokens from attention where
padding is the same token; that is not reproduced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.core.lazy import lazy
from audit.models.batches import autocast
from audit.models.layers import head, hidden_states
from audit.models.load import LanguageModel
from audit.models.training import Batch

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

COMPAT = ("paper", "open_unlearning")
IGNORED = -100  # label of prompt and padding


def check_compat(compat: str) -> None:
    """Refuse a compatibility that does not exist."""
    if compat not in COMPAT:
        raise ValueError(f"compat must be paper or open_unlearning, got {compat!r}")


def all_logits(model: LanguageModel, batch: Batch) -> Tensor:
    """Return float32 logits at every position, shape (B, T, V), padded and masked as a collator does it."""
    filler = model.tokenizer.pad_token_id
    filler = model.tokenizer.eos_token_id if filler is None else filler
    ids = batch.ids.masked_fill(~batch.mask, filler or 0)
    with autocast(model):
        return head(model.network, hidden_states(model.network, ids, batch.mask))


def labels(batch: Batch) -> Tensor:
    """Return the labels of such a batch, shape (B, T): the answers' tokens, -100 elsewhere."""
    made = torch.full_like(batch.ids, IGNORED)
    made[batch.rows, batch.positions + 1] = batch.targets
    return made
