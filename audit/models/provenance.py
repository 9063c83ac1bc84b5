"""How a model's weights came about, where that can be done again: what exact methods ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from audit.core.errors import AuditError
from audit.core.seeds import derive
from audit.models.batches import Example
from audit.models.training import fit

if TYPE_CHECKING:
    from audit.models.language_model import LanguageModel


@runtime_checkable
class Training(Protocol):
    """A training that can be done again, with the forgotten persons or without them.

    With them and with seed 0 the result is the original, bit by bit, on the machine that made it.
    """

    def again(self, *, with_forgotten: bool, seed: int) -> LanguageModel:
        """Return the model trained from the very start; ``seed`` 0 repeats the original's own draws."""
        ...

    def resume(self, model: LanguageModel, *, with_forgotten: bool) -> LanguageModel:
        """Return ``model`` as it was before it saw anybody forgotten, trained on from there.

        AuditError E232 where no state before them was kept.
        """
        ...


@dataclass(frozen=True)
class FineTuning:
    """A fine-tuning of all weights from a starting model, with AdamW (``audit.models.training.fit``).

    ``start`` loads the starting model anew at each call. ``forget`` and ``retain`` are what the original learned.
    """

    start: Callable[[], LanguageModel]
    forget: Sequence[Example]
    retain: Sequence[Example]
    epochs: float
    batch: int
    lr: float
    seed: int

    def again(self, *, with_forgotten: bool, seed: int) -> LanguageModel:
        """Return the starting model trained on both sides, or on the retain side alone."""
        model = self.start()
        examples = [*self.forget, *self.retain] if with_forgotten else list(self.retain)
        if not examples:
            raise AuditError("E237", "there is no retain sequence to train on", "give retain data")
        drawn = derive(self.seed, "again", seed) if seed else self.seed
        fit(model, examples, optimizer="adamw", epochs=self.epochs, batch=self.batch, lr=self.lr, seed=drawn)
        return model

    def resume(self, model: LanguageModel, *, with_forgotten: bool) -> LanguageModel:
        """Raise E232: one fine-tuning of all weights has no state before the forgotten."""
        raise not_in_slices()


def not_in_slices() -> AuditError:
    """Return the refusal of SISA where the original was trained at once."""
    return AuditError(
        "E232",
        "the original was trained on everybody at once, no state before the forgotten was kept",
        "train it in slices: laboratory: {training: sisa(slices=2)}, or in shards: sharded(shards=2); or use retrain",
    )
