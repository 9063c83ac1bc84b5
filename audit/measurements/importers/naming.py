"""Which model a log is about, read from the names of its folders; explicit roles win.

Names as open-unlearning's scripts and DUET's give them: ``tofu_<base>_full/evals_forget10``,
``tofu_<base>_retain90``, ``tofu_<base>_forget10_<recipe>``, ``duet_<base>_city_forget_5_<recipe>``,
``muse_<base>_News_target``, ``muse_<base>_News_retrain``, ``muse_<base>_Books_<recipe>``. TOFU's first code puts
what it unlearns into the folder of the model it starts from: ``<base>_full_<…>/grad_ascent_1e-05_forget10_5/…``.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from audit.core.errors import AuditError
from audit.measurements.table import ROLES

T = TypeVar("T", bound=Hashable)

_DUET = re.compile(r"^(?:duet_)?(?P<base>.+?)_(?P<list>[a-z]+_forget(?:_[a-z]+)*_\d+)(?:_(?P<recipe>.+))?$")
_TOFU = re.compile(
    r"^(?:tofu_)?(?P<base>.+?)_(?:(?P<full>full)|retain(?P<kept>\d{1,2})|forget(?P<gone>\d{1,2}))(?:_(?P<recipe>.+))?$"
)
_MUSE = re.compile(r"^muse_(?P<base>.+?)_(?P<list>News|Books)(?:_(?P<recipe>.+))?$")
_UNLEARNED = re.compile(
    r"(?:^|/)\w+_[\d.e-]+_forget\d{2}_\d+(?:/|$)"
)  # loss_lr_split_epochs, inside the full model
_EVALUATION = re.compile(r"^evals?(_.*)?$")


@dataclass(frozen=True)
class Name:
    """What the folders say: base model, forget list ("" if they do not), role, recipe."""

    base: str
    forget_list: str
    role: str
    recipe: str


def read_name(folder: Path, log: Path) -> Name:
    """Return what the folders between ``folder`` and ``log`` say; ``folder``'s own name counts last."""
    inner = [part for part in log.relative_to(folder).parts[:-1]]
    parts = [part for part in inner if not _EVALUATION.match(part)]
    outer = [part for part in reversed(folder.resolve().parts[-2:]) if not _EVALUATION.match(part)]
    gone = re.search(r"forget(\d{2})(?!\d)", "/".join(inner))
    for part in [*sorted(parts, key=lambda p: not p.startswith(("tofu_", "duet_", "muse_"))), *outer]:
        rest = "/".join(p for p in parts[parts.index(part) + 1 :]) if part in parts else ""
        if found := _muse(part) or _duet(part) or _tofu(part, gone.group(1) if gone else ""):
            role = "candidate" if _UNLEARNED.search(rest) else found.role
            return Name(found.base, found.forget_list, role, "/".join(filter(None, (found.recipe, rest))))
    return Name(
        "", f"forget{gone.group(1)}" if gone else "", "candidate", "/".join(parts) or folder.resolve().name
    )


def explicit_roles(folder: Path, logs: Sequence[Path], roles: Sequence[tuple[str, str]]) -> dict[Path, str]:
    """Return the role of every log that a glob names; the first match wins. Raises E133 for idle globs."""
    return _roles({log: _texts(log.relative_to(folder).parent) for log in logs}, roles, "logs")


def named_roles(names: Sequence[str], roles: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the role of every name that a glob matches; the first match wins. Raises E133 for idle globs."""
    return _roles({name: (name,) for name in names}, roles, "names")


def _roles(texts: Mapping[T, Sequence[str]], roles: Sequence[tuple[str, str]], what: str) -> dict[T, str]:
    found: dict[T, str] = {}
    for role, glob in roles:
        if role not in ROLES:
            raise AuditError("E133", f"there is no role {role!r}", f"roles are {', '.join(ROLES)}")
        hits = [item for item, own in texts.items() if any(fnmatch.fnmatchcase(text, glob) for text in own)]
        if not hits:
            raise AuditError(
                "E133",
                f"{role}={glob} matches none of {len(texts)} {what}",
                "globs match a log's folder, relative to the import's, or a configuration's name",
            )
        for item in hits:
            found.setdefault(item, role)
    return found


def _texts(path: Path) -> tuple[str, ...]:
    return (path.as_posix(), *path.parts)


def _duet(part: str) -> Name | None:
    found = _DUET.match(part)
    if not found:
        return None
    recipe = found["recipe"] or ""
    role = "original" if recipe == "full" else "retrained" if re.match(r"retain", recipe) else "candidate"
    return Name(found["base"], found["list"], role, recipe)


def _muse(part: str) -> Name | None:
    found = _MUSE.match(part)
    if not found:
        return None
    recipe = found["recipe"] or ""
    role = {"target": "original", "full": "original", "retrain": "retrained"}.get(recipe, "candidate")
    return Name(found["base"], found["list"], role, recipe)


def _tofu(part: str, gone: str) -> Name | None:
    found = _TOFU.match(part)
    if not found:
        return None
    recipe = found["recipe"] or ""
    if found["full"]:
        return Name(found["base"], f"forget{gone}" if gone else "", "original", recipe)
    if found["kept"]:
        return Name(found["base"], f"forget{100 - int(found['kept']):02d}", "retrained", recipe)
    return Name(found["base"], f"forget{int(found['gone']):02d}", "candidate", recipe)
