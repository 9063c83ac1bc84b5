"""A lazy module is imported by the first attribute, not by being named or looked at."""

import importlib
import sys

import pytest

from audit.core.lazy import lazy


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    (tmp_path / "heavy_thing.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "heavy_thing"
    sys.modules.pop("heavy_thing", None)


def test_naming_and_inspecting_a_lazy_module_does_not_import_it(fresh):
    proxy = lazy(fresh)
    assert not hasattr(proxy, "__wrapped__")
    assert not hasattr(proxy, "__path__")
    assert fresh not in sys.modules


def test_the_first_attribute_imports_it_and_comes_from_it(fresh):
    proxy = lazy(fresh)
    assert proxy.answer == 42
    assert proxy.answer is importlib.import_module(fresh).answer


def test_what_is_missing_is_said_at_first_use():
    proxy = lazy("no_such_library_anywhere")
    with pytest.raises(ModuleNotFoundError, match="no_such_library_anywhere"):
        _ = proxy.thing
    with pytest.raises(AttributeError):
        _ = lazy("json").no_such_function
