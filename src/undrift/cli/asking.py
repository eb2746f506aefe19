"""Asking the agent: where it is, and the names that it knows."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click import shell_completion

from undrift import client, errors

_F = TypeVar("_F", bound=Callable[..., Any])


def socket(command: _F) -> _F:
    """Adds `--socket`."""
    return click.option(
        "--socket",
        type=click.Path(),
        envvar="UNDRIFT_SOCKET",
        show_envvar=True,
        help="The agent's socket [default: agent.sock in its state folder].",
    )(command)


def application(*, required: bool = True) -> Callable[[_F], _F]:
    """Adds the argument APPLICATION, which a shell completes with the names that the agent knows."""
    return click.argument("application", required=required, shell_complete=complete)


def agent(socket: str | None) -> client.Client:
    """The agent behind a socket, or the one where agents are by default. Nothing is asked yet."""
    return client.Client(path(socket))


def path(socket: str | None) -> pathlib.Path:
    """Where the socket is."""
    return pathlib.Path(socket).expanduser() if socket else client.default_socket()


def complete(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[shell_completion.CompletionItem]:
    """Names of applications that begin like `incomplete`; none while no agent answers at once."""
    asked = agent(context.params.get("socket"))
    asked.timeout = 1.0
    try:
        found = asked.status()
    except errors.UndriftError:
        return []
    return [
        shell_completion.CompletionItem(one["name"], help=one["state"])
        for one in found
        if str(one["name"]).startswith(incomplete)
    ]
