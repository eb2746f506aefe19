"""One server of each kind for all tests of a module; each test has zones of its own where it needs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import nameservers

ZONES = ("example.test", "race.test", "owner.test", "other.test", "xn--bcher-kva.test")


@pytest.fixture(scope="module", params=["bind", "knot", "powerdns"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[nameservers.NameServer]:
    """Each of the three."""
    start = getattr(nameservers, request.param)
    with start(tmp_path_factory.mktemp(request.param), *ZONES) as found:
        yield found


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[nameservers.NameServer]:
    """BIND alone."""
    with nameservers.bind(tmp_path_factory.mktemp("bind"), *ZONES) as found:
        yield found
