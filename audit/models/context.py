"""Services of one training run, built when asked for and computed once.

Within a step every forward pass is shared: whoever asks first for logits of the forget batch also computes
those of the retain batch. Values of the frozen starting model never change during a run, so they are kept per
sequence: NPO and DPO need one number per sequence, not a second forward pass per epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from audit.core.lazy import lazy
from audit.core.seeds import derive
from audit.models.batches import Batch, Example, autocast, collate, forward_answer_logits, join, nll_by_row
from audit.models.layers import block_output
from audit.models.load import Encoded, LanguageModel
from audit.models.refusals import refusal

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

T = TypeVar("T")

_CACHE_BYTES = 2 << 30  # beyond this, values of the starting model are computed again instead of kept
_WARM_BATCH = 64


class Context:
    """What an objective may ask of the running training.

    Attributes
    ----------
    model: the model being trained.
    step: number of the current step, from 0.
    forget, retain: this step's batches; None where the term has weight zero.
    seed: seed of the run.
    """

    def __init__(
        self, model: LanguageModel, forget: Sequence[Example], retain: Sequence[Example], seed: int
    ) -> None:
        self.model = model
        self.seed = seed
        self.step = 0
        self.forget: Batch | None = None
        self.retain: Batch | None = None
        self.examples = (*forget, *retain)
        self._forget_examples = tuple(forget)
        self._encoded: dict[str, Encoded] = {}
        self._shared = True
        self._logits: dict[tuple[Batch, bool], Tensor] = {}
        self._hidden: dict[tuple[Batch, int, bool], Tensor] = {}
        self._refusals: dict[Batch, Batch] = {}
        self._generators: dict[str, Any] = {}
        self._notes: dict[str, Any] = {}
        self._reference = _Reference(self)
        self._encode_all()

    def prepare(self, needs: frozenset[str], *, keep_reference: bool) -> None:
        """Capture the starting model as far as ``needs`` asks for it."""
        self._reference.prepare(needs, self._forget_examples, keep=keep_reference)

    def begin(
        self, step: int, forget: list[Example] | None, retain: list[Example] | None, *, shared: bool
    ) -> None:
        """Open a step; ``shared``: forget and retain may use one forward pass."""
        self.step, self._shared = step, shared
        self.forget = self.batch(forget) if forget else None
        self.retain = self.batch(retain) if retain else None

    def end(self) -> None:
        """Drop what only this step needed."""
        self._logits.clear()
        self._hidden.clear()
        self._refusals.clear()

    def batch(self, examples: Sequence[Example]) -> Batch:
        """Return the examples as one batch."""
        return collate(examples, [self.encoded(example) for example in examples], self.model.device)

    def encoded(self, example: Example) -> Encoded:
        """Return an example's tokens, computed once."""
        if example.key not in self._encoded:
            self._encoded[example.key] = self.model.encode(example.question, example.answer)
        return self._encoded[example.key]

    def answer_logits(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return float32 logits (N, V), targets (N,) and row index (N,) of the batch's N answer tokens."""
        graph = torch.is_grad_enabled()  # what was computed without a graph is of no use to training
        if (batch, graph) not in self._logits:
            group = self._group(batch, [known for known, had in self._logits if had == graph])
            with autocast(self.model):
                logits = forward_answer_logits(self.model.network, join(group))
            parts = logits.split([len(member.targets) for member in group])
            self._logits.update({(member, graph): part for member, part in zip(group, parts, strict=True)})
        return self._logits[batch, graph], batch.targets, batch.rows

    def nll(self, batch: Batch) -> Tensor:
        """Return the answers' negative log-likelihoods, EOS included, shape (B,), nats."""
        return nll_by_row(self.answer_logits(batch)[0], batch)

    def mean_nll(self, batch: Batch) -> Tensor:
        """Return the mean negative log-likelihood over all answer tokens of the batch, shape (), nats."""
        logits, targets, _ = self.answer_logits(batch)
        return torch.nn.functional.cross_entropy(logits, targets)

    def hidden(self, batch: Batch, layer: int) -> tuple[Tensor, Tensor]:
        """Return hidden states after block ``layer``, shape (B, T, H), and the mask of real tokens (B, T).

        Later blocks and lm_head do not run.
        """
        graph = torch.is_grad_enabled()
        if (batch, layer, graph) not in self._hidden:
            group = self._group(
                batch, [known for known, at, had in self._hidden if (at, had) == (layer, graph)]
            )
            with autocast(self.model):
                states = block_output(self.model.network, join(group).ids, layer)
            for member, part in zip(group, states.split([len(member) for member in group]), strict=True):
                self._hidden[member, layer, graph] = part[:, : member.ids.shape[1]]
        return self._hidden[batch, layer, graph], batch.mask

    def reference_nll(self, batch: Batch) -> Tensor:
        """Return ``nll`` under the frozen starting model, shape (B,), no gradient."""
        return torch.stack(self._reference.nll(batch))

    def reference_logits(self, batch: Batch) -> Tensor:
        """Return log-probabilities (N, V) of the batch's answer tokens under the frozen starting model."""
        return torch.cat(self._reference.logits(batch))

    def reference_hidden(self, batch: Batch, layer: int) -> Tensor:
        """Return ``hidden`` of the frozen starting model, shape (B, T, H), zero at padding."""
        states = self._reference.hidden(batch, layer)
        return torch.nn.utils.rnn.pad_sequence(states, batch_first=True)

    def refusals(self, batch: Batch) -> Batch:
        """Return the same questions with refusal answers; a sequence keeps its refusal through the run."""
        if batch not in self._refusals:
            self._refusals[batch] = self.batch([self.refused(example) for example in batch.examples])
        return self._refusals[batch]

    def refused(self, example: Example) -> Example:
        """Return an example with its refusal as answer."""
        return replace(example, key=f"{example.key}/refusal", answer=refusal(self.seed, example.key))

    def generator(self, name: str) -> Any:
        """Return the run's CPU ``torch.Generator`` of that name; it goes on where it was left."""
        if name not in self._generators:
            self._generators[name] = torch.Generator().manual_seed(derive(self.seed, name))
        return self._generators[name]

    def remember(self, name: str, build: Callable[[], T]) -> T:
        """Return what ``build`` gave when first asked for under this name in this run."""
        if name not in self._notes:
            self._notes[name] = build()
        return self._notes[name]

    def _group(self, batch: Batch, known: Any) -> list[Batch]:
        """Return the batches to compute together: the one asked for, and the retain batch if still open."""
        partner = self.retain
        if not self._shared or partner is None or partner is batch or partner in known:
            return [batch]
        return [batch, partner]

    def _encode_all(self) -> None:
        for example in self.examples:
            self.encoded(example)
        if len(self._encoded) != len(self.examples):
            raise ValueError(f"{len(self.examples)} examples have {len(self._encoded)} different keys")


class _Reference:
    """The frozen starting model: values per sequence, the network itself only where values are not enough."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.model: LanguageModel | None = None
        self._kept: dict[tuple, Tensor] = {}
        self._bytes = 0

    def prepare(self, needs: frozenset[str], forget: Sequence[Example], *, keep: bool) -> None:
        """Compute likelihoods of the forget side now; keep a copy only for logits and hidden states."""
        if "reference_nll" in needs:
            examples = [*forget]
            if "refusals" in needs:
                examples += [self.context.refused(example) for example in forget]
            self._warm(examples)
        if keep and needs & {"reference_logits", "reference_hidden"}:
            self.model = self.context.model.clone()
            self.model.network.requires_grad_(False)

    def nll(self, batch: Batch) -> list[Tensor]:
        def compute(network: Any, part: Batch) -> list[Tensor]:
            return list(nll_by_row(forward_answer_logits(network, part), part))

        return self._values("nll", batch, compute)

    def logits(self, batch: Batch) -> list[Tensor]:
        def compute(network: Any, part: Batch) -> list[Tensor]:
            logp = forward_answer_logits(network, part).log_softmax(-1)
            return list(logp.split(torch.bincount(part.rows, minlength=len(part)).tolist()))

        return self._values("logits", batch, compute)

    def hidden(self, batch: Batch, layer: int) -> list[Tensor]:
        def compute(network: Any, part: Batch) -> list[Tensor]:
            states = block_output(network, part.ids, layer)
            return [row[mask] for row, mask in zip(states, part.mask, strict=True)]

        return self._values(f"hidden {layer}", batch, compute)

    def _warm(self, examples: Sequence[Example]) -> None:
        self.model = self.context.model  # still the starting model
        for start in range(0, len(examples), _WARM_BATCH):
            self.nll(self.context.batch(examples[start : start + _WARM_BATCH]))
        self.model = None

    def _values(self, kind: str, batch: Batch, compute: Callable[[Any, Batch], list[Tensor]]) -> list[Tensor]:
        missing = [example for example in batch.examples if (kind, example.key) not in self._kept]
        fresh: dict[str, Tensor] = {}
        if missing:
            if self.model is None:
                raise ValueError(f"{kind} of the starting model: name reference_{kind.split()[0]} in needs")
            part = self.context.batch(missing)
            with torch.no_grad(), autocast(self.context.model):
                values = compute(self.model.network, part)
            fresh = {
                example.key: value.detach().clone() for example, value in zip(missing, values, strict=True)
            }
            self._keep(kind, fresh)
        return [fresh.get(key, self._kept.get((kind, key))) for key in batch.keys]  # type: ignore[misc]

    def _keep(self, kind: str, fresh: dict[str, Tensor]) -> None:
        size = sum(value.numel() * value.element_size() for value in fresh.values())
        if self._bytes + size <= _CACHE_BYTES:
            self._bytes += size
            self._kept.update({(kind, key): value for key, value in fresh.items()})
