"""Our terms equal the formulas of open-unlearning (d3d7cf9) on the logits of the whole padded batch.

The formulas are written here as in its papers, one position at a time, from transformers' own forward with
padding and attention mask. Where its mask differs from the paper, ``compat`` gives its value.
"""

from __future__ import annotations

import pytest
import torch

from audit.core.errors import AuditError
from audit.methods.base import METHODS

IGNORE = -100


def collated(batch, pad=1):
    """Return ids, attention mask and labels (-100 outside the answer) as its collator makes them."""
    labels = torch.full_like(batch.ids, IGNORE)
    for row, example in enumerate(batch.mask):
        own = [i for i in range(len(batch.rows)) if batch.rows[i] == row]
        end = int(example.sum())
        labels[row, end - len(own) : end] = batch.ids[row, end - len(own) : end]
    return batch.ids.masked_fill(~batch.mask, pad), batch.mask.long(), labels


@torch.no_grad()
def shifted(network, batch):
    """Return logits (B, T - 1, V) and the labels they predict (B, T - 1)."""
    ids, mask, labels = collated(batch)
    return network(input_ids=ids, attention_mask=mask).logits[:, :-1], labels[:, 1:]


def answers(network, batch):
    """Return, per sequence, the logits and labels of its answer tokens."""
    logits, labels = shifted(network, batch)
    return [(row[label != IGNORE], label[label != IGNORE]) for row, label in zip(logits, labels, strict=True)]


def tokens(network, batch):
    """Return logits and labels of all answer tokens, and the nll of each."""
    parts = answers(network, batch)
    logits, labels = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
    return logits, labels, -logits.log_softmax(-1)[torch.arange(len(labels)), labels]


def sums(network, batch):
    """Return the nll of each sequence."""
    return torch.stack(
        [-x.log_softmax(-1)[torch.arange(len(y)), y].sum() for x, y in answers(network, batch)]
    )


def kl(start, now):
    return (start.softmax(-1) * (start.log_softmax(-1) - now.log_softmax(-1))).sum(-1)


@pytest.fixture
def both(away, starting_network):
    """Return a function that gives our term and what the formula needs: network, start, batch, context."""

    def at(text, side="forget"):
        method = METHODS.build(text)
        context = away(method.needs)
        batch = context.batch(context.forget_examples if side == "forget" else context.retain_examples)
        ours = float(getattr(method, f"{side}_term")(context, batch).detach())
        return ours, context.model.network, starting_network, batch, context

    return at


def test_gradient_ascent_and_descent(both):
    ours, network, _, batch, _ = both("ga")
    assert ours == pytest.approx(-float(tokens(network, batch)[2].mean()), rel=1e-5)
    ours, network, _, batch, _ = both("graddiff", "retain")
    assert ours == pytest.approx(float(tokens(network, batch)[2].mean()), rel=1e-5)


def test_npo(both):
    ours, network, start, batch, _ = both("npo(beta=0.3)")
    ratio = sums(network, batch) - sums(start, batch)
    assert ours == pytest.approx(float((-2 / 0.3 * (0.3 * ratio).sigmoid().log()).mean()), rel=1e-5)


def test_simnpo(both):
    ours, network, _, batch, _ = both("simnpo(beta=0.5, margin=6)")
    lengths = torch.tensor([len(y) for _, y in answers(network, batch)])
    inside = 0.5 * (sums(network, batch) / lengths - 6)
    assert ours == pytest.approx(float((-2 / 0.5 * inside.sigmoid().log()).mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "other"), [("idk_dpo(beta=0.3)", "refusals"), ("altpo(beta=0.3)", "alternates")]
)
def test_dpo(both, text, other):
    ours, network, start, batch, context = both(text)
    win = getattr(context, other)(batch)
    gains = [sums(start, one) - sums(network, one) for one in (win, batch)]
    inside = 0.3 * (gains[0] - gains[1])
    assert ours == pytest.approx(float((-2 / 0.3 * inside.sigmoid().log()).mean()), rel=1e-5)


def test_wga_and_satimp(both):
    ours, network, _, batch, _ = both("wga(beta=0.5)")
    nll = tokens(network, batch)[2]
    assert ours == pytest.approx(float(-((-nll).exp() ** 0.5 * nll).mean()), rel=1e-5)
    ours, *_ = both("satimp(saturation=2, importance=3)")
    p = (-nll).exp()
    assert ours == pytest.approx(float(-(p**2 * (1 - p) ** 3 * nll).mean()), rel=1e-5)


def test_ceu_ignores_the_first_answer_token(both):
    ours, network, _, batch, _ = both("ceu")
    values = []
    for logits, labels in answers(network, batch):
        for row, label in list(zip(logits, labels, strict=True))[1:]:
            others = [v for v in range(len(row)) if v != label]
            target = row[others].softmax(-1)
            values.append(-(target * row.log_softmax(-1)[others]).sum())
    assert ours == pytest.approx(float(torch.stack(values).mean()), rel=1e-5)


def test_undial_on_answer_tokens(both):
    ours, network, start, batch, _ = both("undial(strength=3)")
    now, labels, _ = tokens(network, batch)
    lowered = tokens(start, batch)[0].clone()
    lowered[torch.arange(len(labels)), labels] -= 3
    assert ours == pytest.approx(float(-(lowered.softmax(-1) * now.log_softmax(-1)).sum(-1).mean()), rel=1e-5)


def test_undials_compatibility_lowers_row_v_minus_100_outside_the_answer_and_averages_over_all(both):
    ours, network, start, batch, _ = both("undial(strength=3, compat=open_unlearning)")
    (now, labels), (lowered, _) = shifted(network, batch), shifted(start, batch)
    lowered = lowered.clone()
    for b, t in torch.cartesian_prod(*map(torch.arange, labels.shape)).tolist():
        lowered[b, t, labels[b, t]] -= 3  # -100 indexes from the end
    everywhere = -(lowered.softmax(-1) * now.log_softmax(-1)).sum(-1)
    assert ours == pytest.approx(float(everywhere.mean()), rel=1e-5)
    assert ours != pytest.approx(float(everywhere[labels != IGNORE].mean()), rel=1e-2)


def test_undials_compatibility_needs_a_hundred_words(both, monkeypatch):
    module = __import__("audit.methods.objectives.undial", fromlist=["undial"])
    monkeypatch.setattr(module, "IGNORED", -125)
    with pytest.raises(AuditError, match="E240"):
        both("undial(compat=open_unlearning)")


def test_kl_on_answer_tokens(both):
    for text in ("kl_min", "graddiff(retain=kl)"):
        ours, network, start, batch, _ = both(text, "retain")
        expected = kl(tokens(start, batch)[0], tokens(network, batch)[0]).mean()
        assert ours == pytest.approx(float(expected), rel=1e-5)


def test_kls_compatibility_averages_over_prompt_and_padding(both):
    ours, network, start, batch, _ = both("kl_min(compat=open_unlearning)", "retain")
    ids, mask, _ = collated(batch)
    with torch.no_grad():
        first, now = (n(input_ids=ids, attention_mask=mask).logits for n in (start, network))
    assert (~batch.mask).any()
    assert ours == pytest.approx(float(kl(first, now).mean()), rel=1e-5)


def test_pdu_on_the_positions_that_predict_the_answer(both):
    ours, network, _, batch, _ = both("pdu")
    logits = tokens(network, batch)[0]
    assert ours == pytest.approx(float(((logits.amax(-1) - logits.mean(-1)) ** 2).mean()), rel=1e-5)


def test_pdus_compatibility_does_not_shift_its_mask(both):
    ours, network, _, batch, _ = both("pdu(compat=open_unlearning)")
    ids, mask, labels = collated(batch)
    with torch.no_grad():
        logits = network(input_ids=ids, attention_mask=mask).logits[labels != IGNORE]
    assert ours == pytest.approx(float(((logits.amax(-1) - logits.mean(-1)) ** 2).mean()), rel=1e-5)


def test_the_papers_masks_are_the_default():
    for name in ("kl_min", "undial", "pdu"):
        assert METHODS[name]().compat == "paper"
