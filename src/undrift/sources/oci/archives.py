"""A layer of an OCI artifact → files, in memory. Pure.

Nothing is unpacked to disk, so a path cannot hurt; names and links are refused all the same, because renderers
and targets will write them later.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
import zlib

from undrift import errors
from undrift.model import source
from undrift.sources import limits

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


def unpack(layer: bytes, bounds: limits.Limits) -> dict[str, source.File]:
    """The files of a tar archive, plain or with gzip. Raises `ArtifactRefused`."""
    plain = _inflate(layer, bounds)
    found: dict[str, source.File] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                _take(archive, member, found)
                if len(found) > bounds.files:
                    raise errors.ArtifactRefused(f"there are more than {bounds.files} files in the artifact")
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise errors.ArtifactRefused(
            "a layer is no tar archive",
            why=str(error),
            hint="push it again, as `flux push artifact` or `oras push` does",
        ) from None
    for path, file in found.items():
        bounds.check_file(path, len(file.content))
    return dict(sorted(found.items()))


def _inflate(layer: bytes, bounds: limits.Limits) -> bytes:
    """Unpack gzip, but never more than the limit: a small layer can hold terabytes of nothing."""
    if layer.startswith(_ZSTD):
        raise errors.ArtifactRefused("a layer is packed with zstd", hint="push it with gzip")
    if not layer.startswith(_GZIP):
        bounds.check_total(1, len(layer))
        return layer
    inflater = zlib.decompressobj(wbits=31)
    plain = bytearray()
    rest = layer
    try:
        while rest and not inflater.eof:
            plain += inflater.decompress(rest, _CHUNK)
            rest = inflater.unconsumed_tail
            # The archive's own headers come on top of the content that the limit is about.
            bounds.check_total(1, len(plain) // 2)
        plain += inflater.flush()
    except zlib.error as error:
        raise errors.ArtifactRefused("a layer is damaged", why=str(error), hint="push it again") from None
    if not inflater.eof:
        raise errors.ArtifactRefused("a layer is cut off", hint="push it again")
    return bytes(plain)


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, found: dict[str, source.File]) -> None:
    path = clean(member.name)
    if not path or member.isdir():
        return
    if member.issym():
        found[path] = source.File(member.linkname.encode(), source.FileKind.LINK)
    elif member.islnk():
        target = clean(member.linkname)
        if target not in found:
            raise errors.ArtifactRefused(
                f"{path} is a link to {target}, which is not there", origin=errors.Origin(path)
            )
        found[path] = found[target]
    elif member.isreg():
        stream = archive.extractfile(member)
        content = stream.read() if stream else b""
        executable = bool(member.mode & 0o111)
        found[path] = source.File(content, source.FileKind.EXECUTABLE if executable else source.FileKind.FILE)
    else:
        raise errors.ArtifactRefused(
            f"{path} is no file",
            origin=errors.Origin(path),
            why="a device, pipe or the like is no declaration",
        )


def clean(name: str) -> str:
    """A name within the artifact; "" is its root. Raises `ArtifactRefused`."""
    path = posixpath.normpath(name.removeprefix("./")) if name else "."
    if path == ".":
        return ""
    if path.startswith(("/", "../")) or path == ".." or "\0" in path:
        raise errors.ArtifactRefused(
            f"the name {name!r} leads out of the artifact", hint="find out who pushed it"
        )
    path.encode("utf-8")
    return path
