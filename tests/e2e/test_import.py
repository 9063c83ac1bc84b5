"""Other tools' logs: imported, certified without a model; without controls inconclusive, with them decided."""

import json
import shutil

import pandas as pd
import pytest
from commands import call
from log_samples import duet_log, put, text_of, tofu_log

from audit.evidence import bundle


def unlearned(log, forget, kept):
    """Return the log with recall 0 on all forget questions and 1 on the kept ones."""
    for metric, recall in ((forget, 0.0), *((name, 1.0) for name in kept)):
        for entry in log[metric]["value_by_index"].values():
            entry["rougeL_recall"] = recall
    return log


@pytest.fixture
def logs(tmp_path):
    root = tmp_path / "saves"
    put(root / "tofu_Toy-1B_full" / "evals_forget01", tofu_log(1))
    put(root / "tofu_Toy-1B_retain99", tofu_log(2))
    tofu = unlearned(tofu_log(3), "forget_Q_A_ROUGE", ("retain_Q_A_ROUGE", "ra_Q_A_ROUGE", "wf_Q_A_ROUGE"))
    put(root / "tofu_Toy-1B_forget01_NPO" / "evals", tofu)
    duet = unlearned(duet_log(5), "forget_qa_rouge", ("holdout_qa_rouge",))
    put(root / "duet_Toy-8B_city_forget_5_ga_lr1", duet, "DUET_EVAL.json")
    return root


def test_logs_become_audits_whose_certificate_is_an_exact_census(logs, tmp_path):
    out = tmp_path / "out"
    done = call("import", "open-unlearning", logs, "-o", out, "--json")
    assert done.exit_code == 0
    audits = json.loads(done.stdout)["audits"]
    assert len(audits) == 2
    for record in audits:
        result = call("certify", record["folder"])
        assert result.exit_code == 3
        assert "uncontrolled" in result.stdout
        assert call("report", record["folder"]).exit_code == 0
        certificate = bundle.read(out / record["folder"].rpartition("/")[2])
        assert certificate.estimand == "census"
        assert certificate.primary == ("answered",)
        (candidate,) = certificate.valid_set  # it meets both budgets, and still nothing passes
        assert (candidate.cur, candidate.verdict) == (0.0, "INCONCLUSIVE")
        assert all(c.census for c in candidate.clauses)


def test_the_roles_found_are_printed_and_none_of_the_text_is_kept(logs, tmp_path):
    out = tmp_path / "out"
    told = call("import", "open-unlearning", logs, "-o", out).stdout
    assert "original" in told
    assert "retrained" in told
    log = json.loads(next(logs.rglob("TOFU_EVAL.json")).read_text())
    answers = {e["ground_truth"] for e in log["forget_Q_A_ROUGE"]["value_by_index"].values()}
    for folder in (p for p in out.iterdir() if not p.name.startswith(".")):
        kept = text_of(folder / "measurements")
        assert not [answer for answer in answers if answer in kept]


def test_a_log_in_which_all_persons_are_answered_is_told_by_its_count_but_not_judged_without_controls(
    tmp_path,
):
    """Both forgotten authors have some answer with recall above .7: 2 of 2, and a tenth is allowed.

    Guessing counts as answering, so without a control the count alone proves nothing (DECISIONS §18: exit 3).
    """
    log = tofu_log(3)
    for entry in log["forget_Q_A_ROUGE"]["value_by_index"].values():
        entry["rougeL_recall"] = 0.9
    put(tmp_path / "saves" / "tofu_Toy-1B_forget01_NPO", log)
    call("import", "open-unlearning", tmp_path / "saves", "-o", tmp_path / "out")
    (folder,) = (p for p in (tmp_path / "out").iterdir() if not p.name.startswith("."))
    assert call("certify", folder).exit_code == 3
    assert any("answered" in r and "2 of 2" in r for r in bundle.read(folder).configurations[0].reasons)


def test_gate_of_an_imported_log_never_passes(logs, tmp_path):
    call("import", "open-unlearning", logs, "-o", tmp_path / "out")
    for folder in (p for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")):
        call("certify", folder)
        assert call("gate", folder).exit_code == 3  # one candidate each; its log names no weights


# -- logs of both references ---------------------------------


def numbers(folder, guessed):
    """Ten forgotten and ten kept persons: known to the original, ``guessed`` of them answered when retrained."""
    recall = {
        ("original", "forget"): 10,
        ("retrained", "forget"): guessed,
        ("npo", "forget"): 1,
        **{(name, "retain"): 10 for name in ("original", "retrained", "npo")},
    }
    rows = [
        {"configuration": name, "role": name if name != "npo" else "candidate", "side": side}
        | {"subject": f"{side}{i}", "probe": "city", "metric": "rouge_l_recall", "value": float(i < count)}
        for (name, side), count in recall.items()
        for i in range(10)
    ]
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "numbers.csv", index=False)
    return folder


@pytest.mark.parametrize(("guessed", "verdict", "code"), [(1, "PASS", 0), (2, "INCONCLUSIVE", 3)])
def test_with_original_and_retrained_among_the_logs_the_verdict_is_given_but_ships_nothing(
    tmp_path, guessed, verdict, code
):
    call("import", "table", numbers(tmp_path / "logs", guessed), "-o", tmp_path / "out")
    (folder,) = (p for p in (tmp_path / "out").iterdir() if not p.name.startswith("."))
    done = call("certify", folder)
    assert done.exit_code == code
    (candidate,) = bundle.read(folder).configurations
    assert (str(candidate.verdict), candidate.cur) == (verdict, 0.1)
    gate = call("gate", folder)
    assert gate.exit_code == 3  # no weights are named, so nothing that ships is known to be what was logged
    assert code or "name no weights" in gate.stdout


@pytest.fixture
def tofu_logs(shared_data, tmp_path):
    """Real logs of one model, full and retrained without ten authors in a hundred, each also as a candidate."""
    base, logs = "tofu_Llama-2-7b-chat-hf", shared_data / "open_unlearning_eval"
    full, kept = logs / f"{base}_full" / "evals_forget10", logs / f"{base}_retain90"
    for source, name in (
        (full, f"{base}_full/evals_forget10"),
        (kept, f"{base}_retain90"),
        (full, f"{base}_forget10_nothing"),
        (kept, f"{base}_forget10_perfect"),
    ):
        shutil.copytree(source, tmp_path / "saves" / name)
    return tmp_path / "saves"


def test_real_logs_judged_beside_never_trained_authors_tell_knowing_from_not_knowing(tofu_logs, tmp_path):
    """Counted in the logs: all twenty authors are likelier than all twins in the original, none when retrained."""
    out = tmp_path / "out"
    call("import", "open-unlearning", tofu_logs, "-o", out, "--loss", "above_twins")
    (folder,) = (p for p in out.iterdir() if not p.name.startswith("."))
    assert call("certify", folder).exit_code == 0
    certificate = bundle.read(folder)
    assert {c.name: c.outcome for c in certificate.controls} == dict.fromkeys(
        ("original", "retrained"), "as expected"
    )
    found = {c.configuration: (c.cur, str(c.verdict)) for c in certificate.configurations}
    assert found == {"nothing": (1.0, "FAIL"), "perfect": (0.0, "PASS")}


def test_real_logs_judged_by_answers_stay_uncontrolled_because_the_retrained_model_guesses(
    tofu_logs, tmp_path
):
    call("import", "open-unlearning", tofu_logs, "-o", tmp_path / "out")
    (folder,) = (p for p in (tmp_path / "out").iterdir() if not p.name.startswith("."))
    assert call("certify", folder).exit_code == 3
    assert any("guesses" in r and "15 of 20" in r for r in bundle.read(folder).reasons)


@pytest.mark.parametrize(("loss", "code"), [("recovered", "E144"), ("above_twins", "E146")])
def test_a_loss_that_cannot_judge_these_logs_is_refused_and_leaves_nothing(logs, tmp_path, loss, code):
    """Beside two twins one of two authors is above both as often as not."""
    shutil.rmtree(next(logs.glob("duet_*")))
    done = call("import", "open-unlearning", logs, "-o", tmp_path / "out", "--loss", loss)
    assert code in done.stderr
    assert not (tmp_path / "out").exists()


def test_only_the_named_audits_are_written_and_a_name_that_nobody_has_is_refused(logs, tmp_path):
    call("import", "open-unlearning", logs, "-o", tmp_path / "all")
    names = sorted(p.name for p in (tmp_path / "all").iterdir() if not p.name.startswith("."))
    assert len(names) > 1
    call("import", "open-unlearning", logs, "-o", tmp_path / "one", "--only", f"{names[0][:-1]}?")
    assert [p.name for p in (tmp_path / "one").iterdir() if not p.name.startswith(".")] == names[:1]
    done = call("import", "open-unlearning", logs, "-o", tmp_path / "none", "--only", "nobody*")
    assert done.exit_code == 2
    assert "E147" in done.stderr
    assert all(name in done.stderr for name in names)
    assert not (tmp_path / "none").exists()


def test_above_twins_needs_twins_with_likelihoods(tmp_path):
    logs = numbers(tmp_path / "logs", 1)
    done = call("import", "table", logs, "-o", tmp_path / "out", "--loss", "above_twins")
    assert "E145" in done.stderr
