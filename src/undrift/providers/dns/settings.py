"""What `spec.settings` of a Target with `provider: dns` may say."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import durations, words
from undrift.model import source, target

RFC2136: Final = "rfc2136"
POWERDNS: Final = "powerdns"
_KNOWN: Final = (
    "provider", "options", "secrets", "ownership", "zones", "nameservers", "interval", "transferEvery", "timeout",
    "defaultTtl", "escapedSemicolons", "zoneFiles", "overrides", "processors", "control",
)  # fmt: skip
_OF_ZONE: Final = ("ownership", "nameservers")
_FILES: Final = ("**/*.zone", "**/db.*")
_NAME_SERVER_PORT: Final = 53
_MOST_PORT: Final = 65535


class Ownership(enum.StrEnum):
    """What in a zone is ours: what we made, all of it, or what octoDNS' ownership records say."""

    RECORDS = "records"
    ZONE = "zone"
    OCTODNS = "octodns"


@dataclasses.dataclass(frozen=True, slots=True)
class OfZone:
    """What holds for one zone. `nameservers` are (host, port) of those that have to answer as declared."""

    ownership: Ownership = Ownership.RECORDS
    nameservers: tuple[tuple[str, int], ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Control:
    """How zones are made and removed on a server of RFC 2136: a program, its arguments, the zone's configuration."""

    program: str
    arguments: tuple[str, ...] = ()
    zone: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Processor:
    """A processor of octoDNS: its class and its options."""

    name: str
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`provider` is `rfc2136`, `powerdns` or the class of any provider of octoDNS; `options` are its arguments.

    `secrets` are arguments that are resolved when they are needed. `interval`, `transfer_every` and `timeout` are
    seconds. `zone_files` and `overrides` are globs on the files of an application.
    """

    provider: str = RFC2136
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    secrets: Mapping[str, source.Credential] = dataclasses.field(default_factory=dict)
    everywhere: OfZone = OfZone()
    zones: Mapping[str, OfZone] = dataclasses.field(default_factory=dict)
    interval: float = 30.0
    transfer_every: float = 3600.0
    timeout: float = 15.0
    default_ttl: int = 3600
    escaped_semicolons: bool = True
    zone_files: tuple[str, ...] = _FILES
    overrides: tuple[str, ...] = ()
    processors: tuple[Processor, ...] = ()
    control: Control | None = None

    def of(self, zone: str) -> OfZone:
        """What holds for a zone."""
        return self.zones.get(zone, self.everywhere)


def read(place: target.Target) -> Settings:
    """The settings of a target with their defaults. Raises `ConfigInvalid`, all at once."""
    reader = _Reader(place)
    found = reader.settings()
    if reader.wrong:
        raise errors.gather(reader.wrong)
    return found


class _Reader:
    """Reads one target's settings; lives for one call of `read`."""

    def __init__(self, place: target.Target) -> None:
        self._place = place
        self._given = place.settings
        self.wrong: list[errors.UndriftError] = []

    def settings(self) -> Settings:
        for name in self._given:
            if name not in _KNOWN:
                self._invalid(str(name), "is not a known setting", words.suggestion(str(name), _KNOWN))
        everywhere = self._of_zone("", self._given, OfZone())
        return Settings(
            provider=self._provider(),
            options=self._mapping("options"),
            secrets=self._secrets(),
            everywhere=everywhere,
            zones=self._zones(everywhere),
            interval=self._seconds("interval", 30.0),
            transfer_every=self._seconds("transferEvery", 3600.0),
            timeout=self._seconds("timeout", 15.0),
            default_ttl=self._number("defaultTtl", 3600),
            escaped_semicolons=self._flag("escapedSemicolons", default=True),
            zone_files=self._texts("zoneFiles", _FILES),
            overrides=self._texts("overrides", ()),
            processors=self._processors(),
            control=self._control(),
        )

    def _provider(self) -> str:
        given = self._given.get("provider", RFC2136)
        if isinstance(given, str) and (given in {RFC2136, POWERDNS} or "." in given):
            return given
        self._invalid(
            "provider",
            "cannot be used",
            f"write {RFC2136}, {POWERDNS} or a class, such as octodns_route53.Route53Provider",
        )
        return RFC2136

    def _mapping(self, name: str) -> Mapping[str, Any]:
        given = self._given.get(name, {})
        if isinstance(given, Mapping):
            return given
        self._invalid(name, "should be a mapping")
        return {}

    def _secrets(self) -> Mapping[str, source.Credential]:
        found: dict[str, source.Credential] = {}
        for name, where in self._mapping("secrets").items():
            one = _credential(where)
            if one is None:
                self._invalid(f"secrets.{name}", "cannot be used", "write {env: NAME} or {file: /path}")
            else:
                found[str(name)] = one
        return found

    def _zones(self, everywhere: OfZone) -> Mapping[str, OfZone]:
        found: dict[str, OfZone] = {}
        for name, given in self._mapping("zones").items():
            if not isinstance(given, Mapping):
                self._invalid(f"zones.{name}", "should be a mapping")
                continue
            for unknown in set(given) - set(_OF_ZONE):
                hint = words.suggestion(str(unknown), _OF_ZONE)
                self._invalid(f"zones.{name}.{unknown}", "is not a known setting", hint)
            found[f"{str(name).rstrip('.')}."] = self._of_zone(f"zones.{name}.", given, everywhere)
        return found

    def _of_zone(self, prefix: str, given: Mapping[str, Any], usual: OfZone) -> OfZone:
        written = given.get("ownership", usual.ownership.value)
        known = [one.value for one in Ownership]
        if written not in known:
            self._invalid(f"{prefix}ownership", "cannot be used", f"write {', '.join(known)}")
            written = usual.ownership.value
        return OfZone(Ownership(written), self._nameservers(prefix, given, usual.nameservers))

    def _nameservers(
        self, prefix: str, given: Mapping[str, Any], usual: tuple[tuple[str, int], ...] | None
    ) -> tuple[tuple[str, int], ...] | None:
        if "nameservers" not in given:
            return usual
        listed = given["nameservers"]
        found = [_address(one) for one in listed] if isinstance(listed, list | tuple) else [None]
        good = tuple(one for one in found if one is not None)
        if len(good) != len(found):
            self._invalid(
                f"{prefix}nameservers",
                "cannot be used",
                'write a list, such as ["192.0.2.53", "192.0.2.54:5353"]',
            )
        return good

    def _processors(self) -> tuple[Processor, ...]:
        found: list[Processor] = []
        listed = self._given.get("processors", ())
        for one in listed if isinstance(listed, list | tuple) else [None]:
            kind = one.get("class") if isinstance(one, Mapping) else None
            if not isinstance(one, Mapping) or not isinstance(kind, str) or "." not in kind:
                self._invalid(
                    "processors",
                    "cannot be used",
                    "write a list of {class: octodns.processor.filter.TypeAllowlistFilter, …}",
                )
                continue
            found.append(
                Processor(kind, {str(name): value for name, value in one.items() if name != "class"})
            )
        return tuple(found)

    def _control(self) -> Control | None:
        given = self._given.get("control")
        if given is None:
            return None
        program = given.get("program") if isinstance(given, Mapping) else None
        arguments = given.get("arguments", ()) if isinstance(given, Mapping) else None
        zone = given.get("zone", "") if isinstance(given, Mapping) else None
        named = isinstance(program, str) and program.rpartition("/")[2] in {"rndc", "knotc"}
        if not named or not _are_texts(arguments) or not isinstance(zone, str):
            self._invalid(
                "control",
                "cannot be used",
                "write {program: rndc, arguments: [-c, /etc/bind/rndc.conf], zone: '{ type primary; file \"$zone\"; };'}",
            )
            return None
        return Control(str(program), tuple(arguments or ()), zone)

    def _seconds(self, name: str, usual: float) -> float:
        given = self._given.get(name, usual)
        if isinstance(given, int | float) and not isinstance(given, bool) and given > 0:
            return float(given)
        try:
            return durations.parse(str(given))
        except ValueError:
            self._invalid(name, "is no duration", 'write "30s" or "1h"')
            return usual

    def _number(self, name: str, usual: int) -> int:
        given = self._given.get(name, usual)
        if isinstance(given, int) and not isinstance(given, bool) and given > 0:
            return given
        self._invalid(name, "should be a number of seconds")
        return usual

    def _flag(self, name: str, *, default: bool) -> bool:
        given = self._given.get(name, default)
        if isinstance(given, bool):
            return given
        self._invalid(name, "should be true or false")
        return default

    def _texts(self, name: str, usual: tuple[str, ...]) -> tuple[str, ...]:
        given = self._given.get(name, usual)
        if _are_texts(given):
            return tuple(given)
        self._invalid(name, "should be a list of globs", 'write ["zones/*.zone"]')
        return usual

    def _invalid(self, name: str, why: str, hint: str = "") -> None:
        what = f"Target {self._place.name}: settings.{name} {why}"
        self.wrong.append(errors.ConfigInvalid(what, origin=self._place.origin, hint=hint))


def _are_texts(given: Any) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(one, str) for one in given)


def _credential(where: Any) -> source.Credential | None:
    if isinstance(where, Mapping) and len(where) == 1:
        [(name, value)] = where.items()
        if name in {"file", "env"} and isinstance(value, str) and value:
            return source.Credential(file=value) if name == "file" else source.Credential(env=value)
    return None


def _address(given: Any) -> tuple[str, int] | None:
    """`192.0.2.1`, `192.0.2.1:5353`, `ns1.example.org`, `[2001:db8::1]:53`."""
    if not isinstance(given, str) or not given:
        return None
    host, port = given, str(_NAME_SERVER_PORT)
    if given.startswith("["):
        host, _, rest = given[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif given.count(":") == 1:
        host, _, port = given.partition(":")
    if given[0] == ":" or not port.isdigit():
        return None
    return (host, int(port)) if 0 < int(port) <= _MOST_PORT else None
