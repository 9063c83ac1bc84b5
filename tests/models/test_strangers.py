"""Strangers are asked about and answered for as known persons are, and a constituent stays undecided on them."""

from __future__ import annotations

import math

import pytest
import torch

from audit.models.batches import forward_answer_logits
from audit.models.curvature import batches
from audit.models.laboratory import LaboratorySpec, tokenizer_for, training_examples
from audit.models.strangers import Undecided, beside, readers, strangers_of
from audit.models.training import Context, Example, fit

KNOWN, OTHERS = (
    [Example(f"{side}{i}/home/plain", f"where does {side}{i} live?", f"in {i}") for i in range(4)]
    for side in "kx"
)


def test_a_stranger_is_somebody_else_with_the_same_questions_and_answers(corpus):
    people = corpus.retain[:3]
    drawn = strangers_of(people, 2, 7)
    assert len({stranger.subject for stranger in drawn}) == 6
    questions = {probe.question for person in (*corpus.forget, *corpus.retain) for probe in person.probes}
    for number, stranger in enumerate(drawn):
        person = people[number % 3]
        for one, other in zip(stranger.probes, person.probes, strict=True):
            assert (one.probe, one.answer) == (other.probe, other.answer)
            assert one.question not in questions
            name = name_in(one.question, other.question)
            assert name
            assert name in one.paraphrased_questions[0]


def name_in(question: str, other: str) -> str:
    """Return what stands between the common start and the common end of two questions."""
    start = next(i for i, (a, b) in enumerate(zip(question, other, strict=False)) if a != b)
    start = question.rfind(" ", 0, start) + 1
    end = next(i for i, (a, b) in enumerate(zip(question[::-1], other[::-1], strict=False)) if a != b)
    return question[start : len(question) - end]


def test_strangers_are_a_draw_of_the_seed_and_depend_on_nobody_else(corpus):
    people = corpus.retain[:3]
    assert strangers_of(people, 1.2, 7) == strangers_of(people, 2, 7) != strangers_of(people, 2, 8)
    alone = strangers_of(people[:1], 3, 7)  # the first three strangers, now all in the first person's place
    assert [a.probes[0].question.split()[-1] for a in alone][:1] == [
        strangers_of(people, 1, 7)[0].probes[0].question.split()[-1]
    ]


def uncertainty(model, examples):
    """Return the mean entropy of the predictions of answer tokens, as a share of the largest possible."""
    with torch.no_grad():
        (batch,) = batches(model, examples, len(examples))
        logp = torch.log_softmax(forward_answer_logits(model.network, batch), dim=-1)
    return float(-(logp.exp() * logp).sum(-1).mean()) / math.log(logp.shape[-1])


def test_what_is_minimised_on_strangers_is_the_cross_entropy_to_the_uniform_distribution(llama):
    context = Context(llama, KNOWN, OTHERS, 0)
    context.begin(0, None, OTHERS, shared=False)
    with torch.no_grad():
        logp = torch.log_softmax(forward_answer_logits(llama.network, context.retain), dim=-1)
        found = float(Undecided().retain_term(context, context.retain))
    uniform = torch.full_like(logp, 1 / logp.shape[-1])
    assert found == pytest.approx(float(-(uniform * logp).sum(-1).mean()), rel=1e-5)
    assert found > math.log(logp.shape[-1])  # its smallest value, at the uniform distribution


def test_with_strangers_a_model_knows_the_known_and_says_nothing_about_others(llama):
    knowing = llama.clone()
    fit(knowing, KNOWN, epochs=60, batch=4, lr=1e-2, seed=0)
    fit(llama, KNOWN, epochs=60, batch=4, lr=1e-2, seed=0, **beside(OTHERS))
    assert uncertainty(knowing, KNOWN) < 0.1
    assert uncertainty(llama, KNOWN) < 0.1
    assert uncertainty(knowing, OTHERS) < 0.5 < 0.9 < uncertainty(llama, OTHERS)


def test_strangers_have_every_kind_of_probe(corpus):
    assert len(training_examples(strangers_of(corpus.forget, 1, 0), frozenset())) == 16 * 4


def test_a_tokenizer_made_of_strangers_has_read_about_nobody_of_the_laboratory(corpus):
    known = {subject.subject for side in ("forget", "retain", "twin") for subject in corpus.side(side)}
    made = readers(1)
    assert (made.forget, made.twins) == ((), ())
    assert not known & {subject.subject for subject in made.retain}
    text = corpus.forget[0].probes[0].question + " Ωß"
    tokens = tokenizer_for(made, LaboratorySpec(vocabulary=600))
    assert tokens.decode(tokens(text)["input_ids"]) == text  # bytes spell what it has never read
