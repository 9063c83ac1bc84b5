from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from audit.core.errors import AuditError
from audit.models.load import (
    PromptTemplate,
    compute_dtype,
    folder_digest,
    load,
    resolve_device,
    save,
    weight_digest,
)
from audit.models.scope import parse_scope


def refused(code, path, **options):
    with pytest.raises(AuditError) as caught:
        load(path, device="cpu", **options)
    assert caught.value.code == code
    return caught.value


@pytest.fixture
def folder(llama, tmp_path):
    save(llama, tmp_path / "model")
    return tmp_path / "model"


def edit_weights(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def test_saved_and_loaded_weights_answers_and_prompt_are_the_same(model, tmp_path):
    save(model, tmp_path)
    again = load(tmp_path, device="cpu")
    assert weight_digest(again) == weight_digest(model)
    assert again.prompt == model.prompt
    assert again.encode("Who?", "Nobody") == model.encode("Who?", "Nobody")
    ids = torch.arange(1, 9)[None]
    assert torch.equal(again.network(ids).logits, model.network(ids).logits)
    assert not again.network.training
    assert not any(p.requires_grad for p in again.network.parameters())


def test_a_saved_directory_is_an_ordinary_transformers_directory(folder):
    import transformers

    network = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert network.config.num_hidden_layers == 2


def test_weights_stored_in_bfloat16_are_loaded_in_float32(folder):
    edit_weights(folder, lambda state: state.update({k: v.bfloat16() for k, v in state.items()}))
    assert all(p.dtype == torch.float32 for p in load(folder, device="cpu").network.parameters())


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_a_pickle_is_refused_before_anything_reads_it(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"not even a pickle")
    assert "pickle" in refused("E201", folder).cause


def test_missing_directory_configuration_and_weights_are_told_apart(folder, tmp_path):
    assert "does not exist" in refused("E202", tmp_path / "nowhere").cause
    assert "does not exist" in refused("E202", "some-organisation/some-model").cause
    (folder / "model.safetensors").unlink()
    assert "safetensors" in refused("E202", folder).cause
    (folder / "config.json").unlink()
    assert "config.json" in refused("E202", folder).cause


def test_a_broken_configuration_is_a_coded_error(folder):
    (folder / "config.json").write_text("{")
    refused("E202", folder)


def test_a_model_with_its_own_code_is_not_run(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "unheard_of", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('the code of a checkpoint ran')")
    refused("E202", folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_counted_and_refused(folder, value):
    edit_weights(folder, lambda state: state["model.norm.weight"][:3].fill_(value))
    assert refused("E203", folder).cause.startswith("3 weights")


def test_a_missing_tensor_is_refused_instead_of_drawn_at_random(folder):
    edit_weights(folder, lambda state: state.pop("model.layers.1.mlp.up_proj.weight"))
    assert refused("E213", folder).cause.startswith("1 tensors")


def test_a_tensor_of_the_wrong_shape_is_refused(folder):
    edit_weights(folder, lambda state: state.update({"model.norm.weight": torch.ones(63)}))
    with pytest.raises(AuditError) as caught:
        load(folder, device="cpu")
    assert caught.value.code in ("E202", "E213")


def test_a_tokenizer_larger_than_the_embedding_is_refused(folder, llama):
    rows = len(llama.tokenizer)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["added_tokens"].append({**content["added_tokens"][0], "id": rows, "content": "<one too many>"})
    file.write_text(json.dumps(content))
    assert (
        refused("E204", folder).cause == f"the tokenizer has {rows + 1} tokens, the model {rows} embeddings"
    )


def test_missing_tokenizer_files_are_refused(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    refused("E204", folder)


def test_weights_stored_quantized_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"quant_method": "gguf"}})
    )
    assert "quantized" in refused("E202", folder).cause


def test_an_adapter_is_saved_alone_and_comes_back_on_its_base(model, tmp_path):
    base = model.clone()
    parse_scope("lora(2)").apply(model, seed=1)
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=torch.Generator().manual_seed(0))
    save(model, tmp_path / "adapter")
    assert sorted(f.name for f in (tmp_path / "adapter").glob("*.safetensors")) == [
        "adapter_model.safetensors"
    ]
    before = weight_digest(base)
    again = load(tmp_path / "adapter", device="cpu", base=base)
    assert again.has_adapter
    assert weight_digest(again) == weight_digest(model)
    assert weight_digest(base) == before
    ids = torch.arange(1, 9)[None]
    assert torch.equal(again.network(ids).logits, model.network(ids).logits)


def test_an_adapter_without_its_base_is_refused(llama, tmp_path):
    parse_scope("lora(2)").apply(llama)
    save(llama, tmp_path)
    assert "base" in refused("E202", tmp_path).cause


def test_an_adapter_for_another_model_is_refused(llama, tmp_path):
    from random_networks import random_network

    from audit.models.load import LanguageModel

    parse_scope("lora(2)").apply(llama)
    save(llama, tmp_path)
    other = LanguageModel(random_network("gpt2", len(llama.tokenizer)), llama.tokenizer, llama.prompt)
    with pytest.raises((AuditError, ValueError)):
        load(tmp_path, device="cpu", base=other)


def test_merging_an_adapter_keeps_the_answers_and_leaves_the_given_model_alone(model):
    parse_scope("lora(2)").apply(model, seed=1)
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(1, 9)[None]
    before = weight_digest(model)
    merged = model.merged()
    assert not merged.has_adapter
    torch.testing.assert_close(merged.network(ids).logits, model.network(ids).logits, atol=2e-4, rtol=1e-3)
    assert weight_digest(model) == before


def test_a_clone_shares_no_weight_with_its_source(model):
    twin = model.clone()
    before = weight_digest(model)
    with torch.no_grad():
        for weight in twin.network.parameters():
            weight.add_(1)
    assert weight_digest(model) == before != weight_digest(twin)


def test_copying_a_directory_changes_nothing(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert weight_digest(load(folder, device="cpu")) == weight_digest(load(tmp_path / "copy", device="cpu"))


class TemplateTokenizer:
    chat_template = "set"

    def apply_chat_template(self, turns, *, tokenize, add_generation_prompt):
        assert not tokenize
        assert add_generation_prompt
        return f"<user>{turns[0]['content']}<assistant>"


def test_prompt_styles_render_as_documented(tokenizer):
    assert PromptTemplate("qa").render(None, "Why?") == "Q: Why? A:"
    assert PromptTemplate("plain").render(None, "Why?") == "Why?"
    assert PromptTemplate("Ask {question}!").render(None, "Why?") == "Ask Why?!"
    assert PromptTemplate("chat").render(TemplateTokenizer(), "Why?") == "<user>Why?<assistant>"
    assert PromptTemplate.default_for(TemplateTokenizer()).style == "chat"
    assert PromptTemplate.default_for(tokenizer).style == "qa"


def test_braces_in_a_question_stay_as_they_are():
    assert (
        PromptTemplate("qa").render(None, "What is {question} or {0}?") == "Q: What is {question} or {0}? A:"
    )


def test_an_unknown_prompt_style_is_refused():
    with pytest.raises(AuditError, match="E214"):
        PromptTemplate("chatt")


def test_encoded_answers_follow_the_prompt_and_end_in_eos(llama):
    item = llama.encode("In which city?", "Perth")
    prompt = llama.encode_prompt("In which city?")
    assert item.ids[: item.answer_start] == prompt
    assert item.eos
    assert item.ids[-1] == llama.tokenizer.eos_token_id
    assert llama.tokenizer.decode(item.ids[item.answer_start : -1]) == " Perth"
    assert item.answer_tokens == len(item.ids) - item.answer_start - 1


def test_an_answer_without_tokens_is_refused(llama):
    with pytest.raises(AuditError, match="E206"):
        llama.encode("What?", "  ")


def test_a_probe_longer_than_the_context_is_refused_with_its_length(tokenizer):
    from random_networks import random_network

    from audit.models.load import LanguageModel

    model = LanguageModel(random_network("gpt2", len(tokenizer)), tokenizer, PromptTemplate("qa"))
    with pytest.raises(AuditError, match="E207") as caught:
        model.encode("z" * 300, "Perth")
    assert "128" in caught.value.cause


def test_devices_resolve_or_are_refused():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(AuditError, match="E210"):
        resolve_device("quantum")
    assert compute_dtype("cpu") == torch.float32
    assert compute_dtype("cuda") == torch.bfloat16


def test_a_cut_off_file_is_refused_with_a_code_by_digest_and_load(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    refused("E202", folder)
    with pytest.raises(AuditError) as caught:
        folder_digest(folder)
    assert caught.value.code == "E202"
