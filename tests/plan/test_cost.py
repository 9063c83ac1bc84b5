"""The cost of a plan, counted by hand: operations per weight, 2 a token forward and 6 forward and backward."""

import pytest

from audit.data.records import Corpus, Probe, Subject
from audit.plan import cost
from audit.plan.cost import Cost, TierCost, estimate
from audit.plan.schema import parse_plan
from audit.plan.sizes import ResolvedSizes

TOKENS = 10  # of every probe: 35 letters at 3.5 a token
REFERENCES = 2  # original and retrained are scored too


def people(side, count, probes):
    """Return persons whose every probe has a question of 20 and an answer of 15 letters."""
    return tuple(
        Subject(f"{side}{i}", tuple(Probe(f"{side}{i}", f"p{n}", "q" * 20, "a" * 15) for n in range(probes)))
        for i in range(count)
    )


# 200, 600 and 50 tokens; 80 sequences to train on, of 10 tokens each
CORPUS = Corpus(people("f", 10, 2), people("r", 20, 3), people("t", 5, 1))
SIZES = ResolvedSizes(
    {"tune": 2, "calibrate": 6, "sealed": 2},
    {"tune": 5, "calibrate": 10, "sealed": 5},
    {"tune": 0, "threshold": 5},
)
SCORED = 2 * (0.6 * 200 + 50)  # one attack: 6 of 10 forget subjects, and the twins
UNATTACKED = 2 * 0.5 * 600  # 10 of 20 retained subjects, once


@pytest.fixture
def operations(monkeypatch, tmp_path):
    """Return a function that counts the operations per weight of a plan's candidates."""
    monkeypatch.setattr(cost, "_flops_per_second", lambda: 1 / cost.EFFICIENCY)
    monkeypatch.setattr(cost, "_parameters", lambda plan: 1.0)

    def count(*candidates, score_tune=False, **changes):
        data = {"forget": "f", "retain": "r"}
        raw = {"model": "m", "data": data, "candidates": list(candidates), "attacks": ["none"]} | changes
        return estimate(parse_plan(raw, base=tmp_path), CORPUS, SIZES, score_tune=score_tune).seconds

    return count


def scoring(candidates, attacks=1):
    return (candidates + REFERENCES) * (attacks * SCORED + UNATTACKED)


def test_scoring_is_a_forward_pass_of_each_attack_over_who_is_opened_and_one_over_the_retained(operations):
    given = {"given": "there"}
    assert operations(given) == pytest.approx(3 * (340 + 600))
    assert operations(given, {"given": "other"}) == pytest.approx(scoring(2))
    attacks = ["none", "paraphrase(wordings=2)"]  # one pass and two
    assert operations(given, attacks=attacks) == pytest.approx(3 * (3 * 340 + 600))


def test_tune_subjects_that_are_scored_too_cost_their_share(operations):
    """8 of 10 forget and 15 of 20 retained subjects: 160 and 450 tokens instead of 120 and 300."""
    assert operations({"given": "there"}, score_tune=True) == pytest.approx(3 * 2 * (160 + 50 + 450))


def test_a_step_takes_a_batch_of_either_side_forward_and_back(operations):
    """Ten steps of four and four sequences of ten tokens, six operations a token; ga computes half of it."""
    step = (4 + 4) * TOKENS * 6
    assert operations("npo(steps=10, batch=4)") - scoring(1) == pytest.approx(10 * step)
    assert operations("npo(steps=10, batch=8)") - scoring(1) == pytest.approx(10 * 2 * step)
    assert operations("ga(steps=10, batch=4)") - scoring(1) == pytest.approx(10 * step / 2)
    assert operations("npo(steps=10, batch=4) + tar") - scoring(1) == pytest.approx(6 * 10 * step)


def test_a_training_ends_at_its_last_checkpoint_and_is_paid_for_once(operations):
    step = (4 + 4) * TOKENS * 6
    stopped = "npo(steps=90, batch=4) at 10"
    assert operations(stopped) - scoring(1) == pytest.approx(10 * step)
    assert operations(stopped, "npo(steps=90, batch=4) at 30") - scoring(2) == pytest.approx(30 * step)
    assert operations(stopped, "npo(steps=90, batch=4)") - scoring(2) == pytest.approx(90 * step)


@pytest.mark.parametrize(
    ("post", "passes", "sequences"),
    [
        ("uwc", 1 + 20, 15),  # 5 of 20 retained subjects are tune subjects, three questions each
        ("uwc(points=1000)", 1 + 1000, 15),
        ("uwc(sequences=4)", 1 + 20, 4),
        ("path(0.5)", 0, 0),
    ],
)
def test_a_post_calibration_is_forward_passes_over_the_tune_questions_it_looks_at(
    operations, post, passes, sequences
):
    plain = operations("npo")
    assert operations(f"npo > {post}") - plain == pytest.approx(passes * sequences * TOKENS * 2, abs=1e-6)


def test_each_post_calibration_of_one_training_looks_for_itself(operations):
    step = 60 * 64 * TOKENS * 6
    two = operations("npo > uwc", "npo > uwc(0.9)")
    assert two - scoring(2) == pytest.approx(step + 2 * 21 * 15 * TOKENS * 2)


def test_a_laboratory_trains_its_two_references_too(operations):
    """Eight epochs of 1.7 wordings: the original on both sides, the retrained on the retained."""
    lab = operations({"given": "there"}, model=None, data=None, laboratory={"subject": "lab"})
    assert lab - scoring(1) == pytest.approx(8 * 1.7 * (200 + 600 + 600) * 6)


def test_time_is_operations_over_speed_and_memory_six_copies_of_four_bytes(operations, monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "_parameters", lambda plan: 1e6)
    monkeypatch.setattr(cost, "_flops_per_second", lambda: 1e9)
    raw = {"model": "m", "data": {"forget": "f", "retain": "r"}, "candidates": [{"given": "g"}]}
    found = estimate(parse_plan(raw | {"attacks": ["none"]}, base=tmp_path), CORPUS, SIZES, score_tune=False)
    assert found.seconds == pytest.approx(1e6 * scoring(1) / (0.3 * 1e9))
    assert found.memory_bytes == 24e6
    assert found.tiers[0].seconds == pytest.approx(1e6 * SCORED / (0.3 * 1e9))


@pytest.mark.parametrize(
    ("size", "said"), [(24e6, "23 MiB"), (2.0**29, "0.5 GiB"), (2.0**29 - 1, "512 MiB"), (3.3e9, "3.1 GiB")]
)
def test_memory_is_said_in_a_unit_that_is_not_zero(size, said):
    assert f", {said} per worker" in Cost(1e6, 1.0, size, ()).lines()[0]


def test_one_is_no_plural():
    assert TierCost("prompt", 1, 1.0, 2.0).text() == "prompt 1 attack, 1 pass, 2 s"
    assert TierCost("prompt", 2, 2.5, 2.0).text() == "prompt 2 attacks, 2.5 passes, 2 s"
    assert (cost.counted(1, "candidate"), cost.counted(0, "candidate")) == ("1 candidate", "0 candidates")
