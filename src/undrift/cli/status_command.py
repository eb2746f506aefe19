"""`undrift status`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from undrift import client, errors
from undrift.cli import asking, telling, terminal
from undrift.cli.showing import status

_PAUSE = 1.0


@click.command("status")
@asking.application(required=False)
@click.option("-w", "--watch", is_flag=True, help="Redraw every second until Ctrl-C.")
@telling.output
@asking.socket
def command(application: str | None, output: str, socket: str | None, *, watch: bool) -> int:
    """Show every application at a glance, the worst first, or one in full.

    Exit code 0: in sync; 3: something drifts, waits or fails, a source or the configuration too.
    """
    look = _Look(asking.agent(socket), application, output)
    if watch:
        _watch(look)
    found = look.ask()
    if output == "json":
        telling.data(found)
    else:
        telling.show(look.lines(found, None))
    return telling.Exit.OK if look.fine(found) else telling.Exit.DIFFERENT


class _Look:
    """What is looked at: all applications or one."""

    def __init__(self, agent: client.Client, name: str | None, output: str) -> None:
        self._agent = agent
        self._name = name
        self.output = output
        self._troubles: list[str] = []

    def ask(self) -> Any:
        """A list of applications, or one of them."""
        if self._name:
            return self._agent.application(self._name)
        self._troubles = status.troubles(self._agent.agent())
        return self._agent.status()

    def fine(self, found: Any) -> bool:
        """Whether all that was found is in sync."""
        known = found if isinstance(found, list) else [found]
        return not self._troubles and all(one["state"] == "in sync" for one in known)

    def lines(self, found: Any, height: int | None) -> Sequence[str]:
        """For people."""
        if isinstance(found, list):
            return status.glance(found, terminal.width(), height, self._troubles)
        return list(status.application(found))


def _watch(look: _Look) -> None:
    """Until Ctrl-C. On a terminal in place; elsewhere whatever is new is printed when it is."""
    if not sys.stdout.isatty() or look.output == "json":
        _follow(look)
    with terminal.screen() as screen:
        while True:
            height = terminal.height()
            screen.draw([*_frame(look, height - 3 if height else None), "", _foot()])
            time.sleep(_PAUSE)


def _frame(look: _Look, height: int | None) -> Sequence[str]:
    """An agent that is away for a moment is shown, not died of."""
    try:
        return look.lines(look.ask(), height)
    except errors.AgentUnavailable as error:
        return list(telling.lines(telling.described(error)))


def _foot() -> str:
    return telling.style(f"{telling.clock(time.time())}  Ctrl-C to leave", dim=True)


def _follow(look: _Look) -> None:
    before: Any = None
    while True:
        found = look.ask()
        if found != before:
            if look.output == "json":
                telling.line(found)
            else:
                telling.show([*([""] if before is not None else []), *look.lines(found, None)])
                sys.stdout.flush()
        before = found
        time.sleep(_PAUSE)
