"""K-FAC factors against gradients taken another way, on the architectures of conftest."""

from __future__ import annotations

import pytest
import torch

from audit.models.batches import forward_answer_logits
from audit.models.curvature import batches, input_moments, kfac, spread
from audit.models.layers import linears
from audit.models.training import Example

EXAMPLES = [
    Example("a", "where does ada live ?", "red"),
    Example("b", "where does bo live now ?", "green red blue"),
    Example("c", "where ?", "blue"),
]


def mlps(model):
    return [linear.name for linear in linears(model.network) if ".mlp." in linear.name]


def modules(model):
    return {linear.name: linear.module for linear in linears(model.network)}


def test_input_moments_are_means_over_real_tokens(model):
    """One sequence at a time there is no padding: the mean of x x' over all their tokens."""
    names = mlps(model)
    found = input_moments(model, batches(model, EXAMPLES, 3), names)
    rows = {name: [] for name in names}
    for name in names:
        modules(model)[name].register_forward_hook(
            lambda m, args, out, name=name: rows[name].append(args[0][0])
        )
    for batch in batches(model, EXAMPLES, 1):
        with torch.no_grad():
            forward_answer_logits(model.network, batch)
    for name in names:
        x = torch.cat(rows[name])
        torch.testing.assert_close(found[name], x.T @ x / len(x), atol=1e-5, rtol=1e-4)


def test_batches_of_any_size_give_the_same_input_moments(model):
    one, three = (input_moments(model, batches(model, EXAMPLES, size), mlps(model)) for size in (1, 3))
    for name in one:
        torch.testing.assert_close(one[name], three[name], atol=1e-5, rtol=1e-4)


def test_gradient_moments_are_sums_over_tokens_for_drawn_directions_per_answer_token(model):
    """The gradient at y = W x is that of a zero added to y; directions are redrawn with the same dice."""
    model.network.requires_grad_(True)
    names = mlps(model)
    found = kfac(model, batches(model, EXAMPLES, 3), names, torch.Generator().manual_seed(5))

    (batch,) = batches(model, EXAMPLES, 3)
    zeros = {}

    def add_zero(module, args, output, name=None):
        zeros[name] = torch.zeros_like(output, requires_grad=True)
        return output + zeros[name]

    for name in names:
        modules(model)[name].register_forward_hook(lambda m, a, o, name=name: add_zero(m, a, o, name))
    logits = forward_answer_logits(model.network, batch)
    (logits * spread(logits.detach(), torch.Generator().manual_seed(5))).sum().backward()
    for name in names:
        g = zeros[name].grad[batch.mask]
        expected = g.T @ g / len(batch.targets)
        torch.testing.assert_close(found[name].gradients, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("p", [[0.5, 0.3, 0.2], [0.99, 0.009, 0.001]])
def test_drawn_directions_have_the_curvature_of_the_divergence(p):
    """E[u u'] = diag(p) - p p', all eight signs equally likely: the exact mean over 200,000 draws, 4 errors wide."""
    p = torch.tensor(p)
    u = spread(p.log().expand(200_000, 3), torch.Generator().manual_seed(0))
    expected = torch.diag(p) - torch.outer(p, p)
    products = u[:, :, None] * u[:, None, :]
    errors = products.std(0) / 200_000**0.5
    assert (abs(products.mean(0) - expected) <= 4 * errors + 1e-6).all()


def test_frozen_weights_have_factors_too(llama):
    names = mlps(llama)
    found = []
    for trained in (True, False):
        llama.network.requires_grad_(trained)
        found.append(kfac(llama, batches(llama, EXAMPLES, 3), names, torch.Generator().manual_seed(5)))
    for name in names:
        torch.testing.assert_close(found[0][name].gradients, found[1][name].gradients)


def test_hooks_are_gone_afterwards(model):
    kfac(model, batches(model, EXAMPLES, 3), mlps(model), torch.Generator().manual_seed(0))
    assert all(not module._forward_hooks for module in modules(model).values())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_come_in_order(llama, size):
    keys = [key for batch in batches(llama, EXAMPLES, size) for key in batch.keys]
    assert keys == ["a", "b", "c"]
