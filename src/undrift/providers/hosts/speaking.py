"""Speaking XML-RPC with a supervisord on its Unix socket. Blocking: for a thread."""

from __future__ import annotations

import http.client
import pathlib
import socket
import xmlrpc.client
from typing import Any, Final
from xml.parsers import expat

from undrift import errors

_PATIENCE: Final = 60.0
_NOT_THERE: Final = (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)


class SaysNo(errors.ChangeRefused):
    """The daemon answers with a fault."""


class _Connection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    """XML-RPC on a Unix socket."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """One connection for one question, where the base class looks for it to close it."""
        made = _Connection(self._path)
        self._connection = (host, made)
        return made


def answers(path: pathlib.Path) -> bool:
    """Whether a daemon listens there. Raises `TargetDenied` where we may not ask."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        tried.settimeout(_PATIENCE)
        try:
            tried.connect(str(path))
        except _NOT_THERE:
            return False
        except PermissionError as error:
            raise errors.TargetDenied(
                f"{path} cannot be opened", why=error.strerror or "", hint="run the agent as the same user"
            ) from error
        except OSError as error:
            raise errors.TargetUnavailable(
                f"supervisord on {path} does not answer", why=str(error)
            ) from error
    return True


def ask(path: pathlib.Path, method: str, *arguments: Any) -> Any:
    """The answer to one question. Raises `SaysNo`, `TargetUnavailable`."""
    try:
        with xmlrpc.client.ServerProxy(
            "http://localhost/RPC2", transport=_Transport(path), allow_none=True
        ) as server:
            return getattr(server, method)(*arguments)
    except xmlrpc.client.Fault as fault:
        raise SaysNo(f"supervisord refuses {method.partition('.')[2]}", why=str(fault.faultString)) from fault
    except (OSError, http.client.HTTPException, xmlrpc.client.Error, expat.ExpatError) as error:
        raise errors.TargetUnavailable(
            f"supervisord on {path} does not answer",
            why=type(error).__name__,
            hint="see supervisord.log beside it",
        ) from error
