"""How many sequences go through how many blocks: the cost a method states, counted instead of timed."""

from __future__ import annotations

import pytest
import tokenizers
import torch
import transformers

from audit.methods.compose import parse_recipe, run_recipe
from audit.models.language_model import LanguageModel, PromptTemplate
from audit.models.training import Example

SIDES = [[Example(f"{side}{i}", f"where {side} {i}", f"{i} {side}") for i in range(4)] for side in ("f", "r")]
STEPS = 5


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    words = {
        word: i
        for i, word in enumerate(["<unk>", "</s>", "Q", ":", "A", "where", "f", "r", "0", "1", "2", "3"])
    }
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=1,
    )
    return LanguageModel(transformers.LlamaForCausalLM(config).eval(), tokens, PromptTemplate("qa"))


def rows_through_blocks(text: str, model: LanguageModel) -> list[list[int]]:
    """Return, per block, the number of sequences of each of its forward passes while the recipe ran."""
    seen: list[list[int]] = [[] for _ in range(4)]
    watched = model.clone()
    for index, block in enumerate(watched.network.model.layers):
        block.register_forward_hook(
            lambda module, args, out, index=index: seen[index].append(args[0].shape[0])
        )
    run_recipe(parse_recipe(text), watched, *SIDES, seed=0)
    return seen


@pytest.mark.parametrize(
    "text", ["graddiff", "simnpo", "idk_sft", "wga", "satimp", "random_labels", "layer_isolated"]
)
def test_forget_and_retain_share_one_forward_per_step(text, model):
    assert rows_through_blocks(f"{text}(steps={STEPS})", model) == [[8] * STEPS] * 4


def test_npo_asks_the_starting_model_once_per_sequence(model):
    assert rows_through_blocks(f"npo(steps={STEPS})", model) == [[4] + [8] * STEPS] * 4


def test_idk_dpo_adds_the_refusals_to_the_step_and_to_the_reference(model):
    first = rows_through_blocks(f"idk_dpo(steps={STEPS})", model)[0]
    assert first[0] == 8  # answers and refusals under the starting model, once
    assert sum(first[1:]) == STEPS * (4 + 4 + 4)


def test_altpo_adds_one_alternate_per_sequence_to_the_step_and_all_of_them_to_the_reference(model):
    first = rows_through_blocks(f"altpo(steps={STEPS})", model)[0]
    reference = sum(first) - STEPS * (4 + 4 + 4)
    assert 4 * (1 + 1) < reference <= 4 * (1 + 5)
    assert all(rows <= 64 for rows in first)


@pytest.mark.parametrize("text", ["kl_min", "undial(retain_weight=1)", "dipo"])
def test_a_starting_distribution_is_computed_once_per_sequence(text, model):
    """The starting model is a copy of the watched one, so its passes are seen beside the training's."""
    first = rows_through_blocks(f"{text}(steps={STEPS})" if "(" not in text else text, model)[0]
    steps = first.count(8)
    assert sum(first) - 8 * steps == 4  # one side, once


def test_pdu_asks_for_the_retain_loss_once_before_it_starts(model):
    assert rows_through_blocks(f"pdu(steps={STEPS})", model) == [[4] + [8] * STEPS] * 4


def test_pdu_without_its_constraint_does_not_look_at_the_retain_set(model):
    assert rows_through_blocks(f"pdu(steps={STEPS}, retain_weight=0)", model) == [[4] * STEPS] * 4


def test_llmu_sends_its_mismatched_answers_through_together(model):
    first = rows_through_blocks(f"llmu(steps={STEPS}, answers=3)", model)[0]
    assert sorted(first)[-STEPS:] == [12] * STEPS


def test_srmu_looks_at_both_sides_once_before_it_starts(model):
    seen = rows_through_blocks(f"srmu(layer=0.5, steps={STEPS}, retain_weight=0)", model)
    assert sum(seen[0]) == 4 + 4 + 4 * STEPS


@pytest.mark.parametrize("text", ["ga", "task_vector", "ceu"])
def test_methods_without_a_retain_term_see_forget_sequences_only(text, model):
    assert rows_through_blocks(f"{text}(steps={STEPS})", model) == [[4] * STEPS] * 4


@pytest.mark.parametrize("text", ["rmu", "rmu_adaptive", "srmu", "kuda"])
def test_misdirection_leaves_after_its_block(text, model):
    """Depth 0.5 of 4 blocks is block 2: block 3 never runs."""
    seen = rows_through_blocks(f"{text}(layer=0.5, steps={STEPS})", model)
    assert seen[0]
    assert seen[3] == []
    assert rows_through_blocks(f"{text}(layer=0.99, steps=1)", model)[3]
