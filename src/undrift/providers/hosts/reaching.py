"""Reading how a host is reached from the settings of its Target; everything that is wrong is told at once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Final

from undrift.lib import words
from undrift.model import source
from undrift.providers.hosts import login

_WAY: Final = (
    "address",
    "port",
    "user",
    "identity",
    "passphrase",
    "certificate",
    "password",
    "agent",
    "hostKeys",
    "hostKeyAlias",
    "jump",
    "connectTimeout",
)
KNOWN: Final = (*_WAY, "sudo")
_PORTS: Final = range(1, 65536)
_MOST_JUMPS: Final = 8
_CREDENTIAL: Final = "write {file: /path/of/the/agent} or {env: NAME}"
_KEYS: Final = (
    "write lines as in known_hosts (`ssh-keyscan -t ed25519 HOST`, compared at the host's console), "
    "or {file: …}, or {env: …}"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """A setting that cannot be used, by its name (dotted), and what to write instead."""

    name: str
    hint: str


def read(given: Mapping[str, Any]) -> tuple[login.Remote | None, list[Problem]]:
    """How the host is reached (None: not over SSH), and what is wrong with the settings that say so."""
    problems: list[Problem] = []
    if "address" not in given:
        problems += [
            Problem(name, "it is for a host over SSH: write its address, too")
            for name in KNOWN
            if name in given
        ]
        return None, problems
    way = _Reader("", given, problems).way()
    sudo, password = _sudo(given.get("sudo", False), problems)
    if way is None or problems:
        return None, problems
    return login.Remote(login=way, sudo=sudo, sudo_password=password), problems


def _sudo(value: Any, problems: list[Problem]) -> tuple[bool, source.Credential | None]:
    if isinstance(value, bool):
        return value, None
    if isinstance(value, Mapping) and set(value) == {"password"}:
        return True, _Reader("sudo.", value, problems).credential("password")
    problems.append(Problem("sudo", "write true, or {password: {env: NAME}}"))
    return False, None


class _Reader:
    """Reads the settings of one host; `prefix` is where they stand."""

    def __init__(
        self, prefix: str, given: Mapping[str, Any], problems: list[Problem], depth: int = 0
    ) -> None:
        self._prefix = prefix
        self._given = given
        self._problems = problems
        self._depth = depth

    def way(self) -> login.Login | None:
        """The way to the host; None where something is wrong."""
        before = len(self._problems)
        found = login.Login(
            address=self._word("address"),
            port=self._port(),
            user=self._word("user", "root"),
            identity=self.credential("identity"),
            passphrase=self.credential("passphrase"),
            certificate=self.credential("certificate"),
            password=self.credential("password"),
            agent=self._agent(),
            host_keys=self._host_keys(),
            alias=self._word("hostKeyAlias", ""),
            jump=self._jump(),
            connect_timeout=self._seconds("connectTimeout", 10.0),
        )
        for name, needed in (("passphrase", "identity"), ("certificate", "identity")):
            if name in self._given and needed not in self._given:
                self._wrong(name, f"it belongs to a key: write settings.{self._prefix}{needed}, too")
        if not any(name in self._given for name in ("identity", "password", "agent")):
            self._wrong("identity", f"there is nothing to sign in with: {_CREDENTIAL}, or agent: true")
        return found if len(self._problems) == before else None

    def credential(self, name: str) -> source.Credential | None:
        """Where a credential is found."""
        value = self._given.get(name)
        if value is None:
            return None
        if isinstance(value, Mapping) and len(value) == 1:
            [(kind, where)] = value.items()
            if kind in {"file", "env"} and isinstance(where, str) and where:
                return source.Credential(file=where) if kind == "file" else source.Credential(env=where)
        self._wrong(name, _CREDENTIAL)
        return None

    def _host_keys(self) -> str | source.Credential:
        value = self._given.get("hostKeys")
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, Mapping):
            return self.credential("hostKeys") or ""
        self._wrong("hostKeys", _KEYS)
        return ""

    def _jump(self) -> login.Login | None:
        value = self._given.get("jump")
        if value is None:
            return None
        if not isinstance(value, Mapping) or self._depth >= _MOST_JUMPS:
            self._wrong("jump", "write the host to go through: address, user, identity, hostKeys")
            return None
        below = _Reader(f"{self._prefix}jump.", value, self._problems, self._depth + 1)
        for name in value:
            if name not in _WAY:
                below._wrong(str(name), words.suggestion(str(name), _WAY) or "it is not a known setting")
        return below.way()

    def _agent(self) -> str:
        value = self._given.get("agent", False)
        if value is False:
            return ""
        if value is True:
            found = os.environ.get("SSH_AUTH_SOCK", "")
            if not found:
                self._wrong("agent", "SSH_AUTH_SOCK is not set here: write the path of the agent's socket")
            return found
        if isinstance(value, str) and value.startswith("/"):
            return value
        self._wrong("agent", "write true (SSH_AUTH_SOCK says where) or the path of its socket")
        return ""

    def _word(self, name: str, usual: str | None = None) -> str:
        value = self._given.get(name, usual)
        is_word = isinstance(value, str) and not any(one.isspace() or one == "\0" for one in value)
        if is_word and (value or name not in self._given):
            return str(value)
        self._wrong(
            name, "write one word, such as web1.example.org" if name == "address" else "write one word"
        )
        return ""

    def _port(self) -> int:
        value = self._given.get("port", 22)
        if isinstance(value, int) and not isinstance(value, bool) and value in _PORTS:
            return value
        self._wrong("port", "write a number from 1 to 65535")
        return 22

    def _seconds(self, name: str, usual: float) -> float:
        value = self._given.get(name, usual)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
        self._wrong(name, "write a number of seconds, such as 10")
        return usual

    def _wrong(self, name: str, hint: str) -> None:
        self._problems.append(Problem(f"{self._prefix}{name}", hint))
