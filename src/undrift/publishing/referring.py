"""References of images: `host:5000/team/name:tag@sha256:…`, taken apart and put together again."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from undrift.model import delivery

_REFERENCE: Final = re.compile(
    r"(?P<name>.+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z0-9_+.-]+:[0-9a-fA-F]+))?", re.DOTALL
)


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """The parts of an image's reference; "" where it has none. A port of a registry is part of the name."""

    name: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse(text: str) -> Reference:
    """The parts of a reference; what is none is all name."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        return Reference(text)
    return Reference(found["name"], found["tag"] or "", found["digest"] or "")


def replaced(text: str, image: delivery.Image) -> str:
    """The reference with the parts that `image` names. A new tag drops an old digest and the other way round.

    As Kustomize does it: what names one part only must not be belied by the other, which names another image.
    """
    old = parse(text)
    tag, digest = old.tag, old.digest
    if image.new_tag or image.digest:
        tag, digest = image.new_tag, image.digest
    return str(Reference(image.new_name or old.name, tag, digest))
