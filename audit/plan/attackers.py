"""Attacks of an audit as parts of an attacker: who has which tools, and what each unit loses to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.attacks.base import TIERS
from audit.plan.assemble import OPENED, Assembly, Promise
from audit.plan.cube import Cell
from audit.plan.forget_losses import OF_SECRETS, yielded
from audit.risk import losses
from audit.risk.attackers import Part, as_clause, worst_case
from audit.risk.subjects import Tally, tally
from audit.risk.table import Clause


@dataclass(frozen=True)
class Attacker:
    """Somebody with the tools of ``cells``: all attacks up to a tier, or one attack at any dose up to one."""

    label: str
    cells: tuple[Cell, ...]


def tiers(assembly: Assembly) -> tuple[Attacker, ...]:
    """Return attackers of growing budget, prompt ⊂ sampling ⊂ weights ⊂ finetune; tiers without an attack are left out."""
    tier_of = {record["attack"]: record["tier"] for record in assembly.header.get("attacks", ())}
    tier_of.setdefault("none", TIERS[0])
    found, tools = [], []
    for tier in TIERS:
        more = [cell for cell in assembly.cells if tier_of.get(cell[0]) == tier]
        tools += more
        if more:
            found.append(Attacker(tier, tuple(tools)))
    return tuple(found)


def doses(assembly: Assembly) -> dict[str, tuple[Attacker, ...]]:
    """Return, for each attack with several doses, attackers who may stop at any dose up to d, no attack included."""
    found: dict[str, tuple[Attacker, ...]] = {}
    for attack in dict.fromkeys(attack for attack, _ in assembly.cells):
        mine = sorted(cell for cell in assembly.cells if cell[0] == attack)
        start = [cell for cell in assembly.cells if cell[0] == "none"]
        if len(mine) > 1:
            steps = [*start, *mine]
            found[attack] = tuple(
                Attacker(f"{steps[i][1]:g}", tuple(steps[: i + 1])) for i in range(len(steps))
            )
    return found


def everything(assembly: Assembly) -> Attacker:
    """Return the attacker who has every locked attack at every dose."""
    return Attacker("every attack", tuple(assembly.cells))


def clause(
    assembly: Assembly,
    loss: str,
    attacker: Attacker,
    names: Sequence[str],
    among: tuple[np.ndarray, int | None] | None = None,
) -> Clause:
    """Return the clause about the worst case of ``loss`` for ``attacker``: calibrate units, those seen before counted.

    ``among`` picks some of ``opened + seen``, (n,) bool, with how many of them the list has (None: draws of no list).
    """
    opened, seen = assembly.opened("forget", OPENED), assembly.seen("forget")
    worst = worst_case([part(assembly, loss, cell, names, (*opened, *seen)) for cell in attacker.cells])
    everybody = np.ones(len(opened) + len(seen), dtype=bool), assembly.population("forget")
    chosen, population = everybody if among is None else among
    return as_clause(
        f"{loss} | {attacker.label}",
        Part(worst.losses[:, chosen], worst.measured, worst.applicable, worst.reached[chosen]),
        opened=int(chosen[: len(opened)].sum()),
        population=population,
        fixed=assembly.header["losses"] == "fixed",
        binary=loss in losses.BINARY,
    )


def part(assembly: Assembly, loss: str, cell: Cell, names: Sequence[str], subjects: tuple[str, ...]) -> Part:
    """Return what the configurations ``names`` lose to one attack at one dose, unit by unit."""
    states = [assembly.state(name, Promise(loss, "forget", *cell))[0] for name in names]
    values = assembly.unit_losses(loss, cell, subjects)
    rows = [assembly.cube.configurations.index(name) for name in names]
    return Part(
        losses=np.full((len(rows), len(subjects)), np.nan) if values is None else values[rows],
        measured=np.array([state == "measured" and values is not None for state in states], dtype=bool),
        applicable=np.array([state != "not_applicable" for state in states], dtype=bool),
        reached=np.asarray(asked(assembly, loss, cell, subjects).any(axis=1)),
    )


def asked(assembly: Assembly, loss: str, cell: Cell, subjects: Sequence[str]) -> np.ndarray:
    """Return (n, P) bool: the probes that ``loss`` is read from under an attack."""
    seen = assembly.cell(cell, list(subjects))
    return seen.asked & seen.cube.secret[seen.units] if loss in OF_SECRETS else seen.asked


def tallies(assembly: Assembly, loss: str, names: Sequence[str], subjects: Sequence[str]) -> list[Tally]:
    """Return, for each configuration, what every subject leaked: questions and attacks; doses of an attack are one.

    ``loss`` is 0/1. Losses that judge all answers of a subject together count as one question.
    """
    attacks = dict.fromkeys(attack for attack, _ in assembly.cells)
    found = {attack: _by_attack(assembly, loss, attack, names, tuple(subjects)) for attack in attacks}
    return [
        tally(
            {attack: hits[row] for attack, (hits, _) in found.items()},
            {attack: tried[row] for attack, (_, tried) in found.items()},
        )
        for row in range(len(names))
    ]


def _by_attack(
    assembly: Assembly, loss: str, attack: str, names: Sequence[str], subjects: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (C, n, P) leaks at any dose, NaN where none is known and some is missing, and (C, n, P) what was asked."""
    cells = [cell for cell in assembly.cells if cell[0] == attack]
    told = [_hits(assembly, loss, cell, names, subjects) for cell in cells]
    tried = np.stack([asked for _, asked in told])
    values = np.stack([hits for hits, _ in told])
    leaked = (tried & (values == 1)).any(axis=0)
    missing = (tried & np.isnan(values)).any(axis=0)
    return np.where(leaked, 1.0, np.where(missing, np.nan, 0.0)), np.asarray(tried.any(axis=0))


def _hits(
    assembly: Assembly, loss: str, cell: Cell, names: Sequence[str], subjects: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (C, n, P) leaks, NaN without a score, and (C, n, P) which probes were asked; P = 1 for whole subjects."""
    rows = [assembly.cube.configurations.index(name) for name in names]
    seen, tried = assembly.cell(cell, list(subjects)), asked(assembly, loss, cell, subjects)
    if loss == "recovered":
        values = yielded(seen)[rows]
    elif loss == "answered":
        scores = seen.values("rouge_l_recall")[rows]
        values = np.where(np.isnan(scores), np.nan, scores >= assembly.settings.tau)
    else:
        whole = assembly.unit_losses(loss, cell, subjects)
        values = np.full((len(rows), len(subjects), 1), np.nan) if whole is None else whole[rows][:, :, None]
        tried = np.asarray(tried.any(axis=1, keepdims=True))
    states = [assembly.state(name, Promise(loss, "forget", *cell))[0] for name in names]
    measured = np.array([state == "measured" for state in states])[:, None, None]
    applicable = np.array([state != "not_applicable" for state in states])[:, None, None]
    return np.where(measured, values, np.nan), tried & applicable


@dataclass(frozen=True)
class BaseRate:
    """``above`` of ``twins`` held-out twins were taken for known under ``cells`` attacks and doses together."""

    above: int
    twins: int
    cells: int


def base_rate(assembly: Assembly, name: str, attacker: Attacker) -> BaseRate | None:
    """Return what ``attacker`` finds on model ``name`` among twins, whom nobody trained on; None if not measured.

    It is what perfect unlearning would show. Half of the threshold twins stand in the units' place, the other half
    sets each attack's threshold. A twin without a score under some attack is left out.
    """
    found = [assembly.twin_losses(name, "above_twins", cell) for cell in attacker.cells]
    told = [values for values in found if values is not None]
    if not told:
        return None
    worst = np.stack(told).max(axis=0)
    return BaseRate(int(np.nansum(worst)), int((~np.isnan(worst)).sum()), len(told))
