"""What every registered post-calibration promises; a new one is held to it without a line here."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch

from audit.core.registry import canonical
from audit.data.records import Probe
from audit.methods.base import POSTS, Post
from audit.models.digests import weight_digest
from audit.models.scoring import score

NAMES = POSTS.names()
TEXT = "graddiff(lr=0.003, steps=10)"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_frozen_record_with_a_source(name):
    post = POSTS[name]()
    assert isinstance(post, Post)
    assert POSTS.build(canonical(post)) == post
    assert post.source in (inspect.getmodule(type(post)).__doc__ or "")
    assert post.evidence in ("paper", "reproduced", "experimental")
    with pytest.raises(dataclasses.FrozenInstanceError):
        post.name = "other"


@pytest.mark.parametrize("name", NAMES)
def test_it_looks_at_nobody_but_the_tune_subjects_of_the_sides_it_names(name, knowing, lab, monkeypatch):
    """Everything it scores is scored here; the sides are those of a plan."""
    looked = set()

    def seen(model, probes):
        looked.update(probe.question for probe in probes)
        return score(model, probes)

    monkeypatch.setattr(inspect.getmodule(POSTS[name]), "score", seen, raising=False)
    lab.run(f"{TEXT} > {name}", knowing)
    assert POSTS[name].needs <= {"forget", "retain", "twin"}
    assert looked == ({e.question for e in lab.tune} if POSTS[name].needs else set())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scope", ["all", "layers(0:1).mlp", "lora(4)"])
def test_the_result_lies_on_the_line_between_the_two_models(name, scope, knowing, lab):
    """Every weight is start + s (made - start) with one s; what the scope left alone is bit-identical."""
    before = weight_digest(knowing)
    start = lab.weights(knowing)
    far, mixed = (lab.run(f"{TEXT} @{scope}{post}", knowing) for post in ("", f" > {name}"))
    assert weight_digest(knowing) == before
    ends, found = (lab.weights(m.merged()) for m in (far, mixed))
    moved = [key for key in start if not torch.equal(start[key], ends[key])]
    assert moved
    assert all(torch.equal(found[key], start[key]) for key in start if key not in moved)
    towards = torch.cat([(ends[key] - start[key]).flatten() for key in moved])
    gone = torch.cat([(found[key] - start[key]).flatten() for key in moved])
    share = float(gone @ towards / (towards @ towards))
    torch.testing.assert_close(gone, share * towards, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights(name, knowing, lab):
    first, second = (weight_digest(lab.run(f"{TEXT} > {name}", knowing, seed=3)) for _ in range(2))
    assert first == second


def extracted(model, examples):
    """Return the mean extraction strength: 1 - (last wrong token's position) / tokens."""
    shares = []
    for scored in score(model, [Probe(e.key, "home", e.question, e.answer) for e in examples]):
        wrong = [i + 1 for i, hit in enumerate(scored.greedy) if not hit]
        shares.append(1 - max(wrong, default=0) / len(scored.greedy))
    return sum(shares) / len(shares)


@pytest.mark.parametrize("scope", ["all", "lora(8)"])
def test_uwc_really_retains_what_it_promises(scope, knowing, lab):
    """An ascent that ruins the retain answers, mixed back until those that it is shown are whole again."""
    text = f"ga(lr=0.003, steps=30) @{scope}"
    ruined, mixed = lab.run(text, knowing), lab.run(f"{text} > uwc(0.9)", knowing)
    known = extracted(knowing, lab.tune)
    assert extracted(ruined, lab.tune) < 0.9 * known <= extracted(mixed, lab.tune)
    assert lab.recall(mixed, lab.forget) < lab.recall(knowing, lab.forget)
