"""A corpus as files for this project and others: own JSON lines, LUME's rows, TOFU's perturbed rows.

The own schema keeps everything a registry holds. LUME's has no place for other wordings and wrong answers.
TOFU's rows carry a ``subject`` besides its five fields, because a person here has fewer questions than
TOFU's authors, whose 20 consecutive rows name them by position alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from audit.data.records import Corpus, Probe, Side

Schema = Literal["own", "lume", "tofu"]

_FILES: tuple[tuple[Side, str], ...] = (
    ("forget", "forget.jsonl"),
    ("retain", "retain.jsonl"),
    ("twin", "twins.jsonl"),
)


def write_corpus(corpus: Corpus, folder: Path, schema: Schema = "own") -> tuple[Path, ...]:
    """Write one JSON-lines file per side that has subjects, making ``folder``, and return their paths."""
    if schema not in _SCHEMAS:
        raise ValueError(f"schema must be one of {', '.join(_SCHEMAS)}, got {schema!r}")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for side, name in _FILES:
        rows = [_SCHEMAS[schema](p, i) for s in corpus.side(side) for i, p in enumerate(s.probes)]
        if rows:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / name).write_bytes(lines.encode())  # bytes: the same on every platform
            written.append(folder / name)
    return tuple(written)


def _own(probe: Probe, position: int) -> dict[str, Any]:
    row: dict[str, Any] = {"subject": probe.subject, "probe": probe.probe}
    row |= {"question": probe.question, "answer": probe.answer}
    optional = {
        "secret": probe.kind == "secret" or None,
        "entropy_bits": probe.entropy_bits,
        "paraphrased_question": list(probe.paraphrased_questions) or None,
        "paraphrased_answer": probe.paraphrased_answer,
        "perturbed_answers": list(probe.perturbed_answers) or None,
        "wordings": _by_kind(probe.wordings) or None,
    }
    return row | {field: value for field, value in optional.items() if value is not None}


def _by_kind(wordings: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, question in wordings:
        found.setdefault(kind, []).append(question)
    return found


def _lume(probe: Probe, position: int) -> dict[str, Any]:
    return {
        "id": f"{probe.subject}qa{position}",
        "input": probe.question,
        "output": probe.answer,
        "task": "Task2",
    }


def _tofu(probe: Probe, position: int) -> dict[str, Any]:
    return {
        "subject": probe.subject,
        "question": probe.question,
        "answer": probe.answer,
        "paraphrased_question": next(iter(probe.paraphrased_questions), probe.question),
        "paraphrased_answer": probe.paraphrased_answer or probe.answer,
        "perturbed_answer": list(probe.perturbed_answers),
    }


_SCHEMAS: dict[str, Callable[[Probe, int], dict[str, Any]]] = {"own": _own, "lume": _lume, "tofu": _tofu}
