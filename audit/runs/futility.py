"""Futility: a candidate that is shown to exceed a budget is measured no further.

Attacks run one after the other, the cheapest first. After each the clauses known so far are judged as the certificate
will judge them, by lower bounds at delta over the number of planned clauses (STATISTICS §5), so a stop calls no candidate
FAIL for which the certificate would not say so too. A clause that was not measured has p = 1: a stop can only take PASS
away, and K stays, so it never inflates the error of the valid set either.

``true`` looks at a clause once, with its planned number of subjects: its bound holds as it stands, and by the union bound
all of a candidate's hold together, whichever attack was the last. ``subjects`` looks more often: the opened subjects of a
cheap attack are scored in parts, in the recorded order, and between them the anytime-valid test of ``audit.risk.wealth``
is asked (``audit.risk.exceedance``). That one and the planned bound share the error probability, half each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from audit.attacks.base import ATTACKS
from audit.measurements.table import OPENED_BEFORE, Measurements
from audit.plan.assemble import Assembly
from audit.plan.naming import attack_label
from audit.risk.model import ConformalRiskModel
from audit.runs.collect import Configured
from audit.runs.job import Job
from audit.runs.split import Unit

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the opened subjects after which a look is taken, besides the end
FEWEST = (
    8  # subjects of either side between two looks: a job of its own for fewer costs more than it can save
)
CHEAP = 2.0  # forward-equivalents: what prepares a dearer attack would be done again for every part


@dataclass(frozen=True)
class Part:
    """Subjects that are scored between two looks: side -> names, and side -> how many of the opened ones are scored then."""

    units: dict[str, list[str]]
    looked: Mapping[str, int]


def parts(opened: Mapping[str, Sequence[str]], units: Iterable[Unit]) -> list[Part]:
    """Cut ``opened`` (side -> subjects) along the recorded order; twins, a threshold, come first, all others last."""
    order = {
        u.subject: u.order
        for u in units
        if u.split == "calibrate" and u.auditable and u.group != OPENED_BEFORE and u.side != "twin"
    }
    rows = {
        side: sorted((s for s in names if s in order), key=order.__getitem__)
        for side, names in opened.items()
    }
    fewest = min((len(names) for names in rows.values() if names), default=0)
    cuts = [share for share in SHARES if share * fewest >= FEWEST]
    found, done = [], dict.fromkeys(rows, 0)
    for share in (*cuts, 1.0):
        until = {side: ceil(share * len(names)) for side, names in rows.items()}
        chosen = {side: names[done[side] : until[side]] for side, names in rows.items()}
        if not found:
            chosen["twin"] = list(opened.get("twin", ()))
        if share == 1.0:
            others = {
                side: [s for s in names if s not in order] for side, names in opened.items() if side != "twin"
            }
            chosen = {side: [*names, *others.get(side, ())] for side, names in chosen.items()}
        found.append(Part(chosen, until))
        done = until
    return found


def is_divisible(attack: str) -> bool:
    """Return whether subjects may be asked part by part: nothing dear would be done again for every part."""
    built = ATTACKS.build(attack)
    return built.cost < CHEAP or built.tier == "sampling"


def measure(
    configured: Sequence[Configured],
    stage: Callable[[str, list[Job]], None],
    collected: Callable[[list[Configured]], Measurements],
    looked: Sequence[Mapping[str, int]] = (),
) -> list[Configured]:
    """Measure every configuration, stopped candidates under the first attacks only; references under all.

    ``stage`` does jobs, ``collected`` returns the measurements there are so far. ``looked``: side -> opened subjects that
    are scored after each part, where a candidate has several jobs for one attack.
    """
    going = list(configured)
    rounds = _rounds(configured)
    for number, (attack, part) in enumerate(rounds):
        where = "unattacked" if attack == "none" else f"under {attack_label(attack)}"
        due = {id(c): _due(c, attack, part) for c in going}
        stage(f"score {where}", [job for c in going if not c.failure for job in due[id(c)]])
        if rounds[number + 1 :]:
            before = rounds[: number + 1]
            paused = [_stopped(c, before, where, looked) for c in going]
            broken = exceeding(collected(paused))
            going = [
                there if c.configuration in broken else c for c, there in zip(going, paused, strict=True)
            ]
    return going


def exceeding(measurements: Measurements) -> frozenset[str]:
    """Return the candidates of which some clause's lower bound exceeds its budget, at the level of FAIL."""
    assembly = Assembly(measurements)
    settings, tables = assembly.settings, assembly.deciding(assembly.candidates)
    # Bounds do not depend on how candidates share the error: any procedure gives the same lower ones.
    model = ConformalRiskModel(settings.alpha_forget, settings.alpha_utility, settings.delta, "bonferroni")
    fails = model.fit(tables.table).fails_
    return frozenset(name for name, broken in zip(assembly.candidates, fails, strict=True) if broken)


def _rounds(configured: Sequence[Configured]) -> list[tuple[str, int]]:
    """Return (attack, part) in the order in which they are done: `none` first, which is what ships, then by cost."""
    counts: dict[str, int] = {}
    for item in configured:
        for attack in {job.spec["attack"] for job in item.measures}:
            counts[attack] = max(counts.get(attack, 0), len(_jobs(item, attack)))
    planned = dict.fromkeys(job.spec["attack"] for c in configured for job in c.measures)
    by_cost = sorted(planned, key=lambda attack: (attack != "none", ATTACKS.build(attack).cost))
    return [(attack, part) for attack in by_cost for part in range(counts[attack])]


def _jobs(item: Configured, attack: str) -> list[Job]:
    return [job for job in item.measures if job.spec["attack"] == attack]


def _due(item: Configured, attack: str, part: int) -> list[Job]:
    """Return the job of one part; a reference, measured in one piece, is measured with the first."""
    return _jobs(item, attack)[part : part + 1]


def _stopped(
    item: Configured, done: Sequence[tuple[str, int]], where: str, looked: Sequence[Mapping[str, int]]
) -> Configured:
    """Return ``item`` with all jobs given up that are not of ``done``, the first rounds; stopped once, it stays so."""
    if item.given_up:
        return item
    attack, part = done[-1]
    measures = [job for a in dict.fromkeys(a for a, _ in done) for job in _jobs(item, a)]
    half_way = _jobs(item, attack)[part + 1 :]
    measures = tuple(job for job in item.measures if job in measures and job not in half_way)
    given_up = tuple(job for job in item.measures if job not in measures)
    because = f"shown to fail {where}"
    if half_way:
        because += f" after {looked[part]['forget']} subjects"
    return replace(
        item, measures=measures, given_up=given_up, because=because, looked=looked[part] if half_way else {}
    )
