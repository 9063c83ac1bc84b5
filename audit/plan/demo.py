"""The plan of ``unlearn-audit demo``: the laboratory and its candidates."""

from __future__ import annotations

from pathlib import Path

from audit.core.errors import AuditError
from audit.plan.schema import Laboratory
from audit.plan.template import laboratory_plan

# Strengths (learning rate, steps, weights) were chosen on laboratories of other seeds and never on these persons;
# graddiff, npo and idk_dpo (beta 0.1) were then cut in steps for time alone.
CANDIDATES: dict[str, tuple[str, ...]] = {
    "lab": (
        "ga(lr=0.0001, steps=30)",
        "ga(lr=0.0003, steps=60)",
        "graddiff(lr=0.0003, steps=30)",
        "graddiff(retain=kl, lr=0.001, steps=60, retain_weight=4.0)",
        "npo(lr=0.0003, steps=60)",
        "npo(lr=0.001, steps=60, retain_weight=2.0)",
        "simnpo(beta=1.0, lr=0.001, steps=60, forget_weight=1.0, retain_weight=2.0)",
        "simnpo(beta=1.0, lr=0.001, steps=90, forget_weight=1.0, retain_weight=2.0)",
        "idk_sft(lr=0.001, steps=30)",
        "idk_sft(lr=0.001, steps=60)",
        "idk_dpo(lr=0.001, steps=20)",
        "idk_dpo(beta=0.02, lr=0.001, steps=30)",
        "rmu_adaptive(lr=0.001, steps=60, retain_weight=30.0)",
        "rmu_adaptive(layer=0.5, lr=0.001, steps=90, retain_weight=30.0)",
        "task_vector(lr=0.001, steps=30)",
        "task_vector(scale=2.0, lr=0.001, steps=30)",
    ),
    "smollm2": (
        "graddiff(lr=5e-05, steps=20, batch=16)",
        "npo(lr=0.0001, steps=40, batch=16)",
        "simnpo(beta=1.0, forget_weight=1.0, retain_weight=2.0, lr=0.0001, steps=40, batch=16)",
        "idk_dpo(lr=0.0001, steps=40, batch=16)",
    ),
}
CANDIDATES["large"] = CANDIDATES["lab"]

ATTACKS: dict[str, tuple[str, ...]] = {
    "lab": ("none", "quantize(int4)", "quantize(nf4)", "relearn(steps=[5, 10, 25])", "paraphrase"),
    "smollm2": (
        "none",
        "quantize(int4)",
        "quantize(nf4)",
        "relearn(steps=[10, 25], lr=0.0001, batch=16)",
        "paraphrase",
    ),
}
ATTACKS["large"] = ATTACKS["lab"]

RELEASES = ("int4", "full")


def write_demo_plan(folder: Path, *, subject: str, release: str, seed: int) -> Path:
    """Write ``audit.yaml`` into ``folder`` and return its path; a different plan already there is refused."""
    if subject not in CANDIDATES:
        raise AuditError(
            "E115", f"no demo subject is called {subject!r}", f"known: {', '.join(sorted(CANDIDATES))}"
        )
    if release not in RELEASES:
        raise AuditError("E115", f"no release is called {release!r}", f"known: {', '.join(RELEASES)}")
    laboratory = Laboratory(subject=subject, release="full" if subject == "smollm2" else release)  # type: ignore[arg-type]
    title = f"demo: {subject} laboratory, {laboratory.release} release"
    text = laboratory_plan(laboratory, CANDIDATES[subject], ATTACKS[subject], seed, title)
    target = folder / "audit.yaml"
    if target.exists() and target.read_text(encoding="utf-8") != text:
        raise AuditError("E140", f"{target} holds another plan", "choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target
