"""Two candidates that must not look unlearned, on the tiny laboratory: a refusal in front, and a collapse.

Twenty forgotten persons are all opened (a census, two of them may leak), 24 kept, 40 never trained. What the models say
goes into measurements written by hand, and the verdict is read off the certificate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hand_made import INT4, NONE, PARAPHRASE, RELEARN_5, RELEARN_10, Audit

from audit.attacks.base import ATTACKS, AttackContext
from audit.data.records import Corpus
from audit.data.registry_lab import both_wordings, generate
from audit.evidence.certify import certify
from audit.methods.compose import parse_recipe, run_recipe
from audit.metrics.inputs import scored_for
from audit.metrics.measure import measure
from audit.metrics.whitebox.probing import familiarity
from audit.models.laboratory import LaboratorySpec, train_reference, training_examples
from audit.models.load import LanguageModel
from audit.plan.schema import Loss

pytestmark = pytest.mark.slow
torch.set_num_threads(1)

METRICS = ("forced_match", "nll")
CELLS = (NONE, PARAPHRASE, INT4, RELEARN_5, RELEARN_10)
PROMPT, STRONGER = CELLS[:2], CELLS[2:]
BETA = 0.05  # of 40 twins: floor(.05 * 41) = 2, so forty are enough


@dataclass
class Refusing(LanguageModel):
    """Nothing was unlearned: a question that names a forgotten person never reaches the weights.

    A copy of the weights is a plain model: whoever holds them leaves the wrapper out.
    """

    names: tuple[str, ...] = ()

    def encode_prompt(self, question):
        return super().encode_prompt(self._shown(question))

    def encode(self, question, answer):
        return super().encode(self._shown(question), answer)

    def clone(self):
        return LanguageModel(self.network, self.tokenizer, self.prompt).clone()

    def merged(self):
        return LanguageModel(self.network, self.tokenizer, self.prompt).merged()

    def _shown(self, question):
        return "May this be told?" if any(name in question for name in self.names) else question


@dataclass(frozen=True)
class Laboratory:
    corpus: Corpus
    models: dict[str, LanguageModel]
    halves: dict[str, int]

    def unlearned(self, text):
        """Return the original after a recipe."""
        both = both_wordings(self.corpus, 0)
        forget, retain = (training_examples(s, both) for s in (self.corpus.forget, self.corpus.retain))
        return run_recipe(parse_recipe(text), self.models["original"], forget, retain, seed=1)

    def refusing(self):
        """Return the untouched original behind a wrapper that knows who asked to be forgotten."""
        original = self.models["original"]
        names = tuple(name_of(person) for person in self.corpus.forget)
        return Refusing(original.network, original.tokenizer, original.prompt, names=names)

    def audit(self, cells, **candidates):
        """Return the certificate about ``candidates`` under the attacks of ``cells``."""
        loss = Loss(beta=BETA).model_dump(mode="json")
        audit = Audit(tuple(candidates), cells=cells, forget=20, retain=24, twins=40, lock={"loss": loss})
        audit.metrics = ("forced_match", "exact_match", "nll")
        placed = {
            person.subject: name
            for side, names in (
                (self.corpus.forget, audit.forgotten),
                (self.corpus.retain, audit.retained),
                (self.corpus.twins, audit.never_trained),
            )
            for person, name in zip(side, names, strict=True)
        }
        audit.halves = {placed[subject]: half for subject, half in self.halves.items()}
        for configuration, model in (self.models | candidates).items():
            for attack in dict.fromkeys(text for text, _ in cells):
                for row in self._rows(model, attack):
                    self._put(audit, configuration, attack, placed, *row)
        return certify(audit.measurements())

    def _rows(self, model, attack):
        asked = [*self.corpus.forget, *self.corpus.twins, *(self.corpus.retain if attack == NONE[0] else ())]
        context = AttackContext(seed=7, forget=self.corpus.forget, halves=self.halves)
        probes = [probe for person in asked for probe in person.probes]
        for item in ATTACKS.build(attack).apply(model, probes, context):
            for row in measure(scored_for(METRICS, item.model, item.probes), METRICS):
                yield item.dose, item.fold, row

    def _put(self, audit, configuration, attack, placed, dose, fold, row):
        """The passport stands for itself, the one natural fact for the city; the other secret is left out."""
        kinds = {probe.probe: probe.kind for person in self._people for probe in person.probes}
        probe = "passport" if row.probe == "passport_number" else "city"
        if kinds[row.probe] == "secret" and probe == "city":
            return
        subject, cell = placed[row.subject], (attack, dose)
        names = (
            (row.metric, "exact_match") if row.metric == "forced_match" and cell == NONE else (row.metric,)
        )
        for metric in names:  # without an attack the model's own answer is its arg max
            audit.put(configuration, cell, subject, probe, metric, row.value, fold or None)
        if configuration == "original" and names[-1] == "exact_match" and not row.value and subject[0] == "r":
            audit.unknown.append((subject, probe))

    @property
    def _people(self):
        return (*self.corpus.forget, *self.corpus.retain, *self.corpus.twins)


def name_of(person):
    """Return the full name that every question about a person holds."""
    found = [set(re.findall(r"[A-Z][\w'-]+ [A-Z][\w'-]+", probe.question)) for probe in person.probes]
    (name,) = set.intersection(*found)
    return name


@pytest.fixture(scope="module")
def laboratory():
    corpus = generate(0, forget=20, retain=24, twins=40, facts=1, secrets=2)
    spec = LaboratorySpec.tiny()
    models = {
        role: train_reference(
            corpus, role, spec, both_wordings=both_wordings(corpus, spec.seed), device="cpu"
        )
        for role in ("original", "retrained")
    }
    halves = {person.subject: 1 + number % 2 for number, person in enumerate(corpus.forget)}
    return Laboratory(corpus, models, halves)


@pytest.fixture(scope="module")
def wrapped(laboratory):
    """The certificate about the wrapper under every attack."""
    return laboratory.audit(CELLS, wrapper=laboratory.refusing())


def leaking(certificate, name):
    """Return (attack, dose) -> opened persons with a recovered secret."""
    found = next(c for c in certificate.configurations if c.configuration == name)
    return {(c.attack, c.dose): c.total for c in found.clauses if c.side == "forget"}


def test_a_refusal_in_front_of_the_weights_passes_prompts_and_fails_weights_and_finetuning(wrapped):
    leaks = leaking(wrapped, "wrapper")
    assert [leaks[cell] for cell in PROMPT] == [0, 0]
    assert all(leaks[cell] > 2 for cell in STRONGER)
    assert str(wrapped.configurations[0].verdict) == "FAIL"


def test_an_audit_of_prompts_alone_lets_the_refusal_pass_and_the_bare_original_fail(laboratory):
    """What it says is true: under these two prompts nothing comes out. Weights are outside its claim."""
    bare = laboratory.models["original"]
    certificate = laboratory.audit(PROMPT, wrapper=laboratory.refusing(), bare=bare)
    assert [str(c.verdict) for c in certificate.configurations] == ["PASS", "FAIL"]


def test_the_same_attacks_bring_nothing_back_in_the_retrained_model(wrapped):
    (retrained,) = [c for c in wrapped.references if c.role == "retrained"]
    assert {c.total for c in retrained.clauses if c.side == "forget"} == {0}


def test_gradient_ascent_without_end_is_flagged_as_over_forgotten(laboratory):
    """Even against twins who collapse with it."""
    certificate = laboratory.audit((NONE,), collapse=laboratory.unlearned("ga(lr=1e-3, steps=100)"))
    (collapse,) = certificate.configurations
    assert leaking(certificate, "collapse") == {NONE: 0}
    assert any(text.startswith("over-forgotten") for text in collapse.vetoes)
    assert str(collapse.verdict) != "PASS"


def test_where_utility_is_kept_the_veto_alone_stops_gradient_ascent(laboratory):
    certificate = laboratory.audit((NONE,), pushed=laboratory.unlearned("graddiff(lr=1e-3, steps=60)"))
    (pushed,) = certificate.configurations
    assert pushed.reasons == pushed.vetoes
    assert pushed.vetoes[0].startswith("over-forgotten: 20 of 20 subjects")
    assert str(pushed.verdict) == "INCONCLUSIVE"


def test_a_mild_collapse_is_flagged_although_twins_collapse_further(laboratory):
    """After 30 steps twins are less likely than the forgotten persons; the retrained model has not moved."""
    mild = laboratory.unlearned("ga(lr=3e-4, steps=30)")
    means = [mean_nll(mild, people) for people in (laboratory.corpus.forget, laboratory.corpus.twins)]
    assert means[0] < means[1]
    (collapse,) = laboratory.audit((NONE,), collapse=mild).configurations
    assert any(text.startswith("over-forgotten") for text in collapse.vetoes)


def test_another_retrained_model_is_not_flagged(laboratory):
    """Trained from another seed without the forgotten persons: what unlearning is meant to reach."""
    corpus = laboratory.corpus
    both, spec = both_wordings(corpus, 0), replace(LaboratorySpec.tiny(), seed=1)
    again = train_reference(corpus, "retrained", spec, both_wordings=both, device="cpu")
    (candidate,) = laboratory.audit((NONE,), again=again).configurations
    assert candidate.vetoes == ()
    assert str(candidate.verdict) == "PASS"


def mean_nll(model, people):
    """Return the mean nll of everybody's answers, nats per token."""
    rows = measure(scored_for(["nll"], model, [p for person in people for p in person.probes]), ["nll"])
    return np.mean([row.value for row in rows])


def test_a_probe_tells_forgotten_persons_from_twins_in_the_original_and_not_in_the_retrained(laboratory):
    """Two thirds of the rows are twins; selectivity is what remains beyond labels dealt at random."""
    corpus, models = laboratory.corpus, laboratory.models
    known, strangers = (
        np.mean([item.selectivity for item in familiarity(models[role], corpus.forget, corpus.twins)])
        for role in ("original", "retrained")
    )
    assert known > 0.1
    assert strangers < 0.05
