"""Where a repository is, and the environment in which `git` may reach it.

Credentials are found anew for each command, so that a rotated one is used at once. They travel in environment
variables of `git` and in files of a private folder (in memory where the machine has one) that is gone when the
command ends; never in a URL, an argument or the store.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import pathlib
import shlex
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping

from undrift import errors, interfaces
from undrift.lib import process
from undrift.model import source
from undrift.sources import connecting
from undrift.sources.git import addresses, app, command, login

_MEMORY = pathlib.Path("/dev/shm")  # noqa: S108 - a tmpfs, used with a private folder of random name
_CONNECTION_LIFE = 600.0
_CONNECTION_IDLE = 90
_TOKEN_USER = "x-access-token"  # noqa: S105 - the user name that forges expect beside a token


class Remote:
    """One repository on a server, with the credentials that a source names for it."""

    def __init__(
        self, declared: source.Source, secrets: interfaces.SecretResolver, web: connecting.Web
    ) -> None:
        self.address = addresses.parse_url(declared.url, insecure=declared.insecure)
        self.authentication = declared.authentication
        self.insecure = declared.insecure
        self.timeout = declared.timeout
        self.web = web
        self._secrets = secrets
        self._kept: tempfile.TemporaryDirectory[str] | None = None
        self._app = app.AppTokens(declared.authentication.github_app, secrets, web)

    @property
    def names_credentials(self) -> bool:
        """Whether the source says how to sign in."""
        found = self.authentication
        return any((found.token, found.password, found.github_app, found.ssh_key))

    async def authorization(self) -> str:
        """The value of the `Authorization` header; "" for nobody."""
        user, password = await self._login()
        if not password and not user:
            return ""
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    async def _login(self) -> tuple[str, str]:
        found = self.authentication
        user = await self._secrets.resolve(found.username) if found.username else ""
        if found.github_app:
            return _TOKEN_USER, await self._app.token(await self.context())
        if found.token:
            return user or _TOKEN_USER, (await self._secrets.resolve(found.token)).strip()
        if found.password:
            return user, await self._secrets.resolve(found.password)
        return "", ""

    async def context(self) -> ssl.SSLContext | None:
        """How TLS connections of our own trust the server."""
        ca = self.authentication.ca
        authority = await self._secrets.resolve(ca) if ca else ""
        return self.web.context(authority, insecure=self.insecure and self.address.scheme == "https")

    def forget_tokens(self) -> None:
        """A credential was refused: ask for a new one where we can."""
        self._app.forget()

    @contextlib.asynccontextmanager
    async def access(self) -> AsyncIterator[addresses.Access]:
        """The environment in which `git` can reach the repository as the remote `origin`.

        Raises `CredentialMissing`, and what a GitHub App's server may answer.
        """
        with _private_folder() as folder:
            values = [("remote.origin.url", self.address.url), ("protocol.version", "2")]
            extra = {"GIT_ALLOW_PROTOCOL": self.address.scheme}
            hidden: list[str] = []
            if self.address.scheme == "file":
                extra["GIT_CONFIG_GLOBAL"] = _write(folder, "gitconfig", "[safe]\n\tdirectory = *\n")
            elif self.address.scheme == "ssh":
                extra.update(await self._ssh(folder))
            else:
                helped = login.helped(self.address, await self._signed_in(hidden))
                values += [*await self._http(folder), *helped.settings]
                extra.update(helped.environment)
            yield addresses.Access(
                command.plain_environment({**extra, **command.settings(values)}), tuple(hidden)
            )

    async def _signed_in(self, hidden: list[str]) -> login.Login:
        user, password = await self._login()
        hidden += [password] if password else []
        return login.Login(user, password)

    async def _http(self, folder: pathlib.Path) -> list[tuple[str, str]]:
        values = [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", str(max(1, int(self.timeout))))]
        if self.authentication.ca:
            text = await self._secrets.resolve(self.authentication.ca)
            values.append(("http.sslCAInfo", _write(folder, "ca.pem", text)))
        if self.insecure:
            values.append(("http.sslVerify", "false"))
        return values

    async def _ssh(self, folder: pathlib.Path) -> dict[str, str]:
        found = self.authentication
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": str(max(1, int(min(self.timeout, 20)))),
            "ServerAliveInterval": "15",
            "LogLevel": "ERROR",
        }
        extra: dict[str, str] = {}
        if found.known_hosts:
            known = await self._secrets.resolve(found.known_hosts)
            options["UserKnownHostsFile"] = _write(folder, "known_hosts", known)
            options["GlobalKnownHostsFile"] = os.devnull
        if found.username:
            options["User"] = await self._secrets.resolve(found.username)
        if found.ssh_key:
            key = await self._secrets.resolve(found.ssh_key)
            options["IdentityFile"] = _write(folder, "key", key.rstrip("\n") + "\n")
            options |= {"IdentitiesOnly": "yes", "IdentityAgent": "none"}
        elif "SSH_AUTH_SOCK" in os.environ:
            extra["SSH_AUTH_SOCK"] = os.environ["SSH_AUTH_SOCK"]
        options |= self._kept_connection(folder, options)
        words = ["ssh", "-F", os.devnull]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return {**extra, "GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}

    def _kept_connection(self, folder: pathlib.Path, options: Mapping[str, str]) -> dict[str, str]:
        """Let polls follow one another on one connection: signing in costs 80 ms of CPU each time.

        Another key, user or set of host keys is another connection, and none is used for more than ten
        minutes, so that a credential that was revoked is refused soon. It ends by itself when unused.
        """
        if self._kept is None:
            self._kept = _make_folder()
        content = [path.read_bytes() for path in sorted(folder.iterdir())]
        name = hashlib.sha256(repr((content, options.get("User"))).encode()).hexdigest()[:16]
        era = int(time.monotonic() // _CONNECTION_LIFE)
        path = pathlib.Path(self._kept.name) / f"{name}{era}"
        return {"ControlMaster": "auto", "ControlPath": str(path), "ControlPersist": str(_CONNECTION_IDLE)}

    async def close(self) -> None:
        """End connections that are kept for the next poll."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        for path in _sockets(kept.name):
            with contextlib.suppress(process.ProcessError):
                await process.run(
                    ["ssh", "-F", os.devnull, "-o", f"ControlPath={path}", "-O", "exit", "any"],
                    env=command.plain_environment(),
                    limits=process.Limits(timeout=5.0),
                )
        kept.cleanup()


@contextlib.contextmanager
def _private_folder() -> Iterator[pathlib.Path]:
    with _make_folder() as name:
        yield pathlib.Path(name)


def _make_folder() -> tempfile.TemporaryDirectory[str]:
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    try:
        return tempfile.TemporaryDirectory(prefix="undrift-", dir=memory, ignore_cleanup_errors=True)
    except OSError as error:
        raise errors.StoreBroken(
            "no temporary folder can be made", why=str(error), hint="make room on the agent's disk"
        ) from None


def _sockets(folder: str) -> list[pathlib.Path]:
    return list(pathlib.Path(folder).iterdir())


def _write(folder: pathlib.Path, name: str, text: str) -> str:
    path = folder / name
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return str(path)
