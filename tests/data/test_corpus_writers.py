"""Writing a corpus: nothing is lost in the own schema, other schemas have exactly their fields."""

import json

import pytest

from audit.data.benchmarks.jsonl import read_subjects
from audit.data.records import Corpus
from audit.data.registry_lab import generate
from audit.data.writers import write_corpus

SIDES = ("forget", "retain", "twin")


@pytest.fixture(scope="module")
def corpus():
    return generate(5, forget=6, retain=5, twins=4, facts=3, secrets=4)


def read_back(paths):
    return Corpus(*(read_subjects(path, side) for path, side in zip(paths, SIDES, strict=True)))


def test_the_own_schema_gives_the_same_corpus_back(corpus, tmp_path):
    assert read_back(write_corpus(corpus, tmp_path / "new" / "folder")) == corpus


def test_lume_rows_keep_persons_questions_answers_and_which_are_secrets(corpus, tmp_path):
    back = read_back(write_corpus(corpus, tmp_path, "lume"))
    for side in SIDES:
        assert [s.subject for s in back.side(side)] == [s.subject for s in corpus.side(side)]
        found = [(p.question, p.answer, p.kind) for s in back.side(side) for p in s.probes]
        assert found == [(p.question, p.answer, p.kind) for s in corpus.side(side) for p in s.probes]


def test_tofu_rows_keep_persons_other_wordings_and_wrong_answers(corpus, tmp_path):
    back = read_back(write_corpus(corpus, tmp_path, "tofu"))
    for side in SIDES:
        assert [s.subject for s in back.side(side)] == [s.subject for s in corpus.side(side)]
        for found, given in zip(back.side(side), corpus.side(side), strict=True):
            for one, other in zip(found.probes, given.probes, strict=True):
                assert one.paraphrased_questions == other.paraphrased_questions
                assert one.perturbed_answers == other.perturbed_answers
                assert one.paraphrased_answer == other.answer


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        ("lume", ["id", "input", "output", "task"]),
        (
            "tofu",
            [
                "subject",
                "question",
                "answer",
                "paraphrased_question",
                "paraphrased_answer",
                "perturbed_answer",
            ],
        ),
    ],
)
def test_rows_have_exactly_the_fields_of_their_schema(corpus, tmp_path, schema, fields):
    for path in write_corpus(corpus, tmp_path, schema):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert list(json.loads(line)) == fields


def test_a_side_without_subjects_gets_no_file(tmp_path):
    written = write_corpus(generate(1, forget=2, retain=2, twins=0), tmp_path)
    assert [path.name for path in written] == ["forget.jsonl", "retain.jsonl"]


def test_an_unknown_schema_is_refused(corpus, tmp_path):
    with pytest.raises(ValueError, match="own, lume, tofu"):
        write_corpus(corpus, tmp_path, "muse")
