"""A sentence about sampled answers names how many an attacker gets."""

from audit.evidence import wording


def test_k_stands_in_the_sentence_where_it_decides_and_nowhere_else():
    assert wording.rate(("leak_at_k",), 4) == "subjects with a secret among k sampled answers, k = 4,"
    assert wording.rate(("recovered", "answered"), 4) == (
        "subjects with a recovered secret or subjects with a question answered"
    )
