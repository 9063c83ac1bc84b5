"""What `plan` calls fine, `lock` and `run` take: everything that can be known beforehand is refused by all three."""

import pytest
import yaml
from typer.testing import CliRunner

from audit.cli import app
from audit.core.errors import AuditError
from audit.plan.feasibility import assess
from audit.plan.lock import make_lock
from audit.plan.schema import parse_plan

LABORATORY = {
    "laboratory": {"subject": "tiny"},
    "budget": {"forget": 0.5, "utility": 0.5},
    "candidates": ["npo"],
    "attacks": ["none"],
}


def refusals(tmp_path, **changes):
    """Return how `plan` and `lock` refuse a plan: the same error."""
    made = []
    for ask in (assess, lambda plan: make_lock(plan, tmp_path)):
        with pytest.raises(AuditError) as caught:
            ask(parse_plan(LABORATORY | changes, base=tmp_path))
        made.append(caught.value)
    assert made[0].args == made[1].args
    return made[0]


def folder(path, *files):
    path.mkdir()
    for file in files:
        (path / file).touch()


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"candidates": ["npo", "npo"]}, "1 of 2 candidates stand in the plan twice, the first is npo"),
        ({"candidates": ["npo", "ga", "npo(beta=0.1)", "ga", "npo"]}, "3 of 5 candidates"),
        ({"candidates": ["ga", {"sweep": "ga", "lr": [1e-4, 0.001]}]}, None),
        ({"candidates": [{"given": "g"}, {"given": "./g"}]}, "1 of 2 candidates"),
        ({"attacks": ["none", "noise", "noise()"]}, "1 of 3 attacks"),
        ({"loss": {"primary": ["recovered", "recovered"]}}, "1 of 2 primary losses"),
        ({"loss": {"vetoes": ["over_forgotten", "over_forgotten"]}}, "1 of 2 vetoes"),
    ],
)
def test_what_stands_twice_is_refused_before_it_is_locked(tmp_path, changes, shown):
    folder(tmp_path / "g", "config.json", "model.safetensors")
    if shown is None:
        assess(parse_plan(LABORATORY | changes, base=tmp_path))
        return
    error = refusals(tmp_path, **changes)
    assert error.code == "E113"
    assert shown in error.cause


def test_the_same_weights_under_two_names_are_found_when_they_are_read(tmp_path, monkeypatch):
    for name in ("one", "two"):
        folder(tmp_path / name, "config.json", "model.safetensors")
    monkeypatch.setattr("audit.plan.lock.folder_digest", lambda path, **_: "ab" * 32)
    given = [{"given": "one"}, {"given": "two"}]
    with pytest.raises(AuditError, match=r"E113.*the first is two"):
        make_lock(parse_plan(LABORATORY | {"candidates": given}, base=tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("files", "code", "cause"),
    [
        (None, "E202", "`given`: the model directory 'mine' does not exist"),
        ((), "E202", "`given` 'mine': the model directory has no config.json"),
        (("config.json",), "E202", "`given` 'mine': the model directory has no *.safetensors file"),
        (("config.json", "model.pt"), "E201", "`given` 'mine': the weights are 1 pickle file(s)"),
    ],
)
def test_a_given_checkpoint_that_cannot_be_loaded_is_named(tmp_path, files, code, cause):
    if files is not None:
        folder(tmp_path / "mine", *files)
    error = refusals(tmp_path, candidates=["npo", {"given": "mine"}])
    assert error.code == code
    assert error.cause.startswith(cause)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model": "none"}, "model"),
        ({"original": "none"}, "original"),
        ({"retrained": "none"}, "retrained"),
        ({"training": {"base": "none", "epochs": 1, "batch": 1, "lr": 1e-5}}, "training: base"),
    ],
)
def test_a_model_that_is_not_there_is_named_by_its_key_and_directory(tmp_path, changes, key):
    folder(tmp_path / "m", "config.json", "model.safetensors")
    for side in ("forget", "retain"):
        rows = [
            f'{{"subject": "{side}{i}", "question": "Where is {side}{i}?", "answer": "{side} {i}"}}'
            for i in range(60)
        ]
        (tmp_path / f"{side}.jsonl").write_text("\n".join(rows))
    data = {"forget": "forget.jsonl", "retain": "retain.jsonl"}
    own = {"laboratory": None, "model": "m", "data": data, "loss": {"primary": ["answered"]}}
    error = refusals(tmp_path, **own | changes)
    assert (error.code, error.cause) == ("E202", f"`{key}`: the model directory 'none' does not exist")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"metrics": ["foo"]}, "E110"),
        ({"metrics": ["patching_depth"]}, "E291"),
        ({"candidates": ["fit(requests=100)"]}, "E222"),  # the tiny laboratory has 40 forget subjects
        ({"candidates": ["fit(requests=0, steps=39)"]}, "E222"),
        ({"candidates": ["fit(requests=5, steps=4)"]}, "E222"),
    ],
)
def test_what_a_run_could_not_do_is_refused_by_the_plan(tmp_path, changes, code):
    assert refusals(tmp_path, **changes).code == code


@pytest.mark.parametrize(
    "candidate", ["fit(requests=40)", "fit(requests=0, steps=40)", "fit(requests=99, layers=0)"]
)
def test_requests_that_can_be_answered_are_planned(tmp_path, candidate):
    assess(parse_plan(LABORATORY | {"candidates": [candidate]}, base=tmp_path))


@pytest.mark.parametrize("command", ["plan", "lock", "run"])
def test_every_command_says_the_same_and_leaves_nothing_behind(tmp_path, command):
    (tmp_path / "audit.yaml").write_text(
        yaml.safe_dump(LABORATORY | {"candidates": ["npo", "npo(beta=0.1)"]})
    )
    done = CliRunner().invoke(app, [command, str(tmp_path / "audit.yaml")])
    assert (done.exit_code, "E113" in done.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["audit.yaml"]


def test_a_training_stopped_and_one_as_long_are_two_candidates_without_a_curve(tmp_path):
    plan = parse_plan(LABORATORY | {"candidates": ["npo(steps=90) at 30", "npo(steps=30)"]}, base=tmp_path)
    assert assess(plan).sweeps == ()
