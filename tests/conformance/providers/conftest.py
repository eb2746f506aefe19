"""A stand of each layer, against its real peer."""

from __future__ import annotations

import pathlib

import pytest

from tests.conformance.providers.stands import hosts_local
from undrift.testing.conformance import stand

LAYERS = ("hosts_local",)


@pytest.fixture(params=LAYERS)
async def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> stand.Stand:
    """Somewhere of that kind to work, fresh."""
    return hosts_local.HostsLocalStand(tmp_path)
