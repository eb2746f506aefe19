"""Whose a playbook is, and how it was applied last: one small file for each, in the state folder."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Final
from urllib import parse

from undrift import errors
from undrift.lib import atomic
from undrift.model import inventory, resource, source

_MOST: Final = 8 << 20
"""Bytes of files that are kept for a `destroy` playbook."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leaving:
    """What is run when the application leaves: settings of the renderer, and files that were not encrypted."""

    recipe: Mapping[str, Any]
    files: Mapping[str, source.File] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One playbook: its owner, the revision and the fields that were applied (`hidden`:
    some of them are secret), and how the last run ended.

    `problem` is why it ended badly ("" = well); `surprises` are tasks that changed something though check mode had
    not foreseen it.
    """

    agent: str
    application: str
    revision: str
    fingerprint: str
    fields: Mapping[str, Any]
    hidden: bool = False
    problem: str = ""
    surprises: tuple[str, ...] = ()
    leaving: Leaving | None = dataclasses.field(default=None, repr=False)

    def mark(self, rid: resource.ResourceId) -> inventory.Mark:
        """The mark that it amounts to."""
        return inventory.Mark(self.agent, self.application, rid, self.revision, self.fingerprint)


class Book:
    """Entries of one target. Raises `TargetDenied` where the folder cannot be used."""

    def __init__(self, state: str, place: str) -> None:
        self._folder = pathlib.Path(state) / parse.quote(place, safe="")

    def prepare(self) -> None:
        """Make the folder, for us alone."""
        with self._explained():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, rid: resource.ResourceId) -> Entry | None:
        """The entry of a playbook, None where there is none."""
        with self._explained():
            try:
                return _decode(json.loads(self._path(rid).read_bytes()))
            except FileNotFoundError:
                return None

    def of(self, owner: inventory.Owner) -> dict[resource.ResourceId, Entry]:
        """Every entry of an owner."""
        found: dict[resource.ResourceId, Entry] = {}
        with self._explained():
            for path in sorted(self._folder.glob("*.json")):
                rid = resource.ResourceId.of("Playbook", parse.unquote(path.stem))
                entry = self.read(rid)
                if entry is not None and owner.owns(entry.mark(rid)):
                    found[rid] = entry
        return found

    def write(self, rid: resource.ResourceId, entry: Entry) -> None:
        """Keep an entry, whatever was there before."""
        with self._explained():
            atomic.write(self._path(rid), json.dumps(_encode(entry)).encode())

    def drop(self, rid: resource.ResourceId) -> None:
        """Forget a playbook."""
        with self._explained():
            self._path(rid).unlink(missing_ok=True)

    def _path(self, rid: resource.ResourceId) -> pathlib.Path:
        return self._folder / f"{parse.quote(rid.name, safe='')}.json"

    @contextlib.contextmanager
    def _explained(self) -> Any:
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = (
                os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is damaged"
            )
            raise errors.TargetDenied(
                f"the state folder {self._folder} cannot be used",
                why=reason,
                hint="set settings.state of the Target to a folder that we may write, and keep it across restarts",
            ) from error


def keep(
    recipe: Mapping[str, Any], files: Mapping[str, source.File], encrypted: frozenset[str]
) -> Leaving | None:
    """What to keep for leaving; None where nothing is declared. Raises `ResourceInvalid` where it is too much."""
    if not recipe.get("destroy"):
        return None
    kept = {name: file for name, file in files.items() if name not in encrypted}
    if sum(len(file.content) for file in kept.values()) > _MOST:
        raise errors.ResourceInvalid(
            "the files of this application are too many to keep for its destroy playbook",
            why=f"more than {_MOST >> 20} MiB",
            hint="move what is large out of the folder, or leave destroy out",
        )
    return Leaving({**recipe, "varsFiles": [n for n in recipe.get("varsFiles", ()) if n in kept]}, kept)


def _encode(entry: Entry) -> dict[str, Any]:
    data = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    if entry.leaving is not None:
        files = {
            name: [file.kind.value, base64.b64encode(file.content).decode()]
            for name, file in entry.leaving.files.items()
        }
        data["leaving"] = {"recipe": dict(entry.leaving.recipe), "files": files}
    return data


def _decode(data: Mapping[str, Any]) -> Entry:
    leaving = data["leaving"]
    kept = None
    if leaving is not None:
        files = {
            name: source.File(base64.b64decode(content), source.FileKind(kind))
            for name, (kind, content) in leaving["files"].items()
        }
        kept = Leaving(leaving["recipe"], files)
    return Entry(**{**data, "surprises": tuple(data["surprises"]), "leaving": kept})
