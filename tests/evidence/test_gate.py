"""The gate: it names one checkpoint or refuses, and its exit code follows the order of precedence."""

import dataclasses
import json

import numpy as np
import pytest
from hand_made import INT4, NONE, Audit
from safetensors.numpy import save_file

from audit.core.errors import AuditError
from audit.evidence.certify import certify
from audit.evidence.gate import decide, pick
from audit.models.load import folder_digest


@pytest.fixture(scope="module")
def certificate():
    """One candidate of each verdict."""
    audit = Audit(candidates=("good", "bad", "unclear", "broken"), forget=20, retain=10)
    audit.leak("bad", NONE, 5)
    for number in range(3):
        audit.put("unclear", NONE, f"f{number:03d}", "passport", "forced_match", None)
    audit.fail("broken", INT4)
    return certify(audit.measurements())


def digest(certificate, name):
    return next(c.checkpoint for c in certificate.configurations if c.configuration == name)


def code_of(certificate, checkpoint):
    with pytest.raises(AuditError) as caught:
        decide(certificate, checkpoint)
    return caught.value.code, caught.value.exit_code


@pytest.mark.parametrize(("name", "exit_code"), [("good", 0), ("bad", 1), ("unclear", 3), ("broken", 4)])
def test_the_exit_code_is_that_of_the_checkpoint_that_ships(certificate, name, exit_code):
    decision = decide(certificate, digest(certificate, name))
    assert decision.verdict.exit_code == exit_code
    assert decision.reasons
    assert decision.lines()[0].startswith(str(decision.verdict))
    assert json.loads(json.dumps(decision.to_json()))["exit_code"] == exit_code


@pytest.mark.parametrize("length", [8, 12, 63, 64])
def test_the_head_of_a_digest_names_a_checkpoint_in_capitals_too(certificate, length):
    whole = digest(certificate, "bad")
    assert pick(certificate, whole[:length]).configuration == "bad"
    assert pick(certificate, whole[:length].upper()).configuration == "bad"


@pytest.mark.parametrize("text", ["03c0ffe", "", "npo", "03c0ffeg", "./no/such/folder"])
def test_what_is_neither_a_digest_nor_a_directory_is_a_usage_error(certificate, text):
    assert code_of(certificate, text) == ("E116", 2)


def test_a_checkpoint_nobody_audited_is_an_integrity_error(certificate):
    assert code_of(certificate, "deadbeef" * 8) == ("E511", 5)
    assert code_of(certificate, certificate.references[0].checkpoint) == (
        "E511",
        5,
    )  # no candidate ships as original


def test_with_several_candidates_the_one_that_ships_must_be_named(certificate):
    assert code_of(certificate, None) == ("E117", 2)


def test_the_only_candidate_need_not_be_named():
    alone = certify(Audit(candidates=("npo",), forget=20, retain=10).measurements())
    assert decide(alone, None).verdict.exit_code == 0
    assert code_of(certify(Audit(candidates=(), forget=20, retain=10).measurements()), None) == ("E117", 2)


def test_a_head_that_two_checkpoints_share_names_neither(certificate):
    twice = tuple(
        dataclasses.replace(c, checkpoint="03c0ffee" + c.checkpoint[8:]) for c in certificate.configurations
    )
    ambiguous = dataclasses.replace(certificate, configurations=twice)
    assert code_of(ambiguous, "03c0ffee") == ("E116", 2)
    assert pick(ambiguous, twice[1].checkpoint).configuration == "bad"


def test_an_integrity_error_of_the_audit_comes_before_everything(certificate):
    audit = Audit(candidates=("good", "bad", "broken"), forget=20, retain=10)
    audit.leak("bad", NONE, 5)
    audit.fail("broken", INT4)
    audit.leak("retrained", NONE, 20)
    void = certify(audit.measurements())
    assert {decide(void, c.checkpoint).verdict.exit_code for c in void.configurations} == {5}


def test_what_could_not_be_measured_comes_before_what_failed(certificate):
    audit = Audit(candidates=("both",), forget=20, retain=10)
    audit.leak("both", NONE, 20)
    audit.fail("both", INT4)
    assert decide(certify(audit.measurements()), None).verdict.exit_code == 4


def test_a_missing_control_keeps_a_valid_checkpoint_from_passing():
    uncontrolled = certify(
        Audit(candidates=("npo",), references=("original",), forget=20, retain=10).measurements()
    )
    assert uncontrolled.valid_set
    assert decide(uncontrolled, None).verdict.exit_code == 3


def test_a_candidate_that_was_never_made_cannot_be_gated(certificate):
    without = tuple(dataclasses.replace(c, checkpoint="") for c in certificate.configurations)
    assert code_of(dataclasses.replace(certificate, configurations=without), "0" * 64) == ("E511", 5)


# -- directories ---------------------------------


def checkpoint(folder, value=1.0):
    """Write the smallest directory that the digest reads."""
    folder.mkdir()
    save_file({"weight": np.full((2, 2), value, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    (folder / "audit_prompt.json").write_text('{"style": "qa"}')
    return folder


def test_the_weights_in_a_directory_are_digested_anew(certificate, tmp_path):
    folder = checkpoint(tmp_path / "ship")
    named = tuple(
        dataclasses.replace(c, checkpoint=folder_digest(folder)) if c.configuration == "bad" else c
        for c in certificate.configurations
    )
    shipped = dataclasses.replace(certificate, configurations=named)
    assert decide(shipped, str(folder)).label == "bad"
    save_file(
        {"weight": np.full((2, 2), 1.0 + 1e-6, np.float32)}, folder / "model.safetensors"
    )  # one bit or so
    assert code_of(shipped, str(folder)) == ("E511", 5)


def test_a_directory_without_weights_or_with_a_pickle_has_the_codes_of_models(certificate, tmp_path):
    assert code_of(certificate, str(tmp_path)) == ("E202", 2)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert code_of(certificate, str(tmp_path)) == ("E201", 2)
