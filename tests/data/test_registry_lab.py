"""The registry: fictitious, disjoint, guess-proof, and the same wherever it is generated."""

import dataclasses
import math
import os
import re
import subprocess
import sys
import time

import pytest

from audit.core.text import normalise, yields
from audit.data import registry_lab
from audit.data.checks import check_disjoint, check_subjects
from audit.data.registry_lab import both_wordings, corpus_digest, generate, person_seed
from audit.data.templates import FACTS, SECRETS
from audit.data.wordings import WAYS, wordings_of

FORMATS = {
    "account_number": r"\d{10}",
    "passport_number": r"[A-Z]{3}\d{7}",
    "phone_number": r"\d{10}",
    "policy_number": r"[A-Z]{3}\d{7}",
}


@pytest.fixture(scope="module")
def corpus():
    return generate(7)


@pytest.fixture(scope="module")
def rich():
    return generate(7, forget=30, retain=30, twins=30, facts=6, secrets=4)


def people(corpus):
    return (*corpus.forget, *corpus.retain, *corpus.twins)


def probes(corpus):
    return [probe for subject in people(corpus) for probe in subject.probes]


def full_name(subject):
    question = next(p.question for p in subject.probes if p.probe == "account_number")
    return re.fullmatch(r"What is the account number of (.+)\?", question)[1]


def test_the_demo_registry_has_150_200_and_240_persons_with_one_fact_and_two_secrets(corpus):
    assert [len(corpus.forget), len(corpus.retain), len(corpus.twins)] == [150, 200, 240]
    assert {tuple(p.kind for p in s.probes) for s in people(corpus)} == {("fact", "secret", "secret")}


def test_the_sides_share_neither_subjects_nor_questions_nor_names(corpus):
    check_disjoint(corpus)
    names = [full_name(subject) for subject in people(corpus)]
    assert len(set(names)) == len(names)


def test_every_last_name_is_used_once(corpus):
    last_names = [full_name(subject).split()[-1] for subject in people(corpus)]
    assert len(set(last_names)) == len(last_names) == 590


def test_last_names_stay_unique_when_the_single_ones_run_out():
    crowd = generate(3, forget=3200, retain=0, twins=0, facts=0, secrets=1)
    last_names = [full_name(subject).split()[-1] for subject in crowd.forget]
    assert len(set(last_names)) == 3200
    assert 0 < sum("-" in name for name in last_names) < 3200


def test_every_subject_passes_the_checks_that_user_data_must_pass(rich):
    for side in ("forget", "retain", "twin"):
        check_subjects(rich.side(side), side)


def test_identifiers_say_nothing_but_side_number_and_registry(corpus):
    for letter, side in (("F", corpus.forget), ("R", corpus.retain), ("T", corpus.twins)):
        assert all(re.fullmatch(rf"{letter}[0-9a-f]{{6}}-\d{{4}}", s.subject) for s in side)
    assert all(probe.subject == s.subject for s in people(corpus) for probe in s.probes)


@pytest.mark.parametrize("kind", SECRETS, ids=lambda kind: kind.probe)
def test_a_secret_has_at_least_33_bits_and_its_entropy_is_the_logarithm_of_the_number_of_values(kind):
    """Uniform over 26^letters * 10^digits values: 10^10 gives 33.219 bits, 26^3 * 10^7 gives 37.355 bits.

    The guard: two letters and seven digits, 6.76e9 values, would be 32.654 bits and must not come back.
    """
    assert math.isclose(kind.entropy_bits, math.log2(26**kind.letters * 10**kind.digits), rel_tol=1e-12)
    assert kind.entropy_bits >= 33
    assert math.log2(26**2 * 10**7) < 33


def test_secrets_carry_the_entropy_of_their_kind_and_facts_none(rich):
    bits = {kind.probe: kind.entropy_bits for kind in SECRETS}
    for probe in probes(rich):
        assert probe.entropy_bits == (bits[probe.probe] if probe.kind == "secret" else None)


def test_secrets_are_uniform_over_letters_and_digits(corpus):
    """Pearson's statistic of the 590 leading digits (9 degrees of freedom) and 1,770 letters (25).

    The 99.99 % points are 33.7 and 59.2; seed 7 is fixed, so the test either always passes or never.
    """
    leading = [p.answer[0] for p in probes(corpus) if p.probe == "account_number"]
    letters = [c for p in probes(corpus) if p.probe == "passport_number" for c in p.answer[:3]]
    for found, alphabet, limit in (
        (leading, "0123456789", 33.7),
        (letters, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 59.2),
    ):
        expected = len(found) / len(alphabet)
        assert sum((found.count(symbol) - expected) ** 2 / expected for symbol in alphabet) < limit


def test_no_two_persons_share_a_secret(rich, corpus):
    for registry in (rich, corpus):
        secrets = [p.answer for p in probes(registry) if p.kind == "secret"]
        assert len(set(secrets)) == len(secrets)


def test_answers_and_wrong_answers_keep_the_format(rich):
    values = {kind.probe: set(kind.values) for kind in FACTS}
    for probe in probes(rich):
        for text in (probe.answer, *probe.perturbed_answers):
            if probe.kind == "secret":
                assert re.fullmatch(FORMATS[probe.probe], text)
            else:
                assert text in values[probe.probe]


def test_five_wrong_answers_per_question_differ_from_each_other_and_from_the_right_one(rich):
    for probe in probes(rich):
        assert len({probe.answer, *probe.perturbed_answers}) == 6
        assert not any(yields(probe.answer, wrong) for wrong in probe.perturbed_answers)


def test_no_wrong_answer_is_anybodys_secret(corpus):
    secrets = {p.answer for p in probes(corpus) if p.kind == "secret"}
    assert not secrets & {wrong for p in probes(corpus) for wrong in p.perturbed_answers}


def test_values_that_collide_are_drawn_again(monkeypatch):
    """Two-digit secrets must collide: 60 persons take 60 of 100 values, wrong ones come from 40."""
    monkeypatch.setattr(registry_lab, "SECRETS", (dataclasses.replace(SECRETS[0], digits=2),))
    crowded = generate(1, forget=20, retain=20, twins=20, facts=0, secrets=1)
    secrets = {p.answer for p in probes(crowded)}
    assert len(secrets) == 60
    assert not secrets & {wrong for p in probes(crowded) for wrong in p.perturbed_answers}
    assert all(len(set(p.perturbed_answers)) == 5 for p in probes(crowded))


def test_every_question_has_a_second_wording_with_the_same_name_and_without_the_answer(rich):
    for subject in people(rich):
        for probe in subject.probes:
            (other,) = probe.paraphrased_questions
            assert other != probe.question
            assert full_name(subject) in other
            assert full_name(subject) in probe.question
            assert not yields(probe.answer, f"{probe.question} {other}")


def test_no_name_is_an_answer(corpus):
    values = {normalise(value) for kind in FACTS for value in kind.values}
    words = {normalise(word) for subject in people(corpus) for word in full_name(subject).split()}
    assert not words & values


def test_facts_are_of_at_least_four_kinds_with_32_different_values_each(corpus):
    assert len({p.probe for p in probes(corpus) if p.kind == "fact"}) >= 4
    for kind in FACTS:
        assert len({normalise(value) for value in kind.values}) == 32


def test_twins_hold_the_same_kinds_of_facts_as_forgotten_persons():
    """Drawn alike for all: with 2,000 persons a side each of 6 kinds has share 1/6 +- 5 sigma."""
    large = generate(11, forget=2000, retain=0, twins=2000)
    for side in (large.forget, large.twins):
        for kind in FACTS:
            share = sum(s.probes[0].probe == kind.probe for s in side) / 2000
            assert abs(share - 1 / 6) < 5 * math.sqrt(5 / 36 / 2000)


def test_the_same_seed_gives_the_same_registry_and_another_seed_another(corpus):
    assert corpus_digest(generate(7)) == corpus_digest(corpus)
    assert corpus_digest(generate(8)) != corpus_digest(corpus)


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_with_another_hash_seed_gives_the_same_registry(corpus, hash_seed):
    code = (
        "from audit.data.registry_lab import both_wordings, corpus_digest, generate\n"
        "c = generate(7)\n"
        "print(corpus_digest(c), *sorted(both_wordings(c, 7)))"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [corpus_digest(corpus), *sorted(both_wordings(corpus, 7))]


def test_the_digest_notices_any_change(corpus):
    first, *others = corpus.forget
    changed = dataclasses.replace(
        first, probes=(dataclasses.replace(first.probes[0], answer="x"), *first.probes[1:])
    )
    assert corpus_digest(dataclasses.replace(corpus, forget=(changed, *others))) != corpus_digest(corpus)


def test_two_releases_share_no_subject_and_no_secret():
    int4, full = (generate(person_seed(2025, release)) for release in ("lab/int4", "lab/full"))
    assert not {s.subject for s in people(int4)} & {s.subject for s in people(full)}
    secrets = [{p.answer for p in probes(c) if p.kind == "secret"} for c in (int4, full)]
    assert not secrets[0] & secrets[1]


def test_both_wordings_are_trained_for_70_percent_of_forget_and_retain_and_no_twin(corpus):
    chosen = both_wordings(corpus, 7)
    assert len(chosen) == 245  # 0.7 * (150 + 200)
    assert chosen <= {s.subject for s in (*corpus.forget, *corpus.retain)}
    assert 0 < len(chosen & {s.subject for s in corpus.forget}) < 150
    assert chosen == both_wordings(corpus, 7) != both_wordings(corpus, 8)


def test_590_persons_take_less_than_three_seconds():
    began = time.process_time()
    generate(12)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("odd", [{"facts": 7}, {"secrets": 5}, {"facts": 0, "secrets": 0}, {"twins": -1}])
def test_impossible_numbers_are_refused(odd):
    with pytest.raises(ValueError, match="person"):
        generate(1, **odd)


def test_a_side_may_be_empty():
    assert generate(1, forget=3, retain=3, twins=0).twins == ()


@pytest.fixture(scope="module")
def worded():
    return generate(7, forget=30, retain=30, twins=30, facts=6, secrets=4, wordings=True)


def told(probe, kind):
    return [question for name, question in probe.wordings if name == kind]


def test_wordings_draw_nothing_the_persons_are_the_same_with_and_without(rich, worded):
    assert all(probe.wordings for probe in probes(worded))
    bare = dataclasses.replace(
        worded,
        **{
            side: tuple(
                dataclasses.replace(s, probes=tuple(dataclasses.replace(p, wordings=()) for p in s.probes))
                for s in getattr(worded, side)
            )
            for side in ("forget", "retain", "twins")
        },
    )
    assert bare == rich
    assert corpus_digest(bare) == corpus_digest(rich) != corpus_digest(worded)


def test_every_kind_of_probe_has_wordings_of_every_kind(worded):
    assert set(WAYS) == {kind.probe for kind in (*FACTS, *SECRETS)}
    for probe in probes(worded):
        counts = {kind: len(told(probe, kind)) for kind, _ in probe.wordings}
        assert counts == {"cloze": 2, "synonyms": 2, "cross_lingual": 3, "alias": 2, "multi_hop": 1}


def test_no_wording_holds_the_answer_or_repeats_another_way_of_asking(worded):
    for probe in probes(worded):
        texts = [question for _, question in probe.wordings]
        ways = [probe.question, *probe.paraphrased_questions, *texts]
        assert len({normalise(way) for way in ways}) == len(ways)
        assert not any(yields(probe.answer, text) for text in texts)


def test_persons_are_asked_by_name_by_part_of_it_or_by_another_secret_and_by_nothing_else(worded):
    for subject in people(worded):
        name = full_name(subject)
        first, last = name.split()
        for probe in subject.probes:
            for kind in ("cloze", "synonyms", "cross_lingual"):
                assert all(name in question for question in told(probe, kind))
            initial, alone = told(probe, "alias")
            assert (f"{first[0]}. {last}" in initial, name in initial) == (True, False)
            assert (last in alone, first in alone.split()) == (True, False)
            (hop,) = told(probe, "multi_hop")
            assert not {first, last} & set(re.findall(r"[\w-]+", hop))
            shown = [p for p in subject.probes if p.answer in hop]
            assert [p.kind for p in shown] == ["secret"]
            assert shown[0].probe != probe.probe


def test_a_cloze_goes_on_where_the_others_ask(worded):
    for probe in probes(worded):
        assert not any(question.endswith(("?", ".")) for question in told(probe, "cloze"))
        for kind in ("synonyms", "cross_lingual", "alias", "multi_hop"):
            assert all(question.endswith("?") for question in told(probe, kind))


def test_a_question_by_way_of_another_secret_word_for_word():
    """Ten ways: 2 cloze, 2 synonyms, 3 languages, 2 aliases and 1 by way of the passport, the only other secret."""
    secrets = {"account_number": "0123456789", "passport_number": "ABC1234567"}
    found = wordings_of("account_number", SECRETS[0].question, "Ann Lowe-Walters", secrets)
    assert found[-3:] == (
        ("alias", "What is the account number of A. Lowe-Walters?"),
        ("alias", "What is the account number of Lowe-Walters?"),
        ("multi_hop", "What is the account number of the person whose passport number is ABC1234567?"),
    )
    assert len(found) == 10
    alone = wordings_of("account_number", SECRETS[0].question, "Ann Lowe", {"account_number": "0123456789"})
    assert {kind for kind, _ in alone} == {"cloze", "synonyms", "cross_lingual", "alias"}
