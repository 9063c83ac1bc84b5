"""What metrics need beside the one forward pass, what it costs, and how it is measured.

A metric names its needs; only what the chosen metrics name is measured, once for all of them. What a probe has
not (no wrong answers, say) stays absent: the metric then has no value for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audit.core.errors import AuditError
from audit.data.records import Probe
from audit.metrics.base import METRICS
from audit.metrics.gradients import gradient_norms
from audit.metrics.whitebox.patching import patching_depth
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
    "original": Need("the model before unlearning", "1 forward of that model"),
    "reference": Need("a model that was not trained on the answers", "1 forward of that model"),
    "prefix": Need("solved questions about strangers, put in front", "1 forward, longer by the prefix"),
    "gradient": Need("the gradient of the nll", "1 forward and backward, one probe at a time"),
    "layers": Need("what each block tells of the answer", "1 forward, and the output head once per block"),
    "patching": Need(
        "what the original tells with states of the model and of the reference",
        "1 forward of either, 2 of the original and 2 more per block",
    ),
}

_TOGETHER = {"patching": frozenset({"original", "reference"})}
"""Needs that cannot be measured without others."""

SHOTS = 5
"""Solved questions in a prefix. The authors of ReCaLL use 12 by default; five leave room in a small context."""


@dataclass(frozen=True, eq=False)
class Company:
    """What some metrics compare with.

    ``original``: the model before unlearning. ``reference``: a model that was not trained on the answers.
    ``prefix``: solved questions about strangers, one each; a probe is asked after the first ``SHOTS`` of them
    that are not about its own subject.
    """

    original: LanguageModel | None = None
    reference: LanguageModel | None = None
    prefix: tuple[Probe, ...] = ()


COMPANY = tuple(Company.__dataclass_fields__)
"""Needs that are met by company, the others by the model itself."""


def refuse_unmeasurable(names: Iterable[str], brought: Collection[str]) -> None:
    """Raise E142 (no reference) or E143 (no strangers) for a metric that needs company not in ``brought``.

    The original every run has.
    """
    for name in names:
        lacking = needs_of([name]) - set(brought)
        if "reference" in lacking:
            raise AuditError(
                "E142",
                f"{name} needs a model that was not trained on the answers, and the plan has none",
                "name one as `retrained`, or leave the metric out",
            )
        if "prefix" in lacking:
            raise AuditError(
                "E143",
                f"{name} needs solved questions about never-trained subjects, and the plan has none",
                "plan two twins or more (`data.twins`; `sizes.twins` of a laboratory), or leave the metric out",
            )


def needs_of(names: Iterable[str]) -> frozenset[str]:
    """Return what the metrics ``names`` need, all together, and what these needs need."""
    named = frozenset().union(*(METRICS[name].needs for name in names))
    return named.union(*(_TOGETHER.get(need, ()) for need in named))


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

    Otherwise as ``models.scoring.score``. E355 where a metric needs company that is not given.
    """
    needs, company = needs_of(names), company or Company()
    _demand(needs, company)
    plain = _scored(model, probes, needs, generate)
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
    lacking = [need for need in COMPANY if need in needs and not getattr(company, need)]
    if lacking:
        raise AuditError(
            "E355", f"a metric needs {INPUTS[lacking[0]].about}", "give it, or leave the metric out"
        )


def _scored(
    model: LanguageModel, probes: Sequence[Probe], needs: frozenset[str], predictions: bool
) -> list[Scored]:
    """Return the records, with paraphrased and wrong answers where asked: these share their question's prompt."""
    moments = "moments" in needs
    if not needs & {"paraphrase", "wrong_answers"}:
        return score(model, probes, moments=moments, predictions=predictions)
    right = [[p.paraphrased_answer] if p.paraphrased_answer and "paraphrase" in needs else [] for p in probes]
    wrong = [list(p.perturbed_answers) if "wrong_answers" in needs else [] for p in probes]
    others = [[*first, *rest] for first, rest in zip(right, wrong, strict=True)]
    found = score_packed(model, probes, others, moments=moments, predictions=predictions)
    return [
        replace(item, paraphrase_logp=logps[0] if first else None, wrong_logp=logps[len(first) :])
        for (item, logps), first in zip(found, right, strict=True)
    ]


def _reference(_: LanguageModel, probes: Sequence[Probe], company: Company) -> dict[str, list[Any]]:
    assert company.reference is not None
    return {"reference_logp": [item.logp for item in score(company.reference, probes)]}


def _prefixed(model: LanguageModel, probes: Sequence[Probe], company: Company) -> dict[str, list[Any]]:
    """Ask after solved questions; None where no stranger is left, or the model cannot be asked that (too long, say)."""
    asked = [_after_strangers(probe, company.prefix) for probe in probes]
    fits = [probe is not None and model.fits(probe.question, probe.answer) for probe in asked]
    found = iter(score(model, [probe for probe, fit in zip(asked, fits, strict=True) if probe and fit]))
    return {"prefixed_logp": [next(found).logp if fit else None for fit in fits]}


def _after_strangers(probe: Probe, prefix: Sequence[Probe]) -> Probe | None:
    others = [other for other in prefix if other.subject != probe.subject][:SHOTS]
    shown = "\n".join(f"{other.question} {other.answer}" for other in others)
    return replace(probe, question=f"{shown}\n\n{probe.question}") if others else None


def _gradient(model: LanguageModel, probes: Sequence[Probe], _: Company) -> dict[str, list[Any]]:
    return {"gradient_norm": gradient_norms(model, probes)}


def _layers(model: LanguageModel, probes: Sequence[Probe], _: Company) -> dict[str, list[Any]]:
    return {"lens": lens(model, probes)}


def _patching(model: LanguageModel, probes: Sequence[Probe], company: Company) -> dict[str, list[Any]]:
    assert company.original is not None
    assert company.reference is not None
    depths = patching_depth(model, company.original, company.reference, probes) if probes else np.array([])
    return {"patching_depth": [None if np.isnan(value) else float(value) for value in depths]}


_MEASURED: dict[str, Callable[[LanguageModel, Sequence[Probe], Company], dict[str, list[Any]]]] = {
    "reference": _reference,
    "prefix": _prefixed,
    "gradient": _gradient,
    "layers": _layers,
    "patching": _patching,
}
