"""Encrypted files of an artifact, decrypted in memory."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping

from undrift import errors, interfaces
from undrift.model import source


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """All files in plain; the names of those that were encrypted; what is wrong with the others."""

    files: Mapping[str, source.File] = dataclasses.field(repr=False)
    encrypted: frozenset[str]
    wrong: Mapping[str, errors.UndriftError]


async def opened(
    found: Mapping[str, source.File], folder: str, decryptor: interfaces.Decryptor | None
) -> Opened:
    """The files of a folder, whatever SOPS encrypted of them in plain. Never raises for one of them."""
    files = dict(found)
    encrypted: set[str] = set()
    wrong: dict[str, errors.UndriftError] = {}
    for name, file in found.items():
        if file.kind is source.FileKind.LINK or b"ENC[" not in file.content:
            continue
        try:
            plain = await _open(file.content, name, decryptor)
        except errors.UndriftError as error:
            error.origin = error.origin or errors.Origin(posixpath.normpath(posixpath.join(folder, name)))
            wrong[name] = error
            continue
        if plain is not None:
            files[name] = dataclasses.replace(file, content=plain)
            encrypted.add(name)
    return Opened(files, frozenset(encrypted), wrong)


async def _open(content: bytes, name: str, decryptor: interfaces.Decryptor | None) -> bytes | None:
    if decryptor is not None:
        return await decryptor.decrypt(content, name)
    if b"AES256_GCM" not in content or b"sops" not in content:
        return None
    raise errors.DecryptionFailed(
        f"{name} is encrypted, and nothing here can decrypt it",
        hint="give the agent a key: SOPS_AGE_KEY_FILE, or --age-key-file",
    )
