"""From what a tool printed back to the file that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from undrift.lib import yaml
from undrift.model import source

Positions = Mapping[tuple[str | int, ...], tuple[int, int]]


class Tracer:
    """Finds where rendered objects stand in the files of an artifact; each file is read once."""

    def __init__(self, files: Mapping[str, source.File]) -> None:
        self._files = files
        self._read: dict[str, list[yaml.Document]] = {}

    def positions(self, path: str, data: Any) -> Positions:
        """Where the fields of an object stand in `path`: those of the manifest it was made from."""
        documents = self._documents(path)
        same = [one for one in documents if _kind(one.data) == _kind(data)]
        named = [one for one in same if _name(one.data) and _name(one.data) in _name(data)]
        found = named or same or documents
        return found[0].positions if found else {}

    def line_of(self, path: str, data: Any) -> Positions:
        """The same for a template, which is no YAML: the line that says the kind, near the one with the name."""
        file = self._files.get(path)
        if file is None:
            return {}
        lines = file.content.decode("utf-8", "replace").split("\n")
        kind = f"kind: {_kind(data)}"
        for number, line in enumerate(lines, start=1):
            if line.strip() == kind:
                return {(): (number, 1)}
        return {(): (1, 1)}

    def mention(self, data: Any, default: str) -> tuple[str, Positions]:
        """The file and line that say the name of an object, in quotes: where a program has it from."""
        name = _name(data)
        quoted = (f'"{name}"', f"'{name}'") if name else ()
        for path, file in self._files.items():
            lines = file.content.decode("utf-8", "replace").split("\n") if quoted else []
            for number, line in enumerate(lines, start=1):
                if any(each in line for each in quoted):
                    return path, {(): (number, 1)}
        return default, {(): (1, 1)}

    def _documents(self, path: str) -> list[yaml.Document]:
        if path not in self._read:
            file = self._files.get(path)
            try:
                self._read[path] = yaml.documents(file.content, path) if file is not None else []
            except yaml.YamlError:
                self._read[path] = []
        return self._read[path]


def is_same(one: Any, other: Any) -> bool:
    """Whether two objects are of one kind and bear one name, give or take what a tool put around it."""
    return _kind(one) == _kind(other) and bool(_name(one)) and _name(one) in _name(other)


def _kind(data: Any) -> str:
    return str(data.get("kind", "")) if isinstance(data, Mapping) else ""


def _name(data: Any) -> str:
    metadata = data.get("metadata") if isinstance(data, Mapping) else None
    return str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""
