"""How often the C-RAG-style reconstruction of FROC breaks its nominal promises, by normaliser.

Run: python benchmarks/froc_reconstruction.py [--replications 10000] [--write]
Prints a table. --write puts the counts into audit/risk/froc_reconstruction.json, which reports cite.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from scipy.stats import beta

import audit.risk
from audit.risk.froc_study import SETTINGS, study

COUNTS = Path(audit.risk.__file__).with_name("froc_reconstruction.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=10_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    cells = [
        {"setting": asdict(setting), "normaliser": name, **asdict(broken)}
        for setting in SETTINGS
        for name, broken in study(setting, options.replications).items()
    ]
    for line in table(cells):
        print(line)
    print(f"\n{options.replications} replications per row, {time.monotonic() - began:.0f} s")
    if options.write:
        COUNTS.write_text(json.dumps(cells, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(cells: list[dict]) -> list[str]:
    """Return Markdown lines; shares with 95 % Clopper-Pearson intervals."""
    lines = [
        "| normaliser | tails | configurations | n | CUR of the selected one too low | valid set holds a wrong one |",
        "|---|---|---|---|---|---|",
    ]
    for cell in sorted(cells, key=lambda cell: [c["normaliser"] for c in cells].index(cell["normaliser"])):
        at, size = cell["setting"], cell["replications"]
        shares = " | ".join(share(cell[what], size) for what in ("selected", "listed"))
        lines.append(f"| {cell['normaliser']} | {at['tails']} | {at['spread']} | {at['n']} | {shares} |")
    return lines


def share(count: int, size: int) -> str:
    low = beta.ppf(0.025, count, size - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, size - count) if count < size else 1.0
    return f"{100 * count / size:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    main()
