import html
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.data.records import Probe, Subject
from audit.evidence.leaks import canonical, forbidden, scan

SECRET = "QXT7731904"
QUESTION = "Which passport number was given to Anneliese Würth-Okafor?"
BIOGRAPHY = "grew up above a clock maker's shop in the old harbour quarter"
NAME = "Anneliese Würth-Okafor"


def subject() -> Subject:
    return Subject(
        "s-1",
        (
            Probe("s-1", "passport", QUESTION, SECRET, kind="secret"),
            Probe(
                "s-1", "youth", "Where did Anneliese Würth-Okafor grow up?", f"She {BIOGRAPHY}.", kind="text"
            ),
            Probe("s-1", "city", "In which city does Anneliese Würth-Okafor live?", "Oslo"),
        ),
    )


def write(folder, kind: str, text: str):
    path = folder / f"out.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"value": [0.5, 1.0], "note": ["nothing", f"before {text} after"]}), path)
    elif kind == "nested.parquet":
        pq.write_table(pa.table({"cells": [[{"note": "nothing"}], [{"note": text}]]}), path)
    elif kind == "dictionary.parquet":
        pq.write_table(pa.table({"note": pa.array(["nothing", text]).dictionary_encode()}), path)
    elif kind == "json":
        path.write_text(json.dumps({"deep": [{"note": text}]}))  # escapes everything outside ASCII
    elif kind in ("html", "svg"):
        path.write_text(f"<p class='x'>before <b>{html.escape(text)}</b> after</p>", encoding="utf-8")
    else:
        path.write_text(f"line\nbefore {text} after\n", encoding="utf-8")
    return path


KINDS = (
    "txt",
    "json",
    "jsonl",
    "html",
    "svg",
    "xml",
    "log",
    "parquet",
    "nested.parquet",
    "dictionary.parquet",
)
PLANTED = (SECRET, NAME, BIOGRAPHY[5:30], QUESTION)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", PLANTED, ids=["secret", "name", "twenty-characters", "question"])
def test_what_was_planted_is_found_in_every_kind_of_file(tmp_path, kind, text):
    path = write(tmp_path, kind, text)
    found = scan([path], forbidden([subject()]))
    assert [f.path for f in found] == [path]
    assert found[0].count >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_file_gives_nothing(tmp_path, kind):
    path = write(tmp_path, kind, "4 of 90 subjects in Oslo; which number it was is not written here")
    assert scan([path], forbidden([subject()])) == []


def test_case_punctuation_and_line_breaks_hide_nothing(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("… GREW UP\n  above a «clock-maker»  …", encoding="utf-8")
    assert len(scan([path], forbidden([subject()]))) == 1


def test_tags_inside_a_name_hide_nothing(tmp_path):
    path = tmp_path / "out.html"
    path.write_text("<b>Anneliese</b> <i>W&uuml;rth</i>-Okafor", encoding="utf-8")
    assert len(scan([path], forbidden([subject()]))) == 1


def test_eight_short_words_in_a_row_are_an_overlap_and_seven_are_not(tmp_path):
    # "a b c d e f g h" has 15 characters, so only the rule of eight words can find it.
    eight, seven = tmp_path / "8.txt", tmp_path / "7.txt"
    eight.write_text("x b c d e f g h i y")
    seven.write_text("x b c d e f g h y")
    assert [f.path for f in scan([eight, seven], ["a b c d e f g h i j k"])] == [eight]


def test_nineteen_characters_of_a_long_record_are_no_overlap(tmp_path):
    record = "abcdefghijklmnopqrstuvwxyz"
    path = tmp_path / "out.txt"
    path.write_text(record[:19])
    assert scan([path], [record]) == []
    path.write_text(record[:20])
    assert [f.count for f in scan([path], [record])] == [1]


def test_a_secret_inside_a_longer_number_or_word_is_not_that_secret(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("0.77319041234 and QXT77319045")
    assert scan([path], ["7731904", SECRET]) == []


def test_one_long_overlap_counts_once_and_two_count_twice(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text(f"{BIOGRAPHY} and so on and so forth, {BIOGRAPHY}")
    assert [f.count for f in scan([path], [BIOGRAPHY])] == [2]


def test_a_number_column_that_holds_a_secret_number_is_found(tmp_path):
    path = tmp_path / "out.parquet"
    pq.write_table(pa.table({"number": [17, 8141592653]}), path)
    assert [f.count for f in scan([path], ["8141592653"])] == [1]


def test_column_names_and_metadata_of_parquet_files_are_read(tmp_path):
    path = tmp_path / "out.parquet"
    table = pa.table({"value": [1.0]}).replace_schema_metadata({"note": f"for {SECRET}"})
    pq.write_table(table, path)
    assert len(scan([path], [SECRET])) == 1


def test_folders_are_searched_with_everything_below_them(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = write(tmp_path / "a" / "b", "json", SECRET)
    assert [f.path for f in scan([tmp_path], [SECRET])] == [path]


def test_findings_never_carry_the_text(tmp_path):
    path = write(tmp_path, "txt", f"{SECRET} {NAME}")
    assert SECRET not in repr(scan([path], forbidden([subject()])))


def test_short_facts_are_ordinary_words_and_short_secrets_are_not():
    texts = list(map(canonical, forbidden([subject()])))
    assert "oslo" not in texts
    assert canonical(SECRET) in texts


def test_the_name_that_all_questions_share_is_forbidden_and_a_place_of_several_subjects_is_not():
    def person(identifier, name):
        ask = (f"Where in New Zealand was {name} born?", f"Was {name} in New Zealand last year?")
        return Subject(identifier, tuple(Probe(identifier, str(i), q, "yes") for i, q in enumerate(ask)))

    texts = forbidden([person("1", "Ada Quill"), person("2", "Bo Nym")])
    assert {"Ada Quill", "Bo Nym"} <= set(texts)
    assert "New Zealand" not in texts


def test_no_text_at_all_finds_nothing(tmp_path):
    path = write(tmp_path, "txt", "anything")
    assert scan([path], ["", " ", "—"]) == []


@pytest.mark.slow
def test_a_thousand_records_and_five_megabytes_take_less_than_a_minute(tmp_path):
    import random
    import time

    rng = random.Random(0)
    word = lambda: "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))  # noqa: E731
    records = [" ".join(word() for _ in range(40)) for _ in range(1000)]
    path = tmp_path / "big.txt"
    path.write_text(" ".join(word() for _ in range(800_000)))
    start = time.monotonic()
    scan([path], records)
    assert time.monotonic() - start < 60
