"""Every other provider of octoDNS: it reads, it writes, and what it can and cannot is its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests
from octodns.provider import SupportsException
from octodns.provider.plan import Plan
from octodns.record import Create, Delete, Record, Update
from octodns.zone import Zone

from undrift import errors
from undrift.providers.dns import kinds, planner, records, seeing, server, settings

_T = TypeVar("_T")
_MARK_TTL = 60
_DENIED = (401, 403)


class AnyServer:
    """Implements `server.Server` with a provider of octoDNS."""

    tells_serials = False
    makes_zones = False

    def __init__(self, given: settings.Settings, arguments: Mapping[str, Any]) -> None:
        self.name = given.provider
        self._given = given
        self._kind = planner.remembering(planner.provider_class(self._class()))
        self._arguments = arguments
        self.provider = self._new()

    def _class(self) -> str:
        return self._given.provider

    def _new(self) -> Any:
        return self._asked(lambda: planner.made(self._kind, self.name, self._arguments), "signing in")

    def serial(self, zone: str) -> int | None:
        """See `server.Server`: not to be had."""
        return None

    def look(self, zone: str, known: seeing.Seen | None, *, whole: bool) -> seeing.Seen:
        """See `server.Server`. A new provider for each: some remember what they saw."""
        if known is not None:
            self.provider = self._new()
        found = Zone(zone, [])
        exists = self._asked(
            lambda: self.provider.populate(found, target=True, lenient=True), f"reading {zone}"
        )
        if not exists and not found.records:
            return seeing.nothing(zone)
        return seeing.seen(zone, found.records, at=time.monotonic())

    def weigh(self, steps: tuple[server.Step, ...]) -> tuple[tuple[server.Step, ...], ...]:
        """See `server.Server`: how many requests it takes is the provider's own."""
        return (steps,)

    def send(self, batch: server.Batch) -> None:
        """See `server.Server`. What was seen is held against a new look first."""
        zone = batch.seen.zone
        now = self.look(zone, batch.seen, whole=not self.tells_serials)
        for step in batch.steps:
            there = now.record(step.change.id)
            if (there and records.fields(there)) != (step.old and records.fields(step.old)):
                raise errors.ChangeConflict(
                    f"{zone} changed since it was planned", why=f"{step.change.id} is not as it was",
                    hint="nothing to do: it is planned anew",
                )  # fmt: skip
        changes = [*(_change(step) for step in batch.steps), *_marked(batch, now)]
        if not changes and not batch.meta:
            return
        before = seeing.octodns(zone, now.records.values())
        # Some providers write whole zones: what others made is part of what is to be.
        after = dict(now.records)
        for change in changes:
            after.pop(records.key(change.record), None)
            if change.new is not None:
                after[records.key(change.new)] = change.new
        whole = Plan(before, seeing.octodns(zone, after.values()), changes, now.exists, meta=batch.meta)
        self._asked(lambda: self.provider.apply(whole), f"changing {zone}")

    def create(self, zone: str) -> None:
        """See `server.Server`: octoDNS' providers make what is missing when records are written."""

    def delete(self, zone: str) -> None:
        """See `server.Server`."""
        raise errors.ChangeRefused(
            f"{self.name} offers no way of removing zones",
            hint="remove the zone by hand, and from policy.deleteProtected",
        )

    def _asked(self, ask: Callable[[], _T], doing: str) -> _T:
        try:
            return ask()
        except errors.UndriftError:
            raise
        except SupportsException as error:
            raise errors.ChangeRefused(
                f"{self.name} does not support this",
                why=str(error),
                hint="leave it out, or set options.strict_supports to false",
            ) from error
        except requests.HTTPError as error:
            raise _http(error, self.name, doing) from error
        except requests.Timeout as error:
            raise errors.OutcomeUnknown(f"{self.name} does not answer", why=f"while {doing}") from error
        except (requests.RequestException, OSError) as error:
            raise errors.TargetUnavailable(
                f"{self.name} cannot be reached",
                why=f"{type(error).__name__} while {doing}",
                hint="is it running, and are host and port right?",
            ) from error
        except Exception as error:
            if "unauthorized" in str(error).lower():
                raise errors.TargetDenied(
                    f"{self.name} refuses our key",
                    why=f"while {doing}",
                    hint="correct the secrets of the Target",
                ) from None
            raise errors.TargetUnavailable(
                f"{self.name} failed while {doing}", why=f"{type(error).__name__}", hint="see the agent's log"
            ) from error


def _http(error: requests.HTTPError, name: str, doing: str) -> errors.TargetError:
    if error.response is None:
        return errors.TargetUnavailable(f"{name} failed while {doing}")
    code = error.response.status_code
    if code in _DENIED:
        return errors.TargetDenied(
            f"{name} refuses our key",
            why=f"HTTP {code} while {doing}",
            hint="correct the secrets of the Target",
        )
    if code >= 500 or code == 429:  # noqa: PLR2004 - HTTP
        return errors.TargetUnavailable(f"{name} failed while {doing}", why=f"HTTP {code}")
    return errors.ChangeRefused(
        f"{name} refuses {doing}", why=f"HTTP {code}: {_said(error.response)}", hint="correct the zone"
    )


def _said(response: requests.Response) -> str:
    try:
        return str(response.json().get("error", ""))[:500]
    except (ValueError, AttributeError):
        return response.reason or ""


def _change(step: server.Step) -> Any:
    if step.octodns is not None:
        return step.octodns
    if step.new is None:
        return Delete(step.old)
    return Create(step.new) if step.old is None else Update(step.old, step.new)


def _marked(batch: server.Batch, now: seeing.Seen) -> Iterator[Any]:
    """The mark is one record set for all applications: ours is exchanged in what is there now."""
    before, after = batch.marks
    wanted = tuple(text for text in now.marks if text not in before or text in after)
    wanted += tuple(text for text in after if text not in before and text not in wanted)
    if sorted(wanted) == sorted(now.marks):
        return
    home = Zone(batch.seen.zone, [])
    old, new = _mark(home, now.marks), _mark(home, wanted)
    if new is None:
        yield Delete(old)
    else:
        yield Create(new) if old is None else Update(old, new)


def _mark(home: Zone, texts: tuple[str, ...]) -> Record | None:
    if not texts:
        return None
    data = {"type": "TXT", "ttl": _MARK_TTL, "values": sorted(texts)}
    return Record.new(home, kinds.MARK, data, lenient=True)
