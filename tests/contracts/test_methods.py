"""What every registered objective promises; a new one is held to it without a line here.

The model is a random Llama of two layers that has learned sixteen questions by heart, eight to forget.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from dataclasses import replace

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from audit.core.registry import canonical
from audit.data.records import Probe
from audit.methods.base import METHODS, default_budget, kind
from audit.methods.compose import Recipe, parse_recipe, run_recipe
from audit.models.batches import forward_answer_logits, nll_by_row
from audit.models.digests import weight_digest
from audit.models.language_model import LanguageModel, PromptTemplate
from audit.models.layers import block_output
from audit.models.scoring import score
from audit.models.starting_model import StartingModel
from audit.models.training import Budget, Context, Example, Objective, fit

FORGET_WORDS = ["ada", "bo", "cy", "dee", "eve", "flo", "gus", "hal"]
RETAIN_WORDS = ["ian", "jo", "kit", "lou", "max", "ned", "ola", "pam"]
ANSWERS = ["red", "green", "blue", "pink", "gold", "grey", "teal", "plum"]
REST = ["Q", ":", "A", "where", "does", "now", "live", "?", "<unk>", "</s>"]
OBJECTIVES = [name for name in METHODS.names() if kind(METHODS[name]()) == "objective"]

# Methods whose default does nothing to the answers of this model: what is asked of them instead, and why.
HELD = "the published weight of 1200 is Zephyr-7B's: here it holds the forget activations, too"
INSTEAD = {
    "e2urec": ("e2urec(strength=5)", "answers known by heart hardly rise any more, and 2 hardly lowers them"),
    "rmu": ("rmu(retain_weight=10)", HELD),
    "rmu_adaptive": ("rmu_adaptive(retain_weight=10)", HELD),
    "srmu": ("srmu(retain_weight=10)", HELD),
}
BY_HEART = "(1 - p)^1 leaves out answers known by heart: three to five of eight stay, depending on the seed"
INSTEAD_ON_ADAPTERS = {**INSTEAD, "satimp": ("satimp(importance=0.25)", BY_HEART)}


def examples(names: list[str], shift: int) -> list[Example]:
    """Questions of two lengths, answers of two and three words."""
    made = []
    for i, name in enumerate(names):
        question = f"where does {name} live ?" if i % 2 else f"where does {name} live now ?"
        words = [ANSWERS[(i + shift) % 8], ANSWERS[(3 * i + shift) % 8], *([ANSWERS[i]] if i % 3 else [])]
        made.append(Example(f"{name}/home/plain", question, " ".join(words)))
    return made


FORGET, RETAIN = examples(FORGET_WORDS, 0), examples(RETAIN_WORDS, 5)


def tokenizer():
    words = {word: i for i, word in enumerate([*REST, *FORGET_WORDS, *RETAIN_WORDS, *ANSWERS])}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")


def untrained(architecture: str) -> LanguageModel:
    torch.manual_seed(0)
    tokens = tokenizer()
    common = {"vocab_size": len(tokens), "bos_token_id": None, "eos_token_id": tokens.eos_token_id}
    if architecture == "llama":
        network = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=64,
                initializer_range=0.06,
                **common,
            )
        )
    else:
        config = transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=64, **common)
        network = transformers.GPT2LMHeadModel(config)
    return LanguageModel(network.eval(), tokens, PromptTemplate("qa"))


@pytest.fixture(scope="module")
def learned() -> LanguageModel:
    model = untrained("llama")
    fit(model, [*FORGET, *RETAIN], epochs=60, batch=16, lr=1e-2, seed=0)
    return model


@pytest.fixture(scope="module")
def gpt2() -> LanguageModel:
    model = untrained("gpt2")
    fit(model, [*FORGET, *RETAIN], epochs=10, batch=16, lr=1e-2, seed=0)
    return model


def recall_probability(model: LanguageModel, wanted: list[Example]) -> float:
    """Return the mean probability of the whole answer."""
    probes = [Probe(e.key, "home", e.question, e.answer) for e in wanted]
    return float(np.mean([np.exp(s.logp.sum()) for s in score(model, probes)]))


def recipe(name: str, scope: str = "all", **changes: float) -> Recipe:
    made = parse_recipe(f"{name} @{scope}")
    return replace(made, budget=replace(made.budget, **changes))


def run(
    name: str, model: LanguageModel, scope: str = "all", seed: int = 0, **changes: float
) -> LanguageModel:
    return run_recipe(recipe(name, scope, **changes), model, FORGET, RETAIN, seed)


@pytest.fixture(scope="module")
def forgets(learned):
    """Return whether the weights that a recipe makes give the forgotten answers up.

    Less than half of their probability is left, and two answers of eight less than training on the retain answers alone
    leaves at the same rate in as many steps: answers are given up by chance, too.
    """

    @functools.cache
    def left(budget: Budget, scope: str) -> float:
        alone = replace(budget, forget_weight=0.0, retain_weight=1.0)
        return recall_probability(run("graddiff", learned, scope, **dataclasses.asdict(alone)), FORGET)

    def asked(text: str, scope: str = "all", **changes: float) -> bool:
        wanted = recipe(text, scope, **changes)
        after = recall_probability(run_recipe(wanted, learned, FORGET, RETAIN, 0), FORGET)
        spent = replace(wanted.budget, forget_weight=1.0, retain_weight=1.0)
        return after < 0.5 * recall_probability(learned, FORGET) and after < left(spent, scope) - 2 / 8

    return asked


def weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.network.state_dict().items()}


def test_the_toy_model_knows_both_sides(learned):
    assert recall_probability(learned, FORGET) > 0.9
    assert recall_probability(learned, RETAIN) > 0.9


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_method_is_a_frozen_record_that_prints_as_its_constructor(name):
    method = METHODS[name]()
    assert dataclasses.is_dataclass(method)
    assert METHODS.build(canonical(method)) == method
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.name = "other"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_method_says_where_it_is_from_and_what_it_costs(name):
    cls = METHODS[name]
    assert cls.source.startswith("arXiv:")
    assert "arXiv:" in (inspect.getmodule(cls).__doc__ or "")
    assert cls.evidence in ("paper", "reproduced", "experimental")
    assert cls.family
    assert 0 < cls.cost < 100


@pytest.mark.parametrize("name", OBJECTIVES)
def test_parameters_and_budget_share_no_word_and_default_to_plain_values(name):
    method = METHODS[name]()
    own = dataclasses.fields(method)
    assert not {field.name for field in own} & {field.name for field in dataclasses.fields(Budget)}
    assert all(isinstance(getattr(method, field.name), int | float | str | bool) for field in own)
    budget = default_budget(METHODS[name])
    assert "retain" in method.needs or budget.retain_weight == 0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_gives_up_the_forgotten_answers_after_its_default_budget(name, forgets):
    assert forgets(INSTEAD.get(name, (name,))[0])


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_asked_for_instead_of_a_default_is_still_needed(name, forgets):
    assert not forgets(name)


@pytest.mark.parametrize("text", ["graddiff(forget_weight=0, lr=0.001)", "npo(forget_weight=1e-9)"])
def test_drift_does_not_pass_for_forgetting(text, forgets):
    assert not forgets(text)
    assert not forgets(text, "lora(8)", lr=1e-3)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_same_seed_gives_the_same_weights_and_the_given_model_is_untouched(name, learned):
    before = weight_digest(learned)
    first, second = (run(name, learned, steps=3, seed=7) for _ in range(2))
    assert weight_digest(first) == weight_digest(second)
    assert weight_digest(first) != before == weight_digest(learned)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_another_seed_gives_other_weights(name, learned):
    assert weight_digest(run(name, learned, steps=3, batch=3, seed=1)) != weight_digest(
        run(name, learned, steps=3, batch=3, seed=2)
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_only_the_chosen_mlp_moves(name, learned):
    before, after = weights(learned), weights(run(name, learned, "layers(0:1).mlp", steps=3))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all(".layers.0.mlp." in key for key in moved)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_adapter_leaves_the_base_bit_identical(name, learned):
    made = run(name, learned, "lora(4)", steps=3)
    after = {
        key.replace("base_model.model.", "").replace(".base_layer", ""): w for key, w in weights(made).items()
    }
    before = weights(learned)
    assert made.has_adapter
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert any(w.abs().sum() > 0 for key, w in after.items() if "lora_B" in key)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_adapter_gives_up_the_forgotten_answers(name, forgets):
    assert forgets(INSTEAD_ON_ADAPTERS.get(name, (name,))[0], "lora(8)", lr=1e-3)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_steps_change_nothing(name, learned):
    assert weight_digest(run(name, learned, steps=0)) == weight_digest(learned)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("scope", ["all", "layers(0:1).mlp"])
def test_gpt2_with_its_transposed_projections_is_unlearned_too(name, scope, gpt2):
    before, after = weights(gpt2), weights(run(name, gpt2, scope, steps=3))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert any(".h.0.mlp.c_proj" in key for key in moved)
    assert scope == "all" or all(".h.0.mlp." in key for key in moved)
    assert all(torch.isfinite(weight).all() for weight in after.values())


class Live(Context):
    """A context whose reference services ask the starting model anew at every call."""

    start = None  # a plain attribute instead of the property

    def __init__(self, model: LanguageModel, start: LanguageModel) -> None:
        super().__init__(model, FORGET, RETAIN, seed=0)
        self.start = start

    def reference_nll(self, batch):
        return nll_by_row(forward_answer_logits(self.start.network, batch), batch)

    def reference_retain_nll(self):
        batch = self.batch(RETAIN)
        return float(self.reference_nll(batch).sum() / len(batch.targets))

    def reference_logits(self, batch):
        return forward_answer_logits(self.start.network, batch).log_softmax(-1)

    def reference_hidden(self, batch, layer):
        return block_output(self.start.network, batch.ids, layer)


def moved_away(model: LanguageModel) -> LanguageModel:
    """Return a copy a little off, so that the starting model and the current one differ."""
    made = model.clone()
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in made.network.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return made


def context_off_start(name: str, model: LanguageModel) -> Context:
    """Return a context whose model has moved since the reference was captured."""
    made = model.clone()
    context = Context(made, FORGET, RETAIN, seed=0)
    context.prepare(METHODS[name]().needs, keep_reference=True)
    made.network.load_state_dict(moved_away(model).network.state_dict())
    return context


def term(side: str, name: str, context: Context, chosen: list[Example]) -> float:
    with torch.no_grad():
        return float(getattr(METHODS[name](), f"{side}_term")(context, context.batch(chosen)))


def terms(name: str) -> list[tuple[str, list[Example]]]:
    return (
        [("forget", FORGET), ("retain", RETAIN)]
        if "retain" in METHODS[name]().needs
        else [("forget", FORGET)]
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_batch_is_the_mean_of_its_sequences_whatever_stands_beside_them(name, learned):
    """Sequences of unequal length share a batch: its term is the token- or sequence-weighted mean of theirs.

    A term that counts prompt, padding or a neighbour fails this; so does one that grows with the batch.
    """
    context = context_off_start(name, learned)
    for side, examples in terms(name):
        alone = [term(side, name, context, [one]) for one in examples]
        left_out = getattr(
            METHODS[name](), "skipped", 0
        )  # tokens per answer that the method says it leaves out
        asked = [len(context.batch([one]).targets) - left_out for one in examples]
        refused = [len(context.refusals(context.batch([one])).targets) for one in examples]
        means = [np.average(alone, weights=w) for w in (None, asked, refused)]
        assert np.ptp(alone) > 1e-3 * abs(means[0])  # otherwise every mean would do
        assert any(term(side, name, context, examples) == pytest.approx(mean, rel=1e-4) for mean in means)


@pytest.mark.parametrize(
    "name", [n for n in OBJECTIVES if not any("hidden" in need for need in METHODS[n]().needs)]
)
def test_the_prompt_counts_only_through_the_answers_likelihood(name, learned):
    short, longer = terms_by_prompt(METHODS[name](), learned)
    assert short == pytest.approx(longer, rel=1e-4, abs=1e-7)


def test_the_harness_catches_a_term_that_counts_the_prompt(learned):
    short, longer = terms_by_prompt(METHODS["kl_min"](compat="open_unlearning"), learned)
    assert short[0] == pytest.approx(longer[0], rel=1e-4)
    assert abs(short[1] - longer[1]) > 1e-2 * abs(short[1])


def terms_by_prompt(method: Objective, model: LanguageModel) -> list[list[float]]:
    """Return the terms for short and for longer questions.

    The model has no attention and predicts from the last token alone: nothing else of a question is seen.
    """
    values = []
    for lengthen in ("", "now now now "):
        chosen = [replace(one, question=lengthen + one.question) for one in (*FORGET, *RETAIN)]
        made, away = without_attention(model), without_attention(moved_away(model))
        context = Context(made, chosen[:8], chosen[8:], seed=0)
        context.prepare(method.needs, keep_reference=True)
        # A teacher that trained on the longer questions would have learned to attend to them.
        context.remember("reinforced teacher", away.clone)
        made.network.load_state_dict(without_attention(moved_away(away)).network.state_dict())
        sides = ("forget", "retain") if "retain" in method.needs else ("forget",)
        with torch.no_grad():
            values.append(
                [float(getattr(method, f"{side}_term")(context, context.batch(chosen[:8]))) for side in sides]
            )
    return values


def without_attention(model: LanguageModel) -> LanguageModel:
    made = model.clone()
    for block in made.network.model.layers:
        torch.nn.init.zeros_(block.self_attn.o_proj.weight)
    return made


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_cached_reference_is_the_live_reference(name, learned):
    cached, live = context_off_start(name, learned), Live(moved_away(learned), learned)
    for side, examples in terms(name):
        for _ in range(2):
            known = term(side, name, cached, examples[:5])
            assert known == pytest.approx(term(side, name, live, examples[:5]), rel=1e-4)


def names_seen(name: str, model: LanguageModel, **changes: float) -> set[str]:
    """Return whose tokens went through the network while ``name`` ran."""
    seen: set[int] = set()
    watched = model.clone()
    watched.network.get_input_embeddings().register_forward_pre_hook(
        lambda module, inputs: seen.update(inputs[0].flatten().tolist())
    )
    run(name, watched, steps=2, **changes)
    return set(model.tokenizer.convert_ids_to_tokens(sorted(seen))) & {*FORGET_WORDS, *RETAIN_WORDS}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_retain_term_of_weight_zero_costs_no_forward(name, learned):
    """Unless the method says that its forget term compares the two sides' activations at the start."""
    needs = METHODS[name]().needs
    compared = set(RETAIN_WORDS) if "feature_means" in needs else set()
    assert names_seen(name, learned, retain_weight=0.0) == {*FORGET_WORDS, *compared}
    assert (names_seen(name, learned, retain_weight=1.0) > set(FORGET_WORDS)) == ("retain" in needs)


WITH_RETAIN = [name for name in OBJECTIVES if "retain" in METHODS[name]().needs]


@pytest.mark.parametrize("name", [*WITH_RETAIN, "graddiff(retain=kl)", "altpo(alternates=sampled)"])
def test_a_forget_term_of_weight_zero_costs_no_forward(name, learned):
    """Neither in the training nor at the start: no reference, no samples of another answer."""
    assert names_seen(name, learned, forget_weight=0.0, retain_weight=1.0) == set(RETAIN_WORDS)


@pytest.mark.parametrize("zero", ["forget_weight", "retain_weight"])
@pytest.mark.parametrize("name", [*WITH_RETAIN, "graddiff(retain=kl)"])
def test_the_starting_network_is_kept_only_where_a_term_asks_for_it(name, zero, learned, monkeypatch):
    kept, asked, prepare, frozen = [], [], StartingModel.prepare, StartingModel.frozen

    def prepared(self, needs, *, keep):
        prepare(self, needs, keep=keep)
        kept.extend([self] * (self.model is not None))

    def given(self, service):
        asked.extend([self] * (self.model is not self.context.model))  # not the likelihoods at the start
        return frozen(self, service)

    monkeypatch.setattr(StartingModel, "prepare", prepared)
    monkeypatch.setattr(StartingModel, "frozen", given)
    weights = {"forget_weight": 1.0, "retain_weight": 1.0, zero: 0.0}
    run(name, learned, steps=1, **weights)
    assert {id(one) for one in kept} == {id(one) for one in asked}


def test_every_objective_satisfies_the_protocol_of_the_step_loop():
    assert all(isinstance(METHODS[name](), Objective) for name in OBJECTIVES)
