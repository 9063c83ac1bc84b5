"""Constructor texts: what is written reads back as the same object; the unknown is an error, never silence."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.core.errors import AuditError
from audit.core.registry import Call, Registry, canonical, parse_call, short

SHAPES: Registry = Registry("shape")


@SHAPES.register("box")
@dataclass(frozen=True)
class Box:
    kind: str
    size: float = 1.5
    sides: tuple = (1, 2)
    deep: bool = False
    note: str | None = None
    made: list = field(default_factory=list)


@SHAPES.register("dot")
@dataclass(frozen=True)
class Dot:
    pass


@SHAPES.register("even")
@dataclass(frozen=True)
class Even:
    value: int = 2

    def __post_init__(self):
        if self.value % 2:
            raise ValueError(f"value must be even, got {self.value}")


def refused(text):
    with pytest.raises(AuditError) as caught:
        SHAPES.build(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("dot", Call("dot", (), {})),
        ("dot()", Call("dot", (), {})),
        ("  box( wood ,size=-2e-3 )", Call("box", ("wood",), {"size": -0.002})),
        ("box('two words', deep=true, note=none)", Call("box", ("two words",), {"deep": True, "note": None})),
        ("box(sides=[1, [2, x]])", Call("box", (), {"sides": (1, (2, "x"))})),
    ],
)
def test_a_constructor_text_is_read_without_evaluating_it(text, call):
    assert parse_call(text) == call


@pytest.mark.parametrize(
    "text",
    [
        "",
        "box(",
        "1",
        "a.b(1)",
        "box(f(1))",
        "box(1 + 1)",
        "box(*x)",
        "box(**x)",
        "box(-'x')",
        "box(-true)",
        "box(lambda: 0)",
        "box(x := 1)",
        "box(1)(2)",
        "box('\0')",
        "box(b'x')",
        "box({1: 2})",
    ],
)
def test_whatever_is_no_constructor_text_is_refused_with_a_code(text):
    with pytest.raises(AuditError) as caught:
        parse_call(text)
    assert caught.value.code == "E111"


@pytest.mark.parametrize(("name", "meant"), [("boxx", "box"), ("dott", "dot"), ("evn", "even")])
def test_an_unknown_name_is_answered_with_the_nearest_one(name, meant):
    error = refused(name)
    assert (error.code, error.exit_code) == ("E110", 2)
    assert error.remedy == f"did you mean {meant!r}?"


def test_a_name_near_nothing_is_answered_with_all_names():
    assert refused("zzz").remedy == "known: box, cut, dot, even"


def test_an_unknown_parameter_is_answered_with_the_nearest_one():
    error = refused("box(wood, siz=2)")
    assert error.code == "E112"
    assert error.remedy == "did you mean 'size'?"


@pytest.mark.parametrize(
    "text", ["box(wood, kind=stone)", "box(wood, size=1, size=2)", "box(wood, size=1, size=1)"]
)
def test_a_parameter_given_twice_is_refused_even_with_the_same_value(text):
    error = refused(text)
    assert error.code == "E112"
    assert "twice" in error.cause


def test_too_many_values_a_missing_one_and_an_impossible_one_are_refused():
    assert refused("dot(1)").cause == "shape dot takes 0 values, got 1"
    assert refused("box()").code == "E112"
    assert refused("even(3)").cause == "shape even: value must be even, got 3"


@SHAPES.register("cut")
@dataclass(frozen=True)
class Cut:
    way: "Literal['long', 'cross']"
    depth: float = 1.0

    def __post_init__(self):
        if float(self.depth) < 0 or self.depth < 0:
            raise ValueError(f"depth must not be negative, got {self.depth}")


def test_what_is_missing_is_said_with_an_example_and_not_in_pythons_words():
    error = refused("cut")
    assert error.cause == "shape cut needs way"
    assert error.remedy == "write for example cut(long); way is one of long, cross"
    assert (refused("box()").cause, refused("box()").remedy[:14]) == (
        "shape box needs kind",
        "box takes kind",
    )


@pytest.mark.parametrize("number", [str(2**63), "-" + "1" + "0" * 400, "1e400", "[1, 1e400]"])
def test_a_number_beyond_what_machines_count_is_refused(number):
    assert parse_call(f"box(wood, size={2**63 - 1})").keywords["size"] == 2**63 - 1
    error = refused(f"box(wood, size={number})")
    assert (error.code, len(str(error)) < 200) == ("E112", True)


@pytest.mark.parametrize("depth", ["[1]", "none"])
def test_a_value_of_the_wrong_kind_or_size_is_refused_in_few_plain_words(depth):
    error = refused(f"cut(long, depth={depth})")
    assert error.code == "E112"
    assert "wrong kind or size" in error.cause
    assert "not supported" not in str(error)
    assert len(str(error)) < 200


@pytest.mark.parametrize("text", ["-" * 100_000 + "1", "[" * 1000, "box(" + "[" * 500 + "]" * 500 + ")"])
def test_brackets_without_end_are_refused_with_a_code(text):
    with pytest.raises(AuditError, match="E111"):
        parse_call(text)


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'box' is registered twice"):
        SHAPES.register("box")(Dot)
    assert "box" in SHAPES
    assert list(SHAPES) == ["box", "cut", "dot", "even"]


def test_the_canonical_text_writes_every_field_and_the_short_one_only_what_differs():
    box = Box("wood", size=1.5, deep=True)
    assert canonical(box) == "box(wood, size=1.5, sides=[1, 2], deep=true, note=none, made=[])"
    assert short(box) == "box(wood, deep=true, made=[])"  # a factory's default is never taken as known
    assert canonical(Dot()) == short(Dot()) == "dot"
    assert short(Even()) == "even"


def test_a_folders_files_register_themselves_on_first_look_up():
    from audit.attacks.base import ATTACKS

    assert {"none", "quantize", "relearn", "paraphrase"} <= set(ATTACKS)


texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["true", "false", "none", "True", "None", "for", "ﬁ", "a'b", 'a"b', "\\", "\n", "nan"]),
)
numbers = st.one_of(st.integers(1 - 2**63, 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(texts, numbers, st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@settings(deadline=None)
@given(kind=texts, size=numbers, sides=values, deep=st.booleans(), note=st.none() | texts)
def test_the_canonical_text_builds_the_same_object_again(kind, size, sides, deep, note):
    box = Box(kind, size, sides, deep, note, made=())
    assert SHAPES.build(canonical(box)) == box
    assert canonical(SHAPES.build(canonical(box))) == canonical(box)


@settings(deadline=None)
@given(kind=texts, size=numbers, deep=st.booleans(), note=st.none() | texts)
def test_the_short_text_builds_the_same_object_again(kind, size, deep, note):
    box = Box(kind, size, (1, 2), deep, note, made=())
    assert SHAPES.build(short(box)) == box
