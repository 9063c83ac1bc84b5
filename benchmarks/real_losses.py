"""The validity study on real losses: published per-sample logs are the population, audits are drawn from them.

Run: python benchmarks/real_losses.py [FOLDER] [--replications 2000] > benchmarks/results/DATE-real-losses.md

FOLDER holds ``duet_8b`` and ``open_unlearning_eval`` (default: ../shared/data beside the repository). Only
numbers are read and printed, no text. The logs hold models as they were shipped; where an attack would stand,
a stricter or looser reading of the same answers stands (DUET) or the paraphrased question (TOFU).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

from audit.core.seeds import generator
from audit.measurements.importers.open_unlearning import read_logs
from audit.measurements.table import Measurements
from audit.report.wording import interval, percent
from audit.risk.bounds.base import build
from audit.risk.validation import batch
from audit.risk.validation.coverage import EDGE
from audit.risk.validation.judging import flags, surprise
from audit.risk.validation.judging import interval as clopper_pearson
from audit.risk.validation.resampling import UNCORRECTED, Drawing, Matrix, Outcome, resample

LOGS = Path(__file__).resolve().parents[2] / "shared" / "data"
FOLDERS = ("duet_8b", "open_unlearning_eval")
TAU = 0.7  # ROUGE-L recall from which a question counts as answered
KEY = bytes(32)  # pseudonyms stay in memory
CHUNK = 250  # replications at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=LOGS)
    parser.add_argument("--replications", type=int, default=2000)
    arguments = parser.parse_args()
    if not all((arguments.folder / name).is_dir() for name in FOLDERS):
        sys.exit(
            f"no real logs at {arguments.folder.name}/: nothing to measure; name the folder that holds {FOLDERS}"
        )
    began = time.monotonic()
    duet, *authors = matrices(arguments.folder)
    studies = [(duet[kind], drawing) for kind in ("0/1", "graded") for drawing in DUET_DRAWINGS[kind]]
    studies += [(authors[0], drawing) for drawing in TOFU_DRAWINGS]
    found = [
        (matrix, drawing, outcome)
        for matrix, drawing in studies
        for outcome in outcomes(matrix, drawing, arguments.replications)
    ]
    report(found, questions_as_units(authors[1], arguments.replications), arguments.replications, began)


DUET_DRAWINGS = {
    "0/1": [Drawing("list", (n, n)) for n in (100, 200, 400)]
    + [Drawing("draws", (n, n)) for n in (100, 400)],
    "graded": [Drawing("list", (100, 100)), Drawing("list", (200, 200)), Drawing("draws", (200, 200))],
}
TOFU_DRAWINGS = [
    Drawing("list", (10, 10), tune=4),
    Drawing("draws", (40, 40), 20),
    Drawing("draws", (100, 100), 20),
]


# -- matrices ------------------------------------------------------------------------------------------------------


def matrices(folder: Path) -> tuple[dict[str, Matrix], Matrix, np.ndarray]:
    """Return DUET's matrices by kind, TOFU's graded one, and TOFU's 0/1 answers (C, authors, questions)."""
    (duet,) = read_logs(folder / "duet_8b", key=KEY)
    tofu = [
        m
        for m in read_logs(folder / "open_unlearning_eval", key=KEY)
        if m.header["audit_id"].endswith("forget10")
    ]
    return duet_matrices(duet), *tofu_matrices(tofu)


def duet_matrices(measurements: Measurements) -> dict[str, Matrix]:
    """Return ten configurations by 935 forgotten and 482 kept cities."""
    forget, retain = (by_unit(measurements, side, "rouge_l_recall") for side in ("forget", "retain"))
    exact = by_unit(measurements, "forget", "exact_match")
    answered, verbatim = np.nanmax(forget, axis=2) >= TAU, np.nanmax(exact, axis=2) == 1
    return {
        "0/1": Matrix(
            "DUET, 0/1",
            np.stack([verbatim, answered], axis=1).astype(float),
            (np.nanmin(retain, axis=2) < TAU)[:, None].astype(float),
            binary=True,
        ),
        "graded": Matrix(
            "DUET, graded",
            np.stack([np.nanmean(exact, axis=2), np.nanmean(forget, axis=2)], axis=1),
            1 - np.nanmean(retain, axis=2)[:, None],
            binary=False,
        ),
    }


def tofu_matrices(audits: list[Measurements]) -> tuple[Matrix, np.ndarray]:
    """Return six models (original and retrained, three sizes) by 20 forgotten and 20 kept authors."""
    asked, paraphrased, kept = (
        np.concatenate([by_unit(m, side, metric) for m in audits])
        for side, metric in (
            ("forget", "rouge_l_recall"),
            ("forget", "paraphrased_probability"),
            ("retain", "rouge_l_recall"),
        )
    )
    graded = Matrix(
        "TOFU, graded",
        np.stack([asked.mean(axis=2), paraphrased.mean(axis=2)], axis=1),
        1 - kept.mean(axis=2)[:, None],
        binary=False,
    )
    return graded, asked >= TAU


def by_unit(measurements: Measurements, side: str, metric: str) -> np.ndarray:
    """Return (C, units, probes) of a metric, NaN where a unit has fewer probes; units without a value are refused."""
    units = measurements.units
    subjects = sorted(units.loc[units["side"] == side, "subject"])
    names = [item["configuration"] for item in measurements.header["configurations"]]
    rows = measurements.rows[measurements.rows["metric"] == metric]
    rows = rows[rows["subject"].isin(subjects)].sort_values("probe", kind="stable")
    place = rows.groupby(["configuration", "subject"], observed=True).cumcount().to_numpy()
    cube = np.full((len(names), len(subjects), place.max() + 1), np.nan)
    where = {name: i for i, name in enumerate(subjects)}
    first = rows["configuration"].astype(str).map({name: i for i, name in enumerate(names)}).to_numpy()
    cube[first, rows["subject"].astype(str).map(where).to_numpy(), place] = rows["value"].to_numpy()
    if np.isnan(cube).all(axis=2).any():
        raise ValueError(
            f"{metric}: {int(np.isnan(cube).all(axis=2).sum())} units have no value on the {side} side"
        )
    return cube


# -- the study ------------------------------------------------------------------------------------------------------


def outcomes(matrix: Matrix, drawing: Drawing, replications: int) -> list[Outcome]:
    """Return outcomes summed over chunks of replications with streams of their own."""
    budgets = [(0.1, 0.3), (0.2, 0.3), (0.5, 0.3), *matrix.budgets(0.5, 0.3)]
    parts = [
        resample(
            matrix,
            drawing,
            budgets,
            generator(0, matrix.label, str(drawing), start),
            min(CHUNK, replications - start),
        )
        for start in range(0, replications, CHUNK)
    ]
    return [_joined(group) for group in zip(*parts, strict=True)]


def _joined(group: tuple[Outcome, ...]) -> Outcome:
    total = sum(o.replications for o in group)
    mean = {
        field: sum(getattr(o, field) * o.replications for o in group) / total for field in ("listed", "valid")
    }
    return Outcome(
        group[0].procedure, group[0].budgets, sum(o.false for o in group), **mean, replications=total
    )


def questions_as_units(answers: np.ndarray, replications: int) -> list[tuple[str, float, int, int]]:
    """Return per model (name, risk, false, false by subject): 20 authors drawn, 400 questions tested as units.

    The second count takes the authors' means to the betting bound, as the engine does.
    """
    found = []
    for number, leaks in enumerate(answers):  # (authors, questions)
        risk = float(leaks.mean())
        if not 0 < risk < 1:
            continue
        random = generator(0, "questions as units", number)
        chosen = leaks[random.integers(0, len(leaks), (replications, len(leaks)))]  # (R, authors, questions)
        table = batch.p_by_count(build("binomial", 0.05), leaks.size, risk - EDGE)
        false = int((table[chosen.sum(axis=(1, 2))] <= 0.05).sum())
        honest = int((batch.p_values(build("betting", 0.05), chosen.mean(axis=2), risk - EDGE) <= 0.05).sum())
        found.append((f"model {number + 1}", risk, false, honest))
    return found


HEAD = """# Validity on real losses

`{command}`, {where}. Published per-sample logs are complete
matrices of units; a matrix is the population, its means are the truth. Subjects are drawn without replacement (list) or with
(draws), budgets slide to just below each true risk, orders are learned on tune units of their own.

DUET: ten unlearned Llama-3.1-8B, 935 cities to forget, 482 to keep; clauses are two readings of the answers (0/1: verbatim,
ROUGE-L recall >= {tau}; graded: share verbatim, mean ROUGE-L recall). TOFU: original and retrained models of three sizes,
20 authors each side, means over 20 questions (ROUGE-L recall; probability of the paraphrase).

**{flagged} of {rows} rows break their promise** of 5 % at 1 % evidence (exact binomial test, Holm over rows). One line per
drawing and procedure: the budgets with the most false listings, and how many of the configurations that keep both budgets
are listed on average, over all budgets and at a forgetting budget of 0.5. Uncorrected tests stay near 5 % where few
configurations lie near one budget, as here; the control on real losses is the second table.

| losses | drawing | procedure | worst budgets | false listings | rate, 95 % | listed of valid | at 0.5 |
|---|---|---|---|---|---|---|---|"""
QUESTIONS = """
## Questions passed off as units

20 authors are drawn with replacement; 400 questions tested as independent units with the exact binomial, beside the authors'
means with the betting bound; budget just below the true share of questions answered, promised 5 %.

| TOFU forget10 | true share | questions as units | authors as units |
|---|---|---|---|"""

# -- the table ------------------------------------------------------------------------------------------------------


def report(
    found: list[tuple[Matrix, Drawing, Outcome]],
    questions: list[tuple[str, float, int, int]],
    replications: int,
    began: float,
) -> None:
    """Print the tables as Markdown."""
    valid = [item for item in found if item[2].procedure != UNCORRECTED]
    surprises = np.array([surprise(o.false, o.replications, drawing.delta) for _, drawing, o in valid])
    print(
        HEAD.format(
            command=f"python benchmarks/real_losses.py --replications {replications}",
            where=f"{date.today()}, {machine()},\n{time.monotonic() - began:.0f} s",
            flagged=int(flags(surprises).sum()),
            rows=len(valid),
            tau=TAU,
        )
    )
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for matrix, drawing, outcome in found:
        groups.setdefault((matrix.label, described(drawing), outcome.procedure), []).append(outcome)
    for (label, drawn, procedure), outcomes in groups.items():
        worst = max(outcomes, key=lambda outcome: outcome.false)
        half = next(o for o in outcomes if o.budgets == (0.5, 0.3))
        listed, valid_there = np.mean([(o.listed, o.valid) for o in outcomes], axis=0)
        print(
            f"| {label} | {drawn} | {procedure.replace('_', ' ')} | {worst.budgets[0]:.3f}, {worst.budgets[1]:.3f}"
            f" | {worst.false} of {worst.replications} | {rate(worst.false, worst.replications)}"
            f" | {listed:.2f} of {valid_there:.2f} | {half.listed:.2f} of {half.valid:.2f} |"
        )
    print(QUESTIONS)
    for name, risk, false, honest in questions:
        print(f"| {name} | {risk:.3f} | {rate(false, replications)} | {rate(honest, replications)} |")


def rate(count: int, replications: int) -> str:
    return f"{percent(count / replications)} {interval(*clopper_pearson(count, replications))}"


def described(drawing: Drawing) -> str:
    where = "of the list" if drawing.design == "list" else "draws"
    return f"{drawing.units[0]} {where}, {drawing.tune} tune"


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


if __name__ == "__main__":
    main()
