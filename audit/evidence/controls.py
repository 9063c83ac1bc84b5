"""Controls: an audit that cannot tell knowing from not knowing must say so (STATISTICS §5).

``original`` must FAIL without an attack; ``retrained`` must not FAIL under any. Both at delta_c = 0.001, shared over
attacks, outside the family. Where a control was not measured it is printed as missing, never assumed.

Other tools' logs name no secrets, so their controls are read from the loss that judges them. ``answered`` counts
guesses: where the retrained model is counted above the budget too, it says nothing about forgetting, and the control
stays missing. Few twins (20 in TOFU) are exceeded by chance: a retrained model above the budget is then no violation, but
twins that let it pass the budget tell nothing about a candidate either, and the control stays missing too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.core.rounding import rounded_down
from audit.evidence.certificate import ControlResult
from audit.plan.assemble import Assembly, Promise, Tables
from audit.risk import losses
from audit.risk.clauses import ClauseBounds, Levels, bound_clause

Bounded = tuple[Promise, ClauseBounds]

DELTA_CONTROLS = 0.001
_NEVER_TRAINED = "must not FAIL under any attack"
_BY_CHANCE = "must not lie above the twins under any attack more often than chance allows beside so few"
_NO_LOSS = "no loss that a control can be read from"


@dataclass(frozen=True)
class Controls:
    """``results`` for the certificate; ``informative`` maps (attack, dose) to whether the original fails there."""

    results: tuple[ControlResult, ...]
    missing: tuple[str, ...]
    informative: dict[tuple[str, float], bool]

    @property
    def violated(self) -> bool:
        """Whether some control misbehaved."""
        return any(item.outcome == "violated" for item in self.results)


def check(assembly: Assembly) -> Controls:
    """Test both controls on the forgetting clauses with ``recovered`` or ``above_twins``."""
    original, informative = _original(assembly)
    never_trained = _retrained(assembly) if "retrained" in assembly.references else _twins(assembly)
    results = [original, never_trained]
    missing = tuple(item.name for item in results if item.outcome == "not measured")
    return Controls(tuple(results), missing, informative)


def _original(assembly: Assembly) -> tuple[ControlResult, dict[tuple[str, float], bool]]:
    expectation = "must FAIL without an attack"
    if "original" not in assembly.references:
        return ControlResult(
            "original", expectation, "not measured", "no original among the configurations"
        ), {}
    bounds = _bounds(assembly, assembly.references["original"])
    if not bounds:
        return ControlResult("original", expectation, "not measured", _NO_LOSS), {}
    informative: dict[tuple[str, float], bool] = {}
    for promise, clause in bounds:
        cell = (promise.attack, promise.dose)
        informative[cell] = informative.get(cell, False) or bool(clause.fails[0])
    plain = [(p, c) for p, c in bounds if p.attack == "none"]
    if not plain:
        return ControlResult(
            "original", expectation, "not measured", "the unattacked original was not scored"
        ), informative
    promise, clause = max(plain, key=lambda pair: pair[1].lower_failing[0])
    outcome = "as expected" if informative["none", 0.0] else "violated"
    return ControlResult("original", expectation, outcome, _counts(clause, promise.loss)), informative


def _retrained(assembly: Assembly) -> ControlResult:
    bounds = _bounds(assembly, assembly.references["retrained"])
    level = DELTA_CONTROLS / max(len(bounds), 1)
    guessed = [(p, c) for p, c in bounds if p.loss == "answered" and c.estimate[0] > c.alpha]
    failed = [(p, c) for p, c in bounds if c.fails[0] and _chance(assembly, p, c) <= level]
    if not assembly.settings.imported or not any(p.loss == "above_twins" for p, _ in bounds):
        return _must_not_fail("retrained", bounds, guessed or failed)
    exceeding = [(p, c) for p, c in bounds if p.loss == "above_twins" and c.estimate[0] > c.alpha]
    return _must_not_fail("retrained", bounds, guessed or failed or exceeding, _BY_CHANCE, unlucky=not failed)


def _twins(assembly: Assembly) -> ControlResult:
    """Put twins, whom no model was trained on, in the units' place on the original."""
    name = "retrained"
    if "original" not in assembly.references or not assembly.count("twin"):
        missing = "neither a model trained without the forget list, nor twins"
        return ControlResult(name, _NEVER_TRAINED, "not measured", missing)
    tested = _tested(assembly, assembly.twin_clauses(assembly.references["original"]))
    bounds = [
        (p, c) for p, c in tested if p.loss != "answered"
    ]  # a few twins do not tell how often one guesses
    return _must_not_fail("twins", bounds, [pair for pair in bounds if pair[1].fails[0]])


def _must_not_fail(
    name: str,
    bounds: list[Bounded],
    failed: list[Bounded],
    expectation: str = _NEVER_TRAINED,
    *,
    unlucky: bool = False,
) -> ControlResult:
    """Judge a model that never saw the list; ``unlucky``: chance alone explains what ``failed``."""
    if not bounds:
        return ControlResult(name, expectation, "not measured", _NO_LOSS)
    promise, clause = max(bounds, key=lambda pair: pair[1].lower_failing[0])
    detail = f"worst under {promise.attack}: {_counts(clause, promise.loss)}"
    if failed and all(p.loss == "answered" for p, _ in failed):
        guessed = f"it guesses too often for this loss to tell anything; {detail}"
        return ControlResult("retrained", expectation, "not measured", guessed)
    if failed and unlucky:
        low = f"these twins set so low a threshold that a model which never saw the list exceeds the budget; {detail}"
        return ControlResult("retrained", expectation, "not measured", low)
    return ControlResult(name, expectation, "violated" if failed else "as expected", detail)


def _chance(assembly: Assembly, promise: Promise, clause: ClauseBounds) -> float:
    """Return how probable so many imported units above the twins are for a model that saw neither; 0 elsewhere."""
    if promise.loss != "above_twins" or not assembly.settings.imported:
        return 0.0
    twins = assembly.count("twin", split="threshold")
    rank = losses.twin_rank(twins, assembly.settings.beta)
    exceeding = int(np.nan_to_num(clause.total[0]))
    return losses.chance_above_twins(exceeding, int(clause.n[0]), twins, rank)


def _bounds(assembly: Assembly, name: str) -> list[Bounded]:
    """Return the measured forgetting clauses of a reference."""
    return _tested(assembly, assembly.control_clauses(name))


def _tested(assembly: Assembly, tables: Tables) -> list[Bounded]:
    """Bound every measured clause at delta_c over their number."""
    level = DELTA_CONTROLS / max(len(tables.promises), 1)
    levels, alpha = Levels(level, level, level), assembly.settings.alpha_forget
    pairs = zip(tables.promises, tables.table.clauses, strict=True)
    bounds = [(p, bound_clause(c, alpha, levels)) for p, c in pairs]
    return [(p, b) for p, b in bounds if b.measured[0] and b.applicable[0]]


def _counts(clause: ClauseBounds, loss: str) -> str:
    total, units = np.nan_to_num(clause.total[0]), int(clause.n[0])
    return f"{loss} {total:g} of {units}, at least {rounded_down(clause.lower_failing[0])} of the list"
