"""Why candidates have no verdict: for each the code, the cause and what to do, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from audit.evidence.certificate import Certificate, ConfigurationResult, Verdict
from audit.runs.status import Failure

SHOWN = 5  # candidates; the others are in `unlearn-audit status`


def lines(certificate: Certificate, recorded: Sequence[Failure], run: str) -> list[str]:
    """Return one line per candidate whose measurements are missing, at most ``SHOWN``, and where the others stand.

    ``recorded``: failures of the run directory ``run``, which know the remedies; the certificate holds none.
    """
    broken = [item for item in certificate.configurations if item.verdict is Verdict.RUN_ERROR]
    remedies = {f"{failure.code} {failure.cause}": failure.remedy for failure in recorded}
    told = [f"{item.label}: {_told(item, remedies)}" for item in broken[:SHOWN]]
    more = [f"… and {len(broken) - SHOWN} more"] if len(broken) > SHOWN else []
    return [*told, *more, f"all failures: unlearn-audit status {run}"] if broken else []


def _told(item: ConfigurationResult, remedies: dict[str, str]) -> str:
    missing = [clause.reason for clause in item.clauses if clause.state in ("failed", "stopped")]
    reason = missing[0] if missing else "; ".join(item.reasons)
    return f"{reason} → {remedies[reason]}" if reason in remedies else reason
