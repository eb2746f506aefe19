"""Any provider of octoDNS, made to plan from a look that was made already."""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, cast

from octodns.processor.base import BaseProcessor
from octodns.provider.base import BaseProvider
from octodns.zone import Zone

from undrift import errors
from undrift.providers.dns import settings

_CLASS: Final = re.compile(r"(?!__)[A-Za-z_]\w*(\.(?!__)[A-Za-z_]\w*)+")
_OPTIONS: Final = "see what the provider's documentation says of its options"


class Planner(Protocol):
    """What `remembering` adds to a provider."""

    fed: tuple[Zone, bool] | None

    def populate(self, zone: Zone, target: bool = False, lenient: bool = False) -> bool:  # noqa: FBT001, FBT002 - octoDNS' signature
        """Fill a zone."""
        ...


@functools.cache
def remembering(kind: Any) -> type[BaseProvider]:
    """A class like `kind` whose `populate` gives what was fed to it, while something is."""

    class Remembering(kind):  # type: ignore[misc]  # the base is known at run time
        fed: tuple[Zone, bool] | None = None

        def populate(self, zone: Zone, target: bool = False, lenient: bool = False) -> bool:  # noqa: FBT001, FBT002 - octoDNS' signature
            if self.fed is None:
                return bool(super().populate(zone, target=target, lenient=lenient))
            found, exists = self.fed
            zone._origin = found  # noqa: SLF001 - as octoDNS copies zones: shared until somebody changes them
            return exists

    Remembering.__name__ = kind.__name__
    return Remembering


@contextlib.contextmanager
def feeding(provider: BaseProvider, found: Zone, *, exists: bool) -> Iterator[None]:
    """The provider takes `found` for what is there."""
    planner = cast("Planner", provider)
    planner.fed = (found, exists)
    try:
        yield
    finally:
        planner.fed = None


def provider_class(name: str) -> Any:
    """The class of a provider. Raises `ConfigInvalid`."""
    found = _load(name)
    if not (isinstance(found, type) and issubclass(found, BaseProvider)):
        raise errors.ConfigInvalid(f"{name} is no provider of octoDNS")
    return found


def made(kind: type[Any], name: str, arguments: Mapping[str, Any]) -> Any:
    """An instance, with arguments as they are in the Target. Raises `ConfigInvalid`; no value is told."""
    try:
        found = kind("undrift", **arguments)
    except TypeError as error:
        raise errors.ConfigInvalid(
            f"{name} cannot be made with these options",
            why=str(error).replace("__init__()", kind.__name__),
            hint=_OPTIONS,
        ) from None
    except ValueError:
        # What it says may quote a value, and that may be a secret.
        raise errors.ConfigInvalid(
            f"{name} cannot be made with these options",
            why="one of them has no value of its kind",
            hint=_OPTIONS,
        ) from None
    found.root_ns_warnings = False  # records of the root that are not ours are nothing to warn of
    return found


def processors(given: settings.Settings) -> tuple[BaseProcessor, ...]:
    """The processors of a target. Raises `ConfigInvalid`."""
    found: list[BaseProcessor] = []
    for one in given.processors:
        kind = _load(one.name)
        if not (isinstance(kind, type) and issubclass(kind, BaseProcessor)):
            raise errors.ConfigInvalid(f"{one.name} is no processor of octoDNS")
        found.append(made(kind, one.name, one.options))
    return tuple(found)


def _load(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if not _CLASS.fullmatch(name):
        raise errors.ConfigInvalid(
            f"{name} is no class", hint="write its module and its name: octodns_route53.Route53Provider"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever a module does when it is imported: it is no provider then
        raise errors.ConfigInvalid(
            f"{name} cannot be loaded", why=str(error), hint="is its package installed where the agent runs?"
        ) from error
