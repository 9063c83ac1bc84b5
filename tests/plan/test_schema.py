"""The plan file: what is wrong in it is named, with a code, before anything is read or trained."""

import pytest
import yaml

from audit.core.errors import AuditError
from audit.methods.compose import parse_recipe
from audit.plan.demo import CANDIDATES, RELEASES, write_demo_plan
from audit.plan.lock import make_lock
from audit.plan.schema import DEFAULT_ATTACKS, Given, load_plan, parse_plan
from audit.plan.sizes import LABORATORY_SIZES, ResolvedSizes
from audit.plan.template import template

SMALLEST = {"laboratory": {"subject": "tiny"}, "candidates": ["npo"]}


def refused(tmp_path, **changes):
    with pytest.raises(AuditError) as caught:
        parse_plan(SMALLEST | changes, base=tmp_path)
    return caught.value


@pytest.mark.parametrize(
    ("change", "meant"),
    [
        ({"candidate": ["npo"]}, "candidates"),
        ({"budget": {"forgett": 0.1}}, "forget"),
        ({"loss": {"primry": ["recovered"]}}, "primary"),
        ({"sizes": {"forget": {"calibrat": 3}}}, "calibrate"),
        ({"laboratory": {"subjekt": "tiny"}}, "subject"),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest_one(tmp_path, change, meant):
    error = refused(tmp_path, **change)
    assert (error.code, error.exit_code) == ("E104", 2)
    assert error.remedy == f"did you mean {meant!r}?"


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, float("nan"), float("inf"), "a tenth", None])
@pytest.mark.parametrize("field", ["forget", "utility"])
def test_a_budget_lies_strictly_between_nothing_and_everything(tmp_path, field, value):
    error = refused(tmp_path, budget={field: value})
    assert error.code == "E104"
    assert f"budget.{field}" in error.cause


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 1},
        {"confidence": 0},
        {"order": "alphabetical"},
        {"score_tune": "perhaps"},
        {"version": 2},
        {"candidates": []},
        {"candidates": [7]},
        {"candidates": [{"givn": "x"}]},
        {"attacks": []},
        {"loss": {"primary": []}},
        {"loss": {"primary": ["recoverd"]}},
        {"loss": {"vetoes": ["over_forgoten"]}},
        {"sizes": {"forget": {"calibrate": -1}}},
        {"laboratory": {"subject": "huge"}},
        {"laboratory": {"secrets": 1}},
        {"prompt": "xml"},
        {"keep": "some"},
        {"seed": "zero"},
    ],
)
def test_a_value_that_makes_no_sense_is_refused(tmp_path, change):
    assert refused(tmp_path, **change).code == "E104"


@pytest.mark.parametrize(
    ("text", "code"),
    [("none", "E110"), ("holm(", "E111"), ("holm(1)", "E112"), ("graphical(insurance=2)", "E112")],
)
def test_a_family_is_the_constructor_text_of_a_procedure(tmp_path, text, code):
    assert refused(tmp_path, family=text).code == code
    assert parse_plan(SMALLEST | {"family": "graphical"}, base=tmp_path).family == "graphical(insurance=0.2)"


def test_a_plan_needs_a_laboratory_or_a_model_with_data(tmp_path):
    data = {"forget": "f.jsonl", "retain": "r.jsonl"}
    for change in (
        {"laboratory": None},
        {"laboratory": None, "model": "m"},
        {"laboratory": None, "data": data},
    ):
        assert (
            refused(tmp_path, **change).cause == "a plan needs either `laboratory` or both `model` and `data`"
        )
    for change in (
        {"model": "m", "data": data},
        {"model": "m"},
        {"original": "m"},
        {"retrained": "m"},
        {"data": data},
    ):
        assert refused(tmp_path, **change).code == "E104"
    assert (
        parse_plan(SMALLEST | {"laboratory": None, "model": "m", "data": data}, base=tmp_path).laboratory
        is None
    )


def test_paths_are_relative_to_the_plans_folder(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "audit.yaml").write_text(
        yaml.safe_dump(
            {
                "model": "models/m",
                "original": str(tmp_path / "absolute"),
                "data": {"forget": "f.jsonl", "retain": "../r.jsonl", "twins": "~/t.jsonl"},
                "candidates": ["npo", {"given": "g"}],
            }
        )
    )
    plan = load_plan(folder / "audit.yaml")
    assert plan.model == folder / "models/m"
    assert plan.original == tmp_path / "absolute"
    assert (plan.data.forget, plan.data.retain) == (folder / "f.jsonl", tmp_path / "r.jsonl")
    assert plan.data.twins.is_absolute()
    assert "~" not in str(plan.data.twins)
    assert plan.candidates == ("npo", Given(given=folder / "g"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "E103"),
        ("- a\n- b\n", "E103"),
        ("candidates: [npo\n", "E103"),
        ("\x00", "E103"),
        ("text", "E103"),
    ],
)
def test_a_file_that_holds_no_fields_is_refused(tmp_path, text, code):
    (tmp_path / "audit.yaml").write_text(text)
    with pytest.raises(AuditError) as caught:
        load_plan(tmp_path / "audit.yaml")
    assert caught.value.code == code


def test_a_file_that_is_no_text_or_is_not_there_is_refused(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00\x80")
    for name, code in (("bytes.yaml", "E103"), ("missing.yaml", "E100"), (".", "E100")):
        with pytest.raises(AuditError) as caught:
            load_plan(tmp_path / name)
        assert caught.value.code == code


def test_the_place_of_a_yaml_error_is_named_and_nothing_of_the_file_is_quoted(tmp_path):
    (tmp_path / "audit.yaml").write_text("title: x\nmodel: [Anna Karenina\n")
    with pytest.raises(AuditError) as caught:
        load_plan(tmp_path / "audit.yaml")
    assert "line 3" in caught.value.cause
    assert "Anna" not in str(caught.value)


def test_what_init_writes_is_a_valid_plan_with_every_default(tmp_path):
    (tmp_path / "audit.yaml").write_text(template(), encoding="utf-8")
    plan = load_plan(tmp_path / "audit.yaml")
    bare = parse_plan(
        {
            "model": "model",
            "data": {"forget": "forget.jsonl", "retain": "retain.jsonl"},
            "candidates": list(plan.candidates),
        },
        base=tmp_path,
    )
    assert plan == bare
    assert all(parse_recipe(text) for text in plan.candidates)
    assert plan.attacks == DEFAULT_ATTACKS


def test_every_comment_of_the_template_can_be_switched_on(tmp_path):
    """Where a field is commented out, taking ``# `` away leaves a valid plan."""
    lines = []
    for line in template().splitlines():
        bare = line.replace("# ", "", 1)
        is_field = line.lstrip().startswith("#") and bare.strip().split(":")[0] in (
            "original", "retrained", "training", "twins", "sizes", "forget", "retain", "prompt", "- given"
        )  # fmt: skip
        lines.append(bare if is_field else line)
    (tmp_path / "audit.yaml").write_text("\n".join(lines), encoding="utf-8")
    plan = load_plan(tmp_path / "audit.yaml")
    assert plan.original is not None
    assert plan.retrained is not None
    assert plan.training is not None
    assert plan.data.twins is not None
    assert plan.sizes.forget.calibrate == 90
    assert plan.prompt == "qa"
    assert isinstance(plan.candidates[-1], Given)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("subject", sorted(CANDIDATES))
def test_every_demo_plan_parses_and_locks(tmp_path, subject, release):
    plan = load_plan(write_demo_plan(tmp_path, subject=subject, release=release, seed=3))
    assert plan.laboratory.subject == subject
    assert plan.seed == 3
    lock = make_lock(plan, tmp_path)
    assert len(lock.configurations) == len(CANDIDATES[subject])
    assert "none" in lock.attacks


def test_the_demos_family_has_sixteen_members_of_eight_methods():
    methods = [text.partition("(")[0] for text in CANDIDATES["lab"]]
    assert len(methods) == 16
    assert {methods.count(name) for name in methods} == {2}


def test_another_plan_in_the_demos_folder_is_not_written_over(tmp_path):
    path = write_demo_plan(tmp_path, subject="lab", release="int4", seed=0)
    before = path.read_text()
    assert write_demo_plan(tmp_path, subject="lab", release="int4", seed=0) == path
    for change in ({"release": "full"}, {"seed": 1}, {"subject": "smollm2"}):
        with pytest.raises(AuditError) as caught:
            write_demo_plan(tmp_path, **{"subject": "lab", "release": "int4", "seed": 0} | change)
        assert caught.value.code == "E140"
    assert path.read_text() == before


@pytest.mark.parametrize("change", [{"subject": "labb"}, {"release": "int8"}])
def test_an_unknown_demo_is_refused_before_a_folder_is_made(tmp_path, change):
    with pytest.raises(AuditError) as caught:
        write_demo_plan(tmp_path / "new", **{"subject": "lab", "release": "int4", "seed": 0} | change)
    assert caught.value.code == "E115"
    assert not (tmp_path / "new").exists()


# -- sizes ---------------------------------


def plan_with(tmp_path, **sizes):
    return parse_plan(SMALLEST | {"sizes": sizes}, base=tmp_path)


def test_the_demos_sizes_are_those_of_the_design(tmp_path):
    """STATISTICS §5: 150 = 30 + 90 + 30, 200 = 40 + 120 + 40, 240 = 40 + 200; DECISIONS §25: 60 = 45 + 15."""
    lab, small = LABORATORY_SIZES["lab"], LABORATORY_SIZES["smollm2"]
    assert list(lab["forget"].values()) == [30, 90, 30]
    assert list(lab["retain"].values()) == [40, 120, 40]
    assert lab["twin"] == {"tune": 40, "threshold": 200}
    assert list(small["forget"].values()) == [0, 45, 15]
    assert list(small["retain"].values()) == [0, 60, 20]


def test_a_users_list_is_dealt_a_fifth_three_fifths_a_fifth(tmp_path):
    sizes = ResolvedSizes.for_counts(plan_with(tmp_path), forget=100, retain=51, twins=13)
    assert sizes.forget == {"tune": 20, "calibrate": 60, "sealed": 20}
    assert sizes.retain == {"tune": 10, "calibrate": 31, "sealed": 10}  # nobody is lost to rounding
    assert sizes.twin == {"tune": 2, "threshold": 11}


def test_what_the_plan_says_wins_over_the_default_and_may_be_nothing(tmp_path):
    plan = plan_with(tmp_path, forget={"tune": 0, "calibrate": 7}, twins={"threshold": 0})
    sizes = ResolvedSizes.of(plan, LABORATORY_SIZES["tiny"])
    assert sizes.forget == {"tune": 0, "calibrate": 7, "sealed": 10}
    assert sizes.total("forget") == 17
    assert sizes.side("twin") == {"tune": 0, "threshold": 0}


@pytest.mark.parametrize(("side", "held"), [("forget", "forget"), ("retain", "retain"), ("twins", "twin")])
def test_more_subjects_than_the_data_holds_cannot_be_dealt(tmp_path, side, held):
    plan = plan_with(tmp_path, **{side: {"tune": 50}})
    with pytest.raises(AuditError) as caught:
        ResolvedSizes.for_counts(plan, forget=20, retain=20, twins=20)
    assert caught.value.code == "E108"
    assert f"{held} subjects, the data holds 20" in caught.value.cause
