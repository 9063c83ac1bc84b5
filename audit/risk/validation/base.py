"""What a validity study is made of: parts, their cells, and procedures that it must catch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from audit.core.registry import Registry


@runtime_checkable
class Cell(Protocol):
    """One setting in which procedures make a promise, and how often each of them breaks it.

    A frozen record that survives pickling; the label is unique in its part and names the random stream.
    ``slow``: quick studies run fewer replications of it.
    """

    slow: ClassVar[bool]

    @property
    def label(self) -> str:
        """Return the setting in words."""
        ...

    @property
    def promised(self) -> float:
        """Return the rate of violations that the procedures promise not to exceed."""
        ...

    @property
    def procedures(self) -> tuple[str, ...]:
        """Return what is judged here, one row of the table each."""
        ...

    def violations(self, random: np.random.Generator, replications: int) -> np.ndarray:
        """Return (P,) in how many of ``replications`` fresh draws each procedure broke its promise."""
        ...


@runtime_checkable
class Part(Protocol):
    """Cells about one kind of promise."""

    name: ClassVar[str]

    def cells(self) -> Iterable[Cell]:
        """Return the cells, in the order of the table."""
        ...


@runtime_checkable
class Invalid(Protocol):
    """A procedure known to break its promise. A study that does not flag it proves nothing.

    The first line of the class docstring says what is wrong with it.
    """

    name: ClassVar[str]
    promised: ClassVar[float]

    def violations(self, random: np.random.Generator, replications: int) -> int:
        """Return in how many of ``replications`` fresh draws the promise was broken."""
        ...


PARTS: Registry[Part] = Registry("part of the validity study", "audit.risk.validation.parts")
INVALID: Registry[Invalid] = Registry("invalid procedure", "audit.risk.validation.invalid")
