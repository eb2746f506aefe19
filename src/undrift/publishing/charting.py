"""The values of a chart: what there are, and how a stage's `set` and `images` change them before Helm is run.

A value has to be there already, in the chart's own values, those of its dependencies or the stage's, or `create` says
that it may be new: a name with a typing error would otherwise change nothing and say nothing.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import dotted, scalars, splicing, words, yaml
from undrift.model import delivery, source
from undrift.publishing import editing, referring

_NAMES: Final = ("repository", "name", "image")
_PARTS: Final = frozenset({"repository", "tag", "digest"})
_FIELDS: Final = (".repository", ".tag", ".digest", ".registry", ".image")


@dataclasses.dataclass(slots=True)
class Values:
    """The values of one stage: all that are known, and those that are given to Helm above all files (`given`)."""

    known: Any
    given: dict[str, Any]

    def put(self, path: Sequence[str | int], value: Any) -> None:
        """Set a value. A list that it lies in is given whole, since Helm replaces lists."""
        for length, step in enumerate(path):
            if isinstance(step, int):
                there, _ = splicing.find(self.given, path[:length])
                if not there:
                    whole = copy.deepcopy(splicing.find(self.known, path[:length])[1])
                    splicing.put_in(self.given, path[:length], whole)
                break
        for data in (self.known, self.given):
            splicing.put_in(data, path, value)


def merged(below: Any, above: Any) -> Any:
    """Two nested mappings as Helm merges values: what is above wins, mappings key by key; null takes away."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return copy.deepcopy(above)
    both = {**copy.deepcopy(dict(below))}
    for key, value in above.items():
        if value is None and key in both:
            both[key] = None
        else:
            both[key] = merged(both.get(key), value)
    return both


def defaults(files: Mapping[str, bytes], folder: str = "") -> Any:
    """The values that a chart brings, its dependencies' under their names. `files` by path; the chart is in `folder`."""
    front = f"{folder}/" if folder not in {"", "."} else ""
    below: dict[str, Any] = {}
    aliases = _aliases(_read(files.get(f"{front}Chart.yaml")))
    for name, inner in _dependencies(files, f"{front}charts/"):
        for alias in aliases.get(name, [name]):
            below[alias] = inner
    return merged(below, _read(files.get(f"{front}values.yaml")))


def unpacked(content: bytes) -> dict[str, bytes]:
    """The files of a packed chart that `defaults` reads, without the folder that they are packed in."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        for member in archive:
            name = posixpath.normpath(member.name).partition("/")[2]
            wanted = name.endswith((".tgz", "values.yaml", "Chart.yaml"))
            read = archive.extractfile(member) if member.isfile() and wanted else None
            if read is not None:
                found[name] = read.read()
    return found


def set_values(values: Values, wanted: Sequence[tuple[int, delivery.Value]]) -> list[errors.UndriftError]:
    """Set values. Returns what is wrong: `ValueUnknown`s."""
    wrong: list[errors.UndriftError] = []
    for index, one in wanted:
        label = f'set[{index}] "{one.path}"'
        try:
            steps = dotted.parse(one.path)
        except ValueError as error:
            wrong.append(errors.ValueUnknown(f"{label} is no path", origin=one.origin, why=str(error)))
            continue
        path = dotted.resolve(values.known, steps)
        rest = steps[len(path) :]
        there, old = splicing.find(values.known, path)
        creatable = isinstance(old, Mapping) or old is None
        if not rest and there:
            values.put(path, scalars.like(old, one.value))
        elif one.create and creatable and all(isinstance(step, str) for step in rest):
            values.put((*path, *(str(step) for step in rest)), one.value)
        else:
            wrong.append(_unknown(label, one, values))
    return wrong


def set_images(
    values: Values, images: Sequence[tuple[int, delivery.Image]]
) -> tuple[list[tuple[int, delivery.Image]], list[errors.UndriftError]]:
    """Set those images whose name is a path to an image in the values. Returns the others, and what is wrong."""
    rest: list[tuple[int, delivery.Image]] = []
    wrong: list[errors.UndriftError] = []
    for index, one in images:
        path = _image_path(values.known, one.name)
        if path is None:
            rest.append((index, one))
            continue
        there, held = splicing.find(values.known, path)
        if there and isinstance(held, str):
            values.put(path, referring.replaced(held, one))
            continue
        try:
            for key, text in _parts(held, one, f'images[{index}] "{one.name}"'):
                values.put((*path, key), text)
        except errors.UndriftError as error:
            wrong.append(error)
    return rest, wrong


def is_narrow(value: delivery.Value) -> bool:
    """Whether a value is meant for what the chart renders to, and not for its values."""
    return not {value.file, value.resource} <= editing.EVERY


def _image_path(known: Any, name: str) -> tuple[str | int, ...] | None:
    """The place of an image in the values that a name means: a mapping of its parts, or its reference as text.

    `image.tag` means the image whose tag that is.
    """
    try:
        steps = dotted.parse(name)
    except ValueError:
        return None
    path = dotted.resolve(known, steps)
    if len(path) < len(steps):
        return None
    held = splicing.find(known, path)[1]
    if isinstance(held, Mapping):
        return path if _PARTS & held.keys() else None
    if len(path) > 1 and path[-1] in _PARTS:
        return path[:-1]
    return path if isinstance(held, str) and str(path[-1]).lower().endswith("image") else None


def _parts(held: Mapping[str, Any], image: delivery.Image, label: str) -> Iterator[tuple[str, str]]:
    """The keys of an image in values, and what they become."""
    if image.new_name:
        key = next((name for name in _NAMES if name in held), "repository")
        host, slash, rest = image.new_name.partition("/")
        named = bool(slash) and (set(host) & {".", ":"} or host == "localhost")
        if "registry" in held:
            yield "registry", host if named else "docker.io"
            yield key, rest if named else image.new_name
        else:
            yield key, image.new_name
    if not (image.new_tag or image.digest):
        return
    tag = image.new_tag or str(held.get("tag") or "")
    if "digest" in held:
        yield "digest", image.digest
        if image.new_tag:
            yield "tag", image.new_tag
    elif not image.digest:
        yield "tag", image.new_tag
    elif tag:
        yield "tag", f"{tag.partition('@')[0]}@{image.digest}"
    else:
        raise errors.ValueUnknown(
            f"{label} has no digest in the values of the chart",
            origin=image.origin,
            hint="give newTag, too: the digest is written behind the tag",
        )


def _unknown(label: str, one: delivery.Value, values: Values) -> errors.ValueUnknown:
    near = words.nearest(one.path, [dotted.write(path) for path in dotted.leaves(values.known)])
    nearest = f"nearest: {near}; " if near else ""
    return errors.ValueUnknown(
        f"{label} is not in the values of the chart",
        origin=one.origin,
        hint=f"{nearest}add create: true to create it",
    )


def _aliases(chart: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    entries = chart.get("dependencies") if isinstance(chart, Mapping) else None
    for one in entries if isinstance(entries, list) else ():
        if isinstance(one, Mapping) and one.get("name"):
            found.setdefault(str(one["name"]), []).append(str(one.get("alias") or one["name"]))
    return found


def _dependencies(files: Mapping[str, bytes], front: str) -> Iterator[tuple[str, Any]]:
    """Name and values of each chart in a folder `charts/`."""
    for path in sorted(files):
        if not path.startswith(front):
            continue
        inner = path[len(front) :]
        name, slash, rest = inner.partition("/")
        if not slash and name.endswith(".tgz"):
            try:
                packed = unpacked(files[path])
            except (tarfile.TarError, OSError, EOFError):
                continue
            yield _chart_name(packed.get("Chart.yaml"), name), defaults(packed)
        elif rest == "Chart.yaml":
            yield _chart_name(files[path], name), defaults(files, f"{front}{name}")


def _chart_name(content: bytes | None, default: str) -> str:
    chart = _read(content)
    return str(chart.get("name") or default) if isinstance(chart, Mapping) else default


def _read(content: bytes | None) -> Any:
    """A file of values; what cannot be read is for Helm to complain about."""
    try:
        found = yaml.documents(content or b"")
    except yaml.YamlError:
        return {}
    return found[0].data if found and isinstance(found[0].data, Mapping) else {}


def read_values(files: Mapping[str, source.File], paths: Sequence[str], below: Any) -> Any:
    """Values with those of files above, the last one wins."""
    for path in paths:
        file = files.get(posixpath.normpath(path))
        below = merged(below, _read(file.content if file is not None else None))
    return below
