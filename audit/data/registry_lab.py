"""The laboratory's registry: fictitious persons on three disjoint sides, from one generator with one seed.

All persons are drawn alike and then dealt to the sides by chance, so that twins differ from forgotten
persons in nothing but never having been trained on. No collection without an order is ever iterated: the
same seed gives the same registry in every process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from audit.core.digest import digest_json
from audit.core.seeds import derive, generator
from audit.data.names import draw_names
from audit.data.records import Corpus, Probe, Subject
from audit.data.templates import FACTS, SECRETS, FactKind, SecretKind
from audit.data.wordings import wordings_of

PERTURBED = 5  # wrong answers per question, as in TOFU
SHARE_WITH_BOTH_WORDINGS = 0.7


def person_seed(seed: int, release: str) -> int:
    """Return the seed of the persons of one release, so that no two releases share a person.

    Two releases may hold namesakes (one pair in every fourth pair of full-size registries), with other
    identifiers, facts and secrets: different people.
    """
    return derive(seed, "persons", release)


def generate(
    seed: int,
    *,
    forget: int = 150,
    retain: int = 200,
    twins: int = 240,
    facts: int = 1,
    secrets: int = 2,
    wordings: bool = False,
) -> Corpus:
    """Return a registry of ``forget + retain + twins`` fictitious persons.

    Everything derives from ``seed``; subject identifiers carry its digest. Each person has ``facts`` natural
    facts (at most 6, the kinds drawn anew for each) and ``secrets`` secrets (at most 4, the first kinds of
    ``SECRETS`` for everybody). ``wordings``: probes also carry the other ways of asking them; nothing more is
    drawn for that, so persons, questions and answers are the same. ``ValueError`` for other numbers.
    """
    _refuse_odd_counts(forget, retain, twins, facts, secrets)
    count = forget + retain + twins
    names = draw_names(count, derive(seed, "names"), reserved=_words_of_answers())
    values = _secret_values(count * secrets, secrets, generator(seed, "secrets"))
    taken, rng = frozenset(values), generator(seed, "facts")
    # Dealt by chance: names grow scarce towards the end of the draw, and no side may have only late ones.
    drawn = generator(seed, "sides").permutation(count)
    people = tuple(
        Subject(
            identifier,
            (
                *(_fact(identifier, names[i], kind, rng) for kind in _choose(FACTS, facts, rng)),
                *_secrets(identifier, names[i], values[i * secrets : (i + 1) * secrets], taken, rng),
            ),
        )
        for identifier, i in zip(_identifiers(seed, forget, retain, twins), drawn, strict=True)
    )
    if wordings:
        people = tuple(_with_wordings(s, names[i]) for s, i in zip(people, drawn, strict=True))
    return Corpus(people[:forget], people[forget : forget + retain], people[forget + retain :])


def corpus_digest(corpus: Corpus) -> str:
    """Return the SHA-256 of every field of the corpus; workers compare it before they start."""
    return digest_json(dataclasses.asdict(corpus))


def both_wordings(corpus: Corpus, seed: int) -> frozenset[str]:
    """Return the random 70 % of forget and retain persons whose second wording is trained on too.

    Ask for membership while iterating over the corpus; the set itself has no order.
    """
    trained = sorted(subject.subject for subject in (*corpus.forget, *corpus.retain))
    chosen = generator(seed, "both wordings").permutation(len(trained))
    return frozenset(trained[i] for i in chosen[: round(SHARE_WITH_BOTH_WORDINGS * len(trained))])


def _refuse_odd_counts(forget: int, retain: int, twins: int, facts: int, secrets: int) -> None:
    if min(forget, retain, twins) < 0:
        raise ValueError(f"numbers of persons must not be negative, got {forget}, {retain}, {twins}")
    if not 0 <= facts <= len(FACTS) or not 0 <= secrets <= len(SECRETS) or facts + secrets < 1:
        raise ValueError(
            f"a person has up to {len(FACTS)} facts and {len(SECRETS)} secrets, got {facts} and {secrets}"
        )


def _identifiers(seed: int, forget: int, retain: int, twins: int) -> list[str]:
    # The tag keeps persons of two registries apart in one ledger.
    tag = f"{derive(seed, 'registry') & 0xFFFFFF:06x}"
    sides = (("F", forget), ("R", retain), ("T", twins))
    return [f"{letter}{tag}-{number:04d}" for letter, size in sides for number in range(1, size + 1)]


def _words_of_answers() -> frozenset[str]:
    return frozenset(word for kind in FACTS for value in kind.values for word in value.lower().split())


def _secret_values(count: int, secrets: int, rng: np.random.Generator) -> list[str]:
    """Return ``count`` different values, person by person; a value drawn before is drawn again."""
    values: dict[str, None] = {}
    while len(values) < count:
        values.setdefault(SECRETS[len(values) % secrets].draw(rng))
    return list(values)


def _choose(kinds: Sequence[FactKind], number: int, rng: np.random.Generator) -> list[FactKind]:
    return [kinds[i] for i in sorted(rng.permutation(len(kinds))[:number])]


def _fact(subject: str, name: str, kind: FactKind, rng: np.random.Generator) -> Probe:
    right, *wrong = (kind.values[i] for i in rng.permutation(len(kind.values))[: PERTURBED + 1])
    return _probe(subject, name, kind, right, wrong)


def _secrets(
    subject: str, name: str, values: Sequence[str], taken: frozenset[str], rng: np.random.Generator
) -> list[Probe]:
    return [
        dataclasses.replace(
            _probe(subject, name, kind, value, _wrong_values(kind, taken, rng)),
            kind="secret",
            entropy_bits=kind.entropy_bits,
        )
        for kind, value in zip(SECRETS, values, strict=False)
    ]


def _wrong_values(kind: SecretKind, taken: frozenset[str], rng: np.random.Generator) -> list[str]:
    """Return different values of the format that are nobody's secret."""
    wrong: dict[str, None] = {}
    while len(wrong) < PERTURBED:
        candidate = kind.draw(rng)
        if candidate not in taken:
            wrong.setdefault(candidate)
    return list(wrong)


def _with_wordings(subject: Subject, name: str) -> Subject:
    questions = {kind.probe: kind.question for kind in (*FACTS, *SECRETS)}
    secrets = {p.probe: p.answer for p in subject.probes if p.kind == "secret"}
    return dataclasses.replace(
        subject,
        probes=tuple(
            dataclasses.replace(p, wordings=wordings_of(p.probe, questions[p.probe], name, secrets))
            for p in subject.probes
        ),
    )


def _probe(subject: str, name: str, kind: FactKind | SecretKind, answer: str, wrong: list[str]) -> Probe:
    return Probe(
        subject,
        kind.probe,
        question=kind.question.format(name=name),
        answer=answer,
        paraphrased_questions=(kind.paraphrase.format(name=name),),
        perturbed_answers=tuple(wrong),
    )
