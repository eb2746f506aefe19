"""One list and watch a kind, over marked resources only, for ever.

The first list is streamed where the server does that (KEP-3157), read page by page where it does not. A watch
that ends goes on where it stood; one that is too old begins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Any, Final

import orjson

from undrift import errors
from undrift.model import resource
from undrift.providers.kubernetes import client, discovery, failing, marks, mirror

_PAGE: Final = "500"
_PATIENCE: Final = 20.0
_LONGEST_PAUSE: Final = 15.0
_INITIAL_END: Final = "k8s.io/initial-events-end"
_TEN_MINUTES: Final = "600"
_RESUMED: Final = 0.2
"""A server accepts a watch before it says that it cannot go on there: that comes at once, or not at all."""


class Watch:
    """One kind, at one path. `fresh` is set while what the mirror has of it can be relied on."""

    def __init__(self, api: client.Client, kind: discovery.Api, into: mirror.Mirror) -> None:
        self._api = api
        self._kind = kind
        self.path = kind.path()
        self._mirror = into
        self._version = ""
        self._streams = True
        self.fresh = asyncio.Event()
        self.error: errors.UndriftError | None = None
        self.denied = False
        self._task = asyncio.create_task(self._run(), name=f"watch {kind.name}")

    async def ready(self) -> None:
        """Until the mirror can be relied on. Raises the error that stands in the way."""
        if self.fresh.is_set() or self.denied:
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                while not self.fresh.is_set() and not self.denied:
                    waiting = asyncio.ensure_future(self.fresh.wait())
                    await asyncio.wait({waiting}, timeout=0.2)
                    waiting.cancel()
        except TimeoutError:
            raise errors.TargetUnavailable(
                f"{self._kind.name} cannot be watched",
                why=str(self.error) if self.error else f"the first list took longer than {_PATIENCE:g} s",
                hint="it is tried again",
            ) from self.error

    async def close(self) -> None:
        """End it."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._turn()
                failures = 0
                continue
            except failing.Gone as error:
                self.fresh.clear()
                resumed, self._version, self.error = bool(self._version), "", error
                if resumed:
                    continue
            except errors.UndriftError as error:
                self.error = error
                self.denied = isinstance(error, errors.TargetDenied)
            except Exception as error:  # noqa: BLE001 - a defect here must not end the watch
                self._version, self.error = "", _defect(error, self._kind.name)
                self._mirror.fail(self.error)
            self.fresh.clear()
            failures += 1
            await asyncio.sleep(min(_LONGEST_PAUSE, 0.05 * 2**failures) * random.uniform(0.5, 1))  # noqa: S311 - spreads load

    async def _turn(self) -> None:
        """From one end of a watch to the next."""
        if not self._version and not self._streams:
            await self._list()
        params = {"labelSelector": marks.LABEL, "allowWatchBookmarks": "true", "timeoutSeconds": _TEN_MINUTES}
        there: set[resource.ResourceId] | None = None
        if self._version:
            params["resourceVersion"] = self._version
        else:
            params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            there = set()
        try:
            await self._read(params, there)
        except errors.ChangeRefused:
            if there is None:
                raise
            self._streams = False

    async def _read(self, params: Mapping[str, str], there: set[resource.ResourceId] | None) -> None:
        """One watch until the server ends it; `there` is None when it goes on where one stood."""
        resumed: asyncio.TimerHandle | None = None
        try:
            async with contextlib.aclosing(self._api.watch(self.path, params)) as lines:
                async for line in lines:
                    if line:
                        there = self._event(orjson.loads(line), there)
                        if there is None:
                            self._well()
                    elif there is None:
                        resumed = asyncio.get_running_loop().call_later(_RESUMED, self._well)
        finally:
            if resumed is not None:
                resumed.cancel()

    def _well(self) -> None:
        if not self.fresh.is_set():
            self.error, self.denied = None, False
            self.fresh.set()

    def _event(
        self, event: Mapping[str, Any], there: set[resource.ResourceId] | None
    ) -> set[resource.ResourceId] | None:
        """One event; `there` gathers the first list until it is whole, then it is None."""
        sort, data = event["type"], event["object"]
        if sort == "ERROR":
            raise failing.explain(int(data.get("code", 500)), data, f"watching {self.path}")
        metadata = data["metadata"]
        version = metadata.get("resourceVersion", "")
        if sort == "BOOKMARK":
            if there is not None and (metadata.get("annotations") or {}).get(_INITIAL_END) == "true":
                self._mirror.keep_only(self._kind.name, there, int(version))
                there = None
            if there is None:
                self._version = version
            return there
        rid = self._id(metadata)
        if sort == "DELETED":
            self._mirror.drop(rid, int(version or 0))
        else:
            self._mirror.take(rid, data)
        if there is not None:
            there.add(rid)
        else:
            self._version = version
        return there

    def _id(self, metadata: Mapping[str, Any]) -> resource.ResourceId:
        return resource.ResourceId(self._kind.name, metadata.get("namespace", ""), metadata["name"])

    async def _list(self) -> None:
        """The first list page by page, for servers that do not stream it."""
        params = {"labelSelector": marks.LABEL, "limit": _PAGE}
        there: set[resource.ResourceId] = set()
        while True:
            page = await self._api.get(self.path, params)
            for data in page.get("items") or ():
                data.setdefault("apiVersion", self._kind.version())
                rid = self._id(data["metadata"])
                there.add(rid)
                self._mirror.take(rid, data)
            told = page.get("metadata") or {}
            if not told.get("continue"):
                break
            params["continue"] = told["continue"]
        self._mirror.keep_only(self._kind.name, there, int(told.get("resourceVersion") or 0))
        self._version = str(told.get("resourceVersion") or "")


def _defect(error: Exception, kind: str) -> errors.InternalError:
    told = errors.InternalError(
        f"a defect while watching {kind}: {type(error).__name__}", hint="report it; the watch begins anew"
    )
    told.__cause__ = error
    return told
