"""What an attack costs: forward-equivalents, and seconds at three model sizes; estimates for planning.

A forward pass takes two floating point operations per weight and token. One thousand subjects with six probes of
about 75 tokens are 450,000 tokens a scoring pass. The speeds are effective ones of well-batched runs, not
peaks; decoding, which the attack's ``cost`` counts in forward passes, runs further below them.
"""

from __future__ import annotations

from audit.attacks.base import Attack

SIZES = {"100M": 1e8, "1B": 1e9, "7B": 7e9}
SPEEDS = {"two CPU cores": 4e11, "H200": 2e14}  # floating point operations a second
TOKENS = 1000 * 6 * 75


def seconds(attack: Attack, parameters: float, speed: float) -> float:
    """Return the estimated seconds for 1,000 subjects on a model with so many weights."""
    return attack.cost * TOKENS * 2 * parameters / speed


def cost_row(attack: Attack) -> dict[str, str]:
    """Return, for each machine, the time at the three sizes as ``0.45 s / 4.5 s / 32 s``."""
    return {
        f"1,000 subjects, {name}": " / ".join(_short(seconds(attack, size, speed)) for size in SIZES.values())
        for name, speed in SPEEDS.items()
    }


def _short(value: float) -> str:
    """Return seconds below 100 as ``12 s``, minutes and hours beyond."""
    if value < 100:
        return f"{value:.2g} s"
    return f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.0f} h"
