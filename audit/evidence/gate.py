"""The gate: one checkpoint, one exit code.

Precedence: integrity (5) > run error of the gated checkpoint (4) > FAIL (1) > INCONCLUSIVE (3) > PASS (0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.core.errors import AuditError
from audit.evidence.certificate import Certificate, ConfigurationResult, Verdict
from audit.models.load import folder_digest

SHORTEST_DIGEST = 8


@dataclass(frozen=True)
class Decision:
    """The verdict about one checkpoint, with its reasons."""

    checkpoint: str
    label: str
    verdict: Verdict
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object."""
        return {
            "checkpoint": self.checkpoint,
            "configuration": self.label,
            "verdict": str(self.verdict),
            "exit_code": self.verdict.exit_code,
            "reasons": list(self.reasons),
        }

    def lines(self) -> list[str]:
        """Return the decision as text, verdict first."""
        return [
            f"{self.verdict}  {self.label}  {self.checkpoint[:12]}",
            *(f"  {reason}" for reason in self.reasons),
        ]


def decide(certificate: Certificate, checkpoint: str | None) -> Decision:
    """Return the gate's decision about a digest, a directory, or the only candidate."""
    chosen = _only(certificate) if checkpoint is None else pick(certificate, checkpoint)
    if certificate.verdict is Verdict.INTEGRITY:
        return Decision(chosen.checkpoint, chosen.label, Verdict.INTEGRITY, certificate.reasons)
    if (
        chosen.verdict is Verdict.PASS and not chosen.checkpoint
    ):  # imported: nothing ties the logs to what ships
        reasons = ("it keeps both budgets, but its logs name no weights",)
        return Decision("", chosen.label, Verdict.INCONCLUSIVE, reasons)
    return Decision(chosen.checkpoint, chosen.label, chosen.verdict, chosen.reasons or ("in the valid set",))


def pick(certificate: Certificate, checkpoint: str) -> ConfigurationResult:
    """Return the candidate with this digest (or its first 8 or more digits), or whose weights lie in this directory.

    A directory is digested anew; one whose digest the certificate does not hold is an integrity error E511.
    """
    folder = Path(checkpoint)
    is_folder = bool(checkpoint) and folder.is_dir()  # an empty text would be the current directory
    digest = folder_digest(folder, base_digest=_original(certificate)) if is_folder else checkpoint.lower()
    if len(digest) < SHORTEST_DIGEST or set(digest) - set("0123456789abcdef"):
        raise AuditError(
            "E116",
            f"{checkpoint!r} is neither a directory nor a digest",
            "give 8 or more hex digits, or a directory",
        )
    found = [c for c in certificate.configurations if c.checkpoint and c.checkpoint.startswith(digest)]
    if not found:
        raise AuditError(
            "E511",
            f"the evidence speaks of other checkpoints than {digest[:12]}",
            "audit this checkpoint, or gate the one that was audited",
        )
    if len({c.checkpoint for c in found}) > 1:
        raise AuditError("E116", f"{len(found)} checkpoints begin with {digest}", "give more digits")
    return found[0]


def _only(certificate: Certificate) -> ConfigurationResult:
    if len(certificate.configurations) != 1:
        count = len(certificate.configurations)
        raise AuditError(
            "E117", f"the run holds {count} candidates", "say which one ships: --checkpoint DIR or DIGEST"
        )
    return certificate.configurations[0]


def _original(certificate: Certificate) -> str | None:
    return next((c.checkpoint for c in certificate.references if c.role == "original"), None)
