"""Reading data files: three schemas, every way they can be broken, and no text in any message."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from audit.core.errors import AuditError
from audit.data.benchmarks.jsonl import check_disjoint, read_subjects
from audit.data.checks import check_subjects
from audit.data.records import Corpus, Probe, Subject
from audit.data.writers import write_corpus

REAL_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PRIVATE = "Zebulon"  # stands in every broken row below and may stand in no message


def write(folder, *rows, name="forget.jsonl"):
    path = folder / name
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8"
    )
    return path


def row(**changes):
    full = {"subject": "p1", "question": f"Where does {PRIVATE} live?", "answer": "Oslo"} | changes
    return {field: value for field, value in full.items() if value is not ...}


def refused(path, side="forget"):
    with pytest.raises(AuditError) as error:
        read_subjects(path, side)
    assert PRIVATE not in str(error.value)
    return error.value


def real(name):
    path = REAL_DATA / name
    if not path.is_file():
        pytest.skip(f"real data not at hand: ../shared/data/{name}")
    return path


# The project's own schema


def test_one_probe_a_line_grouped_by_subject_in_the_order_of_the_file(tmp_path):
    path = write(
        tmp_path,
        row(subject="b", question="q1", answer="a1"),
        "",
        row(subject="a", question="q1", answer="a2"),
        row(subject="b", question="q2", answer="a3"),
    )
    assert read_subjects(path, "forget") == (
        Subject("b", (Probe("b", "q0", "q1", "a1"), Probe("b", "q1", "q2", "a3"))),
        Subject("a", (Probe("a", "q0", "q1", "a2"),)),
    )


def test_optional_fields_are_read(tmp_path):
    path = write(
        tmp_path,
        row(
            subject=17,
            probe="iban",
            secret=True,
            entropy_bits=40,
            paraphrased_question=["q2", "q3"],
            paraphrased_answer="In Oslo",
            perturbed_answers=["Rome", "Bern"],
        ),
    )
    ((probe,),) = [s.probes for s in read_subjects(path, "forget")]
    assert probe == Probe(
        "17",
        "iban",
        f"Where does {PRIVATE} live?",
        "Oslo",
        kind="secret",
        entropy_bits=40.0,
        paraphrased_questions=("q2", "q3"),
        paraphrased_answer="In Oslo",
        perturbed_answers=("Rome", "Bern"),
    )


def test_one_paraphrase_may_be_a_plain_text_and_null_means_absent(tmp_path):
    path = write(
        tmp_path, row(paraphrased_question="q2", entropy_bits=None, perturbed_answers=None, secret=None)
    )
    ((probe,),) = [s.probes for s in read_subjects(path, "forget")]
    assert probe.paraphrased_questions == ("q2",)
    assert probe.entropy_bits is None
    assert probe.kind == "fact"


def test_a_json_array_is_read_like_json_lines(tmp_path):
    rows = [row(subject=str(i), question=f"q{i}") for i in range(3)]
    lines = write(tmp_path, *rows)
    array = write(tmp_path, json.dumps(rows, indent=2), name="array.json")
    assert read_subjects(array, "forget") == read_subjects(lines, "forget")


def test_a_byte_order_mark_and_a_line_separator_inside_a_text_do_no_harm(tmp_path):
    path = tmp_path / "forget.jsonl"
    line = json.dumps(row(answer="one\u2028two"), ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\r\n")
    ((probe,),) = [s.probes for s in read_subjects(path, "forget")]
    assert probe.answer == "one\u2028two"


# LUME and TOFU


def lume(unit, probe, text="in", output="out", task="Task2"):
    return {"id": f"{unit}{probe}", "input": f"{text} {unit} {probe}", "output": output, "task": task}


def test_lume_rows_of_one_unit_are_one_subject_and_quotes_in_the_identifier_stay(tmp_path):
    path = write(
        tmp_path, lume('"8f-1"', "sc1", task="Task1"), lume('"8f-1"', "qa0", task="Task1"), lume("12", "qa0")
    )
    found = read_subjects(path, "forget")
    assert [(s.subject, [p.probe for p in s.probes]) for s in found] == [
        ('"8f-1"', ["sc1", "qa0"]),
        ("12", ["qa0"]),
    ]


def test_lume_secrets_are_the_identifiers_of_task_2_with_unknown_entropy(tmp_path):
    path = write(
        tmp_path,
        lume("u", "sc1", output="900514344"),
        lume("u", "qa0", output="1984-12-31"),
        lume("u", "qa1", output="900514344"),
        lume("u", "qa2", output="7216253765"),
        lume("u", "qa3", output="a_b@me.com"),
        lume("u", "qa4", output="10175 West 58th Place"),
        lume("w", "qa0", output="900514344", task="Task3"),
    )
    people, other = read_subjects(path, "forget")
    assert [p.kind for p in people.probes] == ["text", "fact", "secret", "secret", "fact", "fact"]
    assert [p.kind for p in other.probes] == ["fact"]
    assert {p.entropy_bits for p in people.probes} == {None}


def tofu(index, **changes):
    return {"question": f"q{index}", "answer": f"a{index}"} | changes


def test_twenty_tofu_rows_are_one_author_with_the_same_name_in_any_list(tmp_path):
    rows = [
        tofu(i, paraphrased_question="p", paraphrased_answer="x", perturbed_answer=["y", "z"])
        for i in range(60)
    ]
    longer = read_subjects(write(tmp_path, *rows), "forget")
    shorter = read_subjects(write(tmp_path, *rows[40:], name="s.jsonl"), "forget")
    assert [len(s.probes) for s in longer] == [20, 20, 20]
    assert shorter == longer[2:]
    first = longer[1].probes[0]
    assert (first.question, first.paraphrased_questions, first.paraphrased_answer) == ("q20", ("p",), "x")
    assert first.perturbed_answers == ("y", "z")


def test_tofu_rows_with_wrong_answers_but_one_wording_are_a_subject_each(tmp_path):
    path = write(tmp_path, *(tofu(i, perturbed_answer=["b", "c", "d"]) for i in range(20)))
    assert [len(s.probes) for s in read_subjects(path, "retain")] == [1] * 20


def test_rows_without_a_subject_that_are_no_blocks_of_twenty_are_refused(tmp_path):
    error = refused(write(tmp_path, *(tofu(i) for i in range(21))))
    assert error.code == "E104"
    assert "21 rows" in error.cause


# Errors


def test_a_missing_file_is_e101(tmp_path):
    assert refused(tmp_path / "none.jsonl").code == "E101"
    assert refused(tmp_path).code == "E101"


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "\ufeff"])
def test_an_empty_file_is_e102(tmp_path, content):
    assert refused(write(tmp_path, content)).code == "E102"


@pytest.mark.parametrize(
    "line", [f'{{"subject": "{PRIVATE}"', PRIVATE, f'"{PRIVATE}"', f'["{PRIVATE}"]', "7", "null"]
)
def test_a_line_that_is_no_json_object_is_e103_with_its_number(tmp_path, line):
    error = refused(write(tmp_path, row(), "", line))
    assert error.code == "E103"
    assert "line 3" in error.cause


def test_a_broken_array_is_e103_with_its_line(tmp_path):
    error = refused(write(tmp_path, "[", json.dumps(row()) + ",", f"{{{PRIVATE}}}", "]"))
    assert (error.code, "line 3" in error.cause) == ("E103", True)


def test_an_array_of_other_things_is_e103_with_the_row(tmp_path):
    error = refused(write(tmp_path, json.dumps([row(), PRIVATE])))
    assert (error.code, "row 2" in error.cause) == ("E103", True)


def test_bytes_that_are_no_utf8_are_e103_with_their_line(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(row()).encode() + b"\n{\xff}")
    error = refused(path)
    assert (error.code, "line 2" in error.cause) == ("E103", True)


@pytest.mark.parametrize("nonsense", ["[" * 100_000, '{"subject": ' + "9" * 5000 + "}"])
def test_json_that_exhausts_the_parser_is_e103_not_a_traceback(tmp_path, nonsense):
    assert refused(write(tmp_path, nonsense)).code == "E103"


@pytest.mark.parametrize(
    "broken",
    [
        {"subject": ...},
        {"subject": None},
        {"subject": True},
        {"subject": ["x"]},
        {"question": ...},
        {"question": " "},
        {"answer": None},
        {"answer": 5},
        {"answer": ""},
        {"secret": "yes"},
        {"secret": 1},
        {"entropy_bits": "33"},
        {"entropy_bits": -1},
        {"entropy_bits": float("nan")},
        {"entropy_bits": True},
        {"paraphrased_question": 3},
        {"paraphrased_question": [""]},
        {"paraphrased_answer": ["x"]},
        {"perturbed_answers": [PRIVATE, 3]},
    ],
    ids=repr,
)
def test_a_missing_or_mistyped_field_is_e104_with_line_and_field(tmp_path, broken):
    error = refused(write(tmp_path, row(subject="other", question="first"), row(**broken)))
    assert error.code == "E104"
    assert "line 2" in error.cause
    assert f"'{next(iter(broken))}'" in error.cause


@pytest.mark.parametrize(
    ("field", "keys"), [("question", {"id": 1, "answer": PRIVATE}), ("subject", {"question": PRIVATE})]
)
def test_a_first_row_of_no_known_schema_is_e104(tmp_path, field, keys):
    error = refused(write(tmp_path, keys))
    assert error.code == "E104"
    assert "line 1" in error.cause


@pytest.mark.parametrize("broken", [{"id": PRIVATE}, {"id": "qa0"}, {"output": ""}, {"input": None}])
def test_a_broken_lume_row_is_e104(tmp_path, broken):
    error = refused(write(tmp_path, lume("u", "qa0"), lume("u", "qa1") | broken))
    assert (error.code, "line 2" in error.cause) == ("E104", True)


def test_a_broken_tofu_row_is_e104(tmp_path):
    rows = [tofu(i) for i in range(20)]
    del rows[13]["answer"]
    error = refused(write(tmp_path, *rows))
    assert (error.code, "line 14" in error.cause) == ("E104", True)


def test_a_subject_without_probes_is_e105_with_counts(tmp_path):
    empty = {"subject": PRIVATE}
    error = refused(write(tmp_path, row(), empty, {"subject": "x", "question": "", "answer": None}))
    assert error.code == "E105"
    assert "2 of 3 forget subjects" in error.cause


def test_a_question_asked_twice_is_e106_with_counts(tmp_path):
    error = refused(write(tmp_path, row(), row(answer="Rome"), row(subject="p2")))
    assert error.code == "E106"
    assert "1 probes of 1 forget subjects" in error.cause


def test_a_probe_name_used_twice_is_e106(tmp_path):
    assert refused(write(tmp_path, row(probe="x"), row(probe="x", question="other"))).code == "E106"


def test_a_subject_that_stands_in_a_list_twice_is_e106():
    one = Subject("a", (Probe("a", "q0", "q", "a"),))
    with pytest.raises(AuditError, match="E106 1 retain subjects"):
        check_subjects([one, one], "retain")


@pytest.mark.parametrize("side", ["forget", "retain", "twin"])
def test_messages_name_the_side(tmp_path, side):
    assert side in refused(write(tmp_path, "{"), side).cause


# Overlap


def person(number, answer="a"):
    name = f"{PRIVATE}{number}"
    return Subject(name, tuple(Probe(name, f"q{i}", f"q{i} of {name}", answer) for i in range(2)))


PEOPLE = [person(i) for i in range(6)]
DISJOINT = Corpus(tuple(PEOPLE[:2]), tuple(PEOPLE[2:4]), tuple(PEOPLE[4:]))


def test_disjoint_sides_pass():
    check_disjoint(DISJOINT)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"retain": (PEOPLE[0], PEOPLE[2])}, "forget and retain share 1 subjects and 2 questions"),
        ({"twins": (PEOPLE[0], PEOPLE[1])}, "forget and twin share 2 subjects and 4 questions"),
        ({"twins": (PEOPLE[3],)}, "retain and twin share 1 subjects and 2 questions"),
        ({"twins": (person(3, "other"),)}, "retain and twin share 1 subjects and 0 questions"),
        (
            {"twins": (replace(PEOPLE[3], subject="alias"),)},
            "retain and twin share 0 subjects and 2 questions",
        ),
    ],
)
def test_an_overlap_is_e107_with_counts_and_no_name(change, expected):
    with pytest.raises(AuditError) as error:
        check_disjoint(replace(DISJOINT, **change))
    assert error.value.code == "E107"
    assert expected in error.value.cause
    assert PRIVATE not in str(error.value)


def test_the_same_question_with_another_answer_is_no_overlap():
    asked = Subject("n1", (Probe("n1", "q0", "Which city?", "Oslo"),))
    other = Subject("n2", (Probe("n2", "q0", "Which city?", "Rome"),))
    check_disjoint(Corpus((asked,), (other,)))


# Real data


@pytest.mark.parametrize(("side", "units"), [("forget", 866), ("retain", 867)])
def test_lume_gives_its_published_units(side, units):
    """measurement.md §4: 243/246 stories (2 rows), 250/250 persons (6 rows), 373/371 biographies (2 rows)."""
    found = read_subjects(real(f"lume/{side}.jsonl"), side)
    assert len(found) == units
    sizes = Counter(len(s.probes) for s in found)
    assert sizes == {6: 250, 2: units - 250}
    kinds = Counter(p.kind for s in found for p in s.probes)
    assert kinds["text"] == units
    assert kinds["secret"] == 500


def test_the_secrets_of_lume_are_exactly_social_security_and_phone_numbers():
    found = read_subjects(real("lume/forget.jsonl"), "forget")
    asked = Counter(
        re.search(r"Social Security Number|phone number", p.question)[0]
        for s in found
        for p in s.probes
        if p.kind == "secret"
    )
    assert asked == {"Social Security Number": 250, "phone number": 250}


def test_the_sides_of_lume_are_disjoint():
    sides = (read_subjects(real(f"lume/{side}.jsonl"), side) for side in ("forget", "retain"))
    check_disjoint(Corpus(*sides))


@pytest.mark.parametrize(
    ("name", "authors"),
    [
        ("forget01", 2),
        ("forget05", 10),
        ("forget10", 20),
        ("retain90", 180),
        ("retain95", 190),
        ("retain99", 198),
    ],
)
def test_tofu_lists_hold_their_authors_with_20_questions_each(name, authors):
    found = read_subjects(real(f"tofu/{name}.json"), "forget")
    assert [len(s.probes) for s in found] == [20] * authors


def test_forget10_is_disjoint_from_retain90_and_overlaps_retain95():
    forget = read_subjects(real("tofu/forget10.json"), "forget")
    check_disjoint(Corpus(forget, read_subjects(real("tofu/retain90.json"), "retain")))
    with pytest.raises(AuditError, match="E107"):
        check_disjoint(Corpus(forget, read_subjects(real("tofu/retain95.json"), "retain")))


@pytest.mark.parametrize(("name", "count"), [("real_authors", 100), ("world_facts", 117)])
def test_questions_about_real_authors_and_the_world_are_a_subject_each(name, count):
    assert len(read_subjects(real(f"tofu/{name}_perturbed.json"), "retain")) == count


def test_rewordings_are_read_by_kind_and_written_back(tmp_path):
    wordings = {"cloze": "Ann was born in", "cross_lingual": ["Où ?", "Wo?"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row() | {"wordings": wordings}) + "\n")
    (ann,) = read_subjects(tmp_path / "a.jsonl", "forget")
    assert ann.probes[0].wordings == (
        ("cloze", "Ann was born in"),
        ("cross_lingual", "Où ?"),
        ("cross_lingual", "Wo?"),
    )
    write_corpus(Corpus((ann,), ()), tmp_path / "out")
    assert read_subjects(tmp_path / "out" / "forget.jsonl", "forget") == (ann,)
    (tmp_path / "b.jsonl").write_text(json.dumps(row() | {"wordings": ["Ann was born in"]}) + "\n")
    with pytest.raises(AuditError, match="E104"):
        read_subjects(tmp_path / "b.jsonl", "forget")


@pytest.mark.parametrize(
    "field",
    [
        {"question": f"Is {PRIVATE}'s code 33-17?"},
        {"paraphrased_question": f"{PRIVATE} has 33-17 as code, or which?"},
        {"wordings": {"cloze": [f"{PRIVATE}'s code is 33-17, that is"]}},
    ],
)
def test_a_secret_that_its_own_question_tells_is_refused_and_a_fact_is_not(tmp_path, field):
    secret = row(question=f"Which code has {PRIVATE}?", answer="33-17") | field
    assert refused(write(tmp_path, secret | {"secret": True})).code == "E123"
    assert len(read_subjects(write(tmp_path, secret), "forget")) == 1
