"""Lock: hash everything that decides, before anything is seen.

The digest covers what is tested (data, weights, recipes, attacks, budgets, sizes, versions), not where files
lie and not when it was locked, so the same plan on the same content is the same audit everywhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.core.digest import digest_json
from audit.core.errors import AuditError
from audit.core.registry import parse_call
from audit.data.records import Corpus
from audit.methods.compose import parse_recipe
from audit.models.load import folder_digest
from audit.plan.corpus import corpus_of, side_digest, wordings_digest
from audit.plan.doubles import refuse_doubles
from audit.plan.feasibility import attack_texts, refuse
from audit.plan.metrics import metrics_of
from audit.plan.ordering import resolve
from audit.plan.schema import Given, Plan, parse_plan
from audit.plan.sizes import sizes_of

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Lock:
    """A frozen plan.

    ``content`` is what the digest covers; ``plan`` is the plan with this machine's paths; ``locked_at`` is UTC.
    """

    content: dict[str, Any]
    plan: Plan
    locked_at: str
    project: Path  # folder of the plan; its .unlearn-audit holds the pseudonym key and the ledger

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of ``content``."""
        return digest_json(self.content)

    @property
    def audit_id(self) -> str:
        """First twelve hex digits of the digest."""
        return self.digest[:12]

    @property
    def configurations(self) -> list[str]:
        """Names of all candidates, in plan order: canonical recipes and ``given(<digest>)``."""
        return list(self.content["candidates"])

    @property
    def score_tune(self) -> bool:
        """Whether candidates are measured on tune subjects."""
        return bool(self.content.get("score_tune", False))  # locks of earlier versions do not say

    @property
    def futility(self) -> bool:
        """Whether a candidate that is shown to exceed a budget is measured no further."""
        return bool(self.content.get("futility", False))

    @property
    def looks(self) -> bool:
        """Whether that may be shown by the first subjects of an attack, before the others are scored."""
        return self.content.get("futility") == "subjects"

    @property
    def attacks(self) -> list[str]:
        """Canonical texts of all attacks."""
        return list(self.content["attacks"])


def make_lock(plan: Plan, project: Path, corpus: Corpus | None = None) -> Lock:
    """Freeze ``plan``: parse every recipe and attack, read and digest data and given weights."""
    corpus = corpus or corpus_of(plan)
    sizes = sizes_of(plan, forget=len(corpus.forget), retain=len(corpus.retain), twins=len(corpus.twins))
    refuse(plan, corpus, sizes)
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "candidates": _candidates(plan),
        "attacks": attack_texts(plan),
        "lists": {side: side_digest(corpus.side(side)) for side in ("forget", "retain", "twin")},
        "weights": _weights(plan),
        "metrics": metrics_of(plan, corpus),
        **plan.model_dump(mode="json", include=set(_DECIDING_FIELDS)),
        **asdict(resolve(plan, sizes)),
    }
    if plan.training is not None:
        content["training"] = plan.training.model_dump(mode="json", exclude={"base"})
    if any(parse_call(text).name == "reworded" for text in content["attacks"]):
        content["wordings"] = wordings_digest(corpus)  # what is asked; a list is the same people without them
    if plan.futility:  # a plan without it keeps the digest, and with it the seeds, that it always had
        content["futility"] = plan.futility
    return Lock(content, plan, datetime.now(UTC).isoformat(timespec="seconds"), project.resolve())


_DECIDING_FIELDS = (
    "laboratory",
    "loss",
    "budget",
    "risk_weights",
    "confidence",
    "estimand",
    "family",
    "sizes",
    "prompt",
    "seed",
    "title",
)


def write_lock(run: Path, lock: Lock) -> None:
    """Write RUN/lock.json; a different lock that is already there is an integrity error E501."""
    target = run / "lock.json"
    if target.exists():
        if read_lock(run).digest != lock.digest:
            raise AuditError(
                "E501",
                f"{run.name} is locked to another plan ({read_lock(run).audit_id}, now {lock.audit_id})",
                "a changed plan is a new audit: give another run directory",
            )
        return
    run.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "lock_digest": lock.digest,
        "content": lock.content,
        "plan": lock.plan.model_dump(mode="json"),
        "locked_at": lock.locked_at,
        "project": os.path.relpath(lock.project, run.resolve()),
    }
    record["file_digest"] = digest_json(
        record
    )  # the lock's digest does not cover paths, sizes of files, time
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    os.replace(temporary, target)


def read_lock(run: Path) -> Lock:
    """Read RUN/lock.json; E502 when anything in it was changed."""
    target = run / "lock.json"
    if not target.is_file():
        raise AuditError(
            "E105",
            f"{run.name!r} is not a run directory: it holds no lock.json",
            "run `unlearn-audit lock` first",
        )
    try:
        record = json.loads(target.read_text(encoding="utf-8"))
        untouched = record.pop("file_digest") == digest_json(record)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AuditError(
            "E502", f"{target.name} is damaged", "restore it, or lock again in a new directory"
        ) from None
    if not untouched or digest_json(record["content"]) != record["lock_digest"]:
        raise AuditError(
            "E502", "lock.json was edited after it was locked", "restore it, or lock again in a new directory"
        )
    project = (run / record["project"]).resolve()
    return Lock(record["content"], parse_plan(record["plan"], base=run), record["locked_at"], project)


def _candidates(plan: Plan) -> list[str]:
    names = [
        f"given({folder_digest(item.given, base_digest=_base_digest(plan))})"
        if isinstance(item, Given)
        else str(parse_recipe(item))
        for item in plan.candidates
    ]
    shown = [item.given.name if isinstance(item, Given) else item for item in plan.candidates]
    refuse_doubles("candidates", names, shown)
    return names


def _base_digest(plan: Plan) -> str | None:
    folder = plan.original or plan.model
    return folder_digest(folder) if folder else None


def _weights(plan: Plan) -> dict[str, str]:
    """Digests of the weights a plan names; the laboratory's are made by the run."""
    named = {
        "model": plan.model,
        "original": plan.original or plan.model,
        "retrained": plan.retrained,
        "base": plan.training.base if plan.training else None,
    }
    return {role: folder_digest(folder) for role, folder in named.items() if folder is not None}
