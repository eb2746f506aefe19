"""Hosts, on this machine: a thing is a file in a folder that stands for the whole of it."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import AsyncIterator, Mapping

from undrift import interfaces
from undrift.model import resource, target
from undrift.providers.hosts import provider
from undrift.testing.conformance import stand


class HostsLocalStand(stand.Stand):
    """A folder as the root of a host."""

    field = "digest"

    def __init__(self, folder: pathlib.Path) -> None:
        self.root = folder / "root"
        self.things = self.root / "etc" / "things"
        self.things.mkdir(parents=True)
        self.place = target.Target("here", "hosts", settings={"root": str(self.root)})

    def provider(self) -> interfaces.Provider:
        return provider.HostsProvider()

    def files(self, things: Mapping[str, str], application: str) -> Mapping[str, str]:
        rows = "".join(
            f"    - {{path: /etc/things/{name}, content: {value}}}\n" for name, value in things.items()
        )
        return {"host.yaml": f"apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  files:\n{rows}"}

    def id(self, thing: str, application: str) -> resource.ResourceId:
        return resource.ResourceId.of("File", f"/etc/things/{thing}")

    async def read(self, application: str) -> Mapping[str, str]:
        return {path.name: path.read_text() for path in self.things.iterdir() if path.is_file()}

    async def put(self, thing: str, value: str, application: str) -> None:
        (self.things / thing).write_text(value)

    async def remove(self, thing: str, application: str) -> None:
        (self.things / thing).unlink()

    def away(self) -> contextlib.AbstractAsyncContextManager[None]:
        return self._unmounted()

    @contextlib.asynccontextmanager
    async def _unmounted(self) -> AsyncIterator[None]:
        gone = self.root.rename(self.root.with_name("unmounted"))
        try:
            yield
        finally:
            gone.rename(self.root)

    @contextlib.asynccontextmanager
    async def refusing(self, thing: str, application: str) -> AsyncIterator[None]:
        in_the_way = self.things / thing
        in_the_way.mkdir()
        try:
            yield
        finally:
            in_the_way.rmdir()
