"""What a method promises, and what may be added to it.

An objective gives the one step loop (``audit.models.training``) two terms to minimise; an edit changes
weights itself; a driver is an edit that runs trainings of its own. A weighting decides how often the loop sees each
forget sequence, a step transform changes its updates, a post-calibration the finished model. All are frozen
records that print as their own constructor. Held for every registered
method: the same seed gives the same weights; no weight outside the scope changes; the value depends on
answer tokens only through the model (no padding, no batch neighbours); a term of weight zero is never
computed; after the default budget the forgotten answers are less likely than before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from audit.core.registry import Registry
from audit.models.load import LanguageModel
from audit.models.scope import Scope
from audit.models.training import Budget, Context, Example, Objective

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
    """A method that owns its weight change. At zero strength the model stays bit-identical.

    ``spends`` names the Budget fields it uses; a recipe that gives another one is refused. ``adapts`` says
    whether the change can live in an adapter (scope ``lora``).
    """

    name: ClassVar[str]
    spends: ClassVar[frozenset[str]]
    adapts: ClassVar[bool]

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

    def zero(self) -> Edit:
        """Return this edit at zero strength: the identity."""
        ...


@runtime_checkable
class Driver(Edit, Protocol):
    """An edit that runs trainings one after the other; ``stages`` says what they do, in order."""

    stages: ClassVar[tuple[str, ...]]


@runtime_checkable
class Emphasis(Protocol):
    """What every registered weighting states about itself, beside ``audit.models.training.Weighting``.

    ``needs`` names what it looks at besides the forget set: ``retain``. ``cost`` is what it spends once, before the
    first step, in epochs of graddiff over the forget sequences (a count of forwards and backwards).
    """

    name: ClassVar[str]
    source: ClassVar[str]
    evidence: ClassVar[Evidence]
    needs: ClassVar[frozenset[str]]
    cost: ClassVar[float]

    def weights(self, context: Context, share: float) -> np.ndarray:
        """Return the weights after ``share`` of the steps, shape (F,), >= 0, of mean 1."""
        ...

    def even(self) -> Emphasis:
        """Return this weighting with every weight 1: the identity."""
        ...


@runtime_checkable
class Transform(Protocol):
    """What every registered step states about itself, beside ``GradientStep`` or ``UpdateStep``.

    ``needs`` names the terms without which it has no meaning: ``forget``, ``retain``. ``cost`` multiplies the
    cost of the method's step (a count of forwards and backwards, not a measurement). ``never`` says in one
    sentence when it leaves the update as it is. ``gradients`` says what it does with those it is given: ``kept``,
    handed on, or masked where the update is masked as well; ``changed``; ``afresh``, it takes its own, so that
    what a step to its left changed would be lost (refused, E295).
    """

    name: ClassVar[str]
    source: ClassVar[str]
    evidence: ClassVar[Evidence]
    needs: ClassVar[frozenset[str]]
    never: ClassVar[str]
    gradients: ClassVar[Literal["kept", "changed", "afresh"]]

    @property
    def cost(self) -> float:
        """Factor on the cost of one step."""
        ...


@runtime_checkable
class Post(Protocol):
    """A post-calibration: a point on a one-dimensional path that starts at the model before unlearning.

    Chosen by hand or by looking at subjects of the tune split, who stand outside every claim. ``needs`` names the sides
    whose tune subjects it looks at: ``retain``, or none; a plan that deals none there is refused (E252). ``cost`` is
    the largest number of scoring passes over them.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    evidence: ClassVar[Evidence]
    needs: ClassVar[frozenset[str]]

    @property
    def cost(self) -> float:
        """Scoring passes, at most."""
        ...

    def calibrate(
        self, start: LanguageModel, made: LanguageModel, tune: Sequence[Example], seed: int
    ) -> None:
        """Change ``made``, the model unlearned from ``start``, in place.

        ``tune``: first wordings of the tune subjects of the sides in ``needs``, empty where there is none.
        """
        ...


METHODS: Registry[Any] = Registry(
    "method", "audit.methods.objectives", "audit.methods.edits", "audit.methods.drivers"
)
WEIGHTINGS: Registry[Any] = Registry("weighting", "audit.methods.weightings")
STEPS: Registry[Any] = Registry("step", "audit.methods.steps")
POSTS: Registry[Any] = Registry("post-calibration", "audit.methods.post")

_BUDGET = tuple(field.name for field in dataclasses.fields(Budget))


def default_budget(cls: type[Method]) -> Budget:
    """Return the budget of a recipe that names none of its fields."""
    return Budget(**cls.budget_defaults)  # type: ignore[arg-type]


def spends(cls: type[Method]) -> tuple[str, ...]:
    """Return the Budget fields a method uses, in order: all of them, unless it is an edit that says less."""
    named: frozenset[str] = getattr(cls, "spends", frozenset(_BUDGET))
    return tuple(name for name in _BUDGET if name in named)


def kind(method: object) -> str:
    """Return ``driver``, ``edit`` or ``objective``; anything else is not a method."""
    if isinstance(method, Driver):
        return "driver"
    if isinstance(method, Edit):
        return "edit"
    if isinstance(method, Objective):
        return "objective"
    raise ValueError(f"{type(method).__name__} is neither an objective nor an edit")
