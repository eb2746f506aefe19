"""Each test has a world of its own."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator

import pytest

from tests.e2e import world as worlds


@pytest.fixture
def world() -> Iterator[worlds.World]:
    """In a short path: sockets have short names."""
    with worlds.world(pathlib.Path(tempfile.mkdtemp(prefix="undrift-e2e-"))) as made:
        yield made
