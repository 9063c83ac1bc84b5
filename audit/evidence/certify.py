"""From measurements to the one Certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from audit.evidence import clauses, confirmation, controls, estimand_words, summary, wording
from audit.evidence.certificate import (
    Certificate,
    ClauseResult,
    ConfigurationResult,
    Verdict,
)
from audit.evidence.exhibits.base import Case, make_all
from audit.measurements.table import Measurements
from audit.plan.assemble import Assembly, Promise, Tables
from audit.plan.naming import attack_label, configuration_label
from audit.risk.clauses import ClauseBounds, Levels, bound_clause
from audit.risk.model import ConformalRiskModel


def certify(measurements: Measurements) -> Certificate:
    """Return the certificate of one audit; statistics only, deterministic."""
    return _Certifier(measurements).certificate()


@dataclass(frozen=True)
class _Fitted:
    tables: Tables
    model: ConformalRiskModel
    halved: ConformalRiskModel  # at delta / 2, for rectangles that bound risk and utility together


class _Certifier:
    def __init__(self, measurements: Measurements) -> None:
        self.header = measurements.header
        self.assembly = Assembly(measurements)
        self.settings = self.assembly.settings
        self.probes = measurements.probes

    # -- the whole ---------------------------------------------------------------------------------------------

    def certificate(self) -> Certificate:
        """Assemble everything."""
        candidates = tuple(self._candidates())
        verdict, reasons = self._sweep(candidates)
        s = self.settings
        return Certificate(
            audit_id=self.header["audit_id"],
            title=s.title,
            lock_digest=self.header["lock_digest"],
            locked_at=self.header.get("locked_at", ""),
            alpha_forget=s.alpha_forget,
            alpha_utility=s.alpha_utility,
            delta=s.delta,
            family=s.family,
            family_size=len(candidates),
            estimand=self.estimand,
            estimand_claim=estimand_words.claim(self.assembly, self.estimand),
            primary=s.primary,
            units=summary.unit_counts(self.assembly),
            configurations=candidates,
            references=tuple(self._references()),
            controls=self.controls.results,
            missing_controls=self.controls.missing,
            attacks=tuple(summary.attacks(self.header, self.controls.informative)),
            verdict=verdict,
            reasons=reasons,
            sentences=tuple(self._sentence(c) for c in candidates if c.in_valid_set),
            not_said=wording.NOT_SAID,
            utility_loss=self.assembly.utility_loss,
            order_source=s.order or "",
            order=self.assembly.order or (),
            confirmed_checkpoint=self.header.get("confirmed", {}).get("checkpoint"),
            exhibits=tuple(make_all(Case(self.assembly, self.fitted.tables, self.fitted.model, candidates)))
            if candidates
            else (),
        )

    @cached_property
    def controls(self) -> controls.Controls:
        return controls.check(self.assembly)

    @cached_property
    def estimand(self) -> str:
        """The lock's estimand; ``census`` where all of a list was counted and would be counted the same again."""
        assembly = self.assembly
        counted = len(assembly.opened("forget")) + len(assembly.seen("forget"))
        whole = assembly.claim.fixed and counted == assembly.population("forget")
        return "census" if whole and assembly.claim.estimand == "list" else assembly.claim.estimand

    @cached_property
    def fitted(self) -> _Fitted:
        tables = self.assembly.deciding(self.assembly.candidates)
        return self._fit(tables, self.settings.family)

    def _fit(self, tables: Tables, family: str) -> _Fitted:
        s = self.settings
        whole = ConformalRiskModel(s.alpha_forget, s.alpha_utility, s.delta, family).fit(tables.table)
        halved = ConformalRiskModel(s.alpha_forget, s.alpha_utility, s.delta / 2, family).fit(tables.table)
        return _Fitted(tables, whole, halved)

    # -- candidates --------------------------------------------------------------------------------------------

    def _candidates(self) -> Iterator[ConfigurationResult]:
        names = self.assembly.candidates
        secondary = self._secondary(names)
        leaked = self.assembly.leaked_outside()
        for row, name in enumerate(names):
            marginal = self._clauses(*secondary, row, name)
            vetoes = tuple(self._vetoes(name, marginal, leaked[name]))
            yield self._candidate(row, name, marginal, vetoes)

    def _candidate(
        self, row: int, name: str, marginal: tuple[ClauseResult, ...], vetoes: tuple[str, ...]
    ) -> ConfigurationResult:
        tables, model = self.fitted.tables, self.fitted.model
        told = self._clauses(tables, model.clauses_, row, name)
        valid = bool(model.valid_[row]) and not vetoes and not self.controls.violated
        verdict, reasons = self._verdict(told, valid, vetoes)
        return ConfigurationResult(
            configuration=name,
            label=configuration_label(name),
            role="candidate",
            marginal=marginal,
            in_valid_set=valid,
            verdict=verdict,
            vetoes=vetoes,
            reasons=reasons,
            confirmation=confirmation.confirm(self.assembly, name),
            diagnostics=tuple(self._diagnostics(name)),
            **self._numbers(self.fitted, row, name, told),
        )

    def _numbers(
        self, fitted: _Fitted, row: int, name: str, told: tuple[ClauseResult, ...]
    ) -> dict[str, Any]:
        """Return what every configuration shows, candidate or reference."""
        model, halved = fitted.model, fitted.halved
        utility = next(number for number, c in enumerate(told) if c.side == "retain")
        worst = self._worst(fitted, row)
        sides = next(c for c in halved.clauses_ if c.side == "utility")
        return {
            "checkpoint": self._record(name)["checkpoint"],
            "clauses": told,
            "cur": float(model.cur_[row]),
            "cur_attack": worst.attack,
            "cur_dose": worst.dose,
            "cur_marginal": float(model.cur_marginal_[row]),
            "cur_lower": float(model.cur_lower_[row]),
            "p_forget": float(model.p_forget_[row]),
            "p_utility": float(model.p_utility_[row]),
            "p_value": float(model.p_values_[row]),
            "utility_estimate": told[utility].estimate,
            "utility_lower": told[utility].lower,
            "utility_upper": told[utility].upper,
            "rectangle": tuple(
                float(side[row]) for side in (halved.cur_lower_, halved.cur_, sides.lower, sides.upper)
            ),
        }

    def _verdict(
        self, told: tuple[ClauseResult, ...], valid: bool, vetoes: tuple[str, ...]
    ) -> tuple[Verdict, tuple[str, ...]]:
        """Precedence: integrity, run error, FAIL, INCONCLUSIVE, PASS; with the reason in words."""
        if self.controls.violated:
            return Verdict.INTEGRITY, ("a control was violated",)
        broken = [c for c in told if c.fails]
        failed = [c for c in told if c.state == "failed" or (c.state == "stopped" and not broken)]
        if failed:
            return Verdict.RUN_ERROR, (f"{len(failed)} planned measurements are missing: {failed[0].reason}",)
        uncontrolled = f"uncontrolled: {', '.join(self.controls.missing)} not measured"
        if broken and self.settings.imported and self.controls.missing:
            # Guessing counts as answering in foreign logs, so a budget may be broken by a model that never knew.
            return Verdict.INCONCLUSIVE, (*clauses.worst_broken(broken), uncontrolled)
        if broken:
            return Verdict.FAIL, (*clauses.worst_broken(broken), *clauses.stopped(told))
        if vetoes:
            return Verdict.INCONCLUSIVE, vetoes
        if not valid:
            return Verdict.INCONCLUSIVE, tuple(self._undecided(told))
        if self.controls.missing:
            return Verdict.INCONCLUSIVE, (uncontrolled,)
        return Verdict.PASS, ()

    def _undecided(self, told: tuple[ClauseResult, ...]) -> Iterator[str]:
        level = self.settings.delta / max(len(self.assembly.candidates), 1)
        worst = [c for c in told if c.p_value > level and c.state == "measured"]
        if not worst:
            yield (
                "the order did not reach it: one that stands before it was not certified"
                if self.settings.order
                else "the error budget of the family was used up"
            )
        yield from map(clauses.undecided, sorted(worst, key=lambda c: -c.p_value)[:2])

    def _worst(self, fitted: _Fitted, row: int) -> Promise:
        index = int(fitted.model.cur_clause_[row])
        return fitted.tables.promises[index] if index >= 0 else Promise("", "forget", "", 0.0)

    def _vetoes(self, name: str, marginal: tuple[ClauseResult, ...], leaked: int) -> Iterator[str]:
        s = self.settings
        if "over_forgotten" in s.vetoes:
            for clause in marginal:
                if (
                    clause.loss == "over_forgotten"
                    and clause.attack == "none"
                    and clause.lower > s.alpha_forget
                ):
                    count = f"{clause.total:g} of {clause.units} subjects"
                    yield f"over-forgotten: {count} are less likely than subjects that were never trained on"
        outside = len(self.assembly.not_auditable())
        if "leaked_not_auditable" in s.vetoes and leaked and leaked / outside > s.alpha_forget:
            yield f"{leaked} of {outside} not auditable subjects yielded a secret"

    # -- references --------------------------------------------------------------------------------------------

    def _references(self) -> Iterator[ConfigurationResult]:
        for role, name in self.assembly.references.items():
            # Outside the family: never listed, so its procedure, which may need a place for each, does not matter.
            fitted = self._fit(self.assembly.deciding((name,)), "bonferroni")
            told = self._clauses(fitted.tables, fitted.model.clauses_, 0, name)
            yield ConfigurationResult(
                configuration=name,
                label=role,
                role=role,
                marginal=self._clauses(*self._secondary((name,)), 0, name),
                in_valid_set=False,
                verdict=Verdict.FAIL if fitted.model.fails_.any() else Verdict.INCONCLUSIVE,
                diagnostics=tuple(self._diagnostics(name)),
                **self._numbers(fitted, 0, name, told),
            )

    # -- clauses -----------------------------------------------------------------------------------------------

    def _secondary(self, names: tuple[str, ...]) -> tuple[Tables, tuple[ClauseBounds, ...]]:
        tables = self.assembly.secondary(names)
        level = self.settings.delta / tables.table.family_size
        levels = Levels(level, level, level)
        return tables, tuple(
            bound_clause(c, self.settings.alpha_forget, levels) for c in tables.table.clauses
        )

    def _clauses(
        self, tables: Tables, bounds: tuple[ClauseBounds, ...], row: int, name: str
    ) -> tuple[ClauseResult, ...]:
        return tuple(clauses.results(self.assembly, tables, bounds, row, name))

    # -- words and counts --------------------------------------------------------------------------------------

    def _sweep(self, candidates: tuple[ConfigurationResult, ...]) -> tuple[Verdict, tuple[str, ...]]:
        if self.controls.violated:
            bad = [c for c in self.controls.results if c.outcome == "violated"]
            return Verdict.INTEGRITY, tuple(f"control {c.name} {c.expectation}, but: {c.detail}" for c in bad)
        broken = [c for c in candidates if c.verdict is Verdict.RUN_ERROR]
        note = (
            (f"{len(broken)} of {len(candidates)} configurations have measurements missing",)
            if broken
            else ()
        )
        passed = [c for c in candidates if c.verdict is Verdict.PASS]
        if passed:
            digests = ", ".join(c.checkpoint[:12] or c.label for c in passed)  # logs name no weights
            return Verdict.PASS, (
                f"{len(passed)} of {len(candidates)} configurations are certified: {digests}",
                *note,
            )
        if broken:
            return Verdict.RUN_ERROR, note
        if candidates and all(c.verdict is Verdict.FAIL for c in candidates):
            return Verdict.FAIL, (f"each of {len(candidates)} configurations exceeds a budget",)
        return Verdict.INCONCLUSIVE, tuple(self._inconclusive(candidates))

    def _inconclusive(self, candidates: tuple[ConfigurationResult, ...]) -> Iterator[str]:
        if not candidates:
            yield "there is no candidate among the configurations"
        met = [c for c in candidates if c.in_valid_set]
        if self.controls.missing:
            yield f"uncontrolled: {', '.join(self.controls.missing)} not measured, so nothing can PASS"
            lacking = [c for c in self.controls.results if c.outcome == "not measured"]
            yield from (f"{c.name}: {c.detail}" for c in lacking)
            yield f"{len(met)} of {len(candidates)} configurations meet both budgets"
        elif candidates:
            failed = sum(c.verdict is Verdict.FAIL for c in candidates)
            yield f"no configuration is certified; {failed} of {len(candidates)} exceed a budget, the others lack evidence"

    def _sentence(self, result: ConfigurationResult) -> str:
        assembly, s = self.assembly, self.settings
        measured = [c for c in result.clauses if c.side == "forget"]
        return wording.sentence(
            result,
            rate=wording.rate(s.primary, s.k),
            attacks=list(dict.fromkeys(attack_label(c.attack, c.dose) for c in measured)),
            counted=estimand_words.counted(assembly, self.estimand),
            census=self.estimand == "census",
            draws=estimand_words.draws(self.estimand),
            confidence=1 - s.delta,
            alpha_utility=s.alpha_utility,
            utility_loss=assembly.utility_loss,
            family_size=len(assembly.candidates),
            tested=wording.tested(s.family, s.order),
            alpha_forget=s.alpha_forget,
            base_rate=summary.base_rate(self.assembly, self.probes),
            not_auditable=self.assembly.count("forget", auditable=False),
            imported=s.imported,
        ) + self._distinguishable(result)

    def _distinguishable(self, result: ConfigurationResult) -> str:
        """Say when no secret is yielded although persons can be told from never-trained twins."""
        high = [
            c
            for c in result.marginal
            if c.loss == "above_twins" and c.state == "measured" and c.lower > c.budget
        ]
        if "recovered" not in self.settings.primary or not high:
            return ""
        worst = max(high, key=lambda c: c.total)
        under = attack_label(worst.attack, worst.dose)
        return (
            f" No secret is yielded beyond the budget, yet {worst.total:g} of {worst.units} persons remain distinguishable"
            f" from never-trained twins under {under}."
        )

    def _diagnostics(self, name: str) -> Iterator[tuple[str, float]]:
        for configuration, attack, what, value in self.header.get("diagnostics", ()):
            if configuration == name:
                yield what if attack == "none" else f"{what} under {attack_label(attack)}", float(value)

    def _record(self, name: str) -> dict[str, Any]:
        return next(c for c in self.header["configurations"] if c["configuration"] == name)
