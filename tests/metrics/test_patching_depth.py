"""The metric: what a run has to bring for it, and what it then reads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from random_networks import random_network

from audit.core.errors import AuditError
from audit.metrics.inputs import Company, needs_of, refuse_unmeasurable, scored_for
from audit.metrics.measure import measure
from audit.metrics.whitebox import patching
from audit.models.load import LanguageModel

NAME = ["patching_depth"]


@pytest.fixture
def retrained(llama, lab_tokenizer):
    return LanguageModel(random_network("llama", len(lab_tokenizer), seed=5), lab_tokenizer, llama.prompt)


def test_it_needs_original_and_retrained_and_a_plan_without_a_retrained_model_is_refused():
    assert needs_of(NAME) == {"patching", "original", "reference"}
    refuse_unmeasurable(NAME, ["reference"])
    with pytest.raises(AuditError) as caught:
        refuse_unmeasurable(NAME, ["prefix"])
    assert caught.value.code == "E142"


@pytest.mark.parametrize("lacking", ["original", "reference"])
def test_without_company_it_is_not_measured(llama, asked, lacking):
    company = Company(**{role: llama for role in ("original", "reference") if role != lacking})
    with pytest.raises(AuditError) as caught:
        scored_for(NAME, llama, asked, company=company)
    assert caught.value.code == "E355"


def test_rows_hold_the_depth_of_each_probe_and_none_for_answers_the_original_does_not_know(
    llama, retrained, asked, monkeypatch
):
    company = Company(original=llama, reference=retrained)
    assert measure(scored_for(NAME, retrained, asked, company=company), NAME) == []
    monkeypatch.setattr(patching, "KNOWN", -math.inf)
    expected = patching.patching_depth(retrained, llama, retrained, asked)
    rows = measure(scored_for(NAME, retrained, asked, company=company), NAME)
    named = [probe.probe for probe, value in zip(asked, expected, strict=True) if np.isfinite(value)]
    assert named == [row.probe for row in rows]
    assert [row.value for row in rows] == [1.0] * len(named) != []
    assert {row.value for row in measure(scored_for(NAME, llama, asked, company=company), NAME)} == {0.0}


def test_nobody_to_score_is_no_error(llama, retrained):
    assert scored_for(NAME, llama, [], company=Company(original=llama, reference=retrained)) == []
