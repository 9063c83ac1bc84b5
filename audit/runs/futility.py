"""Futility: a candidate that is shown to exceed a budget is not attacked any further.

Attacks run one after the other, the cheapest first, each on all opened subjects. After each the clauses known so far
are judged as the certificate will judge them: by lower bounds at delta over the number of planned clauses (STATISTICS
§5). A clause is looked at once, with its planned number of subjects, so each bound holds as it stands, and by the union
bound all of a candidate's hold together, whichever attack was the last. Hence a stop calls no candidate FAIL that
would not have been FAIL without it. A clause that was not measured has p = 1: a stop can only take PASS away, and K
stays, so it never inflates the error of the valid set either. A test that may be looked at after every subject
(``audit.risk.sequential``) pays for looks that nobody takes here, and would give a wider bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from audit.attacks.base import ATTACKS
from audit.measurements.table import Measurements
from audit.plan.assemble import Assembly
from audit.plan.naming import attack_label
from audit.risk.model import ConformalRiskModel
from audit.runs.collect import Configured
from audit.runs.job import Job


def measure(
    configured: Sequence[Configured],
    stage: Callable[[str, list[Job]], None],
    collected: Callable[[list[Configured]], Measurements],
) -> list[Configured]:
    """Measure every configuration, stopped candidates under the first attacks only; references under all.

    ``stage`` does jobs, ``collected`` returns the measurements there are so far.
    """
    going = list(configured)
    attacks = _cheapest_first(configured)
    for number, attack in enumerate(attacks):
        where = "unattacked" if attack == "none" else f"under {attack_label(attack)}"
        jobs = [job for c in going if not c.failure for job in c.measures if job.spec["attack"] == attack]
        stage(f"score {where}", jobs)
        if attacks[number + 1 :]:
            broken = exceeding(collected(going))
            going = [
                _stopped(c, attacks[: number + 1], where) if c.configuration in broken else c for c in going
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


def _cheapest_first(configured: Sequence[Configured]) -> list[str]:
    """Return the attacks of the lock, `none` first, which is what ships."""
    attacks = dict.fromkeys(job.spec["attack"] for c in configured for job in c.measures)
    return sorted(attacks, key=lambda attack: (attack != "none", ATTACKS.build(attack).cost))


def _stopped(item: Configured, attacks: Sequence[str], where: str) -> Configured:
    """Return ``item`` with all jobs given up that are not of ``attacks``, the first; stopped once, it stays so."""
    if item.given_up:
        return item
    done, left = (
        tuple(job for job in item.measures if (job.spec["attack"] in attacks) is wanted)
        for wanted in (True, False)
    )
    return replace(item, measures=done, given_up=left, because=f"shown to fail {where}")
