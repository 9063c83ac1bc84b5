import dataclasses
import sys
from pathlib import Path

import pytest

from audit.dashboard import sample
from audit.dashboard.source import RUN_VARIABLE
from audit.evidence import bundle
from audit.evidence.certificate import Certificate, Verdict

VIEWS = Path(sample.__file__).with_name("views")


@pytest.fixture(scope="session")
def certificate() -> Certificate:
    """Three candidates: CURs 7 %, 55 % and 14 %; Holm lists a fourth, of 11 %, at the locked 10 % besides."""
    invented = sample.certificate()
    fourth = dataclasses.replace(
        invented.configurations[2], label="fourth", cur=0.11, in_valid_set=True, verdict=Verdict.PASS
    )
    return dataclasses.replace(invented, configurations=(*invented.configurations, fourth), family_size=4)


@pytest.fixture(autouse=True)
def _no_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["streamlit"])  # pytest's own arguments name no run
    monkeypatch.delenv(RUN_VARIABLE, raising=False)


@pytest.fixture
def show(tmp_path, monkeypatch):
    """Return a function that writes a certificate and opens a page on it."""
    from streamlit.testing.v1 import AppTest

    def open_page(file: str, certificate: Certificate):
        bundle.write(tmp_path, certificate)
        monkeypatch.setenv(RUN_VARIABLE, str(tmp_path))
        page = AppTest.from_file(str(VIEWS / file), default_timeout=60).run()
        assert not page.exception
        return page

    return open_page
