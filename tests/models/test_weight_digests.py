from __future__ import annotations

import pytest
import torch
from random_networks import random_network
from safetensors.torch import load_file, save_file

from audit.core.errors import AuditError
from audit.models.digests import tensors_digest
from audit.models.load import LanguageModel, folder_digest, save, weight_digest
from audit.models.scope import parse_scope


def test_a_saved_directory_has_the_digest_of_the_network(model, tmp_path):
    save(model, tmp_path)
    assert folder_digest(tmp_path) == weight_digest(model)


def test_a_directory_of_another_writer_has_it_too(model, tmp_path):
    model.network.save_pretrained(tmp_path, max_shard_size="100KB")
    model.tokenizer.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert folder_digest(tmp_path) == weight_digest(model)


def test_one_changed_bit_changes_the_digest(model):
    before = weight_digest(model)
    weight = next(iter(model.network.parameters()))
    with torch.no_grad():
        weight.view(-1)[7] = torch.nextafter(weight.view(-1)[7], torch.tensor(9.0))
    assert weight_digest(model) != before


def test_swapping_two_tensors_of_one_shape_changes_the_digest():
    a, b = torch.zeros(2, 3), torch.ones(2, 3)
    assert tensors_digest({"a": a, "b": b}) != tensors_digest({"a": b, "b": a})


def test_reshaping_changes_the_digest_and_order_does_not():
    a, b = torch.arange(6.0), torch.ones(2)
    assert tensors_digest({"a": a, "b": b}) == tensors_digest({"b": b, "a": a})
    assert tensors_digest({"a": a}) != tensors_digest({"a": a.view(2, 3)})


def test_the_same_numbers_in_bfloat16_are_the_same_weights():
    a = torch.randn(5).bfloat16()
    assert tensors_digest({"a": a}) == tensors_digest({"a": a.float()})


def test_a_view_is_digested_by_its_values_not_its_memory():
    a = torch.arange(6.0).view(2, 3)
    assert tensors_digest({"a": a.T}) == tensors_digest({"a": a.T.contiguous()})


def test_device_and_gradients_do_not_enter(llama):
    before = weight_digest(llama)
    llama.network.requires_grad_(True)
    assert weight_digest(llama) == before


def test_an_adapter_has_one_digest_in_memory_and_on_disk(model, tmp_path):
    base = weight_digest(model)
    parse_scope("lora(2)").apply(model, seed=3)
    save(model, tmp_path)
    assert weight_digest(model) == folder_digest(tmp_path, base_digest=base)
    assert folder_digest(tmp_path, base_digest="0" * 64) != folder_digest(tmp_path, base_digest=base)


def test_the_rank_scaling_of_an_adapter_enters_its_digest(llama):
    parse_scope("lora(2)").apply(llama)
    before = weight_digest(llama)
    llama.network.peft_config["default"].lora_alpha *= 2
    assert weight_digest(llama) != before


def test_two_seeds_are_two_checkpoints(tokenizer, llama):
    other = LanguageModel(random_network("llama", len(tokenizer), seed=1), tokenizer, llama.prompt)
    assert weight_digest(other) != weight_digest(llama)


def test_a_file_edited_after_saving_is_noticed(llama, tmp_path):
    save(llama, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["model.norm.weight"][0] += 1e-3
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert folder_digest(tmp_path) != weight_digest(llama)


def test_a_pickle_has_no_digest(llama, tmp_path):
    save(llama, tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(AuditError, match="E201"):
        folder_digest(tmp_path)
