"""What the rates of a certificate are rates of, in words: the claim, and who was opened for it."""

from __future__ import annotations

from audit.plan.assemble import Assembly


def claim(assembly: Assembly, estimand: str) -> str:
    """Return the sentence printed beside the estimand on every certificate."""
    opened, population = len(assembly.opened("forget")), assembly.population("forget")
    made = assembly.claim
    if estimand == "census":
        return f"All {population} named subjects were counted: exact shares of this list, without sampling error."
    if estimand == "subjects":
        return (
            f"Rates are those of future requests like the {opened} measured ones, each unlearned in a run of its own; "
            "they hold as far as the measured requests are a sample of those to come."
        )
    if estimand == "probes":
        return (
            f"{_probes(made.batch)}, drawn from the frozen generator {made.generator}; not about other lists."
        )
    if made.fixed:
        return (
            f"Rates are means over the {population} named subjects, of whom {opened} drawn by lot were opened; the lot "
            "is the only thing that confidence is about, and nothing is said about anybody else."
        )
    return (
        f"Rates are expected means over the {population} named subjects, of whom {opened} were opened; a repetition "
        "would give other losses, so even a full count is no census."
    )


def counted(assembly: Assembly, estimand: str) -> str:
    """Return who was opened, as the certificate's sentences say it."""
    opened, population = len(assembly.opened("forget")), assembly.population("forget")
    if estimand == "subjects":
        return f"{opened} unlearning requests"
    if estimand == "probes":
        made = assembly.claim
        whom = "subjects of the list" if population is None else f"of the {population} subjects of the list"
        return (
            f"{opened} {'draws of ' if population is None else ''}{whom} with {_questions(made.batch)} each"
        )
    drawn = (
        "all counted"
        if estimand == "census"
        else "drawn without replacement from a finite list, by lot after training"
    )
    return f"{opened} of the {population} subjects ({drawn})"


def draws(estimand: str) -> str:
    """Return what a repetition of the audit would draw anew: confidence is about that."""
    return {"probes": "subjects and questions", "subjects": "requests"}.get(estimand, "subjects")


def _probes(batch: int) -> str:
    """One question per draw is a rate over questions, several are one over persons."""
    if batch == 1:
        return (
            "Rates are over questions: the chance that one fresh question about a subject of the list leaks"
        )
    return f"Rates are over persons: the chance that a subject of the list leaks when asked {batch} fresh questions"


def _questions(batch: int) -> str:
    return "one fresh question" if batch == 1 else f"{batch} fresh questions"
