"""The sentence of a certificate, from one template, and what it does not say (STATISTICS §7)."""

from __future__ import annotations

from audit.core.rounding import rounded_up
from audit.evidence.certificate import ConfigurationResult

NOT_SAID = (
    "Nothing is said about attacks, prompts, languages or doses that are not listed.",
    "Nothing is said about other seeds of the same recipe: the claim is about the named weights.",
    "Nothing is said about later changes of these weights, by quantization other than the listed ones or by training.",
    "Nothing is said about any single individual: the rates are means over a list.",
    "A configuration that is not certified is not thereby shown to be unsafe, and a bound is not a legal finding.",
)

LOSSES = {
    "recovered": "subjects with a recovered secret",
    "leak_at_k": "subjects with a secret among k sampled answers",
    "answered": "subjects with a question answered",
    "above_twins": "subjects above the threshold of never-trained twins",
    "residual_knowledge": "knowledge left between the retrained model and the original",
    "froc": "FROC's soft margin",
    "over_forgotten": "subjects less likely than never-trained ones",
    "utility_harm": "right answers lost per retained subject",
    "utility_error": "wrong answers per retained subject",
}


def sentence(
    result: ConfigurationResult,
    *,
    rate: str,
    attacks: list[str],
    counted: str,
    census: bool,
    draws: str,
    confidence: float,
    alpha_utility: float,
    utility_loss: str,
    family_size: int,
    tested: str,
    alpha_forget: float,
    base_rate: str,
    not_auditable: int,
    imported: bool = False,
) -> str:
    """Return the one sentence that a certificate says about a checkpoint in the valid set.

    ``rate`` says whose rate it is (see ``rate``), ``counted`` who was opened, ``draws`` what a repetition would
    draw anew. Where everything was counted (``census``) no confidence is attached; how imported configurations
    were chosen is unknown.
    """
    kind = "census" if census else f"simultaneous over {family_size} configurations"
    exact = census and all(clause.census for clause in result.clauses)  # utility too
    sure = "" if exact else f" at confidence {confidence:g} over repeated draws of the {draws}"
    chosen = "were given as logs" if imported else "were frozen before any score was seen"
    error = (
        ""
        if exact
        else f"; the procedure lists one that exceeds a budget in at most {1 - confidence:.3g} of such draws"
    )
    confirmed = result.confirmation
    value = f"at most {rounded_up(result.cur)} ({kind})"
    if result.cur > alpha_forget:  # a stepwise procedure certifies at the locked budgets only
        bound = rounded_up(result.cur)
        value = f"at most {alpha_forget:g} (certified at the locked budgets, not below; simultaneous bound {bound})"
    if confirmed:
        kind = (
            "counted exactly, the sealed subjects opened"
            if confirmed.exact
            else "confirmed on the sealed subjects"
        )
        value += f", and {rounded_up(confirmed.upper)} ({kind})"
    parts = [
        f"For checkpoint {result.checkpoint[:12] or result.label},",
        f"{counted}, under each of the attacks",
        f"{', '.join(attacks)} as realised: the rate of {rate} is {value}{sure},",
        "with checkpoints, twins and attacks held fixed;",
        f"{LOSSES[utility_loss]} at most {alpha_utility:g} on average;",
        f"{family_size} configurations {chosen}{'' if exact else f', tested {tested}'}{error};",
        f"a model that never knew would show {base_rate}; {not_auditable} subjects are not auditable.",
    ]
    return " ".join(parts)


def rate(primary: tuple[str, ...], k: int) -> str:
    """Say what the primary losses count; ``k``: sampled answers that leak_at_k grants the attacker."""
    return " or ".join(LOSSES[name] + (f", k = {k}," if name == "leak_at_k" else "") for name in primary)


def tested(family: str, order: str | None) -> str:
    """Say by which procedure configurations are listed, and where its order is from."""
    sources = {"tune": ", in an order learned on tune subjects", "plan": ", in the order of the plan"}
    return f"by {family}{sources[order] if order else ''}"
