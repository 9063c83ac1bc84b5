"""What is measured under a plan: the standard metrics and those it names, where they have what they need."""

from __future__ import annotations

from audit.core.errors import AuditError
from audit.data.records import Corpus
from audit.metrics.base import METRICS, standard_metrics
from audit.metrics.inputs import needs_of, refuse_unmeasurable
from audit.plan.schema import Plan


def metrics_of(plan: Plan, corpus: Corpus) -> dict[str, int]:
    """Return name -> version of what is measured; E110 for an unknown one, E142, E143 or E291 for a lacking need."""
    chosen = sorted({*standard_metrics(), *plan.metrics})
    brought = {"reference": plan.laboratory or plan.retrained, "prefix": len(corpus.twins) > 1}
    refuse_unmeasurable(chosen, [need for need, is_there in brought.items() if is_there])
    lab = plan.laboratory
    if "patching" in needs_of(chosen) and lab and lab.subject != "smollm2":
        raise AuditError(
            "E291",
            f"patching_depth compares models fine-tuned from the same weights, the subject {lab.subject} trains original"
            " and retrained from two starts",
            "use the subject smollm2, or models of your own that share a start; or leave patching_depth out",
        )
    return {name: METRICS[name].version for name in chosen}
