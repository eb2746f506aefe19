"""An OCI artifact as `interfaces.Source`."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

from undrift import errors, interfaces
from undrift.model import source
from undrift.sources import connecting
from undrift.sources.git import repository


class OciSource:
    def __init__(
        self,
        declared: source.Source,
        secrets: interfaces.SecretResolver,
        web: connecting.Web,
        folder: pathlib.Path,
        limits: repository.Limits,
    ) -> None:
        self.declared = declared

    async def resolve(self) -> source.Revision:
        raise errors.SourceError("no OCI yet")

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        raise errors.SourceError("no OCI yet")

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        raise errors.SourceError("no OCI yet")

    async def close(self) -> None:
        return
