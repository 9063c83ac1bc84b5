"""The commented ``audit.yaml`` that ``unlearn-audit init`` writes; comments are the fields' own docstrings."""

from __future__ import annotations

import json

from pydantic import BaseModel

from audit.plan.schema import DEFAULT_ATTACKS, Budget, Data, Laboratory, Loss, Plan

_EXAMPLE_CANDIDATES = (
    "npo(lr=1e-5, steps=120)",
    "simnpo(lr=1e-5, steps=120)",
    "graddiff(lr=1e-5, steps=60) @lora(16)",
)


def template() -> str:
    """Return a complete plan for the user's own model and data, every field with its comment."""
    plan = Plan.model_fields
    lines = [
        "# Plan of an unlearning audit. Next: `unlearn-audit plan audit.yaml`, then `unlearn-audit run audit.yaml`.",
        "# Data: JSON lines, one probe per line, with subject, question, answer; optional secret (true for values that",
        "# cannot be guessed), entropy_bits, paraphrased_question, paraphrased_answer, perturbed_answers.",
        "version: 1",
        _line("title", "unlearning audit", plan["title"].description),
        _line("model", "./model", plan["model"].description),
        "# " + _line("original", "./original", plan["original"].description),
        "# " + _line("retrained", "./retrained", plan["retrained"].description),
        "# "
        + _line("training", "{base: ./base, epochs: 5, batch: 32, lr: 1.0e-5}", plan["training"].description),
        "data:",
        *_block(
            Data,
            {"forget": "forget.jsonl", "retain": "retain.jsonl", "twins": "twins.jsonl", "format": "own"},
            optional=("twins", "format"),
        ),
        f"candidates:  # {plan['candidates'].description}",
        *[f"  - {text}" for text in _EXAMPLE_CANDIDATES],
        "  # - {sweep: npo, lr: {log: [1e-5, 1e-3], n: 3}, steps: [60, 120]}  # six candidates",
        "  # - given: ./already-unlearned",
        f"attacks:  # {plan['attacks'].description}",
        *[f"  - {text}" for text in DEFAULT_ATTACKS],
        "# " + _line("metrics", "[truth_ratio_geometric, min_k_plus_plus_40]", plan["metrics"].description),
        "loss:",
        *_block(
            Loss,
            {
                "primary": "[recovered]",
                "vetoes": "[over_forgotten, leaked_not_auditable]",
                "beta": 0.01,
                "tau": 0.7,
            },
        ),
        "budget:",
        *_block(Budget, {"forget": 0.1, "utility": 0.1}),
        "# " + _line("risk_weights", "{forget: 0.5, utility: 0.5}", plan["risk_weights"].description),
        _line("confidence", 0.95, plan["confidence"].description),
        _line("estimand", "list", plan["estimand"].description),
        _line("family", "holm", plan["family"].description),
        "# " + _line("order", "tune", plan["order"].description),
        "# " + _line("score_tune", "true", plan["score_tune"].description),
        "# " + _line("futility", "true", plan["futility"].description),
        "# sizes:  # subjects per split; by default a fifth, three fifths, a fifth",
        "#   forget: {tune: 30, calibrate: 90, sealed: 30}",
        "#   retain: {tune: 40, calibrate: 120, sealed: 40}",
        "#   twins: {tune: 40, threshold: 200}",
        "# " + _line("prompt", "qa", plan["prompt"].description),
        _line("seed", 0, None),
        _line("keep", "valid", plan["keep"].description),
    ]
    return "\n".join(lines) + "\n"


def laboratory_plan(
    laboratory: Laboratory, candidates: tuple[str, ...], attacks: tuple[str, ...], seed: int, title: str
) -> str:
    """Return the plan of a laboratory audit as YAML; what ``demo`` writes beside its run."""
    lines = [
        "# The built-in laboratory: fictitious persons, a model that learns them, a model that never did.",
        "version: 1",
        f"title: {json.dumps(title)}",
        "laboratory:",
        *_block(Laboratory, laboratory.model_dump()),
        "candidates:",
        *[f"  - {text}" for text in candidates],
        "attacks:",
        *[f"  - {text}" for text in attacks],
        "budget:",
        *_block(Budget, Budget().model_dump()),
        f"confidence: {Plan.model_fields['confidence'].default}",
        f"seed: {seed}",
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, value: object, comment: str | None) -> str:
    return f"{name}: {value}" + (f"  # {comment}" if comment else "")


def _block(model: type[BaseModel], values: dict[str, object], optional: tuple[str, ...] = ()) -> list[str]:
    lines = []
    for name, value in values.items():
        line = "  " + _line(name, value, model.model_fields[name].description)
        lines.append(line.replace("  ", "  # ", 1) if name in optional else line)
    return lines
