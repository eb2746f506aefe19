"""The text of what supervisord reads: its own settings and one file for each program. Pure."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import secret
from undrift.providers.hosts import kinds

_HEAD: Final = "; undrift "
_COMMENT: Final = re.compile(r"(?<=\s)(?=[;#])|(?<=%)(?=\(here\)s)")
"""Where supervisor would see a comment begin, or put in a folder of its own, whatever the quotes."""


def text(name: str, fields: Mapping[str, Any], real: Callable[[str], str], log: pathlib.Path) -> str:
    """The file of a program; its first line keeps the fields as they were declared."""
    environment = kinds.reveal(fields["environment"])
    lines = [
        _HEAD + json.dumps(kinds.keep(fields), sort_keys=True),
        f"[program:{name}]",
        f"command={_command(kinds.reveal(fields['command']))}",
        f"directory={_plain(real(fields['directory']))}",
        f"autostart={'true' if fields['enabled'] and fields['state'] == 'running' else 'false'}",
        "autorestart=true",
        "startsecs=1",
        "startretries=60",
        "stopwaitsecs=10",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_plain(str(log))}",
        "stdout_logfile_maxbytes=1MB",
        "stdout_logfile_backups=1",
    ]
    if environment:
        lines.append("environment=" + ",".join(_variable(name, pair) for pair in environment))
    if fields["user"]:
        lines.append(f"user={_plain(fields['user'])}")
    return "\n".join(lines) + "\n"


def check(name: str, fields: Mapping[str, Any]) -> None:
    """Raise `ResourceInvalid` for what supervisor has no way to write."""
    text(name, fields, lambda path: path, pathlib.Path("/"))


def declared(found: str) -> dict[str, Any]:
    """The fields that a program's file was made from; empty when it does not say."""
    first = found.partition("\n")[0]
    try:
        return kinds.kept(json.loads(first.removeprefix(_HEAD)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def secrets(fields: Mapping[str, Any]) -> Iterable[str]:
    """What must not be seen in anything that the program writes."""
    hidden = fields.get("environment")
    if isinstance(hidden, secret.Secret):
        return [pair.partition("=")[2] for pair in kinds.reveal(hidden)]
    return []


def daemon(folder: pathlib.Path, socket: pathlib.Path) -> str:
    """The settings of the daemon."""
    here, there = _plain(str(folder)), _plain(str(socket))
    return f"""[supervisord]
logfile={here}/supervisord.log
pidfile={here}/supervisord.pid
childlogdir={here}/logs
logfile_maxbytes=1MB
logfile_backups=1
umask=022
identifier=undrift

[unix_http_server]
file={there}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={here}/programs/*.ini
"""


def _command(command: list[str]) -> str:
    """Quoted as a shell would read it; a pair of quotes hides what would be taken for something else."""
    return " ".join(_COMMENT.sub("''", shlex.quote(word)) for word in command).replace("%", "%%")


def _variable(name: str, pair: str) -> str:
    key, _, value = pair.partition("=")
    quote = "'" if '"' in value else '"'
    if quote in value or value[:1] in {"'", '"'} or value[-1:] in {"'", '"'} or _COMMENT.search(value):
        raise errors.ResourceInvalid(
            f"the service {name} has a value in its environment that supervisor cannot take",
            why=f"{key} has quotes at its ends or of both kinds, or a space before ; or #, or %(here)s",
            hint="put the value into a file, or use manager: systemd",
        )
    return f"{key}={quote}{value}{quote}".replace("%", "%%")


def _plain(value: str) -> str:
    if _COMMENT.search(value) or "\n" in value:
        raise errors.ResourceInvalid(
            "a path or name cannot be given to supervisor",
            why="it has a space before ; or #, or %(here)s",
            hint="rename it",
        )
    return value.replace("%", "%%")
