"""Where a token for a forge is found: variables, CI's own ones, Git's credential helpers. Nowhere else, and never kept.

In this order: `UNDRIFT_TOKEN`, the key of a GitHub App, what CI gives for the forge that it is on itself, and last what
`git credential fill` knows. Each of our variables may also end in `_FILE` and name a file.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping
from urllib import parse

from undrift import errors
from undrift.lib import process

_PATIENCE = 20.0
_HOSTS = "UNDRIFT_FORGE_HOST"
_CI = ("GITHUB_SERVER_URL", "CI_SERVER_URL", "BITBUCKET_GIT_HTTP_ORIGIN", "SYSTEM_COLLECTIONURI")
"""In which CI says at which forge it is: GitHub and Gitea Actions, GitLab, Bitbucket, Azure Pipelines."""
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR", "LD_LIBRARY_PATH")


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A token, whose it is if anybody said so, and the variable it is from."""

    text: str = dataclasses.field(repr=False)
    user: str = ""
    variable: str = ""


Sign = Callable[[Token], Mapping[str, str]]
"""The headers that a kind of forge wants for a token."""


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """A variable that holds a token of a kind of forge, and of which one.

    `server` is the variable in which CI says at which address the forge is that it gives the token for, `home` the
    address where that says nothing; with neither it is for any forge of that kind.
    """

    name: str
    server: str = ""
    home: str = ""


def value(environ: Mapping[str, str], name: str) -> str:
    """A variable of ours, or the content of the file that `<name>_FILE` names. Raises `CredentialMissing`."""
    if environ.get(name, ""):
        return environ[name].strip()
    file = environ.get(f"{name}_FILE", "")
    if not file:
        return ""
    try:
        return pathlib.Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.CredentialMissing(
            f"the file that {name}_FILE names cannot be read",
            why=f"{file}: {getattr(error, 'strerror', '') or 'it is not text'}",
            hint=f"put the token into {name}, or name a file that can be read",
        ) from None


def check_host(environ: Mapping[str, str], name: str, host: str, *, vouched: bool = False) -> None:
    """That what a variable holds may go to a host: whoever changes the Delivery in a pull request chooses that host.

    `vouched` where the hosts that CI says it is on count too: for what a person put there, and nothing says for whom.
    Raises `CredentialMissing` where `UNDRIFT_FORGE_HOST` names others, or is not set and CI is on others.
    """
    meant, by = environ.get(_HOSTS, "").replace(",", " ").split(), _HOSTS
    if not meant and vouched:
        told = {one: _host(environ.get(one, "")) for one in _CI}
        meant, by = [one for one in told.values() if one], ", ".join(one for one in told if told[one])
    if host and meant and host not in meant:
        raise errors.CredentialMissing(
            f"{name} is not for {host}",
            why=f"{by} says that it is for {', '.join(dict.fromkeys(meant))}",
            hint="correct gitopsRepository.url (or api) in the Delivery, or name that host in UNDRIFT_FORGE_HOST,"
            " in the settings of CI",
        )


def _host(url: str) -> str:
    """The host of an address, with its port where that is not the usual one."""
    parts = parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return host.removesuffix(":443" if parts.scheme == "https" else ":80")


def find(environ: Mapping[str, str], variables: tuple[Variable, ...], host: str) -> Token | None:
    """The token for a forge; CI's own is given to no other host than the one that CI says it is of.

    Raises `CredentialMissing` where ours is for another host.
    """
    user = value(environ, "UNDRIFT_USERNAME")
    if text := value(environ, "UNDRIFT_TOKEN"):
        check_host(environ, "UNDRIFT_TOKEN", host, vouched=True)
        return Token(text, user, "$UNDRIFT_TOKEN")
    for one in variables:
        server = (environ.get(one.server, "") if one.server else "") or one.home
        foreign = host and server and parse.urlsplit(server).netloc.rpartition("@")[2] != host
        if environ.get(one.name, "") and not foreign:
            check_host(environ, one.name, host)
            return Token(environ[one.name].strip(), user, f"${one.name}")
    return None


def bearer(token: Token) -> Mapping[str, str]:
    """As RFC 6750 has it."""
    return {"Authorization": f"Bearer {token.text}"}


def basic(token: Token) -> Mapping[str, str]:
    """As RFC 7617 has it: the user, "" where there is none, and the token as the password."""
    pair = base64.b64encode(f"{token.user}:{token.text}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def basic_with_user(token: Token) -> Mapping[str, str]:
    """A user and a password where there is a user, else a bearer."""
    return basic(token) if token.user else bearer(token)


class TokenAccess:
    """Signs in with a token that is there, or as nobody."""

    def __init__(self, token: Token | None, sign: Sign) -> None:
        self._token = token
        self._sign = sign
        self.whence = token.variable if token else ""
        self.user = token.user if token else ""

    async def headers(self) -> Mapping[str, str]:
        """The headers that let us in."""
        return self._sign(self._token) if self._token else {}

    def forget(self) -> bool:
        """There is no other one."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """The token."""
        return (self._token.text,) if self._token else ()


class HelperAccess:
    """Signs in with what Git's credential helpers know, asked when it is first needed."""

    whence = "git credential"

    def __init__(self, url: str, environ: Mapping[str, str], sign: Sign) -> None:
        self._url = url
        self._environ = environ
        self._sign = sign
        self._token: Token | None = None
        self.user = ""

    async def headers(self) -> Mapping[str, str]:
        """The headers that let us in; none when the helpers know nothing."""
        if self._token is None:
            self._token = await fill(self._url, self._environ) or Token("")
            self.user = self._token.user
            self.whence = HelperAccess.whence if self._token.text else ""
        return self._sign(self._token) if self._token.text else {}

    def forget(self) -> bool:
        """There is no other one."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self._token.text,) if self._token else ()


async def fill(url: str, environ: Mapping[str, str]) -> Token | None:
    """What `git credential fill` knows of a host, asked without a prompt; None when it knows nothing."""
    parts = parse.urlsplit(url)
    question = (
        f"protocol={parts.scheme}\nhost={parts.netloc.rpartition('@')[2]}\npath={parts.path.strip('/')}\n\n"
    )
    kept = {name: environ[name] for name in environ if name in _KEPT or name.startswith("GIT_CONFIG")}
    try:
        answer = await process.run(
            ["git", "credential", "fill"],
            stdin=question.encode(),
            env={"PATH": os.defpath, **kept, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "LC_ALL": "C"},
            limits=process.Limits(timeout=_PATIENCE, output=1 << 16),
        )
    except process.ProcessError:
        return None
    said = dict(line.partition("=")[::2] for line in answer.stdout.decode(errors="replace").splitlines())
    if answer.returncode or not said.get("password"):
        return None
    return Token(said["password"], said.get("username", ""), "git credential")
