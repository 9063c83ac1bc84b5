"""Heavy libraries behind a proxy, so that importing any module of ``audit`` imports none of them.

``torch = lazy("torch")`` at the top of a file behaves like the module, which is imported at the first
attribute access inside a function. Base classes, decorators and defaults must not touch the proxy.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspection tools probe dunders; that must not import torch
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


def lazy(name: str) -> Any:
    """Return a stand-in for module ``name`` that imports it on first use."""
    return _Lazy(name)
