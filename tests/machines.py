"""Booted Debian hosts for several tests: `booted()` starts one, or skips with the reason where none can be booted.

A module makes its own fixture of it, so that who breaks a machine breaks it for nobody else:

    @pytest.fixture(scope="module")
    def machine() -> Iterator[testing_machines.Machine]:
        with machines.booted() as made:
            yield made

See `undrift.testing.machines` for what a machine has and can do, and `settings` for the Target that is one.
"""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests import peers
from undrift.testing import machines


@contextlib.contextmanager
def booted(name: str = "machine", without: Sequence[str] = ()) -> Iterator[machines.Machine]:
    """A host of its own, as long as the block lasts; `without` are programs (paths) that it does not have."""
    base = _base()
    with (
        tempfile.TemporaryDirectory(prefix="undrift-machine-") as folder,
        machines.Machine(pathlib.Path(folder), base, name, without) as made,
    ):
        yield made


def settings(host: machines.Machine | machines.Sshd, user: str = "root", **more: Any) -> dict[str, Any]:
    """`spec.settings` of a Target that is this host."""
    return {
        "address": host.address,
        "port": host.port,
        "user": user,
        "identity": {"file": str(host.key)},
        "hostKeys": host.known_hosts,
        **more,
    }


def _base() -> pathlib.Path:
    reason = machines.missing()
    base = machines.find()
    if base is not None and not reason:
        return base
    if peers.in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
