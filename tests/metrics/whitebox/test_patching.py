"""Activation patching: what it must give on models whose knowledge is planted, and scores counted on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from random_networks import ARCHITECTURES, random_network

from audit.core.errors import AuditError
from audit.metrics.whitebox import patching
from audit.metrics.whitebox.patching import depth, patched, patching_depth, refuse_foreign, survival
from audit.models.digests import weight_digest
from audit.models.layers import blocks
from audit.models.load import LanguageModel
from audit.models.scope import parse_scope
from audit.models.scoring import score


@pytest.fixture
def probes(lab_corpus):
    return [probe for person in lab_corpus.forget[:3] for probe in person.probes]


@pytest.fixture
def all_known(monkeypatch):
    """Random models know no answer by themselves."""
    monkeypatch.setattr(patching, "KNOWN", -math.inf)


def mean_logp(model, probe, after=None, states=None):
    """Return the answer's mean log-probability by a plain forward; ``states`` (T, H) stand in after block ``after``."""
    item = model.encode(probe.question, probe.answer)
    ids = torch.tensor([item.ids[: len(item.ids) - item.eos]])
    where = range(item.answer_start - 1, ids.shape[1] - 1)

    def put(_module, _inputs, output):
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[0, list(where)] = states[list(where)]
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handles = [] if after is None else [blocks(model.network)[after].register_forward_hook(put)]
    with torch.no_grad():
        logits = model.network(ids).logits[0].double()
    for handle in handles:
        handle.remove()
    rows = logits.log_softmax(-1)[list(where)]
    return float(rows[range(len(where)), ids[0, item.answer_start :]].mean())


def states_after(model, probe, block):
    item = model.encode(probe.question, probe.answer)
    kept = []
    handle = blocks(model.network)[block].register_forward_hook(
        lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.no_grad():
        model.network(torch.tensor([item.ids[: len(item.ids) - item.eos]]))
    handle.remove()
    return kept[0][0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_patch_is_the_other_model_s_state_at_the_positions_that_predict_the_answer(
    architecture, lab_tokenizer, llama, probes
):
    """Against a loop over single sequences and blocks."""
    one, two = (
        LanguageModel(random_network(architecture, len(lab_tokenizer), seed), lab_tokenizer, llama.prompt)
        for seed in (0, 5)
    )
    for probe, found in zip(probes[:4], patched(one, two, probes[:4]), strict=True):
        assert found.plain == pytest.approx(mean_logp(one, probe), abs=1e-4)
        expected = [mean_logp(one, probe, block, states_after(two, probe, block)) for block in (0, 1)]
        np.testing.assert_allclose(found.after, expected, atol=1e-4)


def test_the_original_loses_nothing_with_its_own_states(model, probes):
    for found in patched(model, model.clone(), probes):
        np.testing.assert_array_equal(found.drops, 0)


def test_depth_is_zero_for_the_original_and_one_for_the_retrained(llama, other, probes, all_known):
    np.testing.assert_array_equal(np.nan_to_num(patching_depth(llama, llama, other, probes)), 0)
    found = patching_depth(other, llama, other, probes)
    assert np.isfinite(found).any()
    np.testing.assert_array_equal(found[np.isfinite(found)], 1)


def test_what_was_changed_in_the_last_block_alone_is_not_deep(llama, probes, all_known):
    """The states after the first block are the original's: its weight is lost, the last block's is kept in full.

    ``retrained`` is changed from the first block on; ``shallow`` has its last block and the original's first, and
    so its last state differs: the score is that state's part, strictly between 0 and 1.
    """
    retrained, shallow = llama.clone(), llama.clone()
    with torch.no_grad():
        for weight in blocks(retrained.network).parameters():
            weight.mul_(-1.3)
        for mine, theirs in zip(
            blocks(shallow.network)[1].parameters(), blocks(retrained.network)[1].parameters(), strict=True
        ):
            mine.copy_(theirs)
    ours, theirs = (patched(llama, m, probes) for m in (shallow, retrained))
    scores = patching_depth(shallow, llama, retrained, probes)
    for mine, full, value in zip(ours, theirs, scores, strict=True):
        assert mine.drops[0] == 0
        if (full.drops > 0.05).all():
            assert value == pytest.approx(np.clip(mine.drops[1], 0, full.drops[1]) / full.drops.sum())


def test_a_depth_counted_on_paper():
    """Blocks 1 and 3 count (drops 1 and 3): clip(0.5, 0, 1) + clip(9, 0, 3) = 3.5 of 4; block 2 does not count."""
    assert depth(np.array([0.5, 7.0, 9.0]), np.array([1.0, 0.05, 3.0])) == pytest.approx(3.5 / 4)
    assert depth(np.array([-2.0]), np.array([1.0])) == 0  # a patch that helps erases nothing


def test_where_no_block_holds_the_answer_there_is_no_depth():
    assert math.isnan(depth(np.array([1.0, 1.0]), np.array([0.05, -1.0])))


@pytest.mark.parametrize(
    ("unlearned", "retrained"),
    [([math.nan, 1], [1, 1]), ([1, 1], [math.nan, 1]), ([1, 1], [math.inf, 1])],
)
def test_a_drop_that_is_no_number_gives_no_depth(unlearned, retrained):
    assert math.isnan(depth(np.array(unlearned), np.array(retrained)))


def test_drops_of_other_blocks_are_refused():
    with pytest.raises(ValueError, match="same blocks"):
        depth(np.ones(2), np.ones(3))


def test_an_answer_that_the_original_does_not_know_has_no_depth(llama, other, probes):
    assert max(float(item.logp.mean()) for item in score(llama, probes)) < math.log(1 / 2)
    assert np.isnan(patching_depth(other, llama, other, probes)).all()


def test_batches_change_nothing_and_no_hook_stays_behind(llama, other, probes):
    together, alone = patched(llama, other, probes), patched(llama, other, probes, batch_tokens=1)
    for one, two in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.after, two.after, atol=1e-4)
    assert not any(block._forward_hooks for m in (llama, other) for block in blocks(m.network))


def test_an_adapter_is_patched_like_any_model_and_nothing_is_changed(llama, probes):
    adapted = llama.clone()
    parse_scope("lora(2)").apply(adapted)
    digests = [weight_digest(llama), weight_digest(adapted)]
    for found in patched(llama, adapted, probes):
        np.testing.assert_allclose(found.drops, 0, atol=1e-5)
    assert [weight_digest(llama), weight_digest(adapted)] == digests


def test_models_of_another_shape_are_refused(llama, lab_tokenizer, probes):
    thin = random_network("llama", len(lab_tokenizer))
    thin.model.layers = thin.model.layers[:1]
    thin.config.num_hidden_layers = 1
    with pytest.raises(AuditError, match="E290"):
        patched(llama, LanguageModel(thin, lab_tokenizer, llama.prompt), probes)


def test_survival_is_the_share_of_blocks_and_probes_known_to_both_that_stay_known(
    llama, other, probes, monkeypatch
):
    """The bar is set at a value between the patched ones, and the share counted by hand over both models' known."""
    plain = [mean_logp(llama, probe) for probe in probes]
    own = [float(item.logp.mean()) for item in score(other, probes)]
    after = np.array([[mean_logp(llama, p, b, states_after(other, p, b)) for b in (0, 1)] for p in probes])
    bar = float(np.median(after))
    monkeypatch.setattr(patching, "KNOWN", bar)
    known = [min(pair) >= bar for pair in zip(plain, own, strict=True)]
    assert 0 < sum(known) < len(probes)
    assert survival(llama, other, probes) == pytest.approx(np.mean(after[known] >= bar))


def test_models_that_share_no_start_are_refused(llama, other, probes, all_known, monkeypatch):
    refuse_foreign(llama, llama.clone(), probes)  # everything survives
    monkeypatch.setattr(patching, "survival", lambda *_: 0.02)
    with pytest.raises(AuditError, match=r"E291 .* 2% of what both know"):
        refuse_foreign(llama, other, probes)


def test_without_anything_known_to_both_there_is_no_control_and_so_no_depth(llama, other, probes):
    assert math.isnan(survival(llama, other, probes))
    with pytest.raises(AuditError, match="E291"):
        refuse_foreign(llama, other, probes)
