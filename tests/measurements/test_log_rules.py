"""The rules of reading foreign logs, one by one: names of folders, units, fields."""

import numpy as np
import pytest

from audit.measurements.importers import fields
from audit.measurements.importers.duet import Duet, entity_of, question_of
from audit.measurements.importers.naming import Name, read_name
from audit.measurements.importers.tofu import Tofu
from audit.measurements.units import author_of


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (
            "tofu_Llama-3.2-1B-Instruct_full/evals_forget10",
            Name("Llama-3.2-1B-Instruct", "forget10", "original", ""),
        ),
        ("tofu_Llama-3.2-1B-Instruct_full/evals", Name("Llama-3.2-1B-Instruct", "", "original", "")),
        ("tofu_Llama-2-7b-chat-hf_retain95", Name("Llama-2-7b-chat-hf", "forget05", "retrained", "")),
        ("tofu_phi-1.5_retain99/evals", Name("phi-1.5", "forget01", "retrained", "")),
        ("tofu_gemma_forget10_NPO_lr1e-5", Name("gemma", "forget10", "candidate", "NPO_lr1e-5")),
        (
            "unlearn/tofu_gemma_forget05_RMU/checkpoint-25/evals",
            Name("gemma", "forget05", "candidate", "RMU/checkpoint-25"),
        ),
        # "full" at the end says that all weights were tuned, not that the model saw everything
        ("tofu_gemma_forget10_GradDiff_full", Name("gemma", "forget10", "candidate", "GradDiff_full")),
        # locuslab/tofu, config/forget.yaml at 8c49eee: save_dir is model_path/loss_lr_split_epochs
        (
            "ft_epoch5_lr1e-05_llama2-7b_full_wd0/grad_ascent_1e-05_forget10_5/checkpoint-60",
            Name(
                "ft_epoch5_lr1e-05_llama2-7b",
                "forget10",
                "candidate",
                "wd0/grad_ascent_1e-05_forget10_5/checkpoint-60",
            ),
        ),
        (
            "ft_epoch5_lr1e-05_llama2-7b_full_wd0/eval_results/ds_size300",
            Name("ft_epoch5_lr1e-05_llama2-7b", "", "original", "wd0/ds_size300"),
        ),
        (
            "duet_Llama-3.1-8B_city_forget_5_npo_lr1",
            Name("Llama-3.1-8B", "city_forget_5", "candidate", "npo_lr1"),
        ),
        (
            "duet_Llama-3.1-8B_city_forget_rare_5_ga",
            Name("Llama-3.1-8B", "city_forget_rare_5", "candidate", "ga"),
        ),
        ("duet_Llama-3.1-8B_city_forget_5_full", Name("Llama-3.1-8B", "city_forget_5", "original", "full")),
        ("my run/evals_forget05", Name("", "forget05", "candidate", "my run")),
    ],
)
def test_folders_tell_model_list_role_and_recipe(tmp_path, folder, expected):
    assert read_name(tmp_path, tmp_path / folder / "TOFU_EVAL.json") == expected


def test_the_imported_folder_itself_may_carry_the_name(tmp_path):
    folder = tmp_path / "tofu_gemma_retain90"
    assert read_name(folder, folder / "TOFU_EVAL.json") == Name("gemma", "forget10", "retrained", "")
    inner = tmp_path / "tofu_gemma_full" / "evals_forget01"
    assert read_name(inner, inner / "TOFU_EVAL.json").role == "original"


def test_a_tofu_author_is_a_block_of_twenty():
    assert [author_of(i) for i in (0, 19, 20, 399)] == [0, 0, 1, 19]
    with pytest.raises(ValueError, match="-1"):
        author_of(-1)


def test_an_author_has_one_name_in_all_nested_forget_lists():
    """forget01 is the last 40 rows of forget05, which is the last 200 of forget10."""
    layout = Tofu()
    names = {
        layout.unit("forget", f, i, None)[0]
        for f, i in (("forget01", 20), ("forget05", 180), ("forget10", 380))
    }
    assert names == {"tofu/author/199"}


def test_twins_of_another_list_are_other_people():
    layout = Tofu()
    assert layout.unit("twin", "forget01", 0, None) != layout.unit("twin", "forget05", 0, None)


@pytest.mark.parametrize(
    ("metric", "part", "place"),
    [
        ("forget_Q_A_Prob", "", ("forget", "Q_A_Prob")),
        ("retain_Truth_Ratio", "", ("retain", "Truth_Ratio")),
        ("extraction_strength", "", ("forget", "extraction_strength")),
        ("mia_loss", "holdout", ("twin", "mia_loss")),
        ("ra_Q_A_Prob", "", None),
        ("wf_Q_A_ROUGE", "", None),
        ("mia_loss", "auc", None),
    ],
)
def test_tofu_metrics_find_their_side(metric, part, place):
    assert Tofu().place(metric, part) == place


@pytest.mark.parametrize(
    ("question", "city"),
    [
        ("What is the capital of Moyamba?", "Moyamba"),
        ("What is the office held by head of government of Tulcán?", "Tulcán"),
        ("What is the located in or next to body of water of El Amparo?", "El Amparo"),
        ("What is the shares border with of County of Brant?", "County of Brant"),
        ("What is the country of Frankfurt (Oder)?", "Frankfurt (Oder)"),
        ("What is the country of Łeba?", "Łeba"),
        ("What is the located in the administrative territorial entity of as-Samu?", "as-Samu"),
        ("Who was Sri Ganganagar founded by?", "Sri Ganganagar"),
        ("What did Sandgerði merge into?", "Sandgerði"),
        ("Who was Vila-real founded by?", "Vila-real"),
        ("what is it?", None),
    ],
)
def test_the_city_of_a_question_is_found(question, city):
    assert entity_of(question) == city


@pytest.mark.parametrize(
    "prompt",
    [
        "system\n\nYou are terse. Clear?user\n\nWhat is the capital of Moyamba?assistant\n\n",
        "[INST] What is the capital of Moyamba? [/INST]",
        "Q: What is the capital of Moyamba? A:",
    ],
)
def test_the_question_is_found_in_any_chat_template(prompt):
    assert entity_of(question_of(prompt)) == "Moyamba"


def test_a_question_without_a_city_is_its_own_unit_and_counted():
    name, recognised = Duet().unit("forget", "city", 3, "no question here")
    assert not recognised
    assert name != Duet().unit("forget", "city", 4, "no question here")[0]


@pytest.mark.parametrize(
    ("measure", "field", "name"),
    [
        ("Q_A_Prob", "avg_loss", "nll"),
        ("mia_loss", "score", "nll"),
        ("qa_rouge", "rougeL_recall", "rouge_l_recall"),
        ("Truth_Ratio", "score", "truth_ratio_geometric"),
        ("truth_ratio", "score", "truth_ratio_geometric"),
        ("mia_zlib", "score", "zlib"),
        ("mia_min_k", "score", "mia_min_k"),
        ("extraction_strength", "score", "extraction_strength_floored"),
        ("Q_A_gibberish", "score", "qa_gibberish"),
        ("Q_A_PARA_ROUGE", "rougeL_recall", "qa_para_rouge_rougel_recall"),
    ],
)
def test_fields_take_our_name_where_they_mean_the_same_and_keep_theirs_elsewhere(measure, field, name):
    assert fields.metric_name(measure, field) == name


def test_numbers_outside_a_known_range_are_no_values():
    cleaned = fields.cleaned("probability", np.array([-0.1, 0.0, 1.0 + 1e-9, 1.1, np.inf, np.nan]))
    np.testing.assert_array_equal(cleaned, [np.nan, 0.0, 1.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(fields.cleaned("whatever", np.array([-7.0, np.inf])), [-7.0, np.nan])


def test_an_unknown_metric_has_no_range_and_says_that_its_direction_is_assumed():
    assert fields.record("qa_gibberish") == {
        "name": "qa_gibberish",
        "version": 1,
        "direction": "higher",
        "range": [None, None],
    }
    assert not fields.is_known("qa_gibberish")
    assert fields.is_known("perturbed_nll_3")
