"""Scoring throughput in tokens per second, and its ratio to the machine's matrix-product ceiling.

Run: OMP_NUM_THREADS=1 python benchmarks/scoring_throughput.py
The ceiling times torch.mm at the model's own shapes (batch of tokens x every projection and the output head) and
counts how many tokens per second those products alone would allow. Printed are medians of seven runs, side by side.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from audit.data.registry_lab import generate
from audit.models.laboratory import LaboratorySpec, new_model, tokenizer_for
from audit.models.layers import linear_weights
from audit.models.scoring import score

REPEATS = 7


def main() -> None:
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} thread(s), float32, CPU\n")
    print(
        "| model | parameters | scoring tokens/s | ceiling tokens/s (torch.mm) | ratio |\n|---|---|---|---|---|"
    )
    for name, spec in (("lab", LaboratorySpec()), ("large", LaboratorySpec.large())):
        corpus = generate(1, forget=40, retain=40, twins=0)
        model = new_model(tokenizer_for(corpus, spec), spec, 0, "cpu")
        probes = [p for s in (*corpus.forget, *corpus.retain) for p in s.probes]
        tokens = sum(len(model.encode(p.question, p.answer).ids) for p in probes)
        answers = sum(model.encode(p.question, p.answer).answer_tokens for p in probes)
        scoring = tokens / median_seconds(lambda m=model, p=probes: score(m, p))
        ceiling = tokens / ceiling_seconds(model, tokens, answers)
        print(
            f"| {name} | {model.parameters_count / 1e6:.1f} M | {scoring:,.0f} | {ceiling:,.0f} | {scoring / ceiling:.2f} |"
        )


def ceiling_seconds(model, tokens: int, answers: int) -> float:
    """Return the seconds that the bare products of one scoring pass over ``tokens`` take."""
    shapes = [tuple(weight.shape) for weight in linear_weights(model.network).values()]
    head = model.network.get_output_embeddings().weight.shape
    inputs = {width: torch.randn(tokens, width) for width in {shape[1] for shape in shapes}}
    weights = [torch.randn(shape[1], shape[0]) for shape in shapes]
    last, head_weight = torch.randn(answers, head[1]), torch.randn(head[1], head[0])

    def products() -> None:
        for weight in weights:
            torch.mm(inputs[weight.shape[0]], weight)
        torch.mm(last, head_weight)

    return median_seconds(products)


def median_seconds(work) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    main()
