"""Every error code with what it says and what to do, read off the raise statements of this package.

A list kept by hand would be wrong after the next change. ``…`` stands for what a message fills in.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

PACKAGE = Path(__file__).parents[1]
_CODE = re.compile(r"E\d{3}")
_GAP = "…"


class Raised(NamedTuple):
    """One place that raises: the code, its cause and its remedy in words."""

    code: str
    cause: str
    remedy: str


def codes_table(package: Path = PACKAGE) -> list[dict[str, str]]:
    """Return one row per code, sorted: ``code``, every different ``cause``, every different ``remedy``."""
    found: dict[str, list[Raised]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        for raised in _raised(path):
            found[raised.code].append(raised)
    return [
        {"code": code, "cause": _joined(r.cause for r in rows), "remedy": _joined(r.remedy for r in rows)}
        for code, rows in sorted(found.items())
    ]


def codes_named(package: Path = PACKAGE) -> frozenset[str]:
    """Return every code that stands in the package's code as a text of its own."""
    return frozenset(
        node.value
        for path in package.rglob("*.py")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value)
    )


def _raised(path: Path) -> Iterator[Raised]:
    """Yield what a file's AuditErrors and recorded failures say; a code chosen on the spot gives one for each choice."""
    for scope in ast.walk(_tree(path)):
        if isinstance(scope, ast.FunctionDef | ast.Module):
            for code, cause, remedy in _told(scope):
                for name in _codes(code):
                    yield Raised(name, _words(cause, scope) or _promised(name, scope), _words(remedy, scope))


def _told(scope: ast.FunctionDef | ast.Module) -> Iterator[tuple[ast.expr, ast.expr, ast.expr]]:
    """Yield (code, cause, remedy) of the scope's own AuditErrors, and of the failures that jobs record."""
    inner = {
        id(n)
        for f in ast.walk(scope)
        if isinstance(f, ast.FunctionDef) and f is not scope
        for n in ast.walk(f)
    }
    for node in ast.walk(scope):
        if id(node) in inner:
            continue
        if _is_error(node) and len(node.args) == 3:
            yield node.args[0], node.args[1], node.args[2]
        if isinstance(node, ast.Dict):
            found = {
                k.value: v for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)
            }
            if {"code", "cause", "remedy"} <= found.keys():
                yield found["code"], found["cause"], found["remedy"]


def _is_error(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AuditError"


def _codes(node: ast.expr) -> tuple[str, ...]:
    if isinstance(node, ast.IfExp):
        return (*_codes(node.body), *_codes(node.orelse))
    return (node.value,) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ()


def _words(node: ast.expr, scope: ast.AST) -> str:
    """Return a text with gaps, "" where nothing but gaps is left; a name stands for what it was last assigned."""
    found = re.sub(f"{_GAP}+", _GAP, _text(node, scope))
    return found if found.strip(f"{_GAP} :") else ""


def _text(node: ast.expr, scope: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, scope) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left, scope) + _text(node.right, scope)
    if isinstance(node, ast.IfExp):
        return _joined(_text(one, scope) for one in (node.body, node.orelse))
    if isinstance(node, ast.Name):
        return _last(node, scope)
    return _GAP


def _last(name: ast.Name, scope: ast.AST) -> str:
    """Return the text assigned to ``name`` nearest above its use."""
    above = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        and node.lineno < name.lineno
        and any(isinstance(target, ast.Name) and target.id == name.id for target in node.targets)
    ]
    return _text(max(above, key=lambda node: node.lineno).value, scope) if above else _GAP


def _promised(code: str, scope: ast.AST) -> str:
    """Return when the function's docstring says that it raises ``code``."""
    words = ast.get_docstring(scope) if isinstance(scope, ast.FunctionDef) else None
    found = re.search(rf"{code} (?:when|where|if) ([^.;·]+)", words or "")
    return " ".join(found[1].split()) if found else ""


def _joined(texts: Iterator[str]) -> str:
    return " · ".join(dict.fromkeys(text for text in texts if text))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
