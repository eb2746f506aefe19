"""What only the machine can say of a plan to be: packages that no repository has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from undrift import errors
from undrift.model import plan, resource
from undrift.providers.hosts import kinds, transport
from undrift.providers.hosts.system import packages

_PACKAGES: Final = packages.Packages()


async def unsatisfied(host: transport.Transport, situation: plan.Situation) -> Sequence[errors.UndriftError]:
    """A warning for each package that is to be installed and is in no list of the machine's package manager.

    Nothing is said where a repository is to be added first, and nothing where the machine has no lists.
    """
    live = situation.live.resources
    new = {rid: one for rid, one in situation.desired.resources.items() if rid not in live}
    if any(rid.kind == kinds.REPOSITORY for rid in new):
        return ()
    wanted = {rid.name: one for rid, one in new.items() if _installs(one)}
    missing = await _PACKAGES.missing(host, sorted(wanted)) if wanted else ()
    return [
        errors.ReferenceUnsatisfied(
            f"no repository of the machine has the package {name}",
            origin=wanted[name].origin,
            why="as far as its lists of packages tell; they are fetched anew before it is given up",
            hint="correct the name, or declare the repository that has it",
        )
        for name in missing
    ]


def _installs(one: resource.Resource) -> bool:
    return one.id.kind == kinds.PACKAGE and one.fields.get("state") == packages.PRESENT
