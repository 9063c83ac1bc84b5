"""The scope of a driver's trainings: it has been applied once, each training moves a part of what it let move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from audit.models.language_model import LanguageModel
from audit.models.scope import Scope


@dataclass(frozen=True)
class Held(Scope):
    """Exactly the weights of these names, of a model whose adapter, if any, is there already."""

    names: frozenset[str] = frozenset()

    def apply(self, model: LanguageModel, *, seed: int = 0) -> None:
        """Make exactly these weights require gradients."""
        for name, weight in model.network.named_parameters():
            weight.requires_grad_(name in self.names)


def opened(scope: Scope, model: LanguageModel, seed: int) -> frozenset[str]:
    """Apply a scope and return the names of the weights it lets move."""
    scope.apply(model, seed=seed)
    return frozenset(name for name, weight in model.network.named_parameters() if weight.requires_grad)


def held(names: Iterable[str]) -> Held:
    """Return the scope of these weights."""
    return Held(names=frozenset(names))
