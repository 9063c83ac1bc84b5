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
from audit.models.alternates import another, sampled, swapped
from audit.models.batches import (
    Batch,
    Example,
    autocast,
    collate,
    forward_answer_logits,
    join,
    nll_by_row,
)
from audit.models.layers import block_output
from audit.models.load import Encoded, LanguageModel
from audit.models.refusals import refusal
from audit.models.starting_model import StartingModel, chunks

if TYPE_CHECKING:
    from torch import Tensor

torch = lazy("torch")

T = TypeVar("T")


class Context:
    """What an objective may ask of the running training.

    Attributes
    ----------
    model: the model being trained.
    step: number of the current step, from 0.
    steps: how many there are.
    forget, retain: this step's batches; None where the term has weight zero.
    forget_examples, retain_examples: all sequences of either side.
    seed: seed of the run.
    """

    def __init__(
        self, model: LanguageModel, forget: Sequence[Example], retain: Sequence[Example], seed: int
    ) -> None:
        self.model = model
        self.seed = seed
        self.step = 0
        self.steps = 0
        self.forget: Batch | None = None
        self.retain: Batch | None = None
        self.forget_examples, self.retain_examples = tuple(forget), tuple(retain)
        self.examples = (*forget, *retain)
        self._encoded: dict[str, Encoded] = {}
        self._shared = True
        self._logits: dict[tuple[Batch, bool], Tensor] = {}
        self._hidden: dict[tuple[Batch, int, bool], Tensor] = {}
        self._other: dict[tuple[str, Batch], Batch] = {}
        self._generators: dict[str, Any] = {}
        self._notes: dict[str, Any] = {}
        self._reference = StartingModel(self)
        self._encode_all()

    def prepare(self, needs: frozenset[str], *, keep_reference: bool) -> None:
        """Capture the starting model as far as ``needs`` asks for it."""
        if "sampled_alternates" in needs:
            self.remember("alternates", lambda: sampled(self.model, self.forget_examples, self.seed))
        self._reference.prepare(needs, keep=keep_reference)

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
        self._other.clear()

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

    def reference_retain_nll(self) -> float:
        """Return the starting model's mean nll per answer token over all retain sequences, nats."""
        batches = [self.batch(part) for part in chunks(self.retain_examples)]
        total = sum(float(self.reference_nll(batch).sum()) for batch in batches)
        return total / sum(len(batch.targets) for batch in batches)

    @property
    def start(self) -> LanguageModel:
        """Return the frozen starting model, where its logits or hidden states are needed."""
        return self._reference.frozen("logits")

    def once_per_sequence(
        self, name: str, batch: Batch, compute: Callable[[Batch], list[Tensor]]
    ) -> list[Tensor]:
        """Return what ``compute`` gives for each sequence, computed once in this run, no gradient.

        For values that stay the same while the model is trained: those of a frozen teacher.
        """
        return self._reference.values(name, batch, compute)

    def refusals(self, batch: Batch) -> Batch:
        """Return the same questions with refusal answers; a sequence keeps its refusal through the run."""
        return self._with_other("refusal", batch, self.refused)

    def refused(self, example: Example) -> Example:
        """Return an example with its refusal as answer."""
        return replace(example, key=f"{example.key}/refusal", answer=refusal(self.seed, example.key))

    def alternates(self, batch: Batch) -> Batch:
        """Return the same questions with plausible wrong answers, one of each sequence's few per step."""

        def alternate(example: Example) -> Example:
            known = self.all_alternates(example)
            return known[derive(self.seed, "alternate", example.key, self.step) % len(known)]

        return self._with_other("alternate", batch, alternate)

    def all_alternates(self, example: Example) -> list[Example]:
        """Return an example with each of its plausible wrong answers."""
        answers = self.remember(
            "alternates", lambda: swapped(self.forget_examples, self.retain_examples, self.seed)
        )[example.key]
        return [
            replace(example, key=f"{example.key}/alternate {i}", answer=answer)
            for i, answer in enumerate(answers)
        ]

    def mismatched(self, batch: Batch, answers: int) -> Batch:
        """Return the same questions ``answers`` times over, each with a random retain sequence's answer.

        What a sequence gets depends on seed, step and key, not on the batch.
        """

        def mismatch(example: Example, number: int) -> Example:
            seed = derive(self.seed, "mismatch", example.key, self.step, number)
            index, answer = another(example.answer, self.retain_examples, seed)
            return replace(example, key=f"{example.key}/as {index}", answer=answer)

        return self.batch([mismatch(one, number) for number in range(answers) for one in batch.examples])

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

    def _with_other(self, name: str, batch: Batch, answered: Callable[[Example], Example]) -> Batch:
        if (name, batch) not in self._other:
            self._other[name, batch] = self.batch([answered(example) for example in batch.examples])
        return self._other[name, batch]

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
