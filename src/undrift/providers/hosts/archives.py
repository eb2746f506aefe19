"""Archives in memory: tar (plain, gzip, bzip2, xz) and zip, with nothing in them that leaves the folder."""

from __future__ import annotations

import dataclasses
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

from undrift import errors
from undrift.lib import paths

_LARGEST: Final = 256 << 20
_MOST: Final = 50_000
_UNREADABLE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One entry: `path` below the folder it is unpacked to; a link has `points_to` and no content."""

    path: str
    content: bytes = dataclasses.field(default=b"", repr=False)
    executable: bool = False
    points_to: str = ""


def members(content: bytes, name: str, strip: int) -> list[Member]:
    """The files and links in an archive, in its order, without the first `strip` steps of their paths.

    Raises `ResourceInvalid`: no archive, too large, devices, and names or links that lead out of it.
    """
    found: dict[str, Member] = {}
    try:
        every = _zip(content) if zipfile.is_zipfile(io.BytesIO(content)) else _tar(content)
        for one in every:
            stripped = _strip(one, name, strip)
            if stripped is not None:
                found[stripped.path] = stripped
            if len(found) > _MOST:
                raise _refused(name, f"it has more than {_MOST} entries")
    except _UNREADABLE as error:
        raise errors.ResourceInvalid(
            f"{name} is no archive that can be read",
            why=str(error),
            hint="tar, tar.gz, tar.bz2, tar.xz or zip",
        ) from error
    if not found:
        raise _refused(name, "nothing is left in it" if strip else "it is empty")
    return list(found.values())


def _strip(one: Member, name: str, strip: int) -> Member | None:
    steps = [step for step in one.path.split("/") if step not in {"", "."}]
    if one.path.startswith("/") or ".." in steps or "\0" in one.path:
        raise _refused(name, f"{one.path!r} leads out of it")
    if one.points_to and paths.link_leaves("/".join(steps), one.points_to):
        raise _refused(name, f"the link {one.path!r} leads out of it")
    return dataclasses.replace(one, path="/".join(steps[strip:])) if len(steps) > strip else None


def _tar(content: bytes) -> Iterator[Member]:
    size = 0
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        for one in archive:
            if one.isdir():
                continue
            if one.issym():
                yield Member(one.name, points_to=one.linkname)
                continue
            if not one.isfile() and not one.islnk():
                raise errors.ResourceInvalid(f"the archive holds a device or a pipe: {one.name}")
            size = _bounded(size + one.size)
            file = archive.extractfile(one)
            yield Member(one.name, file.read() if file is not None else b"", bool(one.mode & 0o100))


def _zip(content: bytes) -> Iterator[Member]:
    size = 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for one in archive.infolist():
            if one.is_dir():
                continue
            size = _bounded(size + one.file_size)
            mode = one.external_attr >> 16
            if stat.S_ISLNK(mode):
                yield Member(one.filename, points_to=archive.read(one).decode("utf-8", "replace"))
            else:
                yield Member(one.filename, archive.read(one), bool(mode & 0o100))


def _bounded(size: int) -> int:
    if size > _LARGEST:
        raise errors.ResourceInvalid(
            "the archive is too large",
            why=f"more than {_LARGEST >> 20} MiB unpacked",
            hint="fetch it by a command instead",
        )
    return size


def _refused(name: str, why: str) -> errors.ResourceInvalid:
    return errors.ResourceInvalid(f"the archive {name} cannot be used", why=why)
