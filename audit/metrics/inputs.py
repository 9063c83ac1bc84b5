"""What metrics need beside the one forward pass, what it costs, and how it is measured.

A metric names its needs; only what the chosen metrics name is measured, once for all of them. What a probe has
not (no wrong answers, say) stays absent: the metric then has no value for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from audit.core.errors import AuditError
from audit.data.records import Probe
from audit.metrics.base import METRICS
from audit.metrics.gradients import gradient_norms
from audit.models.activations import lens
from audit.models.load import LanguageModel
from audit.models.packing import score_packed
from audit.models.scoring import Decoding, Scored, score, with_generations


@dataclass(frozen=True)
class Need:
    """One thing to measure beside the forward pass; ``cost`` in words, per probe."""

    about: str
    cost: str


INPUTS = {
    "generation": Need("the model's own answer", "decoding of the answer's length"),
    "moments": Need("mean and spread of log-probabilities over the vocabulary", "none beside the forward"),
    "paraphrase": Need("the probe's paraphrased answer", "1 forward"),
    "wrong_answers": Need("the probe's wrong answers", "1 forward for each, the question read once"),
    "reference": Need("a model that was not trained on the answers", "1 forward of that model"),
    "prefix": Need("solved questions about strangers, put in front", "1 forward, longer by the prefix"),
    "gradient": Need("the gradient of the nll", "1 forward and backward, one probe at a time"),
    "layers": Need("what each block tells of the answer", "1 forward, and the output head once per block"),
}


@dataclass(frozen=True, eq=False)
class Company:
    """What some metrics compare with: a reference model, and a text about strangers as prefix ("" for none)."""

    reference: LanguageModel | None = None
    prefix: str = ""


def refuse_unmeasurable(names: Iterable[str]) -> None:
    """Raise E356 for a metric that needs company an audit's run does not bring."""
    for name in names:
        needed = METRICS[name].needs & {"reference", "prefix"}
        if needed:
            raise AuditError(
                "E356",
                f"{name} needs {INPUTS[min(needed)].about}, which a run does not bring",
                "leave it out of the plan; audit.metrics.inputs.scored_for measures it",
            )


def needs_of(names: Iterable[str]) -> frozenset[str]:
    """Return what the metrics ``names`` need, all together."""
    return frozenset().union(*(METRICS[name].needs for name in names))


def scored_for(
    names: Iterable[str],
    model: LanguageModel,
    probes: Sequence[Probe],
    *,
    generate: bool = False,
    decoding: Decoding | None = None,
    company: Company | None = None,
) -> list[Scored]:
    """Return scores of ``probes`` with everything that ``names`` need; generated text only on ``generate``.

    Otherwise as ``models.scoring.score``. E355 where a metric needs a reference or a prefix that is not given.
    """
    needs, company = needs_of(names), company or Company()
    _demand(needs, company)
    plain = _scored(model, probes, needs)
    scored = with_generations(model, plain, decoding) if generate else plain
    added = [_MEASURED[need](model, probes, company) for need in _MEASURED if need in needs]
    asked = needs - {"generation"}
    position = {(probe.subject, probe.probe): index for index, probe in enumerate(probes)}
    return [
        replace(
            item,
            asked=asked,
            **{
                field: values[position[item.subject, item.probe]]
                for columns in added
                for field, values in columns.items()
            },
        )
        for item in scored
    ]


def _demand(needs: frozenset[str], company: Company) -> None:
    given = {"reference": company.reference is not None, "prefix": bool(company.prefix.strip())}
    lacking = [need for need, is_given in given.items() if need in needs and not is_given]
    if lacking:
        raise AuditError(
            "E355", f"a metric needs {INPUTS[lacking[0]].about}", "give it, or leave the metric out"
        )


def _scored(model: LanguageModel, probes: Sequence[Probe], needs: frozenset[str]) -> list[Scored]:
    """Return the records, with paraphrased and wrong answers where asked: these share their question's prompt."""
    moments = "moments" in needs
    if not needs & {"paraphrase", "wrong_answers"}:
        return score(model, probes, moments=moments)
    right = [[p.paraphrased_answer] if p.paraphrased_answer and "paraphrase" in needs else [] for p in probes]
    wrong = [list(p.perturbed_answers) if "wrong_answers" in needs else [] for p in probes]
    others = [[*first, *rest] for first, rest in zip(right, wrong, strict=True)]
    found = score_packed(model, probes, others, moments=moments)
    return [
        replace(item, paraphrase_logp=logps[0] if first else None, wrong_logp=logps[len(first) :])
        for (item, logps), first in zip(found, right, strict=True)
    ]


def _reference(_: LanguageModel, probes: Sequence[Probe], company: Company) -> dict[str, list[Any]]:
    assert company.reference is not None
    return {"reference_logp": [item.logp for item in score(company.reference, probes)]}


def _prefixed(model: LanguageModel, probes: Sequence[Probe], company: Company) -> dict[str, list[Any]]:
    asked = [replace(p, question=f"{company.prefix.rstrip()}\n\n{p.question}") for p in probes]
    return {"prefixed_logp": [item.logp for item in score(model, asked)]}


def _gradient(model: LanguageModel, probes: Sequence[Probe], _: Company) -> dict[str, list[Any]]:
    return {"gradient_norm": gradient_norms(model, probes)}


def _layers(model: LanguageModel, probes: Sequence[Probe], _: Company) -> dict[str, list[Any]]:
    return {"lens": lens(model, probes)}


_MEASURED: dict[str, Callable[[LanguageModel, Sequence[Probe], Company], dict[str, list[Any]]]] = {
    "reference": _reference,
    "prefix": _prefixed,
    "gradient": _gradient,
    "layers": _layers,
}
