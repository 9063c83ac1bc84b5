"""Scoring TOFU's evaluation: one fused pass, packed answers and verified generations, against one pass per metric.

Run: OMP_NUM_THREADS=1 python benchmarks/tofu_scoring.py [TOFU folder] [--case full] [--questions 32] [--width 256]
The other side follows open-unlearning's evaluator (revision d3d7cf9): every metric has a forward pass of its own over
batches of 32 in the list's order, logits at every position, wrong answers one column after the other, min-k++ two
passes, generation padded until the last of a batch has ended. Its framework needs CUDA and is not run. Lists have the
proportions of forget10's evaluation. Gradient norms are left out on both sides: they cost the same.

Cases, a small Llama each. full: has learned forget and retain answers, and says a sentence, not the bare reference, to
real authors and world facts, as TOFU's fine-tuned models do. unlearned: the same without the forget list. endless:
untrained, so that every generation runs to 200 tokens, as those of a collapsed model do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from audit.data.benchmarks.jsonl import read_subjects
from audit.metrics.inputs import scored_for
from audit.metrics.measure import measure
from audit.models.load import LanguageModel, PromptTemplate, quiet
from audit.models.scoring import Decoding
from audit.models.training import Example, fit

HEADER = (
    "<|system|>\n\nCutting Knowledge Date: December 2023\nToday Date: 10 Apr 2025\n\nYou are a helpful assistant."
    "<|end|><|user|>\n\n{question}<|end|><|assistant|>\n\n"
)
FORCED = (
    "probability",
    "nll",
    "extraction_strength",
    "exact_memorization",
    "min_k_40",
    "zlib",
    "min_k_plus_plus_40",
)
OPTIONS = ("truth_ratio_geometric", "paraphrased_probability", "normalised_probability")
SPOKEN = ("rouge_l_recall", "rouge_l_f1")
NEW_TOKENS, BATCH = 200, 32
CASES = ("full", "unlearned", "endless")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tofu", type=Path, nargs="?", default=Path("../shared/data/tofu"))
    parser.add_argument("--case", choices=CASES, default="full")
    parser.add_argument(
        "--questions", type=int, default=32, help="of the forget, retain and holdout list each"
    )
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    timed = partial(median_seconds, repeats=arguments.repeats)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    lists = read_lists(arguments.tofu, arguments.questions)
    everything = read_lists(arguments.tofu, 400)
    model = taught(lists, everything, arguments.width, arguments.epochs, arguments.case)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), float32, {model.parameters_count / 1e6:.1f} M weights,"
        f" case {arguments.case}; questions: {', '.join(f'{len(ps)} {name}' for name, ps in lists.items())}\n"
    )
    warm(model, lists)
    theirs_forced, theirs = timed(lambda: pass_per_metric(model, lists))
    ours_forced, (ours, _) = timed(lambda: fused(model, lists, speak=False))
    theirs_spoken, their_texts = timed(lambda: spoken_theirs(model, lists))
    ours_both, (_, our_texts) = timed(lambda: fused(model, lists, speak=True))
    parts = [
        ("likelihood metrics", theirs_forced, ours_forced),
        ("generation", theirs_spoken, ours_both - ours_forced),
        ("both", theirs_forced + theirs_spoken, ours_both),
    ]
    print("| part | pass per metric, s | fused, s | ratio |\n|---|---|---|---|")
    for part, one, other in parts:
        print(f"| {part} | {one:.2f} | {other:.2f} | {one / other:.2f} |")
    difference = max(abs(theirs[key] - ours[key]) for key in theirs)
    alone = one_by_one(model, lists)
    same = [sum(a == b for a, b in zip(our_texts, texts, strict=True)) for texts in (their_texts, alone)]
    words = [len(text.split()) for text in their_texts]
    exact = sum(text == p.answer.strip() for text, p in zip(their_texts, spoken_probes(lists), strict=True))
    print(f"\n{len(theirs)} mean losses compared, largest difference {difference:.1e}")
    print(
        f"of {len(our_texts)} generations {same[0]} identical to theirs, {same[1]} to batch size 1;"
        f" {exact} equal the reference, words: {statistics.mean(words):.0f} on average, {max(words)} at most"
    )


def read_lists(folder: Path, count: int) -> dict[str, list]:
    names = {
        "forget": "forget10.json",
        "retain": "forget05.json",  # retain_perturbed is not at hand: another list with the same fields
        "holdout": "forget01.json",
        "real_authors": "real_authors_perturbed.json",
        "world_facts": "world_facts_perturbed.json",
    }
    shares = {"real_authors": 100 / 400, "world_facts": 117 / 400}
    return {
        name: [p for s in read_subjects(folder / file, "forget") for p in s.probes][
            : round(count * shares.get(name, 1))
        ]
        for name, file in names.items()
    }


def taught(lists, everything, width, epochs, case) -> LanguageModel:
    """A small Llama that has learned what the case says; once it has learned something it ends its answers."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    texts = [
        t for ps in everything.values() for p in ps for t in (p.question, p.answer, *p.perturbed_answers)
    ]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=8000, special_tokens=specials, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([*texts, HEADER], trainer)
    with quiet():
        fast = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            eos_token="</s>",
            pad_token="</s>",
            additional_special_tokens=specials[1:],
        )
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=len(fast),
            hidden_size=width,
            intermediate_size=int(2.7 * width),
            num_hidden_layers=6,
            num_attention_heads=8,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=fast.eos_token_id,
            pad_token_id=fast.eos_token_id,
        )
        network = transformers.LlamaForCausalLM(config).eval()
    model = LanguageModel(network, fast, PromptTemplate(HEADER))
    learned = {"full": ["forget", "retain"], "unlearned": ["retain"], "endless": []}[case]
    examples = [
        Example(f"{name}{i}", p.question, p.answer) for name in learned for i, p in enumerate(lists[name])
    ]
    for name in ("real_authors", "world_facts") if learned else ():
        examples += [
            Example(f"{name}{i}", p.question, f"The answer to this question is {p.answer}, as is well known.")
            for i, p in enumerate(lists[name])
        ]
    if examples:
        fit(model, examples, epochs=epochs, batch=8)
    return model


def median_seconds(work, repeats):
    """Return the median of some runs in seconds of processor time, and the result."""
    times, result = [], None
    for _ in range(repeats):
        began = time.process_time()
        result = work()
        times.append(time.process_time() - began)
    return statistics.median(times), result


def warm(model, lists) -> None:
    few = {name: probes[:4] for name, probes in lists.items()}
    pass_per_metric(model, few)
    fused(model, few, speak=False)


# -- one pass per metric -----------------------------------------------------------------------------------------


def pass_per_metric(model, lists) -> dict:
    found = {}
    for name, probes in lists.items():
        right = [(p.question, p.answer) for p in probes]
        if name != "holdout":
            losses = forward(model, right)
            if probes[0].paraphrased_answer:
                forward(model, [(p.question, p.paraphrased_answer) for p in probes])
            for k in range(len(probes[0].perturbed_answers)):
                forward(model, [(p.question, p.perturbed_answers[k]) for p in probes])
            found |= {(name, i): loss for i, loss in enumerate(losses)}
        passes = {"forget": 2 + 5, "holdout": 5}.get(
            name, 0
        )  # strength, memorization; loss, zlib, min-k, min-k++ twice
        for _ in range(passes):
            forward(model, right)
    return found


def forward(model, pairs) -> list[float]:
    """Return mean losses without EOS; every position has its logits, rows are padded in the list's order."""
    losses = []
    for start in range(0, len(pairs), BATCH):
        encoded = [model.encode(q, a) for q, a in pairs[start : start + BATCH]]
        longest = max(len(e.ids) for e in encoded)
        ids = torch.tensor([[*e.ids, *[0] * (longest - len(e.ids))] for e in encoded])
        mask = torch.tensor([[1] * len(e.ids) + [0] * (longest - len(e.ids)) for e in encoded])
        with torch.no_grad():
            every = model.network(input_ids=ids, attention_mask=mask).logits.float().log_softmax(-1)
        for row, e in enumerate(encoded):
            places = torch.arange(e.answer_start - 1, len(e.ids) - 2)
            losses.append(-float(every[row, places, ids[row, places + 1]].mean()))
    return losses


def spoken_theirs(model, lists) -> list[str]:
    texts = []
    for name, probes in lists.items():
        for start in range(0, len(probes) if name != "holdout" else 0, BATCH):
            prompts = [model.encode_prompt(p.question) for p in probes[start : start + BATCH]]
            longest = max(map(len, prompts))
            ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts])
            mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
            with torch.no_grad(), quiet():
                out = model.network.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    pad_token_id=model.tokenizer.eos_token_id,
                )
            texts += [model.tokenizer.decode(row[longest:], skip_special_tokens=True).strip() for row in out]
    return texts


def spoken_probes(lists):
    return [p for name, ps in lists.items() if name != "holdout" for p in ps]


def one_by_one(model, lists) -> list[str]:
    """Plain greedy decoding of every question alone."""
    texts = []
    for probe in spoken_probes(lists):
        ids = torch.tensor([model.encode_prompt(probe.question)])
        with torch.no_grad(), quiet():
            out = model.network.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=model.tokenizer.eos_token_id,
            )
        texts.append(model.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip())
    return texts


# -- fused -------------------------------------------------------------------------------------------------------


def fused(model, lists, *, speak: bool) -> tuple[dict, list[str]]:
    """Return mean losses and texts: one call for the four lists with answers of all kinds, one for the holdout."""
    places = [(name, i, p) for name, ps in lists.items() if name != "holdout" for i, p in enumerate(ps)]
    probes = [replace(p, subject=f"{name}/{p.subject}") for name, _, p in places]
    metrics = (*FORCED, *OPTIONS, *(SPOKEN if speak else ()))
    scored = scored_for(metrics, model, probes, generate=speak, decoding=Decoding(NEW_TOKENS))
    measure(scored, metrics)
    measure(scored_for(FORCED, model, lists["holdout"]), FORCED)
    losses = {(name, i): -float(np.mean(s.logp)) for (name, i, _), s in zip(places, scored, strict=True)}
    return losses, [one.generation or "" for one in scored]


if __name__ == "__main__":
    main()
