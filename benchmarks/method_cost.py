"""What a method costs against gradient difference, side by side: CPU seconds of a step and of a whole run, peak memory of LoRA.

Run: OMP_NUM_THREADS=1 python benchmarks/method_cost.py [--rounds 5]
CPU seconds of one process, methods in turn, medians: load on the machine moves all of them alike. Peak memory is of processes of
their own, on SmolLM2-135M-Instruct where its package is installed, else on a random Llama of its sizes. Ratios are the point,
with what they were promised to stay below.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import tokenizers
import torch
import transformers

from audit.core.errors import AuditError
from audit.methods.compose import parse_recipe
from audit.models import recomputation, smollm2
from audit.models.load import LanguageModel, PromptTemplate, load, save
from audit.models.training import Budget, Example, train

LAYERS, HIDDEN, INTERMEDIATE, HEADS, VOCABULARY = 8, 256, 704, 4, 2000
SMOLLM2 = {"hidden": 576, "intermediate": 1536, "layers": 30, "heads": 9, "groups": 3, "vocabulary": 49152}
LENGTH, ANSWER = 64, 16  # tokens of a sequence, of its answer
TIMED = {"graddiff": None, "npo": 1.05, "rmu(layer=0.22)": 0.4, "rmu_adaptive(layer=0.22)": 0.4}
PEAKS = {  # arm -> recipe, and whether activations are computed again: by the loop's own rule, or forced
    "full": ("graddiff", "rule"),
    "LoRA, rank 16": ("graddiff @lora(16)", "rule"),
    "LoRA, activations kept": ("graddiff @lora(16)", "never"),
    "full, activations computed again": ("graddiff", "always"),
}
SEQUENCES, STEPS, BATCH = (
    120,
    64,
    8,
)  # each is seen 4.3 times, as in the laboratory (450 sequences, 60 steps of 32)


class Clock:
    """Notes the CPU time after every step."""

    def __init__(self) -> None:
        self.began, self.ticks = time.process_time(), []

    def after_step(self, context) -> bool:
        """Note the time; never stop."""
        self.ticks.append(time.process_time())
        return False

    @property
    def step(self) -> float:
        """Median CPU seconds of a step, the first left out."""
        return statistics.median(b - a for a, b in zip(self.ticks, self.ticks[1:], strict=False))

    @property
    def whole(self) -> float:
        """CPU seconds from before the preparation to the last step."""
        return self.ticks[-1] - self.began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--only", choices=("times", "memory"))
    parser.add_argument("--peak", choices=PEAKS, help="one arm in this process: prints its peak memory")
    parser.add_argument(
        "--weights", type=Path, help="of that arm: a model's directory; default: a random Llama"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.peak:
        print(json.dumps(peak(asked.peak, asked.weights)))
        return
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, CPU, one thread, {asked.rounds} rounds\n"
    )
    if asked.only != "memory":
        times(asked.rounds, asked.steps)
    if asked.only != "times":
        memory()


def times(rounds: int, steps: int) -> None:
    """Print CPU seconds of a step and of a run with its preparation, and their ratios to graddiff's."""
    start = language_model(HIDDEN, INTERMEDIATE, LAYERS, HEADS, HEADS, VOCABULARY)
    clocks = {name: [] for name in TIMED}
    for _ in range(rounds):
        for name in TIMED:
            clocks[name].append(timed(start, name, steps))
    print(
        f"{LAYERS} blocks of {HIDDEN}, {SEQUENCES} forget and as many retain sequences of {LENGTH} tokens"
        f" ({ANSWER} of the answer), {steps} steps of {BATCH} + {BATCH}\n"
    )
    print("| method | ms a step | to graddiff | s the run, preparation included | to graddiff | promised |")
    print("|---|---|---|---|---|---|")
    base = [(c.step, c.whole) for c in clocks["graddiff"]]
    for name, limit in TIMED.items():
        own = [(c.step, c.whole) for c in clocks[name]]
        step, whole = (statistics.median(part) for part in zip(*own, strict=True))
        pairs = [(s / t, w / v) for (s, w), (t, v) in zip(own, base, strict=True)]
        ratios = [statistics.median(part) for part in zip(*pairs, strict=True)]
        promise = "–" if limit is None else f"≤ {limit:g}: {verdict(ratios, limit)}"
        print(f"| {name} | {1000 * step:.0f} | {ratios[0]:.3f} | {whole:.1f} | {ratios[1]:.3f} | {promise} |")


def verdict(ratios: Sequence[float], limit: float) -> str:
    """Say whether (a step's ratio, a run's ratio) stay below the limit."""
    if max(ratios) <= limit:
        return "kept"
    return "kept by a step, not by the run with its preparation" if ratios[0] <= limit else "broken"


def timed(start: LanguageModel, recipe: str, steps: int) -> Clock:
    """Return the clock of one run from the same start."""
    model, parsed = start.clone(), parse_recipe(recipe)
    budget = Budget(lr=1e-4, steps=steps, batch=BATCH, retain_weight=parsed.budget.retain_weight)
    clock = Clock()
    sides = sequences(model, "f", SEQUENCES), sequences(model, "r", SEQUENCES)
    clock.began = time.process_time()
    train(model, parsed.method, *sides, budget, seed=0, callbacks=[clock])
    return clock


def memory() -> None:
    """Print peak memory and a step's time of full training and of LoRA, each in its own process."""
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        place, which = written(Path(name))
        for arm in PEAKS:
            command = [sys.executable, __file__, f"--peak={arm}", *([f"--weights={place}"] if place else [])]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks[arm] = json.loads(done.stdout)
    full, lora, kept, sparing = peaks.values()
    print(
        f"\n{which}: {full['weights'] / 1e6:.1f} M weights, {SMOLLM2['layers']} blocks, batch 8 forget + 8 retain sequences"
        f" of {LENGTH} tokens, 3 steps\n"
    )
    print("| graddiff | peak MiB of the process | of it before training: libraries, weights | s a step |")
    print("|---|---|---|---|")
    for arm, found in peaks.items():
        print(f"| {arm} | {found['peak']:.0f} | {found['before']:.0f} | {found['step']:.1f} |")
    ratio = lora["peak"] / full["peak"]
    print(f"\nLoRA / full: {ratio:.2f}, promised ≤ 0.5: {'kept' if ratio <= 0.5 else 'broken'}")
    print(
        f"Both keeping activations: {kept['peak'] / full['peak']:.2f}; neither: {lora['peak'] / sparing['peak']:.2f}"
    )
    print(
        f"A LoRA step that computes them again: {lora['step'] / kept['step']:.2f} times one that keeps them"
    )


def written(folder: Path) -> tuple[Path | None, str]:
    """Write SmolLM2's weights as safetensors, so that no arm counts their conversion; return where, and what is measured."""
    try:
        save(smollm2.load_pretrained(device="cpu"), folder)
    except AuditError as error:
        return None, f"A random Llama of SmolLM2-135M's sizes ({error.cause})"
    return folder, "SmolLM2-135M-Instruct, its own weights"


def peak(arm: str, weights: Path | None) -> dict[str, float]:
    """Train three steps and return peak memory in MiB and the CPU seconds of a step."""
    recipe, recompute = PEAKS[arm]
    if recompute != "rule":
        recomputation.recomputes = lambda _: recompute == "always"
    model = load(weights, device="cpu", prompt="qa") if weights else language_model(**SMOLLM2)
    parsed, clock = parse_recipe(recipe), Clock()
    before = resident()
    count = model.parameters_count
    train(
        model,
        parsed.method,
        sequences(model, "f", 24),
        sequences(model, "r", 24),
        Budget(lr=1e-5, steps=3, batch=8),
        scope=parsed.scope,
        seed=0,
        callbacks=[clock],
    )
    return {"peak": resident(), "before": before, "weights": count, "step": clock.step}


def resident() -> float:
    """Return the peak resident memory so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def language_model(
    hidden: int, intermediate: int, layers: int, heads: int, groups: int, vocabulary: int
) -> LanguageModel:
    """Return a random Llama over words w0, w1 and so on."""
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=2 * LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=1,
    )
    words = {"?": 0, "</s>": 1} | {f"w{i}": i + 2 for i in range(vocabulary - 2)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", pad_token="</s>"
    )
    torch.manual_seed(0)
    return LanguageModel(transformers.LlamaForCausalLM(config).eval(), tokenizer, PromptTemplate("qa"))


def sequences(model: LanguageModel, side: str, count: int) -> Sequence[Example]:
    """Return sequences of exactly LENGTH tokens, ANSWER of them (and the end) of the answer."""
    words = words_of(model)
    frame = len(model.encode(words[0], words[0]).ids) - 2
    question = words[: LENGTH - frame - ANSWER]
    made = [
        Example(f"{side}{n}/q/plain", " ".join([*question[1:], words[n]]), " ".join(words[n : n + ANSWER]))
        for n in range(count)
    ]
    found = {len(model.encode(item.question, item.answer).ids) for item in made[:2]}
    if found != {LENGTH}:
        raise ValueError(f"sequences have {found} tokens, not {LENGTH}")
    return made


def words_of(model: LanguageModel) -> list[str]:
    """Return words that are one token each behind a space, in the vocabulary's order."""
    known = sorted(model.tokenizer.get_vocab().items(), key=lambda item: item[1])
    spaced = [
        token[1:] for token, _ in known if token[0] == "Ġ" and token[1:].isascii() and token[1:].isalpha()
    ]
    return spaced or [token for token, _ in known if token[0] == "w"]


if __name__ == "__main__":
    main()
