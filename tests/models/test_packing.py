"""Several answers in one row have the values they have alone; networks that cannot be packed are noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_networks import random_network

from audit.data.records import Probe
from audit.models import packing
from audit.models.load import LanguageModel, PromptTemplate
from audit.models.packing import score_packed
from audit.models.scoring import score

PROBES = [
    Probe("u", "born", "Where was Wendy born?", "She was born in Lowell."),
    Probe("u", "number", "Which number?", "4477 0912"),
    Probe("v", "who", "Who is it?", "x"),
    Probe("v", "alone", "And nobody?", "Not even Bo"),
]
OTHERS = [["Lowell", "In the town of Salem by the sea, they say", "a"], ["4477 0913"], ["y z"], []]


def packed(model, probes=PROBES, others=OTHERS):
    """Return the log-probabilities of all answers, the probe's own first."""
    return [[item.logp, *rest] for item, rest in score_packed(model, probes, others)]


def alone(model):
    """One sequence for each answer, through the ordinary scoring pass."""
    return [
        [score(model, [replace(probe, answer=text)])[0].logp for text in (probe.answer, *texts)]
        for probe, texts in zip(PROBES, OTHERS, strict=True)
    ]


def close(found, expected, tolerance=1e-5):
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance)
            assert a.dtype == np.float64


def test_packed_answers_have_the_values_of_separate_sequences(model):
    assert packing._packs(model, 10)
    close(packed(model), alone(model))


def test_the_probe_s_own_record_is_that_of_the_ordinary_pass(model):
    ordinary = score(model, PROBES, moments=True)
    for (found, _), expected in zip(score_packed(model, PROBES, OTHERS, moments=True), ordinary, strict=True):
        np.testing.assert_allclose(found.logp, expected.logp, atol=1e-5)
        np.testing.assert_allclose(found.standardised, expected.standardised, atol=1e-4)
        assert found.greedy.tolist() == expected.greedy.tolist()
        assert found.greedy.dtype == np.bool_
        for field in ("subject", "probe", "draw", "answer", "question", "generation"):
            assert getattr(found, field) == getattr(expected, field)
    assert all(item.standardised is None for item, _ in score_packed(model, PROBES, OTHERS))


def test_an_answer_does_not_see_the_others_of_its_row(llama):
    """The last answer changes, the first ones do not."""
    (first,) = packed(llama, PROBES[:1], [OTHERS[0][:2]])
    (second,) = packed(llama, PROBES[:1], [[OTHERS[0][0], "another ending altogether it is"]])
    close([first[:2]], [second[:2]])
    assert first[2].shape != second[2].shape or not np.allclose(first[2], second[2])


def test_the_order_of_answers_does_not_matter(llama):
    forth, back = (packed(llama, PROBES[:1], [texts])[0] for texts in (OTHERS[0], OTHERS[0][::-1]))
    close([forth[1:]], [back[:0:-1]])


def test_the_size_of_a_batch_changes_values_by_rounding_only(llama, monkeypatch):
    together = packed(llama)
    monkeypatch.setitem(packing.BATCH_TOKENS, "cpu", 1)
    close(packed(llama), together)


def test_the_question_is_read_once_for_all_its_answers(llama, monkeypatch):
    seen = []
    hidden = packing._hidden
    monkeypatch.setattr(
        packing, "_hidden", lambda n, rows, *rest: seen.extend(rows) or hidden(n, rows, *rest)
    )
    packed(llama, PROBES[:1], OTHERS[:1])
    (row,) = [row for row in seen if row.lengths]
    assert row.owners.count(0) == len(llama.encode_prompt(PROBES[0].question))
    assert len(row.ids) == row.owners.count(0) + sum(length - 1 for length in row.lengths)


def test_a_network_with_a_short_window_is_not_packed(llama, monkeypatch):
    """A mask of one's own replaces the window, so positions beyond it would see too much."""
    llama.network.config.sliding_window = 4
    assert not packing._packs(llama, 4)
    assert packing._packs(llama, 3)
    monkeypatch.setattr(packing, "_forward", lambda *_: pytest.fail("packed all the same"))
    close(packed(llama), alone(llama))


def test_a_network_that_looks_past_its_mask_is_noticed_and_scored_answer_by_answer(llama, monkeypatch):
    """As a state-space model would: the mask is dropped, so answers leak into each other."""
    inner = type(llama.network.base_model).forward

    def deaf(self, *args, attention_mask=None, **kwargs):
        return inner(self, *args, attention_mask=None, **kwargs)

    monkeypatch.setattr(type(llama.network.base_model), "forward", deaf)
    assert not packing._packs(llama, 10)
    close(packed(llama), alone(llama))


def test_a_network_that_takes_no_positions_is_noticed(llama, monkeypatch):
    def strict(self, input_ids=None, attention_mask=None, use_cache=None):
        raise TypeError("unexpected keyword argument 'position_ids'")

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_hidden", lambda *_: strict(None))
        assert not packing._packs(llama, 10)


def test_no_probes_give_nothing(llama):
    assert score_packed(llama, [], []) == []


@pytest.mark.gpu
def test_packed_answers_agree_on_a_gpu_up_to_bfloat16(tokenizer):
    if not torch.cuda.is_available():
        pytest.skip("needs CUDA")
    network = random_network("llama", len(tokenizer)).cuda()
    model = LanguageModel(network, tokenizer, PromptTemplate("qa"))
    assert packing._packs(model, 10)
    close(packed(model), alone(model), tolerance=0.2)
