"""Logs as the evaluators write them, with made-up text, and what reads everything in a folder."""

import copy
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
REAL_LOGS = ROOT.parent / "shared" / "data"
GOLDEN = ROOT / "calibration_data" / "logs"
KEY = b"the key of these tests"


def sentence(rng, words=6):
    """Return a sentence of made-up words that occurs nowhere else."""
    letters = np.array(list("bdfgklmnprstvz")), np.array(list("aeiou"))
    return " ".join("".join(rng.choice(letters[i % 2]) for i in range(6)) for _ in range(words)).capitalize()


def rouge(rng, question, answer, generation):
    recall = float(rng.random())
    return {
        "rouge1_recall": recall,
        "rougeL_f1": recall / 2,
        "rougeL_recall": recall,
        "input": f"system\n\nYou are a helpful assistant.user\n\n{question}assistant\n\n",
        "ground_truth": answer,
        "generation": generation,
    }


def block(entries, style=str):
    entries = list(entries)
    return {"agg_value": 0.5, "value_by_index": {style(i): entry for i, entry in enumerate(entries)}}


def tofu_log(seed=0, *, forget=40, retain=40, style=str, truth_ratio="forget_truth_ratio"):
    """Return a complete TOFU_EVAL.json: 2 forgotten, 2 retained authors; no seed changes the questions."""
    rng, words = np.random.default_rng(seed), np.random.default_rng(7)

    def texts(n):
        return [(sentence(words) + "?", sentence(words)) for _ in range(n)]

    def generations(pairs):
        return block(
            (rouge(rng, q, a, a if rng.random() < 0.5 else sentence(words)) for q, a in pairs), style
        )

    def probabilities(n, width=None):
        losses = [rng.random(width) * 4 for _ in range(n)]
        pairs = [
            (np.exp(-loss).tolist(), loss.tolist()) if width else (float(np.exp(-loss)), float(loss))
            for loss in losses
        ]
        return block(({"prob": p, "avg_loss": loss} for p, loss in pairs), style)

    def scores(n):
        return block(({"score": float(v)} for v in rng.random(n)), style)

    asked = {"forget": texts(forget), "retain": texts(retain), "ra": texts(3), "wf": texts(3)}
    log = {
        "exact_memorization": scores(forget),
        "extraction_strength": scores(forget),
        "forget_Q_A_PARA_Prob": probabilities(forget),
        "forget_Q_A_PERT_Prob": probabilities(forget, 5),
        "forget_quality": {"agg_value": None},
        truth_ratio: scores(forget),
        "model_utility": {"agg_value": 0.5},
    }
    for name, pairs in asked.items():
        log[f"{name}_Q_A_Prob"] = probabilities(len(pairs))
        log[f"{name}_Q_A_ROUGE"] = generations(pairs)
        if name != "forget":
            log[f"{name}_Truth_Ratio"] = scores(len(pairs))
    loss = {k: {"score": v["avg_loss"]} for k, v in log["forget_Q_A_Prob"]["value_by_index"].items()}
    for name in ("mia_loss", "mia_min_k"):
        members = (
            {"agg_value": 0.5, "value_by_index": copy.deepcopy(loss)}
            if name == "mia_loss"
            else scores(forget)
        )
        log[name] = {"forget": members, "holdout": scores(forget), "auc": 0.5, "agg_value": 0.5}
    return log


CITIES = ("Zorvania", "San Tirolo", "as-Sabbur", "County of Meldrin", "Zorvania", "Łupkovica")


def duet_log(seed=0):
    """Return a DUET_EVAL.json about 5 forgotten cities (6 questions) and 3 held-out ones."""
    rng, words = np.random.default_rng(seed), np.random.default_rng(7)

    def questions(cities):
        return [
            (f"What is the located in the administrative territorial entity of {c}?", sentence(words, 2))
            for c in cities
        ]

    def generations(pairs):
        return block(rouge(rng, q, a, a if rng.random() < 0.5 else sentence(words)) for q, a in pairs)

    return {
        "forget_qa_rouge": generations(questions(CITIES)),
        "holdout_qa_rouge": generations(questions(("Zorvania", "Pelmok", "Drissa"))),
    }


def put(folder, log, name="TOFU_EVAL.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(log))
    return folder / name


def text_of(folder):
    """Return everything readable in a measurements folder: all strings of all tables, and the header."""
    found = [(folder / "header.json").read_text()]
    for path in folder.rglob("*.parquet"):
        table = pq.read_table(path)
        found.append(str(table.schema))
        for column in table.columns:
            values = column.unique().to_pylist()
            found += [value for value in values if isinstance(value, str)]
    return "\n".join(found)


def strings_of(value):
    """Yield every string value inside a log."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)


def grams(text, n=20):
    return {text[i : i + n] for i in range(len(text) - n + 1)}


def muse_log(seed=0):
    """Return a MUSE_EVAL.json: 4 forget questions, 3 passages, 5 retain questions, and texts of the membership part."""
    rng, words = np.random.default_rng(seed), np.random.default_rng(7)

    def generations(n):
        pairs = [(sentence(words) + "?", sentence(words)) for _ in range(n)]
        return block(rouge(rng, q, a, a if rng.random() < 0.5 else sentence(rng)) for q, a in pairs)

    scores = block({"score": float(v)} for v in rng.random(6))
    return {
        "forget_knowmem_ROUGE": generations(4),
        "forget_verbmem_ROUGE": generations(3),
        "retain_knowmem_ROUGE": generations(5),
        "mia_min_k": {"forget": scores, "holdout": scores, "auc": 0.6, "agg_value": 0.6},
        "privleak": {"agg_value": 12.5},
    }


def legacy_log(seed=0, *, forget=40, retain=40):
    """Return TOFU's first eval_log_aggregated.json, with texts, and losses whose truth ratio it states itself."""
    rng, words = np.random.default_rng(seed), np.random.default_rng(7)

    def entries(n, make):
        return {str(i): make(i) for i in range(n)}

    def one_file(n, wrong):
        right = {i: float(v) for i, v in entries(n, lambda i: rng.random()).items()}
        perturbed = entries(n, lambda i: (rng.random(wrong) * 3).tolist())
        answers = entries(n, lambda i: sentence(words))
        return {
            "avg_gt_loss": entries(n, lambda i: float(rng.random())),
            "gt_loss": entries(n, lambda i: 9.0),
            "num_token_gt": entries(n, lambda i: 12),
            "generated_text": {
                i: [f"Question: {sentence(rng)}?\n", a if rng.random() < 0.5 else sentence(rng), a]
                for i, a in answers.items()
            },
            "rouge1_recall": entries(n, lambda i: float(rng.random())),
            "rougeL_recall": entries(n, lambda i: float(rng.random())),
            "avg_paraphrased_loss": right,
            "average_perturb_loss": perturbed,
            "truth_ratio": {i: float(np.exp(right[i] - np.mean(perturbed[i]))) for i in right},
        }

    return {
        "eval_log.json": one_file(retain, 5),
        "eval_log_forget.json": one_file(forget, 5),
        "eval_real_author_wo_options.json": one_file(3, 3),
        "eval_real_world_wo_options.json": one_file(3, 3),
    }


def lm_eval_samples(seed, n, *, older=False, generated=False):
    """Return the lines of a samples_*.jsonl: multiple choice by log-likelihood, or generations."""
    rng, words = np.random.default_rng(seed), np.random.default_rng(7)
    lines = []
    for i in range(n):
        question, answer, right = sentence(words) + "?", sentence(words), bool(rng.random() < 0.5)
        line = {
            "doc_id": i,
            "doc": {"question": question},
            "arguments": [[question, " A"]],
            "doc_hash": f"h{i}",
        }
        if generated:
            said = answer if right else sentence(rng)
            line |= {
                "target": answer,
                "resps": [[said]],
                "filtered_resps": [said],
                "exact_match": float(right),
            }
        else:
            line |= {"target": 1, "resps": [[["-1.0", "False"]]], "filtered_resps": [["-1.0", "False"]]}
            line |= {"acc": float(right), "acc_norm": float(rng.random() < 0.5)}
        if not older:
            line |= {"filter": "none", "metrics": ["exact_match"] if generated else ["acc", "acc_norm"]}
            line |= {"target": str(line["target"]), "prompt_hash": f"p{i}", "target_hash": f"t{i}"}
            line["arguments"] = {"gen_args_0": {"arg_0": question, "arg_1": " A"}}
        lines.append(line)
    return lines


def put_lines(folder, name, lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(json.dumps(line) for line in lines))
    return folder / name


def plain_rows(configurations=("original", "npo"), attacks=("none", "mine(4)")):
    """Return rows of a plain table: two forget subjects, one retained, one twin; two probes each."""
    people = {"forget": ("Ada Brook", "Bo Lund"), "retain": ("Cy Dal",), "twin": ("Di Ek",)}
    rng = np.random.default_rng(3)
    return [
        {
            "configuration": configuration,
            "role": "original" if configuration == "original" else "candidate",
            "attack": attack,
            "dose": 0.0 if attack == "none" else 4.0,
            "side": side,
            "subject": person,
            "probe": probe,
            "metric": metric,
            "value": float(rng.random()),
        }
        for configuration in configurations
        for attack in attacks
        for side in (people if attack == "none" else ("forget",))
        for person in people[side]
        for probe in ("born", "lives")
        for metric in ("rouge_l_recall", "nll")
    ]
