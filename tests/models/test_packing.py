"""Several answers in one row have the values they have alone; networks that cannot be packed are noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_networks import random_network

from audit.data.records import Probe
from audit.models import packing
from audit.models.load import LanguageModel, PromptTemplate
from audit.models.packing import answer_logps
from audit.models.scoring import score

QUESTIONS = ["Where was Wendy born?", "Which number?", "Who is it?", "And nobody?"]
ANSWERS = [
    ["She was born in Lowell.", "Lowell", "In the town of Salem by the sea, they say", "a"],
    ["4477 0912", "4477 0913"],
    ["x"],
    [],
]


def alone(model):
    """One sequence for each answer, through the ordinary scoring pass."""
    return [
        [score(model, [Probe("u", "p", question, text)])[0].logp for text in texts]
        for question, texts in zip(QUESTIONS, ANSWERS, strict=True)
    ]


def close(found, expected, tolerance=1e-5):
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance)
            assert a.dtype == np.float64


def test_packed_answers_have_the_values_of_separate_sequences(model):
    assert packing._packs(model, 10)
    close(answer_logps(model, QUESTIONS, ANSWERS), alone(model))


def test_an_answer_does_not_see_the_others_of_its_row(llama):
    """The third answer changes, the first two do not."""
    first = answer_logps(llama, QUESTIONS[:1], [ANSWERS[0][:3]])[0]
    second = answer_logps(llama, QUESTIONS[:1], [[*ANSWERS[0][:2], "another ending altogether it is"]])[0]
    for a, b in zip(first[:2], second[:2], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert first[2].shape != second[2].shape or not np.allclose(first[2], second[2])


def test_the_order_of_answers_does_not_matter(llama):
    forth = answer_logps(llama, QUESTIONS[:1], [ANSWERS[0]])[0]
    back = answer_logps(llama, QUESTIONS[:1], [ANSWERS[0][::-1]])[0]
    close([forth], [back[::-1]])


def test_the_size_of_a_batch_changes_values_by_rounding_only(llama, monkeypatch):
    together = answer_logps(llama, QUESTIONS, ANSWERS)
    monkeypatch.setitem(packing.BATCH_TOKENS, "cpu", 1)
    close(answer_logps(llama, QUESTIONS, ANSWERS), together)


def test_the_question_is_read_once_for_all_its_answers(llama, monkeypatch):
    seen = []
    hidden = packing._hidden
    monkeypatch.setattr(packing, "_hidden", lambda n, rows, d: seen.extend(rows) or hidden(n, rows, d))
    answer_logps(llama, QUESTIONS[:1], [ANSWERS[0]])
    (row,) = [row for row in seen if row.lengths]
    prompt = len(llama.encode_prompt(QUESTIONS[0]))
    assert row.owners.count(0) == prompt
    assert len(row.ids) == prompt + sum(length - 1 for length in row.lengths)


def test_a_network_with_a_short_window_is_not_packed(llama, monkeypatch):
    """A mask of one's own replaces the window, so positions beyond it would see too much."""
    llama.network.config.sliding_window = 4
    assert not packing._packs(llama, 4)
    assert packing._packs(llama, 3)
    monkeypatch.setattr(packing, "_forward", lambda *_: pytest.fail("packed all the same"))
    close(answer_logps(llama, QUESTIONS, ANSWERS), alone(llama))


def test_a_network_that_looks_past_its_mask_is_noticed_and_scored_answer_by_answer(llama, monkeypatch):
    """As a state-space model would: the mask is dropped, so answers leak into each other."""
    inner = type(llama.network.base_model).forward

    def deaf(self, *args, attention_mask=None, **kwargs):
        return inner(self, *args, attention_mask=None, **kwargs)

    monkeypatch.setattr(type(llama.network.base_model), "forward", deaf)
    assert not packing._packs(llama, 10)
    close(answer_logps(llama, QUESTIONS, ANSWERS), alone(llama))


def test_a_network_that_takes_no_positions_is_noticed(llama, monkeypatch):
    def strict(self, input_ids=None, attention_mask=None, use_cache=None):
        raise TypeError("unexpected keyword argument 'position_ids'")

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_hidden", lambda *_: strict(None))
        assert not packing._packs(llama, 10)


def test_questions_without_answers_give_nothing(llama):
    assert answer_logps(llama, [], []) == []
    assert answer_logps(llama, ["Who?"], [[]]) == [()]


@pytest.mark.gpu
def test_packed_answers_agree_on_a_gpu_up_to_bfloat16(tokenizer):
    if not torch.cuda.is_available():
        pytest.skip("needs CUDA")
    network = random_network("llama", len(tokenizer)).cuda()
    model = LanguageModel(network, tokenizer, PromptTemplate("qa"))
    assert packing._packs(model, 10)
    close(answer_logps(model, QUESTIONS, ANSWERS), alone(model), tolerance=0.2)
