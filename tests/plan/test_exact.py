"""Exact methods are refused at the plan where they could not be exact, or not be made."""

import math

import pytest

from audit.core.errors import AuditError
from audit.plan.corpus import laboratory_seed
from audit.plan.exact import check_exact
from audit.plan.lock import make_lock
from audit.plan.schema import Laboratory, parse_plan

STATED = {"base": "base", "epochs": 5, "batch": 16, "lr": 1e-5}


def laboratory(candidate, **settings):
    return {"laboratory": {"subject": "tiny"} | settings, "candidates": [candidate]}


def own(candidate, **more):
    data = {"forget": "f.jsonl", "retain": "r.jsonl"}
    return {"model": "m", "data": data, "candidates": [candidate]} | more


@pytest.mark.parametrize(
    "raw",
    [
        laboratory("retrain"),
        laboratory("retrain(without=nobody)", training="sisa"),
        laboratory("retrain(seed=1)", subject="smollm2"),
        laboratory("adapter_drop", training="adapter"),
        laboratory("adapter_drop", training="sisa(slices=3)"),
        laboratory("sisa", training="sisa(slices=3)"),
        laboratory("sisa", training="sharded"),
        laboratory("retrain", training="sharded(shards=3)"),
        own("retrain", training=STATED),
        own({"given": "exactly"}),
        own("npo @lora(8) > uwc(0.9)"),
    ],
)
def test_what_the_plan_has_can_be_used(raw, tmp_path):
    check_exact(parse_plan(raw, base=tmp_path))


@pytest.mark.parametrize(
    ("raw", "code", "remedy"),
    [
        (laboratory("adapter_drop"), "E236", "laboratory: {subject: tiny, training: adapter}"),
        (laboratory("sisa"), "E232", "laboratory: {subject: tiny, training: sisa(slices=2)}"),
        (laboratory("adapter_drop", subject="smollm2"), "E236", "subject: lab, training: adapter}"),
        (laboratory("sisa", subject="smollm2"), "E232", "subject: lab, training: sisa(slices=2)}"),
        (laboratory("adapter_drop", training="sharded"), "E236", "training: adapter}"),
        (laboratory("npo", training="sharded(shards=41)"), "E245", "fewer shards"),
        (laboratory("retrain > uwc(0.9)"), "E230", "leave"),
        (laboratory("retrain @layers(0:1)"), "E230", "leave"),
        (own("retrain"), "E231", "training: {base: ./base"),
        (own("sisa"), "E231", "given: PATH"),
        (own("sisa", training=STATED), "E232", "retrain"),
        (own("adapter_drop"), "E236", "`model`"),
    ],
)
def test_what_the_plan_lacks_is_said_with_what_to_do(raw, code, remedy, tmp_path):
    with pytest.raises(AuditError) as caught:
        check_exact(parse_plan(raw, base=tmp_path))
    assert caught.value.code == code
    assert remedy in caught.value.remedy


def test_an_own_model_that_is_an_adapter_can_be_dropped(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "adapter_config.json").write_text("{}")
    check_exact(parse_plan(own("adapter_drop"), base=tmp_path))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (laboratory("npo", subject="smollm2", training="adapter"), "E235"),
        (laboratory("npo", training="sisa(slices=0)"), "E234"),
        (laboratory("npo") | {"training": STATED}, "E233"),
        (own("npo", training=STATED | {"epochs": 0}), "E104"),
        (own("npo", training=STATED | {"epochs": math.inf}), "E104"),
        (own("npo", training=STATED | {"lr": math.inf}), "E104"),
    ],
)
def test_a_training_that_cannot_be_is_no_plan(raw, code, tmp_path):
    with pytest.raises(AuditError, match=code):
        parse_plan(raw, base=tmp_path)


def locked(folder, **settings):
    return make_lock(parse_plan(laboratory("npo", **settings), base=folder), folder)


def test_the_training_is_locked_and_the_usual_one_leaves_old_locks_as_they_were(tmp_path):
    usual, named, other = (locked(tmp_path, **s) for s in ({}, {"training": "full"}, {"training": "adapter"}))
    assert usual.digest == named.digest != other.digest
    assert set(usual.content["laboratory"]) == {"subject", "release", "facts", "secrets"}
    assert other.content["laboratory"]["training"] == "adapter(rank=16)"
    assert "training" not in usual.content


def test_laboratories_of_different_trainings_share_nobody(tmp_path):
    plans = [parse_plan(laboratory("npo", training=t), base=tmp_path) for t in ("full", "adapter", "sisa")]
    assert len({laboratory_seed(plan) for plan in plans}) == 3
    lists = [locked(tmp_path, training=t).content["lists"]["forget"] for t in ("full", "adapter")]
    assert lists[0] != lists[1]


def test_a_written_training_reads_back(tmp_path):
    for text in ("full", "sisa(slices=2, rank=16)"):
        made = Laboratory(subject="tiny", training=text)
        assert Laboratory.model_validate(made.model_dump()) == made
