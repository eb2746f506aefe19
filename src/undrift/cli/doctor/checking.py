"""All checks in their order."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

from undrift import client, errors
from undrift.cli.doctor import finding, machine, running


def findings(socket: pathlib.Path, given: Mapping[str, str | None]) -> Iterator[finding.Finding]:
    """Each finding as soon as it is known. `given` are options as `undrift agent` has them."""
    named = given.get("state_dir")
    yield from machine.findings(pathlib.Path(named).expanduser().absolute() if named else socket.parent)
    try:
        yield from running.findings(client.Client(socket))
    except errors.AgentUnavailable as error:
        planned = bool(given.get("repository"))
        yield running.away(error, planned=planned)
        if planned:
            from undrift.cli.doctor import reaching

            yield from reaching.findings(given)
