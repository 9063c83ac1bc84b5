"""What the laboratory measured of each method: read off the committed benchmark, never computed here.

``measured.json`` is what ``benchmarks/methods.py`` writes: means over seeds at the best of a small search, the same
number of optimizer steps and settings for everybody. A method that is not in it was not measured.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

FILE = "measured.json"
CARRIER = "npo"  # the method on which weightings, steps and post-calibrations are measured


@dataclass(frozen=True)
class Measured:
    """One recipe's result on the laboratory.

    ``recovered`` and ``harm`` are means over seeds, unattacked, in [0, 1]; ``cur`` maps attack -> mean upper bound at
    95 %, in [0, 1]. All are decimals as the committed table prints them. ``failure`` stands instead of numbers.
    """

    recipe: str
    setting: str = ""
    recovered: str = ""
    harm: str = ""
    cur: dict[str, str] | None = None
    reading: str = ""
    failure: str = ""

    @property
    def words(self) -> str:
        """Return the result in a few words."""
        if self.cur is None:
            return f"no result: {self.failure}"
        curs = " / ".join(self.cur.values())
        return f"{self.reading} (recovered {self.recovered}, harm {self.harm}, CUR {curs})"


def measured() -> dict[str, Measured]:
    """Return recipe without numbers, such as ``npo`` or ``npo + gu`` -> its result."""
    text = resources.files("audit.methods").joinpath(FILE).read_text(encoding="utf-8")
    return {recipe: Measured(recipe, **found) for recipe, found in json.loads(text).items()}
