"""What the planned units can prove about each kind of loss, and what they cannot.

One prospect per kind: primary losses that are 0 or 1, primary losses that are graded, and utility, which is
graded. Counts say everything about the first; the others are simulated under two laws between which a real loss
should lie: few subjects carry all of it, or everybody a little.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from audit.core.rounding import rounded_down, rounded_up
from audit.data.records import Corpus, Side
from audit.plan.ordering import first_level
from audit.plan.schema import Plan
from audit.plan.sizes import ResolvedSizes
from audit.risk import losses, power
from audit.risk.comparison import BoundPower, compare
from audit.risk.multiplicity.base import PROCEDURES
from audit.risk.power import SampleDesign

REPLICATIONS = 400


@dataclass(frozen=True)
class Question:
    """One kind of loss and how it will be decided.

    ``quoted`` has the level of CUR, delta / K; ``tested`` that of the first test, more along an order.
    """

    side: Literal["forget", "utility"]
    losses: tuple[str, ...]
    quoted: SampleDesign
    tested: SampleDesign


@dataclass(frozen=True)
class Prospect:
    """What the units of ``design`` can show about ``losses``.

    ``units_needed``: smallest n of the list with 0, 1 and 2 failures (graded: without any loss), None where the list
    has too few. ``failures_allowed`` is None if not even 0 or graded, ``failing_from`` if no number or graded.
    ``smallest_certifiable_share`` is the CUR when nothing fails. ``certified``: for each of ``true_shares`` the
    smallest and largest probability over the laws that a candidate's clause is certified.
    """

    side: str
    losses: tuple[str, ...]
    design: SampleDesign
    units_needed: tuple[int | None, ...]
    failures_allowed: int | None
    failing_from: int | None
    smallest_certifiable_share: float
    true_shares: tuple[float, ...]
    certified: tuple[tuple[float, float], ...]

    @property
    def graded(self) -> bool:
        """Whether losses take values between 0 and 1, so that no number of failures says anything."""
        return self.design.graded

    def bounds(self) -> list[BoundPower]:
        """Return the same units under every bound that covers them; graded losses are spread over all units."""
        return compare(self.design, self.true_shares, replications=REPLICATIONS)

    def to_json(self) -> dict[str, Any]:
        """Return a plain JSON object, with the table of bounds."""
        return asdict(self) | {"bounds": [asdict(row) for row in self.bounds()]}

    def lines(self, order: str | None) -> list[str]:
        """Return the prospect as text; ``order`` names how the first of an ordered family is found."""
        first = f" if it comes first in the order ({order})" if order else ""
        return [*self._proof(), f"{self._chances()}{first}"]

    def _proof(self) -> list[str]:
        share = rounded_up(self.smallest_certifiable_share)
        if self.side == "utility":
            return [f"utility: of {self.design.n} opened, without any harm its bound is {share}"]
        if self.graded:
            least = self.units_needed[0]
            return [
                f"what n can prove by {' and '.join(self.losses)} (graded): without any loss CUR is {share};"
                f" {least} of {self.design.population} units are needed at least"
            ]
        allowed = "none" if self.failures_allowed is None else str(self.failures_allowed)
        no, one, two = ("more than there are" if n is None else str(n) for n in self.units_needed)
        return [
            f"what n can prove: with no failure CUR is {share}; failures allowed: {allowed} of {self.design.n};"
            f" FAIL starts at {self.failing_from}",
            f"units needed of {self.design.population}: {no} with no failure, {one} with one, {two} with two",
        ]

    def _chances(self) -> str:
        what = "harm" if self.side == "utility" else "mean loss" if self.graded else "risk"
        shares = " / ".join(f"{share:g}" for share in self.true_shares)
        chances = " / ".join(_range(*chance) for chance in self.certified)
        laws = " (simulated: few subjects carry all of it, or everybody a little)" if self.graded else ""
        return f"a candidate with true {what} {shares} is certified with probability {chances}{laws}"


def questions(plan: Plan, corpus: Corpus, sizes: ResolvedSizes, clauses: int) -> tuple[Question, ...]:
    """Return what the plan asks of its units, forgetting first; subjects looked at to tune are outside the claim."""
    ordered = PROCEDURES.build(plan.family).ordered

    def question(side: Literal["forget", "utility"], names: tuple[str, ...], graded: bool) -> Question:
        key: Side = "forget" if side == "forget" else "retain"
        dealt, budget = sizes.side(key), plan.budget.forget if side == "forget" else plan.budget.utility
        population = len(corpus.side(key)) - dealt["tune"]  # what is neither looked at nor opened is sealed
        quoted = SampleDesign(
            dealt["calibrate"],
            population,
            budget,
            plan.delta,
            len(plan.candidates),
            clauses,
            graded,
            looks=plan.futility == "subjects",
        )
        tested = replace(quoted, delta=first_level(plan), family_size=1) if ordered else quoted
        return Question(side, names, quoted, tested)

    counted = tuple(name for name in plan.loss.primary if name in losses.BINARY)
    graded = tuple(name for name in plan.loss.primary if name not in losses.BINARY)
    forget = [question("forget", names, kind) for names, kind in ((counted, False), (graded, True)) if names]
    return (*forget, question("utility", ("utility_harm",), True))


def prospect(question: Question) -> Prospect:
    """Return what the units of ``question`` can prove."""
    tested, quoted = question.tested, question.quoted
    shares = (0.0, tested.alpha / 5, tested.alpha / 2)
    needed = (0,) if tested.graded else (0, 1, 2)
    return Prospect(
        side=question.side,
        losses=question.losses,
        design=tested,
        units_needed=tuple(power.units_needed(tested, failures) for failures in needed),
        failures_allowed=None if tested.graded else power.allowed_failures(tested),
        failing_from=None if tested.graded else power.failing_from(quoted),
        smallest_certifiable_share=power.smallest_certifiable_risk(quoted),
        true_shares=shares,
        certified=tuple(_certified(tested, share) for share in shares),
    )


def _certified(design: SampleDesign, share: float) -> tuple[float, float]:
    if not design.graded:
        chance = power.certification_probability(design, share)
        return chance, chance
    laws = (power.concentrated(share), power.diffuse(share))
    found = [power.simulated_certification(design, law, replications=REPLICATIONS) for law in laws]
    return min(found), max(found)


def _range(least: float, most: float) -> str:
    low, high = rounded_down(least, 2), rounded_down(most, 2)
    return low if low == high else f"{low} to {high}"
