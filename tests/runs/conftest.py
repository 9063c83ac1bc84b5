"""A locked run of few persons, without any trained model."""

import pytest
from locked import lock_in

from audit.runs.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The world of one locked run; read it, never write into it."""
    return World(lock_in(tmp_path_factory.mktemp("world")), device="cpu")


@pytest.fixture
def run(tmp_path):
    """A locked run directory of its own."""
    return lock_in(tmp_path)
