"""Logged fields and their names in the measurements; which way means "better known".

A field whose meaning equals one of ours takes our name. Where the meaning differs the name does too:
open-unlearning's extraction strength never falls below 1/T (its loop ends one token early), ours reaches 0; its
min-k scores are ours with the sign turned. Its likelihoods count the end-of-sequence token, ours do not.
Fields nobody knows keep their own name, as numbers without a range.
"""

from __future__ import annotations

import re

import numpy as np

VERSION = 1

_NAMES = {
    ("qa_prob", "prob"): "probability",
    ("qa_prob", "avg_loss"): "nll",
    ("qa_prob_normalised", "prob"): "normalised_probability",
    ("qa_para_prob", "prob"): "paraphrased_probability",
    ("qa_para_prob", "avg_loss"): "paraphrased_nll",
    ("qa_pert_prob", "prob"): "perturbed_probability",
    ("qa_pert_prob", "avg_loss"): "perturbed_nll",
    ("qa_rouge", "rougeL_recall"): "rouge_l_recall",
    ("qa_rouge", "rougeL_f1"): "rouge_l_f1",
    ("qa_rouge", "rouge1_recall"): "rouge_1_recall",
    ("extraction_strength", "score"): "extraction_strength_floored",
    ("truth_ratio", "score"): "truth_ratio_geometric",
    ("mia_loss", "score"): "nll",  # the same number as qa_prob's avg_loss, and the only one for twins
    ("mia_zlib", "score"): "zlib",
    ("mia_gradnorm", "score"): "gradient_norm",
    ("mia_reference", "score"): "reference_gap",
}
_SHARE = (0.0, 1.0)
_POSITIVE = (0.0, None)
_KNOWN: dict[str, tuple[str, tuple[float | None, float | None]]] = {
    "probability": ("higher", _SHARE),
    "nll": ("lower", _POSITIVE),
    "normalised_probability": ("higher", _SHARE),
    "paraphrased_probability": ("higher", _SHARE),
    "paraphrased_nll": ("lower", _POSITIVE),
    "perturbed_probability": ("lower", _SHARE),
    "perturbed_nll": ("higher", _POSITIVE),
    "rouge_l_recall": ("higher", _SHARE),
    "rouge_l_f1": ("higher", _SHARE),
    "rouge_1_recall": ("higher", _SHARE),
    "exact_match": ("higher", _SHARE),
    "exact_memorization": ("higher", _SHARE),
    "extraction_strength_floored": ("higher", _SHARE),
    "truth_ratio_geometric": ("lower", _POSITIVE),
    "zlib": ("lower", _POSITIVE),
    "mia_min_k": ("lower", _POSITIVE),
    "mia_min_k_plus_plus": ("lower", (None, None)),
    "gradient_norm": ("lower", _POSITIVE),
    "reference_gap": ("lower", (None, None)),
    "accuracy": ("higher", _SHARE),
}
_TOLERANCE = 1e-6  # single-precision sums of logged shares end a little above 1


def metric_name(measure: str, field: str) -> str:
    """Return the metric's name for ``field`` of the logged ``measure`` (side prefix already off)."""
    slug = re.sub(r"[^a-z0-9]+", "_", measure.lower()).strip("_").replace("q_a_", "qa_", 1)[:64]
    known = _NAMES.get((slug, field))
    if known:
        return known
    suffix = re.sub(r"[^a-z0-9]+", "_", field.lower()).strip("_")[:64]
    return slug if suffix == "score" else f"{slug}_{suffix}"


def is_known(metric: str) -> bool:
    """Return whether direction and range of ``metric`` are documented rather than assumed."""
    return _stem(metric) in _KNOWN


def record(metric: str) -> dict[str, object]:
    """Return the header's record; an unknown metric is assumed to grow with knowledge, without a range."""
    direction, bounds = _KNOWN.get(_stem(metric), ("higher", (None, None)))
    return {"name": metric, "version": VERSION, "direction": direction, "range": list(bounds)}


def cleaned(metric: str, values: np.ndarray) -> np.ndarray:
    """Return ``values`` (n,) with NaN where a number is not finite or lies outside the metric's range."""
    low, high = _KNOWN.get(_stem(metric), ("", (None, None)))[1]
    values = np.where(np.isfinite(values), values, np.nan)
    if low is not None:
        values = np.where(values < low - _TOLERANCE, np.nan, np.maximum(values, low))
    if high is not None:
        values = np.where(values > high + _TOLERANCE, np.nan, np.minimum(values, high))
    return values


def _stem(metric: str) -> str:
    return re.sub(r"_\d+$", "", metric)
