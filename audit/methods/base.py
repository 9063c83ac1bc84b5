"""What a method promises.

An objective gives the one step loop (``audit.models.training``) two terms to minimise; an edit changes
weights itself. Both are frozen records that print as their own constructor. Held for every registered
method: the same seed gives the same weights; no weight outside the scope changes; the value depends on
answer tokens only through the model (no padding, no batch neighbours); a term of weight zero is never
computed; after the default budget the forgotten answers are less likely than before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from audit.core.registry import Registry
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Example, Objective

Evidence = Literal["paper", "reproduced", "experimental"]


@runtime_checkable
class Method(Protocol):
    """What every registered class states about itself.

    ``family`` is the mechanism (divergence, preference, refusal, distillation, constrained, representation,
    arithmetic). ``needs`` names what it uses besides the forget set. ``cost`` is in forward-equivalents per
    step, graddiff = 1 (a count of forwards and backwards, not a measurement). ``budget_defaults`` are the
    Budget fields whose default differs for this method. ``source`` is the paper; ``evidence`` says how far
    the formula was checked against it. ``name`` is given by the registration.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    source: ClassVar[str]
    evidence: ClassVar[Evidence]
    cost: ClassVar[float]
    budget_defaults: ClassVar[Mapping[str, float]]

    @property
    def needs(self) -> frozenset[str]:
        """Names of the services used besides the forget set."""
        ...


@runtime_checkable
class Edit(Protocol):
    """A method that owns its weight change. At zero strength the model stays bit-identical."""

    def apply(
        self,
        model: LanguageModel,
        forget: Sequence[Example],
        retain: Sequence[Example],
        budget: Budget,
        scope: Scope,
        seed: int,
    ) -> None:
        """Change ``model`` in place, inside ``scope`` only."""
        ...


METHODS: Registry[Any] = Registry("method", "audit.methods.objectives", "audit.methods.edits")


def default_budget(cls: type[Method]) -> Budget:
    """Return the budget of a recipe that names none of its fields."""
    return Budget(**cls.budget_defaults)  # type: ignore[arg-type]


def kind(method: object) -> str:
    """Return ``edit`` or ``objective``; anything else is not a method."""
    if isinstance(method, Edit):
        return "edit"
    if isinstance(method, Objective):
        return "objective"
    raise ValueError(f"{type(method).__name__} is neither an objective nor an edit")
