"""The frozen starting model of a training run: values per sequence, a copy of the network only where needed.

Its values never change while the model is trained, so each is computed once per sequence: NPO and DPO need
one number per sequence, not a second forward pass per epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from audit.core.lazy import lazy
from audit.models.batches import Batch, Example, autocast, by_row, forward_answer_logits, nll_by_row
from audit.models.layers import block_output
from audit.models.load import LanguageModel

if TYPE_CHECKING:
    from torch import Tensor

    from audit.models.context import Context

torch = lazy("torch")

_CACHE_BYTES = 2 << 30  # beyond this, values of the starting model are computed again instead of kept
_WARM_BATCH = 64
_COPIED = frozenset(
    f"reference_{side}{values}" for side in ("", "retain_") for values in ("logits", "hidden")
)  # services that a likelihood per sequence is not enough for


class StartingModel:
    """The frozen starting model: values per sequence, the network itself only where values are not enough."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.model: LanguageModel | None = None
        self._kept: dict[tuple, Tensor] = {}
        self._bytes = 0

    def prepare(self, needs: frozenset[str], *, keep: bool) -> None:
        """Compute likelihoods now; keep a copy of the network only for logits and hidden states."""
        context = self.context
        examples = list(context.forget_examples) if "reference_nll" in needs else []
        if "reference_nll" in needs and "refusals" in needs:
            examples += [context.refused(example) for example in context.forget_examples]
        if "reference_nll" in needs and needs & {"alternates", "sampled_alternates"}:
            examples += [
                other for example in context.forget_examples for other in context.all_alternates(example)
            ]
        if "reference_retain_nll" in needs:
            examples += context.retain_examples
        self._warm(examples)
        if keep and needs & _COPIED:
            self.model = context.model.clone()
            self.model.network.requires_grad_(False)

    def frozen(self, service: str) -> LanguageModel:
        """Return the model itself; ``ValueError`` where ``service`` was not asked for in time."""
        if self.model is None:
            raise ValueError(
                f"{service} of the starting model: name reference_{service} in needs, "
                f"reference_retain_{service} for a retain term"
            )
        return self.model

    def nll(self, batch: Batch) -> list[Tensor]:
        """Return the summed nll of each sequence's answer, B times shape (), nats."""

        def compute(part: Batch) -> list[Tensor]:
            return list(nll_by_row(forward_answer_logits(self.frozen("nll").network, part), part))

        return self.values("nll", batch, compute)

    def logits(self, batch: Batch) -> list[Tensor]:
        """Return the log-probabilities at each sequence's answer tokens, B times (tokens, V)."""

        def compute(part: Batch) -> list[Tensor]:
            logits = forward_answer_logits(self.frozen("logits").network, part)
            return by_row(logits.log_softmax(-1), part)

        return self.values("logits", batch, compute)

    def hidden(self, batch: Batch, layer: int) -> list[Tensor]:
        """Return the hidden states after block ``layer`` at each sequence's tokens, B times (tokens, H)."""

        def compute(part: Batch) -> list[Tensor]:
            states = block_output(self.frozen("hidden").network, part.ids, layer)
            return [row[mask] for row, mask in zip(states, part.mask, strict=True)]

        return self.values(f"hidden {layer}", batch, compute)

    def values(self, kind: str, batch: Batch, compute: Callable[[Batch], list[Tensor]]) -> list[Tensor]:
        """Return a value per sequence, computed for those of the batch that have none yet."""
        missing = [example for example in batch.examples if (kind, example.key) not in self._kept]
        fresh: dict[str, Tensor] = {}
        if missing:
            with torch.no_grad(), autocast(self.context.model):
                values = compute(self.context.batch(missing))
            fresh = {
                example.key: value.detach().clone() for example, value in zip(missing, values, strict=True)
            }
            self._keep(kind, fresh)
        return [fresh.get(key, self._kept.get((kind, key))) for key in batch.keys]  # type: ignore[misc]

    def _warm(self, examples: Sequence[Example]) -> None:
        self.model = self.context.model  # still the starting model
        for part in chunks(examples):
            self.nll(self.context.batch(part))
        self.model = None

    def _keep(self, kind: str, fresh: dict[str, Tensor]) -> None:
        size = sum(value.numel() * value.element_size() for value in fresh.values())
        if self._bytes + size <= _CACHE_BYTES:
            self._bytes += size
            self._kept.update({(kind, key): value for key, value in fresh.items()})


def chunks(examples: Sequence[Example]) -> list[Sequence[Example]]:
    """Return the examples in parts that fit a forward pass without a graph."""
    return [examples[start : start + _WARM_BATCH] for start in range(0, len(examples), _WARM_BATCH)]
