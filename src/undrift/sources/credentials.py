"""Credentials from where a declaration says they are: a variable, a file of the agent's host, an encrypted document."""

from __future__ import annotations

import asyncio
import os
import pathlib

from undrift import errors
from undrift.model import source

_LIMIT = 1024 * 1024


class EnvironmentSecrets:
    """Implements `interfaces.SecretResolver`; reads anew each time, so that a rotated credential is used at once."""

    async def resolve(self, credential: source.Credential) -> str:
        """The value, without a final line break. Raises `CredentialMissing` that names the place, never the value."""
        if credential.value is not None:
            return str(credential.value.reveal())
        if credential.env:
            return _variable(credential.env)
        if credential.file:
            return await asyncio.to_thread(_file, pathlib.Path(credential.file))
        raise errors.CredentialMissing(
            "a credential names no place",
            hint="give it `env` (a variable) or `file` (a path on the agent's host)",
        )


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if value:
        return value.removesuffix("\n")
    why = "it is empty" if name in os.environ else "it is not set"
    raise errors.CredentialMissing(
        f"the environment variable {name} holds no credential",
        why=why,
        hint=f"set {name} in the environment of the agent and start it again",
    )


def _file(path: pathlib.Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise _unreadable(path, error.strerror or type(error).__name__) from None
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not text") from None
    if not text.strip() or len(content) > _LIMIT:
        raise _unreadable(path, "it is empty" if not text.strip() else "it is larger than 1 MiB")
    return text.removesuffix("\n")


def _unreadable(path: pathlib.Path, why: str) -> errors.CredentialMissing:
    return errors.CredentialMissing(
        f"the file {path} holds no credential",
        why=why,
        hint="put it there, readable by the user of the agent",
    )
