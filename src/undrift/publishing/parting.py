"""Files taken apart: the Kubernetes resources in them, each a piece of its own, and what is left.

What must not be seen is marked here, before anything is compared: Secrets, whatever SOPS encrypted, files that look
as if they held a Secret and cannot be read. Of those a `Piece` gives no text away, only names of keys.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift.lib import mask, textdiff, yaml
from undrift.model import source
from undrift.publishing import weighing

Key = tuple[str, str, str, str]
"""API group, kind, namespace and name of a resource; of a file: "", "", "" and its path."""

_YAML: Final = (".yaml", ".yml", ".json")
_SOPS: Final = (b"sops", b"ENC[AES256_GCM,")
_SECRET: Final = re.compile(rb"kind[\"']?\s*:\s*[\"']?(?:Sealed)?Secret\b")
_SECRET_TEXT: Final = re.compile(r"kind[\\\\\"']*\s*:\s*[\\\\\"']*(?:Sealed)?Secret\b")
_VALUES: Final = frozenset({"data", "stringData", "encryptedData"})
_ODD_BREAKS: Final = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_OPEN: Final = frozenset({("apiVersion",), ("kind",), ("type",), ("immutable",)})
_OPEN_METADATA: Final = frozenset({"name", "namespace", "labels"})
_SEPARATOR: Final = ("---", "...", "#", "%")


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A resource, or a file that holds none, as one side of a comparison.

    `data` is the resource (None: a file) and is never to be shown where `hidden` is set; `content` is the file's, or
    the resource's own lines with noise taken out; of what is hidden and of plain JSON it is empty. `sealed` is a file
    of which nothing but its `size` may be told.
    """

    key: Key
    file: str
    data: Any = dataclasses.field(default=None, repr=False)
    content: bytes = dataclasses.field(default=b"", repr=False)
    kind: source.FileKind = source.FileKind.FILE
    hidden: bool = False
    sealed: bool = False
    size: int = 0

    @property
    def title(self) -> str:
        """`Kind/name`, or the path of a file."""
        return f"{self.key[1]}/{self.key[3]}" if self.key[1] else self.key[3]


def parted(path: str, file: source.File) -> Iterator[Piece]:
    """The pieces of one file."""
    whole = Piece(("", "", "", path), path, content=file.content, kind=file.kind, size=len(file.content))
    if file.kind is source.FileKind.LINK or not path.lower().endswith(_YAML):
        yield _guarded(whole)
        return
    try:
        documents = yaml.documents(file.content, path)
    except yaml.YamlError:
        yield _guarded(whole)
        return
    encrypted = all(mark in file.content for mark in _SOPS)
    suspicious = encrypted or b"ecret" in file.content or b"\\" in file.content
    if any(_members(one.data) for one in documents) or (
        suspicious and any(_hidden(one.data) for one in documents)
    ):
        yield from _resources(whole, documents, encrypted=encrypted, suspicious=suspicious)
    elif encrypted:
        data = _alone([one.data for one in documents])
        yield dataclasses.replace(whole, data=data, content=b"", hidden=True)
    else:
        yield whole


def _guarded(whole: Piece) -> Piece:
    """A file that is shown as it is, unless a secret may be in it: nothing here can tell which part of it is one."""
    sealed = all(mark in whole.content for mark in _SOPS) or _SECRET.search(whole.content) is not None
    return dataclasses.replace(whole, sealed=sealed, hidden=sealed)


def _resources(
    whole: Piece, documents: list[yaml.Document], *, encrypted: bool, suspicious: bool
) -> Iterator[Piece]:
    text = whole.content.decode("utf-8-sig")
    lines = [] if _ODD_BREAKS.search(text) else text.replace("\r\n", "\n").split("\n")
    rest: list[Any] = []
    for number, document in enumerate(documents):
        members = _members(document.data)
        if not members:
            rest.append(document.data)
        alone = len(members) == 1 and members[0] is document.data
        end = documents[number + 1].line - 1 if number + 1 < len(documents) else len(lines)
        for data in members:
            hidden = encrypted or (suspicious and _hidden(data))
            content = b"" if hidden or not alone or not lines else _own_lines(lines, document, end)
            yield dataclasses.replace(whole, key=_key(data), data=data, content=content, hidden=hidden)
    if rest:
        hidden = encrypted or (suspicious and any(_hidden(data) for data in rest))
        yield dataclasses.replace(whole, data=_alone(rest), content=b"", hidden=hidden)


def _alone(documents: list[Any]) -> Any:
    return documents[0] if len(documents) == 1 else documents


def _members(data: Any) -> list[Mapping[str, Any]]:
    """The resources in a document: itself, or the items of a list; none where it is something else."""
    if not isinstance(data, Mapping) or not isinstance(data.get("apiVersion"), str):
        return []
    kind, items = data.get("kind"), data.get("items")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        inherited = {"apiVersion": data["apiVersion"], "kind": kind.removesuffix("List")}
        made = [{**inherited, **item} if isinstance(item, Mapping) else item for item in items]
        return made if made and all(_named(item) for item in made) else []
    return [data] if _named(data) else []


def _named(data: Any) -> bool:
    if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str) or not data["kind"]:
        return False
    metadata = data.get("metadata")
    return isinstance(metadata, Mapping) and isinstance(metadata.get("name"), str) and bool(metadata["name"])


def _key(data: Mapping[str, Any]) -> Key:
    group, slash, _ = str(data["apiVersion"]).rpartition("/")
    metadata = data["metadata"]
    return (group if slash else "", data["kind"], str(metadata.get("namespace") or ""), metadata["name"])


def _hidden(data: Any) -> bool:
    """Whether a secret is in it: it is one, it generates one, or one stands somewhere below or in a text."""
    if isinstance(data, str):
        return (
            "Secret" in data and _SECRET_TEXT.search(data) is not None and any(one in data for one in _VALUES)
        )
    if isinstance(data, Mapping):
        kind = str(data.get("kind", "")).removesuffix("List")
        if kind in weighing.SECRETS and ("metadata" in data or not _VALUES.isdisjoint(data)):
            return True
        return "secretGenerator" in data or any(_hidden(value) for value in data.values())
    return isinstance(data, list) and any(_hidden(value) for value in data)


def _own_lines(lines: list[str], document: yaml.Document, end: int) -> bytes:
    """The lines of a document, without those of noise and without what stands between it and the next."""
    start = document.line - 1
    if lines[start].lstrip().startswith(("{", "[", "---")):
        return b""
    noise = {
        place[0] - 1
        for path, place in document.positions.items()
        if len(path) > 2 and weighing.is_noise(tuple(map(str, path)))  # noqa: PLR2004 - metadata.labels.name
    }
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith(_SEPARATOR)):
        end -= 1
    return "\n".join([*(lines[at] for at in range(start, end) if at not in noise), ""]).encode()


# --- what can be shown of a piece ----------------------------------------------------------------------


def leaves(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every scalar of plain data and its path; items of lists go by their number."""
    if isinstance(data, Mapping) and data:
        for name, value in data.items():
            yield from leaves(value, (*path, str(name)))
    elif isinstance(data, list) and data:
        for number, value in enumerate(data):
            yield from leaves(value, (*path, str(number)))
    else:
        yield path, data


def is_open(path: tuple[str, ...], value: Any) -> bool:
    """Whether a value of a hidden resource may be seen: what it is and what it is called."""
    if isinstance(value, str) and "ENC[" in value:
        return False
    named = len(path) > 1 and path[0] == "metadata" and path[1] in _OPEN_METADATA
    return path in _OPEN or named


def is_sealing(path: tuple[str, ...]) -> bool:
    """Whether a field is what SOPS wrote about a file, which changes each time and tells nothing."""
    return path[:1] == ("sops",) or (len(path) > 1 and path[0].isdigit() and path[1] == "sops")


def shown(piece: Piece, other: Piece | None) -> bytes:
    """What diffs of a piece are made of. Of hidden ones: names of keys, and which have another value than `other`."""
    if piece.sealed:
        return f"{piece.size} bytes, not shown: there may be a secret in it\n".encode()
    if not piece.hidden:
        return piece.content or yaml.dump(_without_noise(piece.data, ())).encode()
    theirs = dict(leaves(other.data)) if other is not None else None
    return "".join(f"{line}\n" for line in _hidden_lines(piece.data, theirs)).encode()


def _hidden_lines(data: Any, theirs: Mapping[tuple[str, ...], Any] | None) -> Iterator[str]:
    for path, value in leaves(data):
        if is_sealing(path) or weighing.is_noise(path):
            continue
        name = ".".join(path)
        if is_open(path, value):
            yield f"{name}: {value}"
        elif theirs is None or path not in theirs or theirs[path] == value:
            yield f"{name}: {mask.MASK}"
        else:
            yield f"{name}: {mask.MASK} (another value)"


def _without_noise(data: Any, path: tuple[str, ...]) -> Any:
    if isinstance(data, Mapping):
        return {
            name: _without_noise(value, (*path, str(name)))
            for name, value in data.items()
            if not weighing.is_noise((*path, str(name)))
        }
    if isinstance(data, list):
        return [_without_noise(value, (*path, str(number))) for number, value in enumerate(data)]
    return data


def is_binary(piece: Piece) -> bool:
    """Whether there is nothing in it to read."""
    return piece.data is None and textdiff.is_binary(piece.content)
