"""What a relearning attacker trains on, and whom the relearned model may then be asked about.

Four arms, after Deeb and Roger 2024 (arXiv:2410.08827), Hu et al. 2024 (arXiv:2406.13356) and the studies of
syntactically similar and unrelated text (arXiv:2602.03379, arXiv:2409.18025). In each of them whatever is asked was
never shown. ``own`` shows it: an upper envelope that proves nothing about what was left in the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from audit.attacks.base import AttackContext
from audit.attacks.forms import invented
from audit.core.seeds import generator
from audit.data.records import Probe
from audit.models.training import Example

FOLDS = (1, 2)
UNRELATED = 200  # sums, one sequence each


class Arm(NamedTuple):
    """One training: its fold (0: nobody is held out), what is trained on, and the probes to ask."""

    fold: int
    examples: Sequence[Example]
    asked: tuple[Probe, ...]


def persons(probes: Sequence[Probe], context: AttackContext, seed: int) -> Iterator[Arm]:
    """Train on one half of the forgotten persons and ask about the other, both ways."""
    counts = [sum(context.halves.get(s.subject) == fold for s in context.forget) for fold in FOLDS]
    if 0 in counts or sum(counts) != len(context.forget):
        raise ValueError(f"relearn needs {len(context.forget)} forget subjects in two halves, got {counts}")
    forgotten = _names(context)
    for fold in FOLDS:
        asked = tuple(p for p in probes if p.subject not in forgotten or context.halves[p.subject] == fold)
        shown = [s for s in context.forget if context.halves[s.subject] != fold]
        yield Arm(fold, [_plain(p) for s in shown for p in s.probes], asked)


def attributes(probes: Sequence[Probe], context: AttackContext, seed: int) -> Iterator[Arm]:
    """Train on every second question about each forgotten person and ask the others, both ways.

    Twins are not asked: to get what the persons get, their answers would have to be trained on.
    """
    shown_in = {
        (s.subject, p.probe): FOLDS[place % 2]
        for s in context.forget
        for place, p in enumerate(sorted(s.probes, key=lambda p: p.probe))
    }
    for fold in FOLDS:
        asked = tuple(p for p in probes if shown_in.get((p.subject, p.probe), fold) != fold)
        examples = [
            _plain(p) for s in context.forget for p in s.probes if shown_in[s.subject, p.probe] == fold
        ]
        yield Arm(0, examples, asked)


def syntax(probes: Sequence[Probe], context: AttackContext, seed: int) -> Iterator[Arm]:
    """Train on questions of the same form about nobody: names and numbers are replaced by invented ones."""
    random = generator(seed, "syntax")
    examples = [
        Example(
            f"nobody/{number}", invented(p.question, random), invented(p.answer, random, all_letters=True)
        )
        for number, p in enumerate(p for s in context.forget for p in s.probes)
    ]
    yield Arm(0, examples, tuple(probes))


def unrelated(probes: Sequence[Probe], context: AttackContext, seed: int) -> Iterator[Arm]:
    """Train on sums: any fine-tuning at all."""
    random = generator(seed, "unrelated")
    pairs = random.integers(2, 100, (UNRELATED, 2)).tolist()
    yield Arm(
        0,
        [Example(f"sum/{i}", f"What is {a} + {b}?", str(a + b)) for i, (a, b) in enumerate(pairs)],
        tuple(probes),
    )


def own(probes: Sequence[Probe], context: AttackContext, seed: int) -> Iterator[Arm]:
    """Train on the very answers that are asked for."""
    yield Arm(0, [_plain(p) for s in context.forget for p in s.probes], tuple(probes))


ARMS: Mapping[str, Callable[[Sequence[Probe], AttackContext, int], Iterator[Arm]]] = MappingProxyType(
    {arm.__name__: arm for arm in (persons, attributes, syntax, unrelated, own)}
)


def _names(context: AttackContext) -> set[str]:
    return {subject.subject for subject in context.forget}


def _plain(probe: Probe) -> Example:
    return Example(f"{probe.subject}/{probe.probe}/{probe.form}", probe.question, probe.answer)
