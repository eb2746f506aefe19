"""What one artifact may be, and how long things may take."""

from __future__ import annotations

import dataclasses

from undrift import errors

_MEBIBYTE = 2**20


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bytes in all, bytes of one file, number of files; `clone` is seconds for the first fetch of a repository.

    `freshness` is how many seconds the answer to a poll is given to others who ask.
    """

    total: int = 256 * _MEBIBYTE
    file: int = 64 * _MEBIBYTE
    files: int = 100_000
    clone: float = 3600.0
    freshness: float = 1.0

    def check_file(self, path: str, size: int) -> None:
        """Raise `ArtifactRefused` when a file is too large."""
        if size > self.file:
            raise errors.ArtifactRefused(
                f"{path} is too large",
                origin=errors.Origin(path),
                why=f"it has {size} bytes, the limit is {self.file / _MEBIBYTE:.3g} MiB",
                hint="keep large files elsewhere, or raise the limit of the agent",
            )

    def check_total(self, count: int, size: int) -> None:
        """Raise `ArtifactRefused` when all files together are too large."""
        if size > self.total:
            raise errors.ArtifactRefused(
                "the content is too large" if count == 1 else f"{count} files are too large together",
                why=f"it has {size} bytes, the limit is {self.total / _MEBIBYTE:.3g} MiB",
                hint="narrow the application's path, or raise the limit of the agent",
            )
