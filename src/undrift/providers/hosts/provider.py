"""The provider `hosts`: one machine, reached by a transport."""

from __future__ import annotations

import asyncio
import os
import pathlib
import posixpath
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from undrift import errors, interfaces
from undrift.lib import canonical
from undrift.model import inventory, plan, resource, target
from undrift.providers.hosts import (
    applying,
    book,
    describing,
    failing,
    kinds,
    local,
    login,
    managing,
    manifest,
    observing,
    restoring,
    settings,
    shelf,
    supervision,
    systemd,
    transport,
    watching,
)
from undrift.providers.hosts.system import facts, previewing

if TYPE_CHECKING:
    from undrift.providers.hosts.ssh import opening

_FACTS_LAST: Final = 60.0
_SIDE_BY_SIDE: Final = 64
"""Changes at a time on a host over SSH: those go in one command."""


class HostsProvider:
    """Implements `interfaces.Provider` for `provider: hosts`: the machine that the agent runs on, or one over SSH."""

    def __init__(self) -> None:
        self._shelves: dict[str, shelf.Shelf] = {}
        self._far: opening.Switchboard | None = None

    def capabilities(self, place: target.Target) -> target.Capabilities:
        """See `interfaces.Provider`."""
        return target.Capabilities(
            watch=True,
            compare_and_set=True,
            kind_order=kinds.ORDER,
            instant=kinds.INSTANT,
            concurrency=_SIDE_BY_SIDE if "address" in place.settings else 1,
        )

    def load(
        self, rendered: interfaces.Rendered, facts: target.Facts, place: target.Target, namespace: str = ""
    ) -> resource.DesiredState:
        """See `interfaces.Provider`. A host has no namespaces."""
        return manifest.load(rendered, facts, settings.read(place))

    def rights(
        self, name: str, facts: target.Facts, wanted: Mapping[str, Collection[resource.Resource]]
    ) -> str:
        """See `interfaces.Provider`: none."""
        return ""

    def scopes(self, place: target.Target, ids: Collection[resource.ResourceId]) -> frozenset[str]:
        """Files stand alone; a file that several put blocks into does not, nor do managers of services and packages."""
        return frozenset(scope for rid in ids if (scope := kinds.scope_of(rid)))

    async def connect(self, place: target.Target, secrets: interfaces.SecretResolver) -> interfaces.Session:
        """See `interfaces.Provider`. Makes the folder of our own records where it is missing."""
        given = settings.read(place)
        if given.remote is not None:
            return await self._connect(given, given.remote, secrets)
        await asyncio.to_thread(_prepare, given)
        marked = self._shelves.setdefault(given.state, shelf.Shelf(given.state))
        here = local.LocalTransport(given.root)
        return HostsSession(given, here, marked, _managers(given, here))

    async def _connect(
        self, given: settings.Settings, remote: login.Remote, secrets: interfaces.SecretResolver
    ) -> HostsSession:
        from undrift.providers.hosts.ssh import opening  # noqa: PLC0415 - a quarter of a second, for hosts over SSH

        self._far = self._far or opening.Switchboard()
        far = await self._far.connect(remote, given.root, given.state, secrets)
        return FarSession(given, far, await far.managers(given.root))


class HostsSession:
    """Implements `interfaces.Session` on one machine."""

    def __init__(
        self,
        place: settings.Settings,
        host: transport.Transport,
        marked: shelf.Shelf,
        managers: Mapping[str, managing.Manager],
    ) -> None:
        self._place = place
        self._host = host
        self._shelf = marked
        self._book = book.Book(marked)
        services = managing.Services(managers, host)
        self._observer = observing.Observer(host, self._book, services)
        keepsakes = restoring.Keepsakes(host, self._book, restoring.folder(place.state, place.root))
        self._applier = applying.Applier(host, self._book, services, self._observer, keepsakes, place.real)
        self._facts: tuple[float, target.Facts] | None = None

    async def discover(self) -> target.Facts:
        """See `interfaces.Session`. Asked anew after a minute."""
        if self._facts is None or time.monotonic() - self._facts[0] > _FACTS_LAST:
            self._facts = (time.monotonic(), await self._discover())
        return self._facts[1]

    async def _discover(self) -> target.Facts:
        values: dict[str, Any] = dict(await self._host.discover())
        _, (told,) = await self._host.survey({}, [facts.QUESTION])
        values |= facts.read(told)
        around: Mapping[str, Any] = {
            "root": self._place.root,
            "vars": dict(self._place.variables),
            "manager": self._place.manager,
        }
        return target.Facts(values, canonical.digest([values, around]))

    async def study(self, rendered: interfaces.Rendered) -> None:
        """Nothing has to be asked for."""

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """See `interfaces.Session`."""
        return await self._observer.observe(ids, owner)

    async def tidy(self, owner: inventory.Owner) -> None:
        """See `interfaces.Session`."""
        await self._observer.tidy(owner)

    async def preview(self, situation: plan.Situation) -> plan.Previews:
        """Everything can be changed in place; whether a package can be had is asked before it is needed."""
        warnings = await previewing.unsatisfied(self._host, situation)
        return plan.Previews(warnings=tuple(warnings)) if warnings else plan.NO_PREVIEWS

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`."""
        await self._applier.intend(changes, owner, revision)

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`."""
        await self._applier.apply(change, owner, revision)

    async def describe(self, change: plan.Change) -> str:
        """See `interfaces.Session`."""
        return await describing.describe(change, self._host)

    def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """See `interfaces.Session`."""
        folders = {str(supervision.layout(self._place.state).program("any").parent): kinds.SERVICE}
        return watching.watch(self._shelf, self._place.real, folders)

    async def close(self) -> None:
        """See `interfaces.Session`."""
        await asyncio.to_thread(self._book.try_to_flush)


class FarSession(HostsSession):
    """A session on a host over SSH."""

    def __init__(
        self, place: settings.Settings, far: opening.Far, managers: Mapping[str, managing.Manager]
    ) -> None:
        super().__init__(place, far.host, far.marked, managers)
        self.far = far

    def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """See `interfaces.Session`."""
        return self.far.watch()

    async def close(self) -> None:
        """See `interfaces.Session`."""
        await super().close()
        await self.far.hang_up()


def _managers(place: settings.Settings, host: transport.Transport) -> Mapping[str, managing.Manager]:
    """The service managers of a machine; systemd's units lie outside of any root but `/`."""
    found: dict[str, managing.Manager] = {"supervisor": supervision.Supervisor(place.state, place.real)}
    if place.root == "/" and local.has_systemd():
        folder = systemd.folder(str(pathlib.Path.home()))
        found["systemd"] = systemd.Systemd(host, folder, own=os.geteuid() != 0)
    return found


def _prepare(place: settings.Settings) -> None:
    """The root must be there already; our own folder is made, for us alone."""
    if not pathlib.Path(place.root).is_dir():
        raise errors.TargetUnavailable(
            f"the target's root {place.root} is not there",
            hint="make the folder (or mount it), or correct settings.root of the Target",
        )
    try:
        pathlib.Path(posixpath.dirname(place.state)).mkdir(mode=0o755, parents=True, exist_ok=True)
        pathlib.Path(place.state).mkdir(mode=0o700, exist_ok=True)
        status = os.lstat(place.state)
    except OSError as error:
        told = failing.explain(error, place.state, "making the state folder")
        told.hint = told.hint or "set settings.state of the Target to a folder that we may write"
        raise told from error
    if status.st_uid not in {os.geteuid(), 0}:
        raise errors.TargetDenied(
            f"the state folder {place.state} belongs to somebody else",
            why=f"to uid {status.st_uid}, and we are uid {os.geteuid()}",
            hint="set settings.state of the Target to a folder of our own",
        )
