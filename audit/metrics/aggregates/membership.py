"""Does the forget list look like training data? Against never-trained twins, beside the retrained model.

AUC as in open-unlearning: the chance that a twin's score is above a forget probe's, ties half; scores grow
with unfamiliarity (nll, zlib, negated min-k). 1: the forget list is recognised. Not 0.5 but the retrained
model's AUC is the null: on TOFU it lies between .31 and .48, on MUSE-Books between .3 and .8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audit.metrics.aggregates.base import AGGREGATES, Input, Scores, checked, undefined

EPSILON = 1e-10  # open-unlearning's guard against division by zero; part of the published values


def auc(forget: np.ndarray, twins: np.ndarray) -> float:
    """Return P(twin's score > forget score) + P(equal)/2 over all pairs, in [0, 1]."""
    ordered = np.sort(np.ravel(forget))
    below = np.searchsorted(ordered, np.ravel(twins), side="left")
    not_above = np.searchsorted(ordered, np.ravel(twins), side="right")
    return float((below.sum() + not_above.sum()) / (2 * ordered.size * np.size(twins)))


def _scores(model: str) -> dict[str, Input]:
    prefix, words = (f"{model}_", f"the {model} model") if model else ("", "the model")
    return {
        f"{prefix}forget": Input(f"membership scores of the forget list under {words}, larger = stranger"),
        f"{prefix}twins": Input(f"the same scores of never-trained twins under {words}"),
    }


@AGGREGATES.register("membership_auc")
@dataclass(frozen=True)
class MembershipAUC:
    """AUC of a membership score between the forget list and never-trained twins; read it beside `retrained`."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "lower"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = _scores("")
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = "Yeom et al. 2018, arXiv:1709.01604; as in open-unlearning (Dorna et al. 2025)"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``membership_auc``."""
        values = checked(self, scores)
        return {"membership_auc": auc(values["forget"], values["twins"])}


@AGGREGATES.register("privleak")
@dataclass(frozen=True)
class PrivLeak:
    """Relative distance of 1 - AUC from the retrained model's, in percent; 0 is ideal, -100 nothing forgotten.

    The retrained model must be measured: where open-unlearning finds none it takes 0.5, and the retrained
    model itself then reads +23.5 on TOFU forget10.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "zero"
    range: ClassVar[tuple[float | None, float | None]] = (-100.0, None)
    inputs: ClassVar[dict[str, Input]] = {**_scores(""), **_scores("retrained")}
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "reproduced"
    source: ClassVar[str] = "Shi et al. 2024, MUSE, arXiv:2407.06460, Section 3.3"

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``privleak`` and both AUCs; E353 where the retrained model's AUC is 1."""
        values = checked(self, scores)
        ours = auc(values["forget"], values["twins"])
        null = auc(values["retrained_forget"], values["retrained_twins"])
        if null == 1:
            raise undefined(self, "under the retrained model every twin scores above every forget probe")
        leak = 100 * ((1 - ours) - (1 - null)) / (1 - null + EPSILON)
        return {"privleak": leak, "membership_auc": ours, "retrained_auc": null}


@AGGREGATES.register("membership_closeness")
@dataclass(frozen=True)
class MembershipCloseness:
    """1 - |AUC - AUC of retrained| / |AUC of original - AUC of retrained|, cut to [0, 1]; 1 as retrained."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    better: ClassVar[Literal["higher", "lower", "zero"]] = "higher"
    range: ClassVar[tuple[float | None, float | None]] = (0.0, 1.0)
    inputs: ClassVar[dict[str, Input]] = {**_scores(""), **_scores("retrained"), **_scores("original")}
    status: ClassVar[Literal["reproduced", "paper", "experimental"]] = "experimental"
    source: ClassVar[str] = (
        "after open-unlearning's s_MIA (Dorna et al. 2025); exact normalisation not verified"
    )

    def table(self, scores: Scores) -> dict[str, float]:
        """Return ``membership_closeness``; E353 where original and retrained have one AUC."""
        v = checked(self, scores)
        ours, null, known = (auc(v[f"{p}forget"], v[f"{p}twins"]) for p in ("", "retrained_", "original_"))
        if known == null:
            raise undefined(self, "original and retrained model have the same AUC")
        return {"membership_closeness": max(0.0, 1.0 - abs(ours - null) / abs(known - null))}
