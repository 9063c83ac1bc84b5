"""The tables of a certificate as Markdown: configurations, clauses, controls, attacks. No text of the data.

Run: python benchmarks/certificate_tables.py RUN > benchmarks/results/NAME.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from audit.evidence import bundle
from audit.plan.naming import attack_label


def main() -> None:
    certificate = bundle.read(Path(sys.argv[1]))
    print(f"Verdict: **{certificate.verdict}**. {'; '.join(certificate.reasons)}\n")
    print(
        f"Budgets: forget {certificate.alpha_forget:g}, utility {certificate.alpha_utility:g}; confidence {1 - certificate.delta:g}; "
    )
    print(f"K = {certificate.family_size}, {certificate.family}; lock `{certificate.lock_digest[:12]}`.")
    print("Units: " + ", ".join(f"{name} {count}" for name, count in certificate.units) + ".\n")
    cells = list(
        dict.fromkeys(
            (c.loss, c.attack, c.dose)
            for i in everybody(certificate)
            for c in i.clauses
            if c.side == "forget"
        )
    )
    heads = [attack_label(attack, dose) for _, attack, dose in cells]
    print("| configuration | " + " | ".join(heads) + " | utility harm | CUR | verdict |")
    print("|" + "---|" * (len(heads) + 4))
    for item in everybody(certificate):
        found = {(c.loss, c.attack, c.dose): c for c in item.clauses}
        counts = [f"{found[cell].total:g}/{found[cell].units}" if cell in found else "–" for cell in cells]
        harm = f"{item.utility_estimate:.3f} ≤ {item.utility_upper:.3f}"
        print(f"| {item.label} | {' | '.join(counts)} | {harm} | {item.cur:.3f} | {item.verdict} |")
    for item in certificate.configurations:
        if item.confirmation:
            c = item.confirmation
            print(
                f"\nConfirmed for {item.label}: {c.failures:g} of {c.population} under {attack_label(c.attack, c.dose)}, exact: {c.exact}."
            )
    print("\n| control | must | outcome | detail |\n|---|---|---|---|")
    for control in certificate.controls:
        print(f"| {control.name} | {control.expectation} | {control.outcome} | {control.detail} |")
    print("\n" + "\n".join(f"> {sentence}\n" for sentence in certificate.sentences))


def everybody(certificate):
    return (*certificate.references, *certificate.configurations)


if __name__ == "__main__":
    main()
