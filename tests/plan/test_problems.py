"""What a plan file gets wrong is said in its own words: the field, what stands there, the form to write."""

import re

import pytest

from audit.core.errors import AuditError
from audit.plan.schema import load_plan

LABORATORY = "laboratory: {subject: tiny}\n"


def refused(tmp_path, text):
    (tmp_path / "audit.yaml").write_text(text if "laboratory" in text else LABORATORY + text)
    with pytest.raises(AuditError) as caught:
        load_plan(tmp_path / "audit.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        ("candidates: npo", "candidates is text, not a list", "candidates: [npo, ga]"),
        ("candidates: {npo: 1}", "keys 'npo', not a list", "candidates: [npo, ga]"),
        ("candidates:", "candidates is empty, not a list", "candidates: [npo, ga]"),
        ("candidates: [npo, {swep: npo}]", "candidate 2 of the plan", "did you mean 'sweep'?"),
        ("candidates: [{givn: x}]", "candidate 1 of the plan", "did you mean 'given'?"),
        ("candidates: [{given: 3}]", "names no directory under `given`", "{given: PATH}"),
        ("candidates: [{given: x, lr: 1}]", "holds lr beside `given`", "{given: PATH} and nothing else"),
        ("candidates:\n  - npo: {lr: 1e-4, steps: 3}", "candidate 1", '"npo(lr=1e-4, steps=3)"'),
        ("candidates: [7]", "candidate 1 of the plan is 7", "{given: PATH}, or {sweep: npo"),
        ("candidates: [npo]\ntraining: yes", "training is true", "training: {base: …, epochs: …, batch"),
        ("candidates: [npo]\ntraining: {base: x}", "training.epochs is missing", "add `epochs"),
        ("candidates: [npo]\nattacks: none", "attacks is text, not a list", "[none, quantize(int4)]"),
        ("candidates: [npo]\nattacks: [none, {quantize: int4}]", "attacks[2] is a mapping", "quantize(int4)"),
        ("candidates: [npo]\nattacks: []", "attacks is an empty list", "[none, quantize(int4)]"),
        ("candidates: [npo]\nbudget: 0.1", "budget is 0.1", "budget: {forget: …, utility: …}"),
        ("candidates: [npo]\nbudget: {forget: ten}", "budget.forget is text, not a number", "a number"),
        ("candidates: [npo]\nbudget: {forget: 1.5}", "budget.forget is 1.5", "a number below 1"),
        ("candidates: [npo]\nconfidence: 0", "confidence is 0", "a number above 0"),
        ("candidates: [npo]\nfutility: maybe", "futility is text", "true or false or write 'subjects'"),
        ("candidates: [npo]\nloss: {primary: [recoverd]}", "loss.primary[1] is text", "'recovered', 'leak"),
        ("candidates: [npo]\nseed: 1.5", "seed is 1.5, not a whole number", "a whole number"),
        ("candidates: [npo]\n3: 4", "plan field 3 cannot be read", "init"),
        ("laboratory: big\ncandidates: [npo]", "laboratory is text", "laboratory: {subject: …"),
        ("laboratory: {facts: 9}\ncandidates: [npo]", "laboratory.facts is 9", "at most 6"),
    ],
)
def test_a_problem_names_its_field_and_the_form_to_write(tmp_path, text, cause, remedy):
    error = refused(tmp_path, text)
    assert error.code == "E104"
    assert cause in error.cause
    assert remedy in error.remedy
    assert not re.search(r"tuple|dictionary|instance|valid |input|\\.str\\b|union|pydantic", str(error))


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("candidates: [npo]\nbudget: {forget: 0.01, forget: 0.9}", "forget", 3),
        ("candidates: [npo]\nbudget:\n  forget: 0.01\n  utility: 0.1\n  'forget': 0.9", "forget", 6),
        ("candidates: [npo]\nseed: 1\ncandidates: [ga]", "candidates", 4),
        ("candidates: [{sweep: npo, lr: [1], lr: [2]}]", "lr", 2),
        ("candidates: [{sweep: npo, lr: {log: [1, 2], n: 3, n: 4}}]", "n", 2),
        ("candidates: [{given: a, given: b}]", "given", 2),
    ],
)
def test_a_key_given_twice_is_refused_with_its_name_and_line(tmp_path, text, key, line):
    error = refused(tmp_path, text)
    assert error.code == "E103"
    assert f"{key!r} a second time, at line {line}" in error.cause


def test_the_same_key_in_two_places_and_one_over_a_merged_one_are_no_doubles(tmp_path):
    (tmp_path / "audit.yaml").write_text(
        LABORATORY
        + "candidates: [npo]\nsizes:\n  forget: &a {tune: 1, calibrate: 2}\n  retain: {<<: *a, calibrate: 3}\n"
    )
    sizes = load_plan(tmp_path / "audit.yaml").sizes
    assert (sizes.forget.calibrate, sizes.retain.tune, sizes.retain.calibrate) == (2, 1, 3)


@pytest.mark.parametrize(
    "text",
    ["seed: 2026-13-45", "seed: " + "1" * 5000, "candidates: " + "[" * 5000],
    ids=["no date", "too long", "too deep"],
)
def test_what_the_reader_itself_cannot_take_is_no_yaml(tmp_path, text):
    assert refused(tmp_path, text).code == "E103"
