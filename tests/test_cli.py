"""The command line: every verb's exit code, one JSON object on standard output, never a traceback."""

import json
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hand_made import INT4, NONE, Audit, imported
from typer.testing import CliRunner

import audit
from audit.cli import app
from audit.evidence import bundle
from audit.measurements import store

CATALOGUES = ("methods", "attacks", "metrics", "bounds")
VERBS = (
    *CATALOGUES,
    *(
        "demo",
        "init",
        "plan",
        "lock",
        "run",
        "status",
        "certify",
        "confirm",
        "gate",
        "report",
        "import",
        "dashboard",
    ),
)
TINY = "laboratory: {subject: tiny}\ncandidates: [npo, ga]\n"


def call(*args):
    """Run a command in this process; whatever it raises besides its exit code is a defect."""
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "audit.yaml").write_text(TINY)
    return tmp_path / "audit.yaml"


@pytest.fixture
def measured(tmp_path):
    """A run directory with measurements: npo passes, simnpo fails, ga could not be measured."""
    audit = Audit(forget=20, retain=10)
    audit.leak("simnpo", NONE, 5)
    audit.fail("ga", INT4)
    store.write(tmp_path / "run" / "measurements", audit.measurements())
    return tmp_path / "run", {name: audit.digest(name) for name in audit.configurations}


@pytest.fixture
def certified(measured):
    assert call("certify", measured[0]).exit_code == 0
    return measured


# -- what there is ---------------------------------


def test_help_names_every_verb_with_one_line():
    text = call("--help").stdout
    for verb in VERBS:
        assert re.search(rf"^│ {verb} +\S", text, re.MULTILINE), verb


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_the_installed_command_is_this_one():
    script = shutil.which("unlearn-audit", path=str(sys.executable).rpartition("/")[0])
    command = [script] if script else [sys.executable, "-m", "audit.cli"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "Audit an unlearned language model" in done.stdout


@pytest.mark.parametrize("verb", CATALOGUES)
def test_a_catalogue_is_a_table_and_the_same_rows_as_json(verb):
    rows = json.loads(call(verb, "--json").stdout)
    table = call(verb)
    assert rows["schema_version"] == 1
    assert len(rows["rows"]) >= 4
    for row in rows["rows"]:
        assert next(str(v) for v in row.values()) in table.stdout


def test_a_reader_who_has_seen_enough_ends_the_command_without_a_message():
    command = [sys.executable, "-m", "audit.cli", "bounds"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        started.stdout.close()
        assert started.stderr.read() == ""
        assert started.wait() == 141  # 128 + SIGPIPE


@pytest.mark.parametrize(
    "args", [["no-such-verb"], ["plan"], ["gate", "run", "--no-such-option"], ["demo", "--seed", "x"]]
)
def test_a_wrong_call_is_a_usage_error(args):
    assert call(*args).exit_code == 2


# -- plan and lock ---------------------------------


def test_init_writes_a_plan_once_and_never_over_another(tmp_path):
    target = tmp_path / "audit.yaml"
    assert call("init", target).exit_code == 0
    before = target.read_bytes()
    again = call("init", target)
    assert again.exit_code == 2
    assert "E140" in again.stderr
    assert target.read_bytes() == before


def test_plan_prints_what_can_be_proved_and_starts_nothing(plan, tmp_path):
    """The tiny laboratory opens 30 of its 40 persons."""
    text = call("plan", plan).stdout
    found = json.loads(call("plan", plan, "--json").stdout)
    forget = found["prospects"][0]
    assert f"failures allowed: {forget['failures_allowed']} of 30" in text
    assert forget["design"]["population"] == 40
    assert [p.name for p in tmp_path.iterdir()] == ["audit.yaml"]


def test_lock_makes_a_run_directory_and_the_same_plan_again_is_the_same_one(plan, tmp_path):
    first = json.loads(call("lock", plan, "--json").stdout)
    assert json.loads(call("lock", plan, "--json").stdout)["lock_digest"] == first["lock_digest"]
    run = tmp_path / "runs" / f"audit-{first['audit_id']}"
    assert first["run"] == str(run)
    assert [p.name for p in run.iterdir()] == ["lock.json"]
    status = json.loads(call("status", run, "--json").stdout)
    assert (status["state"], status["audit_id"]) == ("locked", first["audit_id"])


def test_lock_counts_what_it_locked(plan, tmp_path):
    plan.write_text("laboratory: {subject: tiny}\ncandidates: [npo]\nattacks: [none]\n")
    assert "locked 1 candidate and 1 attack as" in call("lock", plan).stdout


def test_another_plan_in_a_locked_directory_is_an_integrity_error(plan, tmp_path):
    call("lock", plan, "-o", tmp_path / "run")
    plan.write_text(TINY + "seed: 1\n")
    for command in (("lock", plan, "-o", tmp_path / "run"), ("run", plan, "-o", tmp_path / "run", "--quiet")):
        result = call(*command)
        assert result.exit_code == 5
        assert "E501" in result.stderr


def test_an_edited_lock_is_an_integrity_error_for_every_verb_that_reads_it(plan, tmp_path):
    run = tmp_path / "run"
    call("lock", plan, "-o", run)
    (run / "lock.json").write_text((run / "lock.json").read_text().replace('"seed": 0', '"seed": 1'))
    for command in (("status", run), ("run", run, "--quiet")):
        result = call(*command)
        assert (result.exit_code, "E502" in result.stderr) == (5, True)
    assert [p.name for p in run.iterdir()] == ["lock.json"]


# -- certify, gate, report ---------------------------------


def test_certify_writes_the_evidence_and_exits_with_the_verdict(measured):
    run, _ = measured
    result = call("certify", run)
    assert result.exit_code == 0
    assert "PASS" in result.stdout
    before = (run / "evidence.json").read_bytes()
    assert call("certify", run).exit_code == 0
    assert (run / "evidence.json").read_bytes() == before
    assert json.loads(call("certify", run, "--json").stdout)["verdict"] == "PASS"


@pytest.mark.parametrize(("leaks", "retrained", "code"), [(0, 0, 0), (5, 0, 1), (0, 5, 5)])
def test_the_exit_code_of_certify_is_that_of_the_verdict(tmp_path, leaks, retrained, code):
    audit = Audit(candidates=("npo",), forget=20, retain=10)
    audit.leak("npo", NONE, leaks)
    audit.leak("retrained", NONE, retrained)
    store.write(tmp_path / "measurements", audit.measurements())
    assert call("certify", tmp_path).exit_code == code


def test_certify_of_an_import_is_inconclusive(tmp_path):
    store.write(tmp_path / "measurements", imported(Audit(cells=(NONE,))).measurements())
    result = call("certify", tmp_path)
    assert result.exit_code == 3
    assert "uncontrolled" in result.stdout


@pytest.mark.parametrize(("name", "code"), [("npo", 0), ("simnpo", 1), ("ga", 4)])
def test_gate_exits_with_the_verdict_of_the_checkpoint_and_writes_junit(certified, name, code):
    run, digests = certified
    result = call("gate", run, "--checkpoint", digests[name])
    assert result.exit_code == code
    assert ElementTree.parse(run / "junit.xml").getroot().tag == "testsuites"
    record = json.loads(call("gate", run, "--checkpoint", digests[name][:8], "--json").stdout)
    assert (record["exit_code"], record["checkpoint"]) == (code, digests[name])


@pytest.mark.parametrize(
    ("checkpoint", "shown", "code"),
    [([], "E117", 2), (["--checkpoint", "xyz"], "E116", 2), (["--checkpoint", "f" * 64], "E511", 5)],
)
def test_gate_refuses_what_it_cannot_name_and_writes_nothing(certified, checkpoint, shown, code):
    run, _ = certified
    result = call("gate", run, *checkpoint)
    assert result.exit_code == code
    assert shown in result.stderr
    assert not (run / "junit.xml").exists()


def test_report_renders_the_evidence_without_certifying_again(certified):
    run, _ = certified
    shutil.rmtree(run / "measurements")
    assert call("report", run).exit_code == 0
    assert "<html" in (run / "report.html").read_text()


@pytest.mark.parametrize("command", ["gate", "report", "certify", "status", "confirm"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, command):
    extra = ["--checkpoint", "f" * 64] if command == "confirm" else []
    result = call(command, tmp_path / "nowhere", *extra)
    assert result.exit_code == 2
    assert re.match(r"E1\d\d  ", result.stderr)
    assert not (tmp_path / "nowhere").exists()


def test_an_imported_audit_has_nothing_sealed_to_confirm(tmp_path):
    store.write(tmp_path / "measurements", Audit(forget=20, retain=10).measurements())
    call("certify", tmp_path)
    checkpoint = bundle.read(tmp_path).configurations[0].checkpoint
    result = call("confirm", tmp_path, "--checkpoint", checkpoint)
    assert result.exit_code == 2
    assert "E105" in result.stderr


# -- errors ---------------------------------


def test_an_error_as_json_has_code_cause_remedy_and_exit_code(tmp_path):
    result = call("plan", tmp_path / "missing.yaml", "--json")
    record = json.loads(result.stdout)
    assert record["error"]["code"] == "E100"
    assert set(record["error"]) == {"code", "cause", "remedy"}
    assert record["exit_code"] == result.exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        ["init", "{}/no/folder/audit.yaml"],
        ["gate", "{run}", "--checkpoint", "{npo}", "--junit", "{}/no/x.xml"],
    ],
)
def test_a_path_that_cannot_be_written_is_an_error_with_a_code(certified, tmp_path, command):
    run, digests = certified
    result = call(*(c.format(tmp_path, run=run, npo=digests["npo"]) for c in command))
    assert result.exit_code == 2
    assert "E119" in result.stderr


def test_an_interruption_is_no_traceback_and_says_how_to_go_on(plan, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("audit.plan.feasibility.assess", interrupt)
    result = call("plan", plan)
    assert result.exit_code == 130
    assert "the same command continues" in result.stderr


def test_the_package_says_its_purpose():
    assert audit.__doc__
