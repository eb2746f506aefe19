"""Encrypted files of an artifact, decrypted in memory."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from undrift import errors, interfaces
from undrift.lib import mask, yaml
from undrift.model import source


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """All files in plain; the names of those that were encrypted; what is wrong with the others.

    `mask` takes what was decrypted out of a text: tools quote values when they complain.
    """

    files: Mapping[str, source.File] = dataclasses.field(repr=False)
    encrypted: frozenset[str]
    wrong: Mapping[str, errors.UndriftError]
    mask: mask.Mask = dataclasses.field(default_factory=mask.Mask, repr=False)


async def opened(
    found: Mapping[str, source.File], folder: str, decryptor: interfaces.Decryptor | None
) -> Opened:
    """The files of a folder, whatever SOPS encrypted of them in plain. Never raises for one of them."""
    files = dict(found)
    encrypted: set[str] = set()
    wrong: dict[str, errors.UndriftError] = {}
    secrets: set[str] = set()
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
            secrets.update(_decrypted(file.content, plain))
    return Opened(files, frozenset(encrypted), wrong, mask.Mask(secrets))


async def _open(content: bytes, name: str, decryptor: interfaces.Decryptor | None) -> bytes | None:
    if decryptor is not None:
        return await decryptor.decrypt(content, name)
    if b"AES256_GCM" not in content or b"sops" not in content:
        return None
    raise errors.DecryptionFailed(
        f"{name} is encrypted, and nothing here can decrypt it",
        hint="give the agent a key: SOPS_AGE_KEY_FILE, or --age-key-file",
    )


def _decrypted(content: bytes, plain: bytes) -> Iterator[str]:
    """What can be read now and could not be read in Git."""
    before, after = content.decode("utf-8", "replace"), plain.decode("utf-8", "replace")
    try:
        values = [text for one in yaml.documents(plain) for text in _texts(one.data)]
    except yaml.YamlError:
        values = []
    for text in (*values, *(line.partition("=")[2] or line for line in after.splitlines())):
        if text.strip() and text not in before:
            yield text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)
