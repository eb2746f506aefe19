"""How a host is reached over SSH, as it is declared: address, credentials, keys that are trusted, and who to become."""

from __future__ import annotations

import dataclasses

from undrift.model import source

_PORT = 22
_CONNECT_TIMEOUT = 10.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A way to a host. Credentials are where they are found, never themselves.

    `host_keys` are lines as in `known_hosts` (or where they are found), `alias` is the name that these, and
    certificates of the host, are for where it is not the address. `agent` is the socket of an SSH agent ("" = none is
    asked). `jump` is the host to go through. `connect_timeout` is in seconds, for one host.
    """

    address: str
    port: int = _PORT
    user: str = "root"
    identity: source.Credential | None = None
    passphrase: source.Credential | None = None
    certificate: source.Credential | None = None
    password: source.Credential | None = None
    agent: str = ""
    host_keys: str | source.Credential = ""
    alias: str = ""
    jump: Login | None = None
    connect_timeout: float = _CONNECT_TIMEOUT

    def __str__(self) -> str:
        return self.address if self.port == _PORT else f"{self.address}:{self.port}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A host and who we are on it: with `sudo` programs run as root, with a password where it asks for one."""

    login: Login
    sudo: bool = False
    sudo_password: source.Credential | None = None
