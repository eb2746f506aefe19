"""What name servers and their libraries say when something goes wrong, in plain words with the next step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import dns.exception
import dns.query
import dns.rcode
import dns.tsig
import dns.xfr

from undrift import errors
from undrift.providers.dns import server

_MOVED: Final = frozenset({dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.NXDOMAIN})
_TSIG: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (dns.tsig.PeerBadKey, "the server does not know a key of that name and algorithm", "correct options.key_name and options.key_algorithm, or give the server the key"),
    (dns.tsig.PeerBadSignature, "the key has another secret or algorithm there", "compare key_secret and key_algorithm with the server's"),
    (dns.tsig.PeerBadTime, "our clock and the server's differ by more than five minutes", "set both clocks (NTP)"),
    (dns.tsig.PeerError, "the server does not accept our signature", "compare the key with the server's"),
    (dns.tsig.BadSignature, "the answer is not signed with the key that we have", "compare key_secret and key_algorithm with the server's"),
)  # fmt: skip
_NEEDS_ADDRESS: Final = {"MX": 1, "SRV": 3, "NS": 0}


def explain(error: Exception, where: str, doing: str) -> errors.TargetError:
    """An exception while looking, as an error of ours. `where` is the server, `doing` what was tried."""
    for kind, why, hint in _TSIG:
        if isinstance(error, kind):
            return errors.TargetDenied(f"{where} refuses our key", why=why, hint=hint)
    if isinstance(error, dns.xfr.TransferError):
        return refused(error.rcode, where, doing)
    if isinstance(error, dns.exception.Timeout | TimeoutError):
        return errors.TargetUnavailable(
            f"{where} does not answer", why=f"while {doing}", hint="is it running, and reachable from here?"
        )
    if isinstance(error, OSError):
        return errors.TargetUnavailable(
            f"{where} cannot be reached",
            why=error.strerror or type(error).__name__,
            hint="is it running, and are host and port right?",
        )
    return errors.TargetUnavailable(
        f"{where} cannot be asked", why=f"{type(error).__name__} while {doing}: {error}"
    )


def refused(code: int, where: str, doing: str) -> errors.TargetError:
    """A refusal to show something."""
    if code in {dns.rcode.NOTAUTH, dns.rcode.NXDOMAIN, dns.rcode.NOTZONE}:
        return errors.TargetDenied(
            f"{where} does not serve the zone", why=f"{dns.rcode.to_text(dns.rcode.Rcode(code))} while {doing}",
            hint="make the zone there, or say how it is made (settings.ownership: zone, settings.control)",
        )  # fmt: skip
    if code == dns.rcode.SERVFAIL:
        return errors.TargetUnavailable(
            f"{where} cannot serve the zone",
            why=f"SERVFAIL while {doing}",
            hint="look into the server's log: the zone may not be loaded",
        )
    return errors.TargetDenied(
        f"{where} refuses to show the zone",
        why=f"{dns.rcode.to_text(dns.rcode.Rcode(code))} while {doing}; it does not serve the zone, or does not let our key transfer it",
        hint="allow it: allow-transfer { key NAME; } (BIND), acl with action transfer (Knot)",
    )


def answered(code: int, batch: server.Batch, where: str) -> errors.TargetError | None:
    """What the answer to an update means; None where it was made."""
    if code == dns.rcode.NOERROR:
        return None
    name, zone = dns.rcode.to_text(dns.rcode.Rcode(code)), batch.seen.zone
    if code in _MOVED:
        return errors.ChangeConflict(
            f"{zone} changed since it was planned", why=f"{where} answered {name}: a record is not as it was",
            hint="nothing to do: it is planned anew",
        )  # fmt: skip
    if code == dns.rcode.REFUSED:
        return errors.ChangeRefused(
            f"{where} refuses the update of {zone}", why=_likely(batch), hint=_remedy(batch)
        )
    if code in {dns.rcode.NOTAUTH, dns.rcode.NOTZONE}:
        return errors.TargetDenied(
            f"{where} is not the primary of {zone}",
            why=name,
            hint="update the server that holds the zone; a secondary takes none",
        )
    if code == dns.rcode.SERVFAIL:
        return errors.TargetUnavailable(
            f"{where} could not make the update of {zone}",
            why="SERVFAIL: its journal or disk may be at fault",
            hint="look into the server's log",
        )
    return errors.ChangeRefused(
        f"{where} refuses the update of {zone}", why=name, hint="look into the server's log"
    )


def _likely(batch: server.Batch) -> str:
    """REFUSED has no reason with it: the likely ones, those seen in this very update first."""
    dangling = list(_dangling(batch))
    told = [
        f"{one} has no address, and BIND takes no MX, SRV or NS that points to such a name"
        for one in dangling
    ]
    told.append("our key may not change these names (update-policy or allow-update of BIND, acl of Knot)")
    told.append("the zone is a secondary there, or its updates are frozen")
    return "REFUSED, with no reason given. Likely: " + "; or ".join(told)


def _remedy(batch: server.Batch) -> str:
    if next(iter(_dangling(batch)), ""):
        return "declare the address in the same commit; the server's log names the reason"
    return "the server's log names the reason; allow our key to change the zone"


def _dangling(batch: server.Batch) -> Iterable[str]:
    """Names in the zone that records of a batch point to and that would have no address after it."""
    zone = batch.seen.zone
    after = {**batch.seen.records}
    for step in batch.steps:
        if step.old is not None:
            after.pop((step.old.name, step.change.id.kind), None)
        if step.new is not None:
            after[step.new.name, step.change.id.kind] = step.new
    for step in batch.steps:
        word = _NEEDS_ADDRESS.get(step.change.id.kind)
        if word is None or step.new is None:
            continue
        for value in step.new.to_rrset().rdatas:
            target = value.split()[word].lower()
            name = target.removesuffix(zone).removesuffix(".")
            if target.endswith(f".{zone}") and not ({(name, "A"), (name, "AAAA")} & after.keys()):
                yield target
