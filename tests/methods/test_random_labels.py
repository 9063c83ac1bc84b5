from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from audit.methods.objectives import random_labels


def test_the_term_is_the_mean_nll_of_the_random_words(forget, monkeypatch):
    """Words 0 and 2: (ln 2 + ln 8) / 2 = 2 ln 2."""
    monkeypatch.setattr(random_labels, "random_words", lambda *_: torch.tensor([0, 2]))
    assert forget("random_labels") == pytest.approx(2 * math.log(2))


def words(*keys, tokens=6, step=0, vocabulary=50):
    batch = SimpleNamespace(keys=keys, rows=torch.arange(len(keys)).repeat_interleave(tokens))
    batch = type("Batch", (), {"__len__": lambda self: len(keys), **vars(batch)})()
    return random_labels.random_words(SimpleNamespace(seed=0, step=step), batch, vocabulary).tolist()


def test_what_a_sequence_is_taught_depends_on_seed_step_and_key_not_on_its_batch():
    assert words("a", "b") == words("a") + words("b")
    assert words("a") != words("b")
    assert words("a") != words("a", step=1)


def test_words_are_uniform_over_the_vocabulary():
    """10,000 draws from 10 words: each comes up 1000 times, standard deviation 30."""
    counts = torch.bincount(torch.tensor(words("a", tokens=10_000, vocabulary=10)), minlength=10)
    assert (counts - 1000).abs().max() < 5 * 30
