"""An error's first digit names its family and fixes the exit code."""

import pickle

import pytest

from audit.core.errors import AuditError


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("E100", 2), ("E213", 2), ("E301", 4), ("E320", 4), ("E403", 2), ("E501", 5), ("E523", 5)],
)
def test_the_exit_code_follows_from_the_family(code, exit_code):
    assert AuditError(code, "cause", "remedy").exit_code == exit_code


def test_the_text_says_code_cause_and_remedy():
    assert str(AuditError("E108", "40 asked, 30 there", "lower it")) == "E108 40 asked, 30 there; lower it"


def test_an_error_survives_the_way_between_processes():
    copy = pickle.loads(pickle.dumps(AuditError("E301", "the cause", "the remedy")))
    assert (copy.code, copy.cause, copy.remedy) == ("E301", "the cause", "the remedy")
