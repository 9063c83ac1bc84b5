"""What looks forgotten until somebody rounds the weights: gradient methods, two releases of the laboratory, 4-bit attacks.

Run: python benchmarks/quantization.py --out DIR [--subject lab] [--workers 2]
Each method's strength is chosen on one seed: the weakest learning rate that looks forgotten unattacked and does little harm. What is reported is
another seed, hence other persons and another laboratory, in one ordinary audit for each release (original on the 4-bit grid, or
ordinary weights). What is done is kept in DIR: the same command goes on where it stopped. Writes DIR/quantization.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.core.digest import digest_json
from audit.core.progress import for_terminal
from audit.core.rounding import rounded_up
from audit.evidence.certificate import Certificate
from audit.evidence.certify import certify
from audit.measurements import store
from audit.plan.grid import expand
from audit.plan.lock import make_lock, write_lock
from audit.plan.naming import attack_label
from audit.plan.schema import parse_plan
from audit.runs.coordinator import Coordinator
from audit.runs.job import write_json

METHODS = ("npo", "simnpo", "graddiff", "wga", "satimp", "pdu", "dipo", "idk_sft")
RATES = (2e-4, 3e-4, 5e-4, 1e-3)
STEPS, BATCH = {"tiny": 30, "lab": 60}, 32
TUNED_ON, REPORTED = 11, 3  # seeds
# Share of persons up to which a model looks forgotten, and harm it may do: the default budgets, here of estimates.
TOLERATED = 0.1
UNATTACKED, INT4 = "none", "quantize(int4)"
ATTACKS = (UNATTACKED, INT4, *(f"quantize({s})" for s in ("nf4", "gptq", "awq", "hqq")))
RELEASES = {"int4": "original on the 4-bit grid", "full": "ordinary weights"}
# Tuning reads estimates only; no small budget could be shown for so many.
WIDE = {"budget": {"forget": 0.5, "utility": 0.5}}
# The usual 30 retained persons cannot show a harm of at most 0.1 for seven methods.
MORE = {"tiny": {"sizes": {"retain": {"calibrate": 36, "sealed": 4}}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--subject", choices=sorted(STEPS), default="tiny")
    parser.add_argument("--workers", type=int)
    asked = parser.parse_args()
    strengths = {method: searched(method, asked.subject) for method in METHODS}
    everything = [text for texts in strengths.values() for text in texts]
    tuned = measured(plan(asked.subject, "int4", everything, (UNATTACKED, INT4), TUNED_ON, **WIDE), asked)
    by_name = {record["label"]: record for record in tuned["records"]}
    chosen = {method: choose([by_name[text] for text in texts]) for method, texts in strengths.items()}
    finalists = [text for text in chosen.values() if text is not None]
    lines = ["## Chosen on the tuning seed", "", *tuning_table(strengths, by_name, chosen)]
    for release, words in RELEASES.items():
        found = measured(
            plan(asked.subject, release, finalists, ATTACKS, REPORTED, **MORE.get(asked.subject, {})), asked
        )
        lines += ["", f"## {words} (release={release})", "", *table(found), "", reading(found)]
    text = "\n".join(lines) + "\n"
    (asked.out / "quantization.md").write_text(text, encoding="utf-8")
    print(text)


def searched(method: str, subject: str) -> list[str]:
    """Return a method's recipes, weakest learning rate first, every other parameter its own default."""
    return expand([{"sweep": method, "lr": list(RATES), "steps": STEPS[subject], "batch": BATCH}])


def choose(records: Sequence[dict[str, Any]]) -> str | None:
    """Return the label of the first (weakest) strength that looks forgotten unattacked and keeps the rest; None without one.

    What rounding brings back stands beside it in the table and plays no part.
    """
    usable = (r for r in records if not r["failure"] and r["harm"] <= TOLERATED + 1e-9)
    return next((r["label"] for r in usable if forgotten(r, UNATTACKED)), None)


def forgotten(record: dict[str, Any], attack: str) -> bool:
    """Say whether at most the tolerated share of persons was recovered; an attack that is missing is an error."""
    failures, units = record["recovered"][attack]
    return units > 0 and failures <= TOLERATED * units + 1e-9


def plan(
    subject: str,
    release: str,
    candidates: Sequence[str],
    attacks: Sequence[str],
    seed: int,
    **others: Any,
) -> dict[str, Any]:
    return {
        "title": f"quantization: {subject}, release {release}",
        "laboratory": {"subject": subject, "release": release},
        "candidates": list(candidates),
        "attacks": list(attacks),
        "seed": seed,
        **others,
    }


def measured(plan: dict[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    """Return what the audit of one plan says, running what is left of it."""
    folder = asked.out / "runs" / digest_json(plan)[:12]
    kept = folder / "said.json"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_lock(folder / "run", make_lock(parse_plan(plan, base=folder), folder))
        progress = for_terminal(quiet=False)
        Coordinator(folder / "run", device="auto", workers=asked.workers, progress=progress).execute()
        write_json(kept, said(certify(store.read(folder / "run" / "measurements"))))
    return json.loads(kept.read_text(encoding="utf-8"))


def said(certificate: Certificate) -> dict[str, Any]:
    """Return the certificate's numbers that the tables show."""
    return {
        "verdict": str(certificate.verdict),
        "reasons": list(certificate.reasons),
        "family_size": certificate.family_size,
        "controls": [f"{c.name} ({c.expectation}): {c.outcome}" for c in certificate.controls],
        "records": [
            {
                "label": item.label,
                "role": item.role,
                "failure": next((c.reason for c in item.clauses if c.state in ("failed", "stopped")), ""),
                "recovered": {attack_label(c.attack): [c.total, c.units] for c in forget},
                "fails_under": [attack_label(c.attack) for c in forget if c.fails],
                "harm": item.utility_estimate,
                "cur": item.cur,
                "verdict": str(item.verdict),
            }
            for item in (*certificate.references, *certificate.configurations)
            for forget in [[c for c in item.clauses if c.side == "forget"]]
        ],
    }


def tuning_table(
    strengths: dict[str, list[str]], by_name: dict[str, dict[str, Any]], chosen: dict[str, str | None]
) -> list[str]:
    """Return the search, one line a method, one column a rate: unattacked → int4 (harm), the chosen one in bold."""
    lines = [
        "| method | " + " | ".join(f"lr {rate:g}" for rate in RATES) + " |",
        "|" + "---|" * (len(RATES) + 1),
    ]
    for method, texts in strengths.items():
        cells = [_both(by_name[text], bold=text == chosen[method]) for text in texts]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def _both(record: dict[str, Any], *, bold: bool) -> str:
    if record["failure"]:
        return "failed"
    text = f"{_count(record, UNATTACKED)} → {_count(record, INT4)} ({record['harm']:.2f})"
    return f"**{text}**" if bold else text


def table(found: dict[str, Any]) -> list[str]:
    """Return one line a configuration: persons recovered under each attack, harm, CUR and verdict."""
    heads = ["configuration", *ATTACKS, "utility harm", "CUR", "verdict"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for record in found["records"]:
        counts = [_count(record, attack) for attack in ATTACKS]
        tail = [f"{record['harm']:.3f}", rounded_up(record["cur"]), record["verdict"]]
        lines.append(f"| {' | '.join([record['label'], *counts, *tail])} |")
    return lines


def _count(record: dict[str, Any], attack: str) -> str:
    failures, units = record["recovered"].get(attack, (0, 0))
    return f"{failures:g}/{units}" if units else "–"


def reading(found: dict[str, Any]) -> str:
    """Return what the audit says of this release, counted from its own numbers."""
    candidates = [r for r in found["records"] if r["role"] == "candidate" and not r["failure"]]
    look = [r for r in candidates if forgotten(r, UNATTACKED)]
    back = [r for r in look if not forgotten(r, INT4)]
    said_so = [r["label"] for r in back if INT4 in r["fails_under"]]
    return (
        f"Of {len(candidates)} methods {len(look)} look forgotten without an attack; of these {len(back)} come back under "
        f"{INT4} (more than {TOLERATED:g}); for {len(said_so)} of them the certificate's lower bound under it exceeds the budget: FAIL. "
        f"Verdict of the audit (K = {found['family_size']}): {found['verdict']}. Controls: {'; '.join(found['controls'])}."
    )


if __name__ == "__main__":
    main()
