"""Who we are at a registry: from our variables, those of GitLab CI, and what `docker login` or `podman login` kept.

In this order:

* `UNDRIFT_REGISTRY_USERNAME` and `UNDRIFT_REGISTRY_PASSWORD`, for the host in `UNDRIFT_REGISTRY` and no other;
* `CI_REGISTRY_USER` and `CI_REGISTRY_PASSWORD`, for the host in `CI_REGISTRY`;
* `auths`, `credHelpers` and `credsStore` of the files that containers' tools read (docs.docker.com/reference/cli/docker/login,
  containers-auth.json(5)): `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, and
  `$XDG_RUNTIME_DIR/containers/auth.json`.

Passwords may be in files: `UNDRIFT_REGISTRY_PASSWORD_FILE`. Nothing is kept but in memory.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import process

_TIMEOUT: Final = 20.0
_HELPER: Final = re.compile(r"[A-Za-z0-9._-]+")
_HUB: Final = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_PASSED: Final = ("PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS", "TMPDIR")
_VARIABLES: Final = (
    ("UNDRIFT_REGISTRY", "UNDRIFT_REGISTRY_USERNAME", "UNDRIFT_REGISTRY_PASSWORD"),
    ("CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, and where they are from."""

    user: str
    password: str = dataclasses.field(repr=False)
    whence: str


async def find(host: str, environ: Mapping[str, str]) -> Login | None:
    """Who we are at a registry (`host[:port]`); None: nobody. Raises `CredentialMissing` for what cannot be read."""
    for at, user, password in _VARIABLES:
        found = _value(environ, password)
        if found and environ.get(at, "").strip() in _names(host):
            return Login(environ.get(user, ""), found, f"${password}")
    for path in _files(environ):
        known = _read(path)
        for name in _names(host):
            login = await _kept(known, name, path, environ)
            if login is not None:
                return login
    return None


def _names(host: str) -> tuple[str, ...]:
    """How files and variables call a registry."""
    return _HUB if host in _HUB else (host, f"https://{host}", f"https://{host}/", f"https://{host}/v1/")


def _value(environ: Mapping[str, str], name: str) -> str:
    if environ.get(name, ""):
        return environ[name].strip()
    file = environ.get(f"{name}_FILE", "")
    if not file:
        return ""
    try:
        return pathlib.Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(pathlib.Path(file), error) from None


def _files(environ: Mapping[str, str]) -> Iterator[pathlib.Path]:
    """The files of containers' tools that are there."""
    home = environ.get("HOME", "")
    places = [
        environ.get("REGISTRY_AUTH_FILE", ""),
        f"{environ.get('DOCKER_CONFIG') or (f'{home}/.docker' if home else '')}/config.json",
        f"{environ['XDG_RUNTIME_DIR']}/containers/auth.json" if environ.get("XDG_RUNTIME_DIR") else "",
    ]
    yield from (path for path in map(pathlib.Path, filter(None, places)) if path.is_file())


def _read(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return found if isinstance(found, Mapping) else {}


async def _kept(
    known: Mapping[str, Any], name: str, path: pathlib.Path, environ: Mapping[str, str]
) -> Login | None:
    """What a file knows of a registry; a helper for it comes before what is written in the file itself."""
    helper = _mapping(known, "credHelpers").get(name) or known.get("credsStore")
    if isinstance(helper, str) and _HELPER.fullmatch(helper):
        found = await _asked(f"docker-credential-{helper}", name, environ)
        if found is not None:
            return found
    entry = _mapping(known, "auths").get(name)
    if not isinstance(entry, Mapping):
        return None
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _unreadable(path, error) from None
    password = str(entry.get("identitytoken") or "") or password.rstrip("\0")
    return Login(user, password, str(path)) if password else None


def _mapping(known: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = known.get(name)
    return found if isinstance(found, Mapping) else {}


async def _asked(program: str, name: str, environ: Mapping[str, str]) -> Login | None:
    """What a credential helper knows (github.com/docker/docker-credential-helpers): JSON, or a bad exit code."""
    about = {key: environ[key] for key in _PASSED if key in environ}
    about |= {key: value for key, value in environ.items() if key.startswith(("AWS_", "GOOGLE_", "AZURE_"))}
    try:
        done = await process.run(
            [program, "get"],
            stdin=name.encode(),
            env=about,
            limits=process.Limits(timeout=_TIMEOUT, output=1 << 20),
        )
        found = json.loads(done.stdout) if done.returncode == 0 else {}
    except process.ProcessError as error:
        raise errors.CredentialMissing(
            f"{program} tells no credentials of {name}",
            why=error.problem,
            hint="install the helper, or sign in with docker login where there is none",
        ) from None
    except ValueError:
        found = {}
    if not isinstance(found, Mapping) or not found.get("Secret"):
        return None
    return Login(str(found.get("Username") or ""), str(found["Secret"]), program)


def _unreadable(path: pathlib.Path, error: Exception) -> errors.CredentialMissing:
    # What a parser says of the text may hold a part of it.
    why = (error.strerror if isinstance(error, OSError) else "") or "it is not what docker login writes"
    return errors.CredentialMissing(
        f"{path} holds no credentials that can be read", why=why, hint="sign in again, or remove it"
    )
