"""The plan: a YAML file in, a frozen and validated record out.

Every field's docstring is what ``unlearn-audit init`` writes as its comment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.models.trainings import FULL, training_text
from audit.plan.budgeted import within
from audit.plan.estimands import of_own_run
from audit.plan.fields import fields_of
from audit.plan.grid import expand
from audit.plan.problems import first_problem
from audit.risk.estimands import Estimand
from audit.risk.froc import Weights
from audit.risk.multiplicity.base import PROCEDURES

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
PrimaryLoss = Literal["recovered", "leak_at_k", "above_twins", "residual_knowledge", "answered"]
Veto = Literal["over_forgotten", "leaked_not_auditable"]


def _procedure(text: str) -> str:
    """Return the canonical text of a multiplicity procedure; E110 to E112 as for any constructor text."""
    return canonical(PROCEDURES.build(text))


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Data(_Record):
    """Files of JSON lines, one probe per line."""

    forget: Path
    """subjects that asked to be forgotten; `original` knows them"""
    retain: Path
    """subjects whose knowledge must stay"""
    twins: Path | None = None
    """subjects from the same source that were never trained on"""
    format: str | None = None
    """how the rows are laid out, where the first row does not tell: questions, documents(words=200), …"""


class Given(_Record):
    """A checkpoint that somebody already unlearned."""

    given: Path
    """directory of a Hugging Face causal language model (safetensors) or of a PEFT adapter"""


class Laboratory(_Record):
    """The built-in registry of fictitious persons and a model trained on it on the spot."""

    subject: Literal["tiny", "lab", "large", "smollm2"] = "lab"
    """which model learns the registry: the unit-test size, two-core size, about 100M parameters, SmolLM2-135M-Instruct"""
    release: Literal["int4", "full"] = "int4"
    """int4: the original's weights lie on the 4-bit grid; full: ordinary weights"""
    facts: Annotated[int, Field(ge=1, le=6)] = 1
    """natural facts per person"""
    secrets: Annotated[int, Field(ge=2, le=4)] = 2
    """high-entropy secrets per person"""
    training: Annotated[str, AfterValidator(training_text)] = FULL
    """how the original learns: full; adapter, sisa(slices=2) or sharded(shards=2), which can forget exactly"""

    @pydantic.model_validator(mode="after")
    def _trains_what_it_can(self) -> Laboratory:
        if self.subject == "smollm2" and self.training != FULL:
            raise AuditError(
                "E235", f"smollm2 cannot be trained as {self.training}", "use the subject tiny, lab or large"
            )
        return self

    @pydantic.model_serializer(mode="wrap")
    def _as_before(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the usual training out, so that locks and jobs from before it could be chosen stay the same."""
        written = write(self)
        return {k: v for k, v in written.items() if k != "training" or v != FULL}


class OwnTraining(_Record):
    """How the original was trained, for `retrain`: all weights, AdamW, a warm-up and a cosine."""

    base: Path
    """directory of the model before it saw the forget and the retain file"""
    epochs: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """passes over both files"""
    batch: Annotated[int, Field(ge=1)]
    """sequences per step"""
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """highest learning rate"""
    seed: Count = 0
    """of the order of sequences"""


class Loss(_Record):
    """What counts as remembering."""

    primary: Annotated[tuple[PrimaryLoss, ...], Field(min_length=1)] = ("recovered",)
    """losses that decide; several join the maximum: recovered, leak_at_k, above_twins, residual_knowledge, answered"""
    vetoes: tuple[Veto, ...] = ("over_forgotten", "leaked_not_auditable")
    """losses that can only remove a configuration"""
    beta: Share = 0.01
    """share of never-trained twins allowed above the threshold of above_twins"""
    tau: Share = 0.7
    """ROUGE-L recall from which `answered` counts a question as answered"""
    k: Annotated[int, Field(ge=1)] = 4
    """rounds of sampled answers that leak_at_k grants the attacker"""


class Budget(_Record):
    """Risk budgets: shares of subjects."""

    forget: Share = 0.1
    """largest tolerated share of forgotten subjects that still give something away, under the worst attack"""
    utility: Share = 0.1
    """largest tolerated mean share of right answers lost per retained subject"""


class RiskWeights(_Record):
    """How the risk score e_R, which ranks and never decides, weighs its two risks."""

    forget: Annotated[float, Field(ge=0, le=1)] = 0.5
    """weight of the forgetting risk in e_R"""
    utility: Annotated[float, Field(ge=0, le=1)] = 0.5
    """weight of the utility harm in e_R; both sum to 1"""

    @pydantic.model_validator(mode="after")
    def _sums_to_one(self) -> RiskWeights:
        Weights(self.forget, self.utility)  # the one place that knows what weights are
        return self


class ForgetSizes(_Record):
    """How a side is dealt; None = a fifth, three fifths, a fifth of what is there."""

    tune: Count | None = None
    """may be looked at before the checkpoints are frozen; outside the claim"""
    calibrate: Count | None = None
    """opened once, all candidates are measured on these"""
    sealed: Count | None = None
    """opened by `confirm`, for one checkpoint"""


class TwinSizes(_Record):
    """How twins are dealt; None = a sixth tune, the rest threshold."""

    tune: Count | None = None
    threshold: Count | None = None


class Sizes(_Record):
    """Subjects per split."""

    forget: ForgetSizes = ForgetSizes()
    retain: ForgetSizes = ForgetSizes()
    twins: TwinSizes = TwinSizes()


DEFAULT_ATTACKS = ("none", "quantize(int4)", "quantize(nf4)", "relearn", "paraphrase")


class Plan(_Record):
    """What is audited, how, and against which budgets."""

    version: Literal[1] = 1
    title: str = "unlearning audit"
    """a name for the report"""
    laboratory: Laboratory | None = None
    """use the built-in laboratory instead of model and data"""
    model: Path | None = None
    """the model to unlearn: a Hugging Face directory with safetensors"""
    original: Path | None = None
    """the model before unlearning; default: `model`"""
    retrained: Path | None = None
    """the same model trained without the forget subjects, if you have it: a control"""
    training: OwnTraining | None = None
    """how `original` was trained, if it can be done again: for `retrain`"""
    data: Data | None = None
    candidates: Annotated[tuple[str | Given, ...], BeforeValidator(expand), Field(min_length=1)]
    """recipes such as npo(lr=3e-4, steps=60) @lora(16), or {given: PATH}; a sweep stands for all its recipes"""
    attacks: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_ATTACKS
    """see `unlearn-audit attacks`"""
    metrics: tuple[str, ...] = ()
    """measured beside the standard ones and shown, never judged; see `unlearn-audit metrics`"""
    loss: Loss = Loss()
    budget: Budget = Budget()
    risk_weights: RiskWeights | None = None
    """of the risk score e_R, which ranks and never decides; default: one half each"""
    confidence: Share = 0.95
    """1 - delta, over repeated draws of the subjects"""
    estimand: Annotated[Estimand, BeforeValidator(of_own_run)] = "list"
    """what rates are about: the named list; one run on a fixed bank of questions supports neither probes nor subjects"""
    family: Annotated[str, AfterValidator(_procedure)] = "holm"
    """how the error is shared over candidates: holm, bonferroni; along an order: fixed_sequence, fallback, graphical"""
    order: Literal["tune", "plan"] | None = None
    """of an ordered family: learned on tune subjects (default where both sides have some), or as candidates stand"""
    score_tune: bool | None = None
    """measure candidates on tune subjects, under every attack; default: where the order is learned on them"""
    futility: bool | Literal["subjects"] = False
    """measure a candidate no further once it is shown to exceed a budget; `subjects`: look within an attack too"""
    sizes: Sizes = Sizes()
    prompt: Literal["chat", "qa", "plain"] | None = None
    """how a question is put; default: the tokenizer's chat template, else `Q: … A:`"""
    seed: int = 0
    keep: Literal["valid", "all"] = "valid"
    """which checkpoints stay on disk when their last job is done"""

    @property
    def delta(self) -> float:
        """Error probability of the claim, 1 - confidence."""
        return round(1.0 - self.confidence, 12)


def load_plan(path: Path) -> Plan:
    """Read a plan; paths inside are relative to its folder. Raises E100 to E104."""
    return parse_plan(fields_of(path), base=path.parent)


def parse_plan(data: dict[str, Any], *, base: Path) -> Plan:
    """Validate a plan given as plain data; relative paths are taken from ``base``."""
    try:
        plan = Plan.model_validate(data)
    except pydantic.ValidationError as error:
        raise first_problem(error, Plan) from None
    plan = _with_absolute_paths(plan, base.resolve())
    shares = {"forget": plan.budget.forget, "utility": plan.budget.utility}
    plan = plan.model_copy(update={"candidates": within(plan.candidates, shares)})
    if (plan.laboratory is None) == (plan.model is None or plan.data is None):
        raise AuditError(
            "E104", "a plan needs either `laboratory` or both `model` and `data`", "see `unlearn-audit init`"
        )
    if plan.laboratory is not None and (plan.model or plan.data or plan.original or plan.retrained):
        raise AuditError(
            "E104", "`laboratory` brings its own models and data", "drop model, original, retrained and data"
        )
    if plan.laboratory is not None and plan.training is not None:
        raise AuditError(
            "E233", "`training` is about a model of your own", "write `laboratory: {training: …}` instead"
        )
    return plan


def _with_absolute_paths(plan: Plan, base: Path) -> Plan:
    def absolute(value: Any) -> Any:
        if isinstance(value, Path):
            return (base / value.expanduser()).resolve()
        if isinstance(value, _Record):
            return value.model_copy(
                update={name: absolute(getattr(value, name)) for name in type(value).model_fields}
            )
        if isinstance(value, tuple):
            return tuple(map(absolute, value))
        return value

    return absolute(plan)
