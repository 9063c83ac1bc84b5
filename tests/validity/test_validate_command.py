"""What ``unlearn-audit validate`` prints, writes and exits with, on studies made by hand."""

import json
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from audit.cli import app
from audit.report import validation as told
from audit.risk.validation import study as engine
from audit.risk.validation.result import Row, Study


def row(part, cell, procedure, violations, promised=0.05):
    return Row.of(part, cell, procedure, promised, violations, 10_000)


KEPT = (
    row("bounds", "draws, n=20", "betting", 400),
    row("bounds", "draws, n=90", "betting", 512),
    row("bounds", "draws, n=20", "binomial", 20),
)
CAUGHT = (row("invalid", "Every test is at delta", "uncorrected_tests", 4000),)
SOUND = Study("quick", 0, 2, 41.3, KEPT, CAUGHT)
BROKEN = Study("quick", 0, 2, 41.3, (*KEPT, row("procedures", "ten nulls", "holm", 900)), CAUGHT)
BLIND = Study("quick", 0, 2, 41.3, KEPT, (*CAUGHT, row("invalid", "Nothing", "honest_work", 480)))


@pytest.fixture
def call(monkeypatch):
    def run(study, *args):
        monkeypatch.setattr(engine, "validate", lambda size, **_: study)
        return CliRunner().invoke(app, ["validate", *map(str, args)])

    return run


@pytest.mark.parametrize(("study", "code"), [(SOUND, 0), (BROKEN, 5), (BLIND, 5)])
def test_only_a_sound_study_exits_with_0(call, study, code):
    assert call(study).exit_code == code
    assert call(study, "--json").exit_code == code


def test_the_error_names_the_broken_promise_and_the_invalid_procedure_that_got_away(call):
    assert (
        "E460  1 of 4 rows break their promise; worst: holm in ten nulls, 900 of 10000" in call(BROKEN).stderr
    )
    assert "E461  1 of 2 invalid procedures were not caught: honest_work" in call(BLIND).stderr
    assert call(SOUND).stderr == ""


def test_the_table_shows_the_worst_cell_of_each_procedure_and_all_of_them_on_request(call):
    short, long = call(SOUND).stdout, call(SOUND, "--all").stdout
    assert "draws, n=90" in short
    assert "draws, n=20" in long
    assert short.count("bounds: betting") == 1
    assert long.count("bounds: betting") == 2
    assert "512 of 10,000" in short
    assert "5.1 % [4.6, 5.6]" in short
    assert "uncorrected tests" in short
    assert "3 of 3 promises kept, 1 of 1 invalid procedures caught" in short


def test_a_broken_promise_stands_in_the_table_as_such():
    verdicts = {item["procedure"]: item["verdict"] for item in told.worst(BROKEN)}
    assert verdicts == {"bounds: betting": "kept", "bounds: binomial": "kept", "procedures: holm": "BROKEN"}
    assert [item["verdict"] for item in told.invalid(BLIND)] == ["caught", "MISSED"]


def test_json_is_one_object_with_every_row(call):
    found = json.loads(call(SOUND, "--json").stdout)
    assert found["schema_version"] == 1
    assert [r["violations"] for r in found["rows"]] == [400, 512, 20]
    assert found["invalid"][0]["caught"] is True


class Tables(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.tags = 0, set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.rows += tag == "tr"


def test_a_page_holds_both_tables_without_script(call, tmp_path):
    assert call(BROKEN, "--out", tmp_path / "study.html").exit_code == 5
    page = (tmp_path / "study.html").read_text()
    parsed = Tables()
    parsed.feed(page)
    assert parsed.rows == 2 + 4 + 1
    assert "script" not in parsed.tags
    assert "E460" in page
    assert told.render(BROKEN) == page
    assert "every promise kept" in told.render(SOUND)


def test_the_record_can_be_written_as_json(call, tmp_path):
    call(SOUND, "--out", tmp_path / "study.json")
    assert json.loads((tmp_path / "study.json").read_text())["passed"] is True


def test_other_files_and_sizes_are_refused_before_anything_runs(tmp_path):
    result = CliRunner().invoke(app, ["validate", "--out", str(tmp_path / "study.txt")])
    assert (result.exit_code, result.stderr[:4]) == (2, "E463")
    result = CliRunner().invoke(app, ["validate", "--size", "huge"])
    assert (result.exit_code, result.stderr[:4]) == (2, "E462")


@pytest.mark.slow
def test_the_quick_study_passes_as_a_command(tmp_path):
    result = CliRunner().invoke(app, ["validate", "--quiet", "--out", str(tmp_path / "study.json")])
    assert result.exit_code == 0, result.stderr
    assert len(json.loads((tmp_path / "study.json").read_text())["rows"]) > 500
