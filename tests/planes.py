"""A Kubernetes control plane that all tests of a worker share; who wants to break one starts their own."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator

import pytest

from tests import peers
from undrift.testing import control_plane


@pytest.fixture(scope="session")
def plane() -> Iterator[control_plane.ControlPlane]:
    """A cluster with controllers and one simulated node; `reader` is a user who may do nothing yet."""
    programs = peers.require_control_plane()
    with (
        tempfile.TemporaryDirectory(prefix="undrift-cp-") as folder,
        control_plane.ControlPlane(pathlib.Path(folder), programs, ["reader"]) as made,
    ):
        yield made
