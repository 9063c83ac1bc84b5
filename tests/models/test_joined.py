"""Several Llamas in one checkpoint answer as their product, are cut out again bit by bit, and are a Llama to all else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers
from random_networks import random_network

from audit.core.errors import AuditError
from audit.data.records import Probe
from audit.models.caches import new_cache
from audit.models.digests import weight_digest
from audit.models.generation import Decoding, generate
from audit.models.joined import constituents, joined
from audit.models.language_model import LanguageModel, PromptTemplate
from audit.models.layers import check_head, linear_weights
from audit.models.load import folder_digest, load, quiet, save
from audit.models.quantization import SCHEMES, quantize_network
from audit.models.scope import parse_scope
from audit.models.scoring import score
from audit.models.training import NLL, Budget, Example, train

IDS = torch.tensor([[3, 8, 5, 13, 2, 9], [7, 7, 1, 4, 30, 6]])
KNOWN = [Example(f"k{i}/home/plain", f"where does k{i} live?", f"in town {i}") for i in range(4)]
PROBES = [Probe(e.key, "home", e.question, e.answer) for e in KNOWN]


@pytest.fixture
def several(tokenizer):
    """Return the given number of different random Llamas."""

    def made(count: int, **settings) -> list[LanguageModel]:
        networks = (llama(len(tokenizer), seed, **settings) for seed in range(count))
        return [LanguageModel(network, tokenizer, PromptTemplate("qa")) for network in networks]

    return made


def llama(vocabulary, seed, **settings):
    if not settings:
        return random_network("llama", vocabulary, seed)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(vocab_size=vocabulary, **sizes, **settings)
    with quiet():
        network = transformers.LlamaForCausalLM(config)
    for weight in network.parameters():
        torch.nn.init.normal_(
            weight, std=0.2
        )  # biases and norms as well: at their defaults they hide mistakes
    return network.eval()


def logits(model, ids=IDS):
    with torch.no_grad():
        return model.network(ids).logits


def tensors(model):
    return dict(model.network.state_dict())


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True},
        {"tie_word_embeddings": True, "head_dim": 8, "rms_norm_eps": 1e-2},
    ],
    ids=["laboratory", "grouped heads, biases, own head", "narrow heads"],
)
def test_the_logits_are_the_sum_of_those_of_the_constituents(count, settings, several):
    models = several(count, **settings)
    expected = torch.stack([logits(model) for model in models]).sum(0)
    made = joined(models)
    torch.testing.assert_close(logits(made), expected, atol=1e-5, rtol=1e-5)
    assert (logits(models[0]) - expected).abs().max() > 0.1
    check_head(made.network)


def test_one_root_mean_square_over_all_constituents_would_be_another_model(several):
    """The reason for a kind of its own: a Llama of the same weights is not the sum."""
    models = several(2)
    with torch.no_grad():
        models[1].network.get_input_embeddings().weight.mul_(3)
    made = joined(models)
    config = {k: v for k, v in made.network.config.to_dict().items() if k not in ("model_type", "shards")}
    plain = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config)).eval()
    plain.load_state_dict(made.network.state_dict())
    with torch.no_grad():
        assert (plain(IDS).logits - logits(made)).abs().max() > 0.1


@pytest.mark.parametrize("settings", [{}, {"num_key_value_heads": 2, "attention_bias": True}])
def test_constituents_are_cut_out_bit_by_bit(settings, several):
    models = several(3, **settings)
    cut = constituents(joined(models), 3)
    for before, after in zip(models, cut, strict=True):
        assert type(after.network) is transformers.LlamaForCausalLM
        assert all(torch.equal(tensors(before)[name], tensor) for name, tensor in tensors(after).items())
        assert torch.equal(logits(before), logits(after))
        assert weight_digest(before) == weight_digest(after)
    assert weight_digest(joined(cut)) == weight_digest(joined(models))


def test_a_saved_one_loads_as_itself_without_code_of_its_own(several, tmp_path):
    models = several(2)
    made = joined(models)
    save(made, tmp_path)
    again = load(tmp_path, device="cpu")
    assert not list(tmp_path.glob("*.py"))
    assert folder_digest(tmp_path) == weight_digest(again) == weight_digest(made)
    assert torch.equal(logits(again), logits(made))
    from_file = constituents(again, 2)[0]
    assert weight_digest(joined([from_file, models[1]])) == weight_digest(made)


@pytest.mark.parametrize("change", ["a weight between constituents", "another number", "a Llama", "adapter"])
def test_what_is_not_joined_is_not_cut(change, several):
    models = several(4)
    made = joined(models)
    if change == "a weight between constituents":
        with torch.no_grad():
            linear_weights(made.network)["model.layers.1.mlp.up_proj"][0, -1] = 1e-6
    if change == "adapter":
        parse_scope("lora(2)").apply(made)
    count = 2 if change == "another number" else 4
    with pytest.raises(AuditError, match="E243"):
        constituents(models[0] if change == "a Llama" else made, count)


def test_networks_of_other_kinds_or_sizes_are_not_joined(several, tokenizer):
    (one,), (other,) = several(1), several(1, num_key_value_heads=2)
    with pytest.raises(ValueError, match="configurations"):
        joined([one, other])
    qwen = replace(one, network=random_network("qwen2", len(tokenizer)))
    with pytest.raises(ValueError, match="Llamas"):
        joined([qwen, qwen])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rounding_the_joined_model_is_joining_the_rounded_constituents(scheme, several):
    """Groups of 64 end where a constituent's rows end, and zeros stay zeros on every grid."""
    models = several(2)
    made = joined(models)
    quantize_network(made.network, scheme)
    for model in models:
        quantize_network(model.network, scheme)
    assert all(torch.equal(tensors(joined(models))[n], tensor) for n, tensor in tensors(made).items())


def test_a_cache_gives_the_logits_of_the_whole_sequence(several):
    made = joined(several(2))
    cache, whole = new_cache(made.network), logits(made)
    with torch.no_grad():
        steps = [
            made.network(IDS[:, t : t + 1], past_key_values=cache, use_cache=True).logits
            for t in range(IDS.shape[1])
        ]
    torch.testing.assert_close(torch.cat(steps, 1), whole, atol=1e-5, rtol=1e-5)


def test_generated_answers_are_those_of_the_sum_asked_token_by_token(several):
    models = several(2)
    made = joined(models)
    answers = generate(made, [e.question for e in KNOWN], Decoding(max_new_tokens=6))
    for example, (said,) in zip(KNOWN, answers, strict=True):
        prompt, fresh = list(made.encode_prompt(example.question)), []
        for _ in range(6):
            ids = torch.tensor([prompt + fresh])
            token = int(sum(logits(model, ids)[0, -1] for model in models).argmax())
            if token == made.tokenizer.eos_token_id or "\n" in made.tokenizer.decode([token]):
                break
            fresh.append(token)
        assert said == made.tokenizer.decode(fresh).strip().split("\n")[0].strip()


@pytest.mark.parametrize("scope", ["all", "lora(2)", "layers(0:1).mlp"])
def test_it_learns_like_any_llama_and_is_stored_with_what_it_has_learned(scope, several, tmp_path):
    made = joined(several(2))
    save(made, tmp_path / "base")
    made = load(tmp_path / "base", device="cpu")
    before = sum(item.logp.sum() for item in score(made, PROBES))
    budget = Budget(lr=1e-2, steps=10, batch=4, retain_weight=0.0)
    train(made, NLL(), KNOWN, (), budget, scope=parse_scope(scope))
    assert sum(item.logp.sum() for item in score(made, PROBES)) > before + 1
    if made.has_adapter:
        made.network.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    save(made, tmp_path / "made")
    assert weight_digest(load(tmp_path / "made", device="cpu")) == weight_digest(made)
    if scope == "all":
        with pytest.raises(AuditError, match="E243"):  # training reaches between the constituents
            constituents(made, 2)
