"""The few bytes of Git's wire protocol (version 2) that a poll needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from undrift.sources.git import references

_FLUSH = b"0000"
_DELIMITER = b"0001"
_HEADER = 4


def ask_refs(prefixes: Sequence[str], object_format: str = "sha1") -> bytes:
    """The body of a request for the refs that begin with one of `prefixes`, with the commits behind tags."""
    lines = [b"command=ls-refs\n", b"agent=undrift\n", f"object-format={object_format}\n".encode()]
    wanted = [b"peel\n", *(f"ref-prefix {prefix}\n".encode() for prefix in prefixes)]
    return b"".join([*map(packet, lines), _DELIMITER, *map(packet, wanted), _FLUSH])


def packet(line: bytes) -> bytes:
    """One line as the protocol wraps it."""
    return b"%04x" % (len(line) + _HEADER) + line


def packets(body: bytes) -> Iterator[bytes]:
    """The lines of an answer up to its end. Raises `ValueError` when it is cut off or something else."""
    place = 0
    while True:
        size = int(body[place : place + _HEADER], 16)
        if size == 0:
            return
        if size < _HEADER or place + size > len(body):
            raise ValueError("a packet is cut off")
        yield body[place + _HEADER : place + size].rstrip(b"\n")
        place += size


def read_refs(body: bytes) -> dict[str, references.Ref]:
    """Refs by full name. Raises `ValueError` when the answer is none of version 2."""
    found: dict[str, references.Ref] = {}
    for line in packets(body):
        if line.startswith(b"ERR "):
            raise ValueError(line[4:].decode("utf-8", "replace"))
        object_id, name, *attributes = line.decode("utf-8", "surrogateescape").split(" ")
        if len(object_id) not in {40, 64}:
            continue  # an unborn branch
        peeled = next((word[7:] for word in attributes if word.startswith("peeled:")), "")
        found[name] = references.Ref(object_id, peeled)
    return found


def read_listing(output: bytes) -> dict[str, references.Ref]:
    """Refs by full name, from what `git ls-remote` prints."""
    found: dict[str, references.Ref] = {}
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        object_id, _, name = line.partition("\t")
        if name.endswith("^{}"):
            tag = name.removesuffix("^{}")
            found[tag] = references.Ref(found[tag].object_id if tag in found else object_id, object_id)
        elif name:
            found[name] = references.Ref(object_id)
    return found
