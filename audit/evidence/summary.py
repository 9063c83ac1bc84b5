"""What a certificate counts and lists besides its configurations: units, attacks, base rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit.evidence.certificate import AttackSummary
from audit.plan.assemble import Assembly
from audit.plan.forget_losses import OF_SECRETS
from audit.plan.naming import attack_label
from audit.risk import losses

_NO_ATTACK = {"attack": "none", "tier": "prompt", "doses": [0.0], "dose_unit": "none"}


def base_rate(assembly: Assembly, probes: Any) -> str:
    """Say what a model that never knew would show with the primary losses."""
    if set(assembly.settings.primary) <= OF_SECRETS:
        return _guessing(assembly, probes)
    twins = assembly.count("twin", split="threshold")
    if "above_twins" in assembly.settings.primary and twins:
        low, high = losses.above_twins_base_rate(twins, assembly.settings.beta)
        return f"{low:.3f} to {high:.3f} (90 % range over draws of {twins} twins)"
    return "a rate that is not known, since nothing that never knew was measured with this loss"


def _guessing(assembly: Assembly, probes: Any) -> str:
    secrets = probes[probes["kind"] == "secret"]
    if secrets["entropy_bits"].isna().any() or not len(secrets):
        return "a rate that is not known, since the secrets' entropy is not stated"
    per_unit = int(secrets.groupby("subject").size().max())
    samples = {record["attack"]: record.get("samples", 1) for record in assembly.header.get("attacks", ())}
    chances = sum(samples.get(attack, 1) for attack, _ in assembly.cells)
    rate = losses.recovered_base_rate([float(secrets["entropy_bits"].min())] * per_unit, attacks=chances)
    return f"at most {rate:.1g} by guessing"


def attacks(header: dict[str, Any], informative: Mapping[tuple[str, float], bool]) -> Iterator[AttackSummary]:
    """Yield every locked attack; an attack under which the original does not fail is uninformative."""
    for record in header.get("attacks", [_NO_ATTACK]):
        text, doses = record["attack"], tuple(float(dose) for dose in record["doses"])
        known = [informative[text, dose] for dose in doses if (text, dose) in informative]
        says_something = any(known) if known else None
        note = (
            "the original does not fail under it: withstanding it says nothing"
            if says_something is False
            else ""
        )
        if record.get("injects", False):
            note = "outside the bound: it puts in what it asks for"
        yield AttackSummary(
            text, attack_label(text), record["tier"], doses, record["dose_unit"], says_something, note
        )


def unit_counts(assembly: Assembly) -> tuple[tuple[str, int], ...]:
    """Return (what, how many) for every side and split."""
    rows: list[tuple[str, int]] = []
    for side, entry in assembly.header["lists"].items():
        rows.append((f"{side}: named", int(entry["size"])))
        if side == "forget":
            rows.append(("forget: not auditable", assembly.count("forget", auditable=False)))
        if seen := len(assembly.seen(side)):
            rows.append((f"{side}: opened by earlier audits, counted exactly", seen))
        for split in ("tune", "calibrate", "sealed", "threshold"):
            if count := assembly.count(side, split=split, auditable=True):
                rows.append((f"{side}: {split}", count))
    return tuple(rows)
