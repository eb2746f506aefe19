"""Which zone a file is about: zones are called as their files or folders are."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from undrift.providers.dns import kinds

_ENDS: Final = re.compile(r"\.(zone|ya?ml)$")


def zone_of(path: str) -> str:
    """The zone that a file is about: of `example.org.zone`, `db.example.org`, `example.org.yaml` it is `example.org.`.

    So it is of any file in a folder `example.org.`. A name that is not ASCII is given as DNS has it (IDNA). "" where a path names no zone.
    """
    folder = posixpath.basename(posixpath.dirname(path))
    if folder.endswith(".") and folder.strip("."):
        return ascii_name(folder)
    name = _ENDS.sub("", posixpath.basename(path)).removeprefix("db.").strip(".")
    return ascii_name(f"{name}.") if name else ""


def ascii_name(name: str) -> str:
    """A name as DNS has it: small letters, labels that are not ASCII in IDNA's form. Raises `ValueError`."""
    if name.isascii():
        return name.lower()
    import idna  # noqa: PLC0415 - few need it

    labels = name.lower().split(".")
    return ".".join(label if label.isascii() else idna.encode(label).decode() for label in labels)


def shown(name: str) -> str:
    """A name as people write it."""
    if "xn--" not in name:
        return name
    import idna  # noqa: PLC0415 - few need it

    try:
        return ".".join(idna.decode(one) if one.startswith("xn--") else one for one in name.split("."))
    except idna.IDNAError:
        return name


def relative(fqdn: str, zone: str) -> str:
    """A whole name as it is called within a zone."""
    return "" if fqdn == zone else kinds.below(zone, fqdn) or fqdn
