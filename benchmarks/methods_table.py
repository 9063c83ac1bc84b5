"""The table of ``methods.py``: which configuration of a search stands for a method, and what its numbers say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from methods_ground import is_reference

from audit.core.rounding import rounded_up

# The default budgets, here of estimates only; a little more, because 9 of 90 may come out as 0.10000000000000002.
TOLERATED = 0.1 + 1e-9
HEAD = (
    "| method | best setting | recovered | utility harm | CUR unattacked | CUR int4 | CUR relearned "
    "| CPU s | peak MiB | reading |"
)
ATTACKS = ("none", "quantize", "relearn")


def lines(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the Markdown table: methods by their worst CUR, references last; numbers are means over seeds."""
    by_method = grouped(found)
    methods = sorted((m for m in by_method if not is_reference(m)), key=lambda m: rank(by_method[m]))
    order = [*methods, *(m for m in by_method if is_reference(m))]
    return [HEAD, "|" + "---|" * (HEAD.count("|") - 1), *(row(name, by_method[name]) for name in order)]


def measured(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return recipe without numbers -> its ``summary``: what ``unlearn-audit methods`` shows beside a method."""
    return {m: summary(chosen) for m, chosen in sorted(grouped(found).items()) if not is_reference(m)}


def grouped(found: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return method -> the configuration that stands for it under each seed."""
    by_method: dict[str, list[dict[str, Any]]] = {}
    for item in found:
        by_method.setdefault(item["method"], []).append(best(item["configurations"]))
    return by_method


def best(configurations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the configuration whose larger of worst CUR and bounded harm is least; the first failed one otherwise.

    Where an attack brings everything back at every strength, the larger of unattacked CUR and bounded harm decides.
    """
    done = [c for c in configurations if not c["failure"]]
    return min(done, key=_sides) if done else configurations[0]


def _sides(c: dict[str, Any]) -> tuple[float, float]:
    return max(c["worst_cur"], c["harm_upper"]), max(under(c["cur"], "none"), c["harm_upper"])


def rank(chosen: Sequence[dict[str, Any]]) -> tuple[bool, float]:
    """Return the key of a method's place: failed ones last, then by the worse of CUR and bounded harm."""
    failed = any(c["failure"] for c in chosen)
    return failed, 0.0 if failed else fmean(max(c["worst_cur"], c["harm_upper"]) for c in chosen)


def summary(chosen: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a method's numbers, means over seeds, CURs rounded up; only ``failure`` if it failed under some seed."""
    failures = [c["failure"] for c in chosen if c["failure"]]
    if failures:
        return {"failure": failures[0]}
    # A mean of equal decimals is off by the last bit, and rounding up would make a thousandth of it.
    curs = {
        attack: rounded_up(round(fmean(under(c["cur"], attack) for c in chosen), 12)) for attack in ATTACKS
    }
    return {
        "setting": "; ".join(dict.fromkeys(c["configuration"] for c in chosen)),
        "recovered": _mean(under(c["recovered"], "none") for c in chosen),
        "harm": _mean(c["harm"] for c in chosen),
        "cur": curs,
        "reading": reading(chosen),
    }


def row(method: str, chosen: Sequence[dict[str, Any]]) -> str:
    """Return one line; a method that failed under some seed shows the reason and no numbers."""
    found = summary(chosen)
    if "failure" in found:
        return (
            f"| {method} |{' – |' * (HEAD.count('|') - 3)} no result: {found['failure'].replace('|', '/')} |"
        )
    setting, words = ("–", "–") if is_reference(method) else (found["setting"], found["reading"])
    cost = [
        f"{fmean(c['cpu_seconds'] for c in chosen):.1f}" if all("cpu_seconds" in c for c in chosen) else "–",
        f"{max(c['peak_bytes'] for c in chosen) / 2**20:.0f}"
        if all("peak_bytes" in c for c in chosen)
        else "–",
    ]
    numbers = [found["recovered"], found["harm"], *found["cur"].values()]
    return f"| {' | '.join([method, setting, *numbers, *cost, words])} |"


def reading(chosen: Sequence[dict[str, Any]]) -> str:
    """Say what the means over seeds show, in words; of estimates, so nothing is promised by it."""
    recovered = fmean(under(c["recovered"], "none") for c in chosen)
    attacked = max(fmean(under(c["recovered"], attack) for c in chosen) for attack in ATTACKS)
    forgets, keeps = recovered <= TOLERATED, fmean(c["harm"] for c in chosen) <= TOLERATED
    if forgets and keeps:
        return "works" if attacked <= TOLERATED else "works until attacked"
    if keeps:
        return "does not forget"
    return "destroys what should stay" if forgets else "neither forgets nor keeps"


def under(values: dict[str, float], attack: str) -> float:
    """Return the worst value under the attack of this name, at whatever settings; every attack must be there."""
    return max(value for text, value in values.items() if text.split("(")[0] == attack)


def slug(text: str) -> str:
    """Return a text as part of a file name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")


def _mean(values: Any) -> str:
    return f"{fmean(values):.3f}"
