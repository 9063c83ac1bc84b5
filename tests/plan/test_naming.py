"""Short names for people: what differs from the default, and nothing that would raise."""

import pytest

from audit.attacks.base import ATTACKS
from audit.core.registry import canonical
from audit.methods.compose import parse_recipe
from audit.plan.naming import attack_label, configuration_label


@pytest.mark.parametrize(
    ("text", "dose", "label"),
    [
        ("none", 0.0, "none"),
        ("quantize(int4)", 4.0, "quantize(int4)"),
        ("relearn(steps=[5, 10])", 10.0, "relearn @10 steps"),
        ("relearn(steps=[5, 10])", None, "relearn(steps=[5, 10])"),
        ("relearn", None, "relearn"),
        ("relearn(lr=0.001, arm=syntax)", 25.0, "relearn(lr=0.001, arm=syntax) @25 steps"),
        ("noise(sigma=[0.01, 0.1], seed=3)", 0.1, "noise(seed=3) @0.1 sigma"),
        ("typos(wordings=2)", 2.0, "typos @2 levels"),
        ("reworded", 1.0, "reworded(kind=cloze)"),
        ("reworded(wordings=2, kind=alias)", 2.0, "reworded(kind=alias) @2 wordings"),
        ("paraphrase", 1.0, "paraphrase"),
    ],
)
def test_an_attack_is_called_by_what_differs_and_by_its_dose_where_it_has_several(text, dose, label):
    assert attack_label(canonical(ATTACKS.build(text)), dose) == label


@pytest.mark.parametrize("text", ["jailbreak(style=dan)", "not a call (", ""])
def test_an_attack_of_another_tool_keeps_its_name(text):
    assert attack_label(text, 1.0) == text


@pytest.mark.parametrize("text", ["npo(lr=0.001)", "graddiff(lr=0.001, steps=30) @lora(8)", "npo"])
def test_a_recipe_is_called_by_what_differs(text):
    assert configuration_label(str(parse_recipe(text))) == text


def test_a_given_checkpoint_is_called_by_the_head_of_its_digest_and_anything_else_by_itself():
    assert configuration_label(f"given({'ab' * 32})") == "given(abababababab)"
    assert configuration_label("tofu_Llama_NPO") == "tofu_Llama_NPO"
    assert configuration_label("") == ""
