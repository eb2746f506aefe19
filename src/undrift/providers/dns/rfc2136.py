"""Servers that are changed by RFC 2136 and read by transfers (BIND, Knot, NSD with others, Windows)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.xfr
import dns.zone
import octodns_bind
from octodns.record import Record
from octodns.record.rr import Rrset
from octodns.zone import Zone

from undrift import errors
from undrift.providers.dns import (
    controlling,
    failing,
    kinds,
    naming,
    planner,
    records,
    seeing,
    server,
    settings,
)

_T = TypeVar("_T")
_ALSO: Final = frozenset({"DNAME", "OPENPGPKEY", "URI"})
_MOST_BYTES: Final = 40_000
"""Of what one message says as text: with its prerequisites it stays below the 64 KiB that TCP takes."""
_MOST_CHANGES: Final = 1000
_MARK_TTL: Final = 60
_TYPES: Final = Record.registered_types()
_TELLS: Final = (dns.exception.DNSException, OSError, EOFError)


class _Provider(octodns_bind.Rfc2136Provider):  # type: ignore[misc]  # it carries no types
    SUPPORTS = octodns_bind.Rfc2136Provider.SUPPORTS | _ALSO


class Rfc2136Server:
    """Implements `server.Server`."""

    tells_serials = True

    def __init__(self, given: settings.Settings, arguments: Mapping[str, Any]) -> None:
        options = {"timeout": given.timeout, **arguments}
        try:
            self.provider = planner.made(planner.remembering(_Provider), settings.RFC2136, options)
        except octodns_bind.AxfrSourceException as error:
            raise errors.TargetUnavailable(
                f"the name server {options.get('host')} cannot be found",
                why=str(error),
                hint="correct options.host",
            ) from error
        own = self.provider
        self.host, self.port, self.timeout = str(own.host), int(own.port), float(own.timeout)
        self.name = f"{options.get('host')}:{self.port}"
        self._batch = int(own.update_batch_size)
        self._key: dict[str, Any] = {}
        if own.key_name is not None:
            self._key = _key(own.key_name, own.key_secret, own.key_algorithm or "hmac-sha256")
        self._control = controlling.Control(given.control, given.timeout) if given.control else None
        self.makes_zones = self._control is not None

    def serial(self, zone: str) -> int | None:
        """See `server.Server`: one packet."""
        try:
            found = self._asked(lambda: self._soa(zone), f"asking for the serial of {zone}")
        except errors.TargetError:
            # Knot knows no key where it knows no zone.
            if self._is_missing(zone):
                return None
            raise
        if found.rcode() != dns.rcode.NOERROR or not found.flags & dns.flags.AA:
            if self._is_missing(zone):
                return None
            code = found.rcode() or dns.rcode.NOTAUTH
            raise failing.refused(code, self.name, f"asking for the serial of {zone}")
        for rrset in found.answer:
            if rrset.rdtype == dns.rdatatype.SOA:
                return int(rrset[0].serial)
        raise failing.refused(dns.rcode.NOTAUTH, self.name, f"asking for the serial of {zone}")

    def _soa(self, zone: str) -> dns.message.Message:
        query = dns.message.make_query(zone, dns.rdatatype.SOA, flags=0)
        if self._key:
            query.use_tsig(self._key["keyring"], self._key["keyname"], algorithm=self._key["keyalgorithm"])
        answer, _ = dns.query.udp_with_fallback(query, self.host, self.timeout, self.port)
        return answer

    def _is_missing(self, zone: str) -> bool:
        """Whether the server itself says that it does not have a zone: a refusal does not."""
        return self._control is not None and not self._control.has(zone)

    def look(self, zone: str, known: seeing.Seen | None, *, whole: bool) -> seeing.Seen:
        """See `server.Server`: the serial first, then what changed since, or everything."""
        serial = self.serial(zone)
        if serial is None:
            return seeing.nothing(zone)
        if known is not None and known.exists and not whole:
            if known.serial == serial:
                return known
            changed = self._asked(lambda: self._changes(zone, known), f"transferring what changed in {zone}")
            if changed is not None:
                return changed
        return self._asked(lambda: self._everything(zone), f"transferring {zone}")

    def _everything(self, zone: str) -> seeing.Seen:
        stream = dns.query.xfr(
            self.host, zone, port=self.port, timeout=self.timeout, lifetime=max(self.timeout, 60.0),
            relativize=False, keyring=self._key.get("keyring"), keyname=self._key.get("keyname"),
            keyalgorithm=self._key.get("keyalgorithm", "hmac-sha256"),
        )  # fmt: skip
        found = dns.zone.from_xfr(stream, relativize=False, check_origin=False)
        home = Zone(zone, [])
        kept: dict[records.Key, Record] = {}
        for name, node in found.nodes.items():
            kept.update((records.key(one), one) for one in self._of_node(home, name, node))
        shown = {one.id: one for one in (seeing.live(record, zone) for record in kept.values())}
        return seeing.Seen(
            zone, exists=True, serial=_serial(found), records=kept, live=shown, marks=_marks(found, zone),
            source=found, at=time.monotonic(),
        )  # fmt: skip

    def _changes(self, zone: str, known: seeing.Seen) -> seeing.Seen | None:
        """The zone by IXFR (RFC 1995); None where that is not to be had."""
        if known.source is None or known.serial is None:
            return None
        found = dns.zone.Zone(zone, relativize=False)
        found.nodes = dict(known.source.nodes)
        query, _ = dns.xfr.make_query(found, known.serial, **self._key)
        try:
            dns.query.inbound_xfr(
                self.host,
                found,
                query,
                port=self.port,
                timeout=self.timeout,
                lifetime=max(self.timeout, 60.0),
            )
        except (dns.xfr.TransferError, dns.xfr.SerialWentBackwards, dns.exception.FormError, EOFError):
            return None
        return self._merged(zone, known, found)

    def _merged(self, zone: str, known: seeing.Seen, found: dns.zone.Zone) -> seeing.Seen:
        # Told by the nodes, not by their names: comparing 10,000 names takes longer than all the rest.
        before, after = known.source.nodes, found.nodes
        left, there = set(map(id, before.values())), set(map(id, after.values()))
        kept, shown, home = dict(known.records), dict(known.live), Zone(zone, [])
        for name, node in before.items():
            for one in self._of_node(home, name, node) if id(node) not in there else ():
                kept.pop(records.key(one), None)
                shown.pop(records.rid_of(one, zone), None)
        for name, node in after.items():
            for one in self._of_node(home, name, node) if id(node) not in left else ():
                kept[records.key(one)] = one
                live = seeing.live(one, zone)
                shown[live.id] = live
        return dataclasses.replace(
            known, serial=_serial(found), records=kept, live=shown, marks=_marks(found, zone), source=found
        )

    def _of_node(self, home: Zone, name: dns.name.Name, node: Any) -> Iterator[Record]:
        if node is None:
            return
        fqdn = name.to_text().lower()
        relative = naming.relative(fqdn, home.name)
        if kinds.is_mark(relative):
            return
        for rdataset in node.rdatasets:
            kind = dns.rdatatype.to_text(rdataset.rdtype)
            if kind in self.provider.SUPPORTS:
                texts = [rdata.to_text() for rdata in rdataset]
                made = _TYPES[kind]
                # What a server has is not judged: `Record.from_rrset` would take twice as long.
                yield made(home, relative, made.data_from_rrset(Rrset(fqdn, kind, rdataset.ttl, texts)))

    def weigh(self, steps: tuple[server.Step, ...]) -> tuple[tuple[server.Step, ...], ...]:
        """See `server.Server`."""
        names: dict[str, list[server.Step]] = {}
        for step in steps:
            names.setdefault(step.change.id.name, []).append(step)
        found: list[tuple[server.Step, ...]] = []
        portion: list[server.Step] = []
        size = 0
        for some in names.values():
            weight = sum(_weight(step) for step in some)
            full = size + weight > _MOST_BYTES or len(portion) + len(some) > min(self._batch, _MOST_CHANGES)
            if portion and full:
                found.append(tuple(portion))
                portion, size = [], 0
            portion += some
            size += weight
        return (*found, tuple(portion)) if portion or not found else tuple(found)

    def send(self, batch: server.Batch) -> None:
        """See `server.Server`: one message, made whole or not at all (RFC 2136, section 3.7)."""
        update = dns.update.UpdateMessage(batch.seen.zone, **self._key)
        _require(update, batch)
        for step in sorted(batch.steps, key=lambda one: (one.new is not None, one.old is not None)):
            _put(update, step)
        before, after = batch.marks
        name = f"{kinds.MARK}.{batch.seen.zone}"
        for text in set(before) - set(after):
            update.delete(name, "TXT", _quoted(text))
        for text in set(after) - set(before):
            update.add(name, _MARK_TTL, "TXT", _quoted(text))
        doing = f"changing {batch.seen.zone}"
        try:
            answer = dns.query.tcp(update, self.host, timeout=self.timeout, port=self.port)
        except (dns.exception.Timeout, EOFError, ConnectionResetError, BrokenPipeError) as error:
            raise errors.OutcomeUnknown(
                f"{self.name} did not answer the update of {batch.seen.zone}",
                why=type(error).__name__,
                hint="nothing to do: the next look tells whether it was made",
            ) from error
        except _TELLS as error:
            raise failing.explain(error, self.name, doing) from error
        told = failing.answered(answer.rcode(), batch, self.name)
        if told is not None:
            raise told

    def create(self, zone: str) -> None:
        """See `server.Server`."""
        self._controlled().create(zone)

    def delete(self, zone: str) -> None:
        """See `server.Server`."""
        self._controlled().delete(zone)

    def _controlled(self) -> controlling.Control:
        if self._control is None:
            raise errors.ChangeRefused(
                f"{self.name} offers no way of making or removing zones",
                hint="set settings.control of the Target to rndc or knotc, or make the zone by hand",
            )
        return self._control

    def _asked(self, ask: Callable[[], _T], doing: str) -> _T:
        try:
            return ask()
        except _TELLS as error:
            raise failing.explain(error, self.name, doing) from error


def _key(name: str, secret: Any, algorithm: str) -> dict[str, Any]:
    """What messages are signed with. Raises `ConfigInvalid`, which tells nothing of the secret."""
    try:
        found = {
            "keyring": dns.tsigkeyring.from_text({name: secret}),
            "keyname": dns.name.from_text(name),
            "keyalgorithm": algorithm,
        }
        known = dns.name.from_text(algorithm) in dns.tsig.mac_sizes
    except dns.exception.DNSException:
        why, hint = f"{name!r} is no name of a key", "correct options.key_name"
    except (ValueError, TypeError, AttributeError):
        why, hint = "its secret is not base64", "set secrets.key_secret to what tsig-keygen or keymgr printed"
    else:
        if known:
            return found
        why, hint = f"there is no algorithm {algorithm}", "write options.key_algorithm: hmac-sha256"
    raise errors.ConfigInvalid("the key of the name server cannot be used", why=why, hint=hint)


def _require(update: dns.update.UpdateMessage, batch: server.Batch) -> None:
    """What has to be as it was planned from (RFC 2136, section 2.4); a TTL cannot be required."""
    going = {(step.change.id.name, step.change.id.kind) for step in batch.steps if step.new is None}
    for step in batch.steps:
        kind, name = step.change.id.kind, step.change.id.name
        fqdn = (step.old or step.new).fqdn if (step.old or step.new) is not None else ""  # type: ignore[union-attr]  # one of them is there
        if step.old is not None:
            update.present(fqdn, kind, *step.old.to_rrset().rdatas)
        else:
            update.absent(fqdn, kind)
            # A server leaves out without a word what cannot stand beside a CNAME.
            if kind == "CNAME" and not any(other == name for other, _ in going):
                update.absent(fqdn)
            elif kind != "CNAME" and (name, "CNAME") not in going:
                update.absent(fqdn, "CNAME")


def _put(update: dns.update.UpdateMessage, step: server.Step) -> None:
    if step.new is None:
        if step.old is not None:
            update.delete(step.old.fqdn, step.change.id.kind)
        return
    made = step.new.to_rrset()
    if (
        step.old is not None
        and step.change.id == (step.change.id.kind, step.change.id.namespace, kinds.APEX)
        and step.change.id.kind == "NS"
    ):
        # A server never takes the last name server of a zone away: the new ones come first.
        update.add(made.name, made.ttl, "NS", *made.rdatas)
        gone = set(step.old.to_rrset().rdatas) - set(made.rdatas)
        if gone:
            update.delete(made.name, "NS", *sorted(gone))
    elif step.old is not None:
        update.replace(made.name, made.ttl, step.change.id.kind, *made.rdatas)
    else:
        update.add(made.name, made.ttl, step.change.id.kind, *made.rdatas)


def _weight(step: server.Step) -> int:
    return sum(
        len(record.fqdn) + sum(len(text) + 16 for text in record.to_rrset().rdatas)
        for record in (step.old, step.new, step.new)
        if record is not None
    )


def _serial(found: dns.zone.Zone) -> int | None:
    soa = found.get_rdataset(found.origin, dns.rdatatype.SOA) if found.origin is not None else None
    return int(soa[0].serial) if soa else None


def _marks(found: dns.zone.Zone, zone: str) -> tuple[str, ...]:
    rdataset = found.get_rdataset(dns.name.from_text(f"{kinds.MARK}.{zone}"), dns.rdatatype.TXT)
    return tuple(b"".join(one.strings).decode("utf-8", "replace") for one in rdataset or ())


def _quoted(text: str) -> str:
    parts = [text[at : at + 255] for at in range(0, len(text), 255)]
    return " ".join(f'"{part}"' for part in parts)
