"""Credentials of stands: in files, or in what stands for the environment."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from undrift import errors
from undrift.model import source


class Credentials:
    """`env` are variables; files are read."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._env = env or {}

    async def resolve(self, credential: source.Credential) -> str:
        if credential.file:
            return pathlib.Path(credential.file).read_text(encoding="utf-8")  # noqa: ASYNC240 - a small file of a test
        if credential.env not in self._env:
            raise errors.CredentialMissing(f"{credential.env} is not set")
        return self._env[credential.env]
