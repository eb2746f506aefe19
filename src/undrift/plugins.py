"""Which providers, renderers and notifiers there are: entry points, read once; ours are declared there too.

Groups: `undrift.providers`, `undrift.renderers`, `undrift.notifiers`. Each entry point is a class; what it is
called with is said at `Registry`. A plug-in that cannot be loaded is an error when it is used, not before.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from undrift import errors
from undrift.lib import words

if TYPE_CHECKING:
    from importlib import metadata

    from undrift import interfaces


class Registry:
    """Makes providers (called with nothing) and renderers (called with the decryptor), one of each, on demand."""

    def __init__(self, decryptor: interfaces.Decryptor | None) -> None:
        self._decryptor = decryptor
        self._made: dict[tuple[str, str], Any] = {}

    def provider(self, kind: str) -> interfaces.Provider:
        """The provider for a kind of target. Raises `ReferenceUnknown`."""
        found: interfaces.Provider = self._make("undrift.providers", kind, ())
        return found

    def renderer(self, kind: str) -> interfaces.Renderer:
        """The renderer of that kind. Raises `ReferenceUnknown`."""
        found: interfaces.Renderer = self._make("undrift.renderers", kind, (self._decryptor,))
        return found

    def notifier(self, kind: str, url: str) -> interfaces.Notifier:
        """A notifier that sends to `url`. Raises `ReferenceUnknown`."""
        found: interfaces.Notifier = _load("undrift.notifiers", kind)(url)
        return found

    def _make(self, group: str, kind: str, arguments: tuple[Any, ...]) -> Any:
        if (group, kind) not in self._made:
            self._made[group, kind] = _load(group, kind)(*arguments)
        return self._made[group, kind]


@functools.cache
def known(group: str) -> Mapping[str, metadata.EntryPoint]:
    """The entry points of a group by name."""
    from importlib import metadata  # noqa: PLC0415 - who needs no plug-in need not wait for it

    return {entry.name: entry for entry in metadata.entry_points(group=group)}


def _load(group: str, kind: str) -> Any:
    entries = known(group)
    what = group.rpartition(".")[2].removesuffix("s")
    if kind not in entries:
        raise errors.ReferenceUnknown(
            f"there is no {what} called {kind}",
            hint=words.suggestion(kind, entries) or "is its package installed?",
        )
    try:
        return entries[kind].load()
    except ImportError as error:
        raise errors.ReferenceUnknown(
            f"the {what} {kind} cannot be loaded", why=str(error), hint="install what it needs"
        ) from error
