"""What a plan will cost and what its numbers can prove; nothing is trained or scored.

Times are estimates: floating point operations of the planned forwards and backwards over what this machine
multiplied in a short matrix product just now.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audit.attacks.base import ATTACKS
from audit.core.errors import AuditError
from audit.core.registry import canonical, parse_call
from audit.data.records import Corpus, Subject
from audit.methods.compose import parse_recipe
from audit.models.load import folder_digest
from audit.plan.corpus import corpus_of
from audit.plan.ordering import first_level, resolve
from audit.plan.schema import Given, Plan
from audit.plan.sizes import ResolvedSizes, sizes_of
from audit.risk import losses, power
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.power import SampleDesign

CHARACTERS_PER_TOKEN = 3.5  # of short questions; an estimate, only for costs
EFFICIENCY = 0.3  # share of the matrix product's speed that a small model reaches; an estimate
LABORATORY_PARAMETERS = {"tiny": 2.1e6, "lab": 2.1e6, "large": 1.0e8, "smollm2": 134.5e6}
GOOD_RISK = 0.02


@dataclass(frozen=True)
class Assessment:
    """Everything ``plan`` prints. ``*_share`` are in [0, 1]; ``seconds`` and ``bytes`` are estimates."""

    candidates: int
    attacks: int
    clauses: int
    units: dict[str, int]
    population: int
    smallest_certifiable_share: float
    failures_allowed: int | None
    failing_from: int | None
    good_is_certified: float
    order: str | None
    base_rate: str
    parameters: float
    seconds: float
    memory_bytes: float
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the assessment as text."""
        u = self.units
        allowed = "none" if self.failures_allowed is None else str(self.failures_allowed)
        return [
            f"{self.candidates} candidates under {self.attacks} attacks ({self.clauses} clauses each)",
            f"forget: {u['forget tune']} tune · {u['forget calibrate']} opened · {u['forget sealed']} sealed"
            f"   retain: {u['retain tune']} · {u['retain calibrate']} · {u['retain sealed']}   twins: {u['twin threshold']}",
            f"what n can prove: with no failure CUR is {self.smallest_certifiable_share:.3f}; failures allowed: {allowed}"
            f" of {u['forget calibrate']}; FAIL starts at {self.failing_from}",
            f"a candidate with true risk {GOOD_RISK:g} is certified with probability {self.good_is_certified:.2f}"
            + (f" if it comes first in the order ({self.order})" if self.order else ""),
            f"a model that never knew shows {self.base_rate}",
            f"cost (estimate): {_duration(self.seconds)} with about {self.parameters / 1e6:.1f} M parameters,"
            f" {self.memory_bytes / 2**30:.1f} GiB per worker",
            *(f"warning: {text}" for text in self.warnings),
        ]


def assess(plan: Plan) -> Assessment:
    """Assess a plan; E402 to E405 when it cannot conclude."""
    corpus = corpus_of(plan)
    sizes = sizes_of(plan, forget=len(corpus.forget), retain=len(corpus.retain), twins=len(corpus.twins))
    attacks = [ATTACKS.build(text) for text in attack_texts(plan)]
    recipes = [parse_recipe(item) for item in plan.candidates if not isinstance(item, Given)]
    clauses = sum(len(a.doses) for a in attacks) * len(plan.loss.primary) + 1
    design = _design(plan, corpus, sizes, clauses)
    warnings = tuple(_warnings(plan, corpus, sizes))
    ordering = resolve(plan, sizes)
    _refuse(plan, corpus, sizes, design)
    first = _first_tested(plan, design)
    parameters = _parameters(plan)
    tokens = _tokens(corpus)
    return Assessment(
        candidates=len(plan.candidates),
        attacks=len(attacks),
        clauses=clauses,
        units={
            f"{side} {split}": n
            for side in ("forget", "retain", "twin")
            for split, n in sizes.side(side).items()
        },
        population=int(design.population or 0),
        smallest_certifiable_share=power.smallest_certifiable_risk(design),
        failures_allowed=power.allowed_failures(first),
        failing_from=power.failing_from(design),
        order=ordering.order,
        good_is_certified=power.certification_probability(first, GOOD_RISK),
        base_rate=_base_rate(plan, corpus, sizes, clauses - 1),
        parameters=parameters,
        seconds=_flops(
            plan, corpus, recipes, attacks, parameters, tokens, 0.8 if ordering.score_tune else 0.6
        )
        / (EFFICIENCY * _flops_per_second()),
        memory_bytes=parameters * 4 * 6,  # weights, gradients, two moments, a reference and an attacked copy
        warnings=warnings,
    )


def _design(plan: Plan, corpus: Corpus, sizes: ResolvedSizes, clauses: int) -> SampleDesign:
    n = sizes.forget["calibrate"]
    population = len(corpus.forget) - sizes.forget["tune"]  # what is neither looked at nor opened is sealed
    return SampleDesign(n, population, plan.budget.forget, plan.delta, len(plan.candidates), clauses)


def _first_tested(plan: Plan, design: SampleDesign) -> SampleDesign:
    """Return the design at the level that the first of an order has; unchanged where there is no order."""
    ordered = PROCEDURES.build(plan.family).ordered
    return replace(design, delta=first_level(plan), family_size=1) if ordered else design


def _refuse(plan: Plan, corpus: Corpus, sizes: ResolvedSizes, design: SampleDesign) -> None:
    demand_primary(plan, corpus)
    power.refuse_hopeless(_first_tested(plan, design), "forget")
    retain = sizes.retain["calibrate"]
    utility = SampleDesign(
        retain,
        len(corpus.retain) - sizes.retain["tune"],
        plan.budget.utility,
        plan.delta,
        len(plan.candidates),
        design.clauses,
        graded=True,
    )
    power.refuse_hopeless(_first_tested(plan, utility), "utility")
    if "above_twins" in plan.loss.primary:
        twins = sizes.twin["threshold"]
        power.refuse_unlikely(
            _first_tested(plan, design), twins, losses.twin_rank(twins, plan.loss.beta), "above_twins"
        )


def attack_texts(plan: Plan) -> list[str]:
    """Return the canonical texts of all attacks; E113 for doubles, E114 without `none`."""
    names = [canonical(ATTACKS.build(text)) for text in plan.attacks]
    if len(set(names)) < len(names):
        raise AuditError(
            "E113", f"{len(names) - len(set(names))} attacks stand in the plan twice", "remove the doubles"
        )
    if "none" not in names:
        raise AuditError(
            "E114", "the attacks do not hold `none`", "add none: the unattacked model is what ships"
        )
    return names


def demand_primary(plan: Plan, corpus: Corpus) -> None:
    """Raise E405 when a primary loss has nothing to be computed from."""
    secrets = any(p.kind == "secret" for s in corpus.forget for p in s.probes)
    has = {
        "recovered": secrets,
        "above_twins": bool(corpus.twins),
        "residual_knowledge": bool(plan.retrained or plan.laboratory),
        "answered": True,
    }
    for name in plan.loss.primary:
        if not has[name]:
            need = {
                "recovered": "probes with secret: true",
                "above_twins": "twins",
                "residual_knowledge": "a retrained model",
            }[name]
            raise AuditError(
                "E405", f"the primary loss {name!r} needs {need}", "add them, or choose another primary loss"
            )


def _warnings(plan: Plan, corpus: Corpus, sizes: ResolvedSizes) -> Iterator[str]:
    if not plan.retrained and not plan.laboratory and not corpus.twins:
        yield "neither a retrained model nor twins: without that control nothing can PASS"
    unknown = sum(p.kind == "secret" and p.entropy_bits is None for s in corpus.forget for p in s.probes)
    if unknown:
        yield f"{unknown} secrets have no entropy_bits: their base rate by guessing cannot be stated"
    plain = [s for s in corpus.forget if not any(p.paraphrased_questions for p in s.probes)]
    if plain and any(parse_call(a).name == "paraphrase" for a in plan.attacks):
        lacking = f"{len(plain)} of {len(corpus.forget)} forget subjects have no second wording"
        yield f"{lacking}: they count as failures under paraphrase"
    if len(corpus.forget) == sizes.forget["tune"] + sizes.forget["calibrate"]:
        yield "no forget subject is sealed: the result is a census, and `confirm` has nothing to open"


def _base_rate(plan: Plan, corpus: Corpus, sizes: ResolvedSizes, attacks: int) -> str:
    if "recovered" in plan.loss.primary:
        bits = [[p.entropy_bits for p in s.probes if p.kind == "secret"] for s in corpus.forget]
        if any(b is None for subject in bits for b in subject):
            return "an unknown rate: the entropy of some secrets is not stated"
        worst = max(bits, key=lambda subject: sum(2.0**-b for b in subject if b is not None))
        rate = losses.recovered_base_rate([b for b in worst if b is not None], attacks=attacks)
        return f"at most {rate:.1g} by guessing"
    if "above_twins" in plan.loss.primary:
        low, high = losses.above_twins_base_rate(sizes.twin["threshold"], plan.loss.beta)
        return f"{low:.3f} to {high:.3f} (90 % range over draws of twins)"
    return "a rate that is not known with this loss"


def _parameters(plan: Plan) -> float:
    if plan.laboratory is not None:
        return LABORATORY_PARAMETERS[plan.laboratory.subject]
    assert plan.model is not None
    files = sorted(plan.model.glob("*.safetensors"))
    if not files:
        folder_digest(plan.model)  # raises what is wrong with the directory
    return sum(map(_tensor_sizes, files))


def _tensor_sizes(path: Path) -> float:
    """Return the number of weights in a safetensors file, from its header alone."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), path.stat().st_size)))
    except ValueError:
        raise AuditError("E202", f"{path.name} is damaged", "restore the model directory") from None
    return float(sum(np.prod(t["shape"]) for name, t in header.items() if name != "__metadata__"))


def _tokens(corpus: Corpus) -> dict[str, float]:
    return {side: _side_tokens(corpus.side(side)) for side in ("forget", "retain", "twin")}  # type: ignore[arg-type]


def _side_tokens(subjects: tuple[Subject, ...]) -> float:
    return sum(len(p.question) + len(p.answer) for s in subjects for p in s.probes) / CHARACTERS_PER_TOKEN


def _flops(
    plan: Plan,
    corpus: Corpus,
    recipes: list,
    attacks: list,
    parameters: float,
    tokens: dict[str, float],
    scored_share: float,
) -> float:
    """Forward = 2, forward and backward = 6 operations per weight and token."""
    sequences = sum(len(s.probes) for side in ("forget", "retain") for s in corpus.side(side))  # type: ignore[arg-type]
    per_sequence = (tokens["forget"] + tokens["retain"]) / max(sequences, 1)
    unlearning = sum(r.method.cost * r.budget.steps * 2 * r.budget.batch * per_sequence * 6 for r in recipes)
    scored = scored_share * tokens["forget"] + tokens["twin"]
    scoring = (len(plan.candidates) + 2) * sum(a.cost * scored for a in attacks) * 2
    training = 8 * 1.7 * (tokens["forget"] + 2 * tokens["retain"]) * 6 if plan.laboratory else 0.0
    return parameters * (unlearning + scoring + training)


def _flops_per_second() -> float:
    matrix = np.random.default_rng(0).standard_normal((768, 768)).astype(np.float32)
    matrix @ matrix
    began = time.perf_counter()
    for _ in range(5):
        matrix @ matrix
    return 5 * 2 * 768**3 / (time.perf_counter() - began)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
