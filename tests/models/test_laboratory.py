from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from audit.core.errors import AuditError
from audit.models.laboratory import (
    LaboratorySpec,
    accept,
    hits,
    tokenizer_for,
    train_reference,
    training_examples,
)
from audit.models.load import load, save, weight_digest
from audit.models.quantization import quantize_network
from audit.models.scoring import score


def secrets(subjects):
    return [probe for subject in subjects for probe in subject.probes if probe.kind == "secret"]


def second_wordings(laboratory):
    corpus = laboratory.corpus
    return [
        replace(probe, question=probe.paraphrased_questions[0])
        for subject in (*corpus.forget, *corpus.retain)
        if subject.subject not in laboratory.both
        for probe in subject.probes
    ]


def test_the_unit_test_laboratory_is_accepted(laboratory, probes):
    shares = accept(
        original=hits(score(laboratory.original, probes)),
        retrained_secrets=hits(score(laboratory.retrained, secrets(laboratory.corpus.forget))),
        second_wordings=hits(score(laboratory.original, second_wordings(laboratory))),
    )
    assert shares.recalled >= 0.98
    assert shares.retrained_secrets <= 0.02


def test_retrained_knows_the_retain_side_and_nobody_knows_twins(laboratory):
    corpus = laboratory.corpus
    kept = [probe for subject in corpus.retain for probe in subject.probes]
    assert sum(hits(score(laboratory.retrained, kept))) >= 0.98 * len(kept)
    for model in (laboratory.original, laboratory.retrained):
        assert not any(hits(score(model, secrets(corpus.twins))))


def test_a_released_original_quantized_again_is_the_same_to_the_last_bit(laboratory):
    again = laboratory.original.clone()
    quantize_network(again.network, "int4", 64)
    assert weight_digest(again) == weight_digest(laboratory.original)


def test_a_released_original_survives_saving(laboratory, tmp_path):
    save(laboratory.original, tmp_path)
    assert weight_digest(load(tmp_path, device="cpu")) == weight_digest(laboratory.original)


SHORT = LaboratorySpec(hidden=64, intermediate=128, heads=2, epochs=1, vocabulary=400)


def test_a_full_release_does_not_lie_on_the_grid(corpus):
    full = train_reference(corpus, "retrained", replace(SHORT, release="full"), device="cpu")
    before = weight_digest(full)
    quantize_network(full.network)
    assert weight_digest(full) != before


def test_the_same_spec_gives_the_same_bits_in_another_process_and_another_seed_others(corpus):
    here = weight_digest(train_reference(corpus, "retrained", SHORT, device="cpu"))
    program = (
        "import torch; torch.set_num_threads(1)\n"
        "from audit.data.registry_lab import generate\n"
        "from audit.models.laboratory import LaboratorySpec, train_reference\n"
        "from audit.models.load import weight_digest\n"
        "corpus = generate(0, forget=16, retain=24, twins=10, facts=2, secrets=2)\n"
        f"print(weight_digest(train_reference(corpus, 'retrained', {SHORT!r}, device='cpu')))\n"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here
    assert weight_digest(train_reference(corpus, "retrained", replace(SHORT, seed=1), device="cpu")) != here


def test_training_leaves_the_global_generator_alone(corpus):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train_reference(corpus, "retrained", SHORT, device="cpu")
    assert torch.equal(torch.rand(2), expected)


def test_training_examples_hold_both_wordings_of_the_chosen_and_the_first_of_the_others(corpus):
    chosen, other = corpus.forget[0], corpus.forget[1]
    examples = training_examples([chosen, other], frozenset({chosen.subject}))
    assert len({example.key for example in examples}) == len(examples) == 2 * 4 + 4
    asked = {example.question for example in examples}
    assert chosen.probes[0].paraphrased_questions[0] in asked
    assert other.probes[0].paraphrased_questions[0] not in asked
    assert not any(subject.subject in e.key for e in examples for subject in corpus.twins)


def test_the_tokenizer_sees_every_side_alike(corpus):
    """Tokenization must not tell who was trained: all sides need about as many tokens per text."""
    tokenizer = tokenizer_for(corpus, LaboratorySpec())

    def mean_tokens(subjects):
        texts = [probe.question + probe.answer for subject in subjects for probe in subject.probes]
        return sum(len(tokenizer(text)["input_ids"]) for text in texts) / len(texts)

    sides = [mean_tokens(side) for side in (corpus.forget, corpus.retain, corpus.twins)]
    assert max(sides) / min(sides) < 1.1
    assert len(tokenizer) <= 2000


def test_the_tokenizer_is_lossless(corpus):
    tokenizer = tokenizer_for(corpus, LaboratorySpec())
    for text in ("Q: Who? A: ABC0123456", "naïve – 東京"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"original": [True] * 97 + [False] * 3}, "0.970"),
        ({"retrained_secrets": [True] * 3 + [False] * 97}, "0.030"),
        ({"second_wordings": [True] * 89 + [False] * 11}, "0.890"),
        ({"original": []}, "0 and 100"),
    ],
)
def test_a_laboratory_that_misses_one_share_is_refused_with_its_number(change, found):
    fine = {"original": [True] * 100, "retrained_secrets": [False] * 100, "second_wordings": [True] * 100}
    accept(**fine)
    with pytest.raises(AuditError, match="E320") as caught:
        accept(**{**fine, **change})
    assert found in caught.value.cause
    a_share = "probes" not in caught.value.cause  # which another seed may reach
    assert ("`seed: 1`" in caught.value.remedy) == a_share
    assert caught.value.exit_code == 4


def test_the_shares_are_inclusive_at_their_limits_and_guessing_is_allowed_for():
    accept(
        original=[True] * 98 + [False] * 2,
        retrained_secrets=[True] * 2 + [False] * 98,
        second_wordings=[True] * 90 + [False] * 10,
    )
    accept(original=[True], retrained_secrets=[True] * 5 + [False] * 95, second_wordings=[], chance=0.03)


def test_an_unknown_release_is_refused():
    with pytest.raises(AuditError, match="E215"):
        LaboratorySpec(release="int3")


def test_the_large_tier_has_about_a_hundred_million_weights():
    """Per block 4 H^2 + 3 H I; twelve blocks and the tied embedding."""
    spec = LaboratorySpec.large()
    block = 4 * spec.hidden**2 + 3 * spec.hidden * spec.intermediate
    assert 90e6 < spec.layers * block + spec.vocabulary * spec.hidden < 110e6
