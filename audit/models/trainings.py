"""How a laboratory's original is trained: in full, with the forgotten in an adapter, in slices or in shards.

The last three are the trainings that can forget exactly. SISA (Bourtoule et al. 2021, arXiv:1912.03817) trains
constituents on disjoint shards, each slice after slice, and keeps the state before every slice; whoever asks to be
forgotten, training goes back to the state before their slice and on from there without them. The two halves of it
are two trainings here. ``sharded``: every constituent is a whole network, and the sum of their logits is one
checkpoint (``audit.models.joined``). ``sisa``: slices of one shard; every slice is a LoRA adapter on the frozen
state before it, as in S3T (Basu Roy Chowdhury et al. 2024, arXiv:2406.16257).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from audit.core.errors import AuditError
from audit.core.registry import Registry, canonical
from audit.core.seeds import generator
from audit.data.records import Corpus, Subject

FULL = "full"


class Dealt(NamedTuple):
    """Who is learned where: ``base`` in all weights, each slice in an adapter of its own, each shard in a network."""

    base: tuple[Subject, ...]
    slices: tuple[tuple[Subject, ...], ...] = ()
    shards: tuple[tuple[Subject, ...], ...] = ()


TRAININGS: Registry[Any] = Registry("training")


@TRAININGS.register(FULL)
@dataclass(frozen=True)
class Full:
    """All weights learn everybody at once."""

    rank: ClassVar[int] = 0

    def deal(self, corpus: Corpus, seed: int) -> Dealt:
        """Return everybody in the base."""
        return Dealt((*corpus.forget, *corpus.retain), ())


@TRAININGS.register("adapter")
@dataclass(frozen=True)
class Adapter:
    """All weights learn the retained persons, one adapter on top the forgotten ones."""

    rank: int = 16

    def __post_init__(self) -> None:
        _refuse_odd(rank=self.rank)

    def deal(self, corpus: Corpus, seed: int) -> Dealt:
        """Return the retain side as base, the forget side as the one slice."""
        return Dealt(corpus.retain, (corpus.forget,))


@TRAININGS.register("sisa")
@dataclass(frozen=True)
class Sisa:
    """All weights learn half of the retained persons, then one adapter per slice the others.

    Forgotten persons are dealt to the later half of the slices: SISA puts those who may ask where they cost least.
    """

    slices: int = 2
    rank: int = 16

    def __post_init__(self) -> None:
        _refuse_odd(slices=self.slices, rank=self.rank)

    def deal(self, corpus: Corpus, seed: int) -> Dealt:
        """Return the persons by chance. Whoever is forgotten later leaves a place empty; nobody else moves."""
        random = generator(seed, "slices")
        retain = [corpus.retain[i] for i in random.permutation(len(corpus.retain))]
        forget = [corpus.forget[i] for i in random.permutation(len(corpus.forget))]
        half, late = len(retain) // 2, (self.slices + 1) // 2
        kept = _parts(retain[half:], self.slices)
        asked = [()] * (self.slices - late) + _parts(forget, late)
        return Dealt(tuple(retain[:half]), tuple((*a, *k) for a, k in zip(asked, kept, strict=True)))


@TRAININGS.register("sharded")
@dataclass(frozen=True)
class Sharded:
    """One network learns each shard of the persons, and all of them together are the original.

    Forgotten persons are all in the last shard: who is likely to ask should share few shards (section VII of the paper).
    """

    rank: ClassVar[int] = 0

    shards: int = 2

    def __post_init__(self) -> None:
        _refuse_odd(shards=self.shards)
        if self.shards < 2:
            raise AuditError("E244", "one shard is no sharding", "give shards=2 or more, or training: full")

    def deal(self, corpus: Corpus, seed: int) -> Dealt:
        """Return the retained persons dealt by chance, the forgotten in the last shard; E245 for too few of them."""
        if len(corpus.retain) < self.shards:
            raise few_for_shards(len(corpus.retain), self.shards)
        retain = [corpus.retain[i] for i in generator(seed, "shards").permutation(len(corpus.retain))]
        *others, last = _parts(retain, self.shards)
        return Dealt((), (), (*others, (*corpus.forget, *last)))


def few_for_shards(people: int, shards: int) -> AuditError:
    """Return the refusal of shards that nobody would be left in."""
    return AuditError(
        "E245",
        f"{people} retained persons cannot fill {shards} shards",
        "give more retained persons under `sizes`, or fewer shards",
    )


def training_text(text: str) -> str:
    """Return the canonical text of a training; E110 to E112 as for any constructor text, E234 and E244 for odd numbers."""
    return canonical(TRAININGS.build(text))


def _parts(people: Sequence[Subject], count: int) -> list[tuple[Subject, ...]]:
    return [tuple(people[i::count]) for i in range(count)]


def _refuse_odd(**numbers: Any) -> None:
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise AuditError("E234", f"{name} of a training is {value!r}", "give a whole number from 1 on")
