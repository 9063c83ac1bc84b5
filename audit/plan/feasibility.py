"""What a plan will cost and what its numbers can prove; nothing is trained or scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from audit.attacks.base import ATTACKS, Attack, injects, samples_of
from audit.attacks.prompts.rewording import Rewording, by_subject
from audit.core.errors import AuditError
from audit.core.registry import canonical, parse_call, short
from audit.data.records import Corpus
from audit.methods.compose import Recipe, parse_recipe
from audit.methods.trajectory import trainings
from audit.plan.corpus import corpus_of
from audit.plan.cost import Cost, counted, estimate
from audit.plan.depth import check_scopes
from audit.plan.doubles import check_doubles, refuse_doubles
from audit.plan.exact import check_exact
from audit.plan.forget_losses import OF_SECRETS
from audit.plan.metrics import metrics_of
from audit.plan.ordering import resolve
from audit.plan.post import check_post
from audit.plan.prospects import Prospect, Question, prospect, questions
from audit.plan.schema import Given, Plan
from audit.plan.sizes import ResolvedSizes, sizes_of
from audit.plan.sweeps import sweeps
from audit.plan.weights import check_weights
from audit.risk import losses, power


@dataclass(frozen=True)
class Assessment:
    """Everything ``plan`` prints; the last of ``prospects`` is about utility, those before it about forgetting."""

    candidates: int
    recipes: int  # candidates that the run makes; the others are given
    trainings: int  # fewer than recipes where several are checkpoints or post-calibrations of one
    sweeps: tuple[str, ...]  # "6 of npo over lr, steps": candidates that one curve joins
    attacks: int
    clauses: int
    units: dict[str, int]
    prospects: tuple[Prospect, ...]
    order: str | None
    base_rate: str
    cost: Cost
    warnings: tuple[str, ...]

    @property
    def forgetting(self) -> tuple[Prospect, ...]:
        """What can be shown about each kind of primary loss."""
        return self.prospects[:-1]

    @property
    def utility(self) -> Prospect:
        """What can be shown about harm to retained subjects."""
        return self.prospects[-1]

    @property
    def _shared(self) -> str:
        if self.trainings == self.recipes:
            return ""
        some = f", {self.recipes} of them" if self.recipes < self.candidates else ""
        return f"{some} from {counted(self.trainings, 'training')}"

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object; it holds, for every prospect, the same units under every bound."""
        return asdict(self) | {"prospects": [item.to_json() for item in self.prospects]}

    def lines(self) -> list[str]:
        """Return the assessment as text."""
        u = self.units
        return [
            f"{counted(self.candidates, 'candidate')}{self._shared} under {counted(self.attacks, 'attack')}"
            f" ({counted(self.clauses, 'clause')} each)",
            *([f"sweeps: {'; '.join(self.sweeps)}"] if self.sweeps else []),
            f"forget: {u['forget tune']} tune · {u['forget calibrate']} opened · {u['forget sealed']} sealed"
            f"   retain: {u['retain tune']} · {u['retain calibrate']} · {u['retain sealed']}   twins: {u['twin threshold']}",
            *(line for item in self.prospects for line in item.lines(self.order)),
            f"a model that never knew shows {self.base_rate}",
            *self.cost.lines(),
            *(f"warning: {text}" for text in self.warnings),
        ]


def assess(plan: Plan) -> Assessment:
    """Assess a plan; E402 to E405 when it cannot conclude."""
    corpus = corpus_of(plan)
    sizes = sizes_of(plan, forget=len(corpus.forget), retain=len(corpus.retain), twins=len(corpus.twins))
    attacks = [ATTACKS.build(text) for text in attack_texts(plan)]
    asked = refuse(plan, corpus, sizes)
    clauses = _clauses(plan)
    warnings = tuple(_warnings(plan, corpus, sizes))
    ordering = resolve(plan, sizes)
    written = [item for item in plan.candidates if not isinstance(item, Given)]
    return Assessment(
        candidates=len(plan.candidates),
        recipes=len(written),
        trainings=len(trainings(map(parse_recipe, written))),
        sweeps=tuple(_sweeps(plan)),
        attacks=len(attacks),
        clauses=clauses,
        units={
            f"{side} {split}": n
            for side in ("forget", "retain", "twin")
            for split, n in sizes.side(side).items()
        },
        prospects=tuple(map(prospect, asked)),
        order=ordering.order,
        base_rate=_base_rate(plan, corpus, sizes, _chances(attacks)),
        cost=estimate(plan, corpus, sizes, score_tune=ordering.score_tune),
        warnings=warnings,
    )


def refuse(plan: Plan, corpus: Corpus, sizes: ResolvedSizes) -> Sequence[Question]:
    """Refuse a plan that cannot work or cannot conclude, and return what it asks.

    Whatever is refused here is refused by ``plan``, ``lock`` and ``run`` alike: E110, E113, E142, E143, E201,
    E202, E209, E222, E252, E291, E402 to E405, and what recipes and exact methods raise.
    """
    for item in plan.candidates:
        if not isinstance(item, Given):
            _refuse_few(parse_recipe(item), corpus)  # a name that does not exist is said before all else
    check_doubles(plan)
    check_weights(plan)
    metrics_of(plan, corpus)
    check_scopes(plan)
    check_exact(plan)
    check_post(plan, sizes)
    demand_primary(plan, corpus)
    asked = questions(plan, corpus, sizes, _clauses(plan))
    for question in asked:
        power.refuse_hopeless(question.tested, question.side)
    if "above_twins" in plan.loss.primary:
        twins = sizes.twin["threshold"]
        rank = losses.twin_rank(twins, plan.loss.beta)
        power.refuse_unlikely(asked[0].tested, twins, rank, "above_twins")
    return asked


def _refuse_few(recipe: Recipe, corpus: Corpus) -> None:
    """Ask a method that needs so many subjects or steps whether they are there: E222."""
    if check := getattr(recipe.method, "refuse_few", None):
        check(len(corpus.forget), recipe.budget.steps)


def _sweeps(plan: Plan) -> Iterator[str]:
    for sweep in sweeps([item for item in plan.candidates if not isinstance(item, Given)]):
        if sweep.parameters:
            yield f"{len(sweep.names)} of {sweep.label} over {', '.join(sweep.parameters)}"


def _clauses(plan: Plan) -> int:
    """Return A + 1: forget clauses that the bound covers, and utility."""
    attacks = [ATTACKS.build(text) for text in attack_texts(plan)]
    return sum(len(a.doses) for a in attacks if not injects(a)) * len(plan.loss.primary) + 1


def attack_texts(plan: Plan) -> list[str]:
    """Return the canonical texts of all attacks; E113 for doubles, E114 without `none`."""
    names = [canonical(ATTACKS.build(text)) for text in plan.attacks]
    refuse_doubles("attacks", names, plan.attacks)
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
        "leak_at_k": secrets,
        "above_twins": bool(corpus.twins),
        "residual_knowledge": bool(plan.retrained or plan.laboratory),
        "answered": True,
    }
    for name in plan.loss.primary:
        if not has[name]:
            need = {
                "recovered": "probes with secret: true",
                "leak_at_k": "probes with secret: true",
                "above_twins": "twins",
                "residual_knowledge": "a retrained model",
            }[name]
            raise AuditError(
                "E405", f"the primary loss {name!r} needs {need}", "add them, or choose another primary loss"
            )
    if "leak_at_k" in plan.loss.primary:
        _demand_draws(plan)


def _demand_draws(plan: Plan) -> None:
    """Raise E405 unless some attack draws answers, and each that does at least ``loss.k`` of them."""
    attacks = [ATTACKS.build(text) for text in plan.attacks]
    drawn = [samples_of(attack) for attack in attacks if attack.tier == "sampling"]
    if not drawn or min(drawn) < plan.loss.k:
        found = f"a sampling attack draws {min(drawn)}" if drawn else "no attack draws any"
        raise AuditError(
            "E405",
            f"leak_at_k needs {plan.loss.k} sampled answers per question, {found}",
            f"add or raise sample(n={4 * plan.loss.k}), or lower loss.k",
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
        yield f"{lacking}: they are not on the list of paraphrase, whose N is smaller"
    yield from _out_of_reach(plan, corpus)
    outside = [parse_call(text).name for text in plan.attacks if injects(ATTACKS.build(text))]
    if outside and not sizes.twin["threshold"]:
        yield (
            f"{', '.join(outside)}: puts in what it asks for, and without twins nothing shows how often a random string"
            " would come out"
        )
    if len(corpus.forget) == sizes.forget["tune"] + sizes.forget["calibrate"]:
        yield "no forget subject is sealed: the result is a census, and `confirm` has nothing to open"


def _out_of_reach(plan: Plan, corpus: Corpus) -> Iterator[str]:
    """Say which rewordings cannot be put to some forget subjects; paraphrase has words of its own."""
    for attack in map(ATTACKS.build, plan.attacks):
        if isinstance(attack, Rewording) and attack.wordings and attack.name != "paraphrase":
            siblings = by_subject([p for s in corpus.forget for p in s.probes])
            out = sum(all(attack.ask(p, 0, own) is None for p in own) for own in siblings.values())
            if out:
                yield (
                    f"{out} of {len(corpus.forget)} forget subjects cannot be asked by {short(attack)}: they are not on"
                    " its list"
                )


def _chances(attacks: Sequence[Attack]) -> int:
    """Return how often a secret may be guessed: every answer of every attack of the bound, at every dose."""
    return sum(len(a.doses) * samples_of(a) for a in attacks if not injects(a))


def _base_rate(plan: Plan, corpus: Corpus, sizes: ResolvedSizes, attacks: int) -> str:
    if OF_SECRETS & set(plan.loss.primary):
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
