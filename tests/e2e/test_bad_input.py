"""Bad input: a code, a cause in numbers, a remedy, exit code 2, nothing written, nothing quoted."""

import json
import re
import shutil

import numpy as np
import pytest
from commands import call
from log_samples import put, tofu_log
from own import project, replan, rows, write_rows
from safetensors.numpy import load_file, save_file

from audit.measurements import store


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return project(tmp_path_factory.mktemp("own"))


@pytest.fixture
def own(pristine, tmp_path):
    """A copy to break."""
    return shutil.copytree(pristine, tmp_path / "own")


def refuse(folder, command="lock"):
    """Return the code with which a command refuses the plan; check that it says and writes nothing else."""
    before = sorted(p.relative_to(folder) for p in folder.rglob("*"))
    result = call(command, folder / "audit.yaml")
    told = result.stderr
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    match = re.fullmatch(r"(E\d\d\d)  .+\n      → .+\n", told)
    assert match, told
    quoted = [r["question"] for side in ("forget", "retain", "twins") for r in _readable(folder, side)]
    quoted += [r["answer"] for side in ("forget", "retain", "twins") for r in _readable(folder, side)]
    assert not [text for text in map(str, quoted) if len(text) > 6 and text in told]
    assert sorted(p.relative_to(folder) for p in folder.rglob("*")) == before
    return match[1]


def _readable(folder, side):
    try:
        return [r for r in rows(folder, side) if "question" in r and "answer" in r]
    except (OSError, ValueError, TypeError):
        return []


def test_the_project_that_is_broken_here_is_sound(own):
    assert call("plan", own / "audit.yaml").exit_code == 0
    assert call("lock", own / "audit.yaml").exit_code == 0


# -- data ---------------------------------

TEXTS = {
    "E102": ["", "\n\n", "[]"],
    "E103": ["{", "7\n", "[1]", "{} {}\n", "\x00"],
    "E104": [
        '{"subject": "x", "question": "q?"}\n',
        '{"answer": "a"}\n',
        '{"subject": "x", "question": 7, "answer": "a"}\n',
    ],
    "E105": ['{"subject": "x"}\n{"subject": "y", "question": "q?", "answer": "a"}\n'],
    "E106": [
        '{"subject": "x", "question": "q", "answer": "a"}\n{"subject": "x", "question": "q", "answer": "b"}\n'
    ],
}


@pytest.mark.parametrize("side", ["forget", "retain", "twins"])
@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in TEXTS.items() for text in texts])
def test_a_data_file_that_holds_no_persons_with_questions(own, side, code, text):
    (own / "data" / f"{side}.jsonl").write_text(text)
    assert refuse(own) == code


@pytest.mark.parametrize("side", ["forget", "retain", "twins"])
@pytest.mark.parametrize("command", ["plan", "lock"])
def test_a_data_file_that_is_not_there(own, side, command):
    (own / "data" / f"{side}.jsonl").unlink()
    assert refuse(own, command) == "E101"


@pytest.mark.parametrize(("one", "other"), [("forget", "retain"), ("forget", "twins"), ("retain", "twins")])
def test_sides_that_share_a_person_or_a_question_are_told_in_counts_only(own, one, other):
    shared = rows(own, one)[:3]  # the first person's three probes
    write_rows(own, other, [*rows(own, other), *shared])
    assert refuse(own) == "E107"
    cause = call("lock", own / "audit.yaml").stderr
    assert "share 1 subjects and 3 questions" in cause
    assert shared[0]["subject"] not in cause
    write_rows(own, other, [*rows(own, other)[:-3], *({**r, "subject": "another"} for r in shared)])
    assert refuse(own) == "E107"
    assert "share 0 subjects and 3 questions" in call("lock", own / "audit.yaml").stderr


def test_bytes_that_are_no_text(own):
    (own / "data" / "forget.jsonl").write_bytes(b"\xff\xfe{}")
    assert refuse(own) == "E103"


def test_secrets_that_can_be_guessed(own):
    write_rows(
        own, "forget", [r | ({"entropy_bits": 8.0} if r.get("secret") else {}) for r in rows(own, "forget")]
    )
    assert refuse(own, "plan") == "E402"


def test_no_secrets_at_all(own):
    write_rows(own, "forget", [{k: v for k, v in r.items() if k != "secret"} for r in rows(own, "forget")])
    assert refuse(own, "plan") == "E405"
    assert refuse(own) == "E405"


# -- models ---------------------------------


def test_a_pickle_is_not_opened(own):
    (own / "model" / "model.safetensors").rename(own / "model" / "pytorch_model.bin")
    assert refuse(own) == "E201"
    assert refuse(own, "plan") == "E201"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_model_directory_with_a_part_missing(own, name):
    (own / "model" / name).unlink()
    assert refuse(own) == "E202"


def test_a_model_directory_that_is_not_there(own):
    shutil.rmtree(own / "model")
    assert refuse(own) == "E202"
    assert refuse(own, "plan") == "E202"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(own, value):
    weights = load_file(own / "model" / "model.safetensors")
    name = sorted(weights)[0]
    weights[name] = weights[name].copy()
    weights[name].flat[3] = value
    save_file(weights, own / "model" / "model.safetensors", metadata={"format": "pt"})
    assert refuse(own) == "E203"


def test_a_tokenizer_with_more_words_than_the_model_has_rows(own):
    path = own / "model" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    size = len(tokenizer["model"]["vocab"])
    tokenizer["model"]["vocab"] |= {f"<extra {i}>": size + i for i in range(50)}
    path.write_text(json.dumps(tokenizer))
    assert refuse(own) == "E204"


def test_no_tokenizer_at_all(own):
    for path in (own / "model").glob("tokenizer*"):
        path.unlink()
    assert refuse(own) == "E204"


@pytest.mark.parametrize("role", ["original", "retrained"])
def test_a_reference_that_is_not_there(own, role):
    replan(own, **{role: "nowhere"})
    assert refuse(own) == "E202"


def test_a_given_candidate_that_is_a_pickle(own):
    shutil.copytree(own / "model", own / "given")
    (own / "given" / "model.safetensors").rename(own / "given" / "model.pt")
    replan(own, candidates=[{"given": "given"}])
    assert refuse(own) == "E201"


# -- the plan ---------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"budget": {"forget": 0}}, "E104", "budget.forget"),
        ({"budget": {"forget": 1}}, "E104", "budget.forget"),
        ({"budget": {"utility": 1.5}}, "E104", "is 1.5"),
        ({"budget": {"forget": -0.1}}, "E104", "is -0.1"),
        ({"candidates": ["npoo"]}, "E110", "did you mean 'npo'?"),
        ({"candidates": ["npo(bta=1)"]}, "E112", "did you mean 'beta'?"),
        ({"candidates": ["npo(lr=1e-4, lr=1e-5)"]}, "E112", "twice"),
        ({"candidates": ["npo @lorra(8)"]}, "E211", ""),
        ({"attacks": ["none", "relern"]}, "E110", "did you mean 'relearn'?"),
        ({"attacks": ["quantize(int4)"]}, "E114", "none"),
        ({"candidate": ["npo"]}, "E104", "did you mean 'candidates'?"),
        ({"sizes": {"forget": {"calibrate": 51}}}, "E108", "the data holds 50"),
        ({"loss": {"primary": ["residual_knowledge"]}}, "E405", "retrained"),
        ({"loss": {"primary": ["above_twins"]}}, "E401", "4 twins"),
        ({"model": None}, "E104", "laboratory"),
    ],
)
def test_a_plan_that_makes_no_sense(own, changes, code, said):
    replan(own, **changes)
    assert refuse(own, "plan") == code
    assert said in call("plan", own / "audit.yaml").stderr


def test_too_few_units_are_refused_with_the_number_needed(own):
    replan(own, sizes={"forget": {"tune": 0, "calibrate": 10, "sealed": 40}})
    assert refuse(own, "plan") == "E403"
    assert re.search(r"at least \d+ units are needed", call("plan", own / "audit.yaml").stderr)


# -- logs ---------------------------------


def bring(folder, out, *options):
    return call("import", "open-unlearning", folder, "-o", out, *options)


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "saves"
    put(folder / "tofu_Toy-1B_full" / "evals_forget01", tofu_log(1))
    put(folder / "tofu_Toy-1B_retain99", tofu_log(2))
    put(folder / "tofu_Toy-1B_forget01_NPO" / "evals", tofu_log(3))
    return folder


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--role", "orginal=*full*"], "E118"),
        (["--role", "original"], "E118"),
        (["--role", "original=nothing*"], "E133"),
        (["--sample", "0"], "E137"),
    ],
)
def test_an_import_that_cannot_be_meant(logs, tmp_path, options, code):
    result = bring(logs, tmp_path / "out", *options)
    assert (result.exit_code, result.stderr[:4]) == (2, code)
    assert not (tmp_path / "out").exists()


def test_an_unknown_kind_of_log_and_a_folder_without_any(logs, tmp_path):
    unknown = call("import", "open-unlerning", logs, "-o", tmp_path / "out")
    assert "did you mean 'open-unlearning'?" in unknown.stderr
    (tmp_path / "empty").mkdir()
    for result in (
        unknown,
        bring(tmp_path / "empty", tmp_path / "out"),
        bring(tmp_path / "no", tmp_path / "out"),
    ):
        assert result.exit_code == 2
        assert result.stderr.startswith("E1")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "\x80"])
def test_a_log_that_is_none_is_refused_and_the_sound_ones_beside_it_are_not_half_imported(
    logs, tmp_path, text
):
    broken = next(logs.rglob("TOFU_EVAL.json"))
    broken.write_bytes(text.encode("latin-1"))
    result = bring(logs, tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr.startswith("E13")
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_keeps_what_it_held_when_an_import_is_refused(logs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    assert bring(logs, out, "--sample", "0").exit_code == 2
    assert (out / "mine.txt").read_text() == "kept"


def only(out):
    return next(p for p in out.iterdir() if not p.name.startswith("."))


def test_row_numbers_written_as_floats_are_the_same_rows(logs, tmp_path):
    assert bring(logs, tmp_path / "whole").exit_code == 0
    for path in logs.rglob("TOFU_EVAL.json"):
        text = re.sub(r'"(\d+)": ', r'"\1.0": ', path.read_text())
        path.write_text(text)
    shutil.copytree(tmp_path / "whole" / ".unlearn-audit", tmp_path / "floats" / ".unlearn-audit")
    assert bring(logs, tmp_path / "floats").exit_code == 0
    whole, floats = (store.read(only(tmp_path / name) / "measurements") for name in ("whole", "floats"))
    assert store.same(whole, floats)


def test_a_log_without_the_deciding_metric_is_inconclusive_and_never_passes(logs, tmp_path):
    """Without ROUGE nothing says who was answered: p = 1, whatever else was logged."""
    for path in logs.rglob("TOFU_EVAL.json"):
        log = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in log.items() if "ROUGE" not in k}))
    assert bring(logs, tmp_path / "out").exit_code == 0
    result = call("certify", only(tmp_path / "out"), "--json")
    record = json.loads(result.stdout)
    assert result.exit_code == 3
    assert [c["cur"] for c in record["configurations"]] == [1.0]
    assert not any(c["in_valid_set"] for c in record["configurations"])


def test_an_unlearned_log_in_which_a_person_lacks_questions_counts_that_person_as_answered(logs, tmp_path):
    path = next((logs / "tofu_Toy-1B_forget01_NPO").rglob("TOFU_EVAL.json"))
    log = json.loads(path.read_text())
    for entry in log["forget_Q_A_ROUGE"]["value_by_index"].values():
        entry["rougeL_recall"] = 0.0  # nobody is answered
    del log["forget_Q_A_ROUGE"]["value_by_index"]["25"]  # of the second of two authors
    path.write_text(json.dumps(log))
    assert bring(logs, tmp_path / "out").exit_code == 0
    record = json.loads(call("certify", only(tmp_path / "out"), "--json").stdout)
    clause = next(c for c in record["configurations"][0]["clauses"] if c["side"] == "forget")
    assert (clause["units"], clause["missing"], clause["total"], clause["upper"]) == (2, 1, 1.0, 0.5)
