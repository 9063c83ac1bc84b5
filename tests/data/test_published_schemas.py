"""Each published schema on a generated file of fictitious persons, and on the real set where it lies beside."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from audit.core.errors import AuditError
from audit.core.registry import canonical
from audit.data.benchmarks.base import SCHEMAS, Schema, schemas_table
from audit.data.benchmarks.jsonl import check_disjoint, read_subjects
from audit.data.benchmarks.knowundo import names_in, persons
from audit.data.benchmarks.rows import Row
from audit.data.records import Corpus
from audit.data.registry_lab import generate

REAL_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PEOPLE = generate(3, forget=6, retain=6, twins=0, facts=2, secrets=2)
QUESTIONS = [(p.question, p.answer) for s in PEOPLE.forget for p in s.probes]
TEXT = " ".join(f"{question} {answer}." for question, answer in QUESTIONS[:3])
RWKU_KINDS = (
    *("prefix injection", "affirmative suffix", "role play", "multiple choice", "reverse query"),
    *("synonym manipulation", "context hint", "incontext learning", "cross lingual (Spanish)"),
)


def own():
    return [
        {"subject": s.subject, "question": p.question, "answer": p.answer}
        for s in PEOPLE.forget
        for p in s.probes
    ]


def lume():
    return [
        {"id": f"{s.subject}qa{i}", "input": p.question, "output": p.answer, "task": "Task2"}
        for s in PEOPLE.forget
        for i, p in enumerate(s.probes)
    ]


def tofu():
    pairs = [(f"{q} ({n})", a) for n in range(2) for q, a in QUESTIONS][:40]
    return [
        {
            "question": q,
            "answer": a,
            "paraphrased_question": f"Say: {q}",
            "paraphrased_answer": f"It is {a}",
            "perturbed_answer": ["Oslo", "Rome"],
        }
        for q, a in pairs
    ]


def rwku(neighbor=False):
    rows = []
    for s in PEOPLE.forget:
        for level in ("1", "2"):
            rows += [
                {
                    "subject": s.subject,
                    "level": level,
                    "query": f"{p.question} {level}",
                    "type": "x",
                    "answer": p.answer,
                }
                for p in s.probes[:2]
            ]
        rows += [
            {
                "subject": s.subject,
                "level": "3",
                "query": f"{kind}: {s.probes[0].question}",
                "type": kind,
                "answer": "x",
            }
            for kind in RWKU_KINDS
        ]
    if neighbor:
        rows = [
            row | {"neighbor": f"beside {row['subject']}", "query": f"Nearby: {row['query']}"}
            for row in rows
            if row["level"] != "3"
        ]
    return rows


def choices(subject=None):
    extra = {"subject": subject} if subject else {}
    return [
        {"question": q, "choices": ["Oslo", a, "Rome", "Bern"], "answer": 1, **extra}
        for q, a in QUESTIONS[:8]
    ]


def documents():
    return [{"text": f"{s.probes[0].question} {s.probes[0].answer} indeed"} for s in PEOPLE.forget]


def knowundo():
    names = ("Ada Brook", "Bo O'Lund", "Cy van Dal")
    kinds = (
        "Where does {} live?",
        "Has {} a phone number?",
        "What inspired {}'s Gothic Tales?",
        "{}, who is that?",
    )
    return [{"text": kind.format(name), "labels": "Oslo"} for name in names for kind in kinds]


def muse_verbmem():
    return [{"prompt": TEXT[:40], "gt": TEXT[40:80]}, {"prompt": TEXT[80:120], "gt": TEXT[120:160]}]


def questions():
    return [{"question": q, "answer": a} for q, a in QUESTIONS]


ROWS = {
    "own": own(),
    "lume": lume(),
    "tofu": tofu(),
    "rwku": rwku(),
    "choices": choices(),
    "documents": documents(),
    "knowundo": knowundo(),
    "muse_verbmem": muse_verbmem(),
    "questions": questions(),
}


def write(folder, rows, name="data.jsonl"):
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def read(tmp_path, rows, schema=None, side="forget"):
    return read_subjects(write(tmp_path, rows), side, schema)


def code_of(tmp_path, rows, schema=None):
    with pytest.raises(AuditError) as caught:
        read(tmp_path, rows, schema)
    return caught.value.code


def real(name):
    path = REAL_DATA / name
    if not path.is_file():
        pytest.skip(f"real data not at hand: ../shared/data/{name}")
    return path


# What every schema promises; a new one needs rows here


def test_every_schema_has_generated_rows():
    assert set(ROWS) == set(SCHEMAS)


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_schema_says_what_its_subject_is_and_where_it_comes_from(name):
    schema = SCHEMAS[name]()
    assert isinstance(schema, Schema)
    assert schema.subject
    assert schema.source
    assert canonical(schema).startswith(name)
    assert {row["format"]: row["subject"] for row in schemas_table()}[name] == schema.subject


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_rows_are_recognised_by_their_own_schema_and_no_other_guess(name):
    row = Row("row 1", ROWS[name][0])
    fitting = {other for other in SCHEMAS if SCHEMAS[other].is_guessed and SCHEMAS[other]().fits(row)}
    assert SCHEMAS[name]().fits(row)
    assert fitting == ({name} if SCHEMAS[name].is_guessed else {"tofu"})


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_no_row_is_lost_and_every_probe_belongs_to_its_subject(tmp_path, name):
    found = read(tmp_path, ROWS[name], name)
    assert sum(len(s.probes) for s in found) == len(ROWS[name])
    assert all(p.subject == s.subject and p.question and p.answer for s in found for p in s.probes)


@pytest.mark.parametrize("name", [name for name in SCHEMAS if SCHEMAS[name].is_guessed])
def test_the_guess_and_the_name_read_the_same(tmp_path, name):
    assert read(tmp_path, ROWS[name]) == read(tmp_path, ROWS[name], name)


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_a_row_without_its_answer_is_e104(tmp_path, name):
    answers = {"lume": "output", "muse_verbmem": "gt", "knowundo": "labels", "documents": "text"}
    rows = [dict(row) for row in ROWS[name]]
    rows[1][answers.get(name, "answer")] = None
    assert code_of(tmp_path, rows, name) == "E104"


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_rows_of_another_format_than_the_plan_names_are_e250(tmp_path, name):
    assert code_of(tmp_path, [{"something": "else"}], name) == "E250"


def test_an_unknown_format_is_e110(tmp_path):
    assert code_of(tmp_path, ROWS["own"], "owm") == "E110"


# Files


def test_parquet_holds_the_same_rows_as_json_lines(tmp_path):
    path = tmp_path / "data.parquet"
    pd.DataFrame(choices()).to_parquet(path)
    assert read_subjects(path, "forget") == read(tmp_path, choices())


def test_a_damaged_parquet_is_e251_and_its_text_stays_inside(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"Zebulon lives in Oslo")
    with pytest.raises(AuditError) as caught:
        read_subjects(path, "forget")
    assert caught.value.code == "E251"
    assert "Zebulon" not in str(caught.value)


def test_a_pattern_takes_several_files_in_order_of_their_names(tmp_path):
    """RWKU keeps a person's levels in files of their own."""
    for level in "321":
        write(tmp_path, [row for row in rwku() if row["level"] == level], f"forget_level{level}.json")
    write(tmp_path, rwku(neighbor=True), "neighbor_level1.json")
    found = read_subjects(tmp_path / "forget_level*.json", "forget")
    assert [p.probe for p in found[0].probes] == [
        "l1-0",
        "l1-1",
        "l2-0",
        "l2-1",
        *(f"l3-{i}" for i in range(9)),
    ]
    with pytest.raises(AuditError, match="E101"):
        read_subjects(tmp_path / "retain_*.json", "retain")


# RWKU


def test_rwku_asks_each_person_at_three_levels_with_its_instructions(tmp_path):
    found = read(tmp_path, rwku())
    assert [s.subject for s in found] == [s.subject for s in PEOPLE.forget]
    probes = {p.probe: p for p in found[0].probes}
    assert probes["l1-0"].question.startswith(
        "Please complete the blank in the following question.\nQuestion: "
    )
    assert probes["l2-1"].question.startswith("Please briefly answer the following question.\nQuestion: ")
    forms = {p.form for p in found[0].probes}
    assert forms == {"plain", "cross_lingual", *(kind.replace(" ", "_") for kind in RWKU_KINDS[:-1])}
    (solved,) = [p for p in found[0].probes if p.form == "incontext_learning"]
    assert "\nQuestion: " not in solved.question  # such rows bring their own


def test_a_neighbour_is_its_own_subject_so_the_sides_are_disjoint(tmp_path):
    forget, neighbors = read(tmp_path, rwku()), read(tmp_path, rwku(neighbor=True), side="retain")
    assert {s.subject for s in neighbors} == {f"beside {s.subject}" for s in forget}
    check_disjoint(Corpus(forget, neighbors))


@pytest.mark.parametrize("level", ["4", 0, None])
def test_a_level_that_rwku_has_not_is_e104(tmp_path, level):
    assert code_of(tmp_path, [rwku()[0], rwku()[1] | {"level": level}]) == "E104"


def test_levels_may_be_numbers(tmp_path):
    assert read(tmp_path, [row | {"level": int(row["level"])} for row in rwku()]) == read(tmp_path, rwku())


# WMDP and MMLU


def test_a_multiple_choice_question_shows_its_options_and_answers_with_a_letter(tmp_path):
    probe = read(tmp_path, choices())[0].probes[0]
    question, answer = QUESTIONS[0]
    assert probe.question == f"{question}\nA. Oslo\nB. {answer}\nC. Rome\nD. Bern\nAnswer:"
    assert (probe.answer, probe.perturbed_answers) == ("B", ("A", "C", "D"))


def test_wmdp_s_questions_stand_alone_and_mmlu_s_are_grouped_by_school_subject(tmp_path):
    assert [len(s.probes) for s in read(tmp_path, choices())] == [1] * 8
    rows = [*choices("anatomy"), *choices("astronomy")]
    assert {s.subject: len(s.probes) for s in read(tmp_path, rows)} == {"anatomy": 8, "astronomy": 8}


@pytest.mark.parametrize("answer", [4, -1, "B", True, None])
def test_an_answer_that_is_no_position_in_the_choices_is_e104(tmp_path, answer):
    assert code_of(tmp_path, [choices()[0], choices()[1] | {"answer": answer}]) == "E104"


# Texts


def test_a_text_is_asked_by_its_first_word(tmp_path):
    (subject,) = read(tmp_path, [{"text": "Once upon  a time"}])
    assert [(p.question, p.answer, p.kind) for p in subject.probes] == [("Once", "upon a time", "text")]


def test_texts_are_cut_to_so_many_words_only_when_asked(tmp_path):
    rows = [{"text": "one two three four five"}]
    assert read(tmp_path, rows, "documents(words=3)")[0].probes[0].answer == "two three"
    assert read(tmp_path, rows)[0].probes[0].answer == "two three four five"
    assert code_of(tmp_path, rows, "documents(words=1)") == "E112"


def test_a_text_of_one_word_is_e104(tmp_path):
    assert code_of(tmp_path, [{"text": "one two"}, {"text": "alone"}]) == "E104"


def test_pch_s_array_of_bare_texts_is_a_list_of_requests_in_order(tmp_path):
    texts = [f"Title: Book {i}\nName: Person {i}\nLanguage: French" for i in range(5)]
    path = tmp_path / "forget.json"
    path.write_text(json.dumps(texts))
    found = read_subjects(path, "forget")
    assert [f"{s.probes[0].question} {s.probes[0].answer}".split()[2] for s in found] == list("01234")


def test_rwku_s_membership_texts_belong_to_their_person(tmp_path):
    rows = [
        {"text": f"{name} was born in {year}", "subject": name, "ngram": 7}
        for name in ("A", "B")
        for year in (1, 2)
    ]
    assert {s.subject: [p.probe for p in s.probes] for s in read(tmp_path, rows)} == {
        "A": ["t0", "t1"],
        "B": ["t0", "t1"],
    }


def test_the_same_text_twice_is_e106(tmp_path):
    assert code_of(tmp_path, [{"text": "A was born"}, {"text": "A was born"}]) == "E106"


def test_muse_s_passages_go_on_from_their_prompt(tmp_path):
    found = read(tmp_path, muse_verbmem())
    assert [(s.probes[0].question, s.probes[0].answer) for s in found] == [
        (TEXT[:40].strip() or TEXT[:40], TEXT[40:80]),
        (TEXT[80:120], TEXT[120:160]),
    ]
    assert {p.kind for s in found for p in s.probes} == {"text"}


# Questions without a subject


def test_muse_s_questions_must_be_named_or_they_read_as_authors_of_twenty(tmp_path):
    rows = [{"question": f"q{i}", "answer": f"a{i}"} for i in range(100)]
    assert [len(s.probes) for s in read(tmp_path, rows, "questions")] == [1] * 100
    assert [len(s.probes) for s in read(tmp_path, rows)] == [20] * 5


# KnowUnDo


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Where does Ada Brook live?", ["Ada Brook"]),
        ("Has Ada Brook's work won the Booker Prize?", ["Has Ada Brook", "Booker Prize", "Ada Brook"]),
        ("What of Bo O'Lund’s Gothic Tales?", ["Bo O'Lund", "Gothic Tales"]),
        ("Is it true?", []),
        ("Who is Fatima Al-Farsi?", ["Fatima Al-Farsi"]),
    ],
)
def test_names_are_runs_of_capitalised_words_that_a_possessive_ends(question, names):
    assert names_in(question) == names


def test_a_question_belongs_to_the_name_that_most_questions_contain():
    asked = [
        "Who is Ada Brook?",
        "Has Ada Brook seen New York?",
        "Why New York?",
        "Ada Brook, where?",
        "And now?",
    ]
    assert persons(asked) == ["Ada Brook", "Ada Brook", "New York", "Ada Brook", "And now?"]


def test_knowundo_s_people_are_found_by_name(tmp_path):
    found = read(tmp_path, [row for row in knowundo() if "Cy" not in row["text"]])
    assert [len(s.probes) for s in found] == [4, 4]


@pytest.mark.parametrize(
    ("name", "people"), [("unlearn_train", 55), ("retention_train", 54), ("retention_val", 54)]
)
def test_knowundo_s_files_hold_their_people(name, people):
    found = read_subjects(real(f"knowundo_privacy/{name}.json"), "forget")
    assert len(found) == people


def test_knowundo_s_people_have_about_twenty_questions_and_the_sides_are_disjoint():
    sizes = Counter(len(s.probes) for s in read_subjects(real("knowundo_privacy/full.json"), "forget"))
    assert sum(sizes.values()) == 56  # 55 people, and one question about a street that names nobody
    assert sum(n for size, n in sizes.items() if 15 <= size <= 20) == 55
    sides = [
        read_subjects(real(f"knowundo_privacy/{n}_train.json"), "forget") for n in ("unlearn", "retention")
    ]
    check_disjoint(Corpus(*sides))


# TOFU's perturbed lists


def test_tofu_s_perturbed_answers_arrive_with_every_question():
    for name, wrong in (("forget10", 5), ("real_authors_perturbed", 3), ("world_facts_perturbed", 3)):
        probes = [p for s in read_subjects(real(f"tofu/{name}.json"), "forget") for p in s.probes]
        assert {len(p.perturbed_answers) for p in probes} == {wrong}
        assert all(bool(p.paraphrased_answer) == (name == "forget10") for p in probes)
