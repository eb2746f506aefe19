"""All facilities of a machine, and which of them serves a kind."""

from __future__ import annotations

from typing import Final

from undrift.providers.hosts.system import (
    accounts,
    facility,
    firewall,
    kernel,
    keys,
    lines,
    mounts,
    naming,
    packages,
    repositories,
    snippets,
    units,
)

ALL: Final[tuple[facility.Facility, ...]] = (
    naming.Hostname(),
    naming.TimeZone(),
    repositories.Repositories(),
    packages.Packages(),
    kernel.Modules(),
    kernel.Parameters(),
    accounts.Groups(),
    accounts.Users(),
    mounts.Mounts(),
    lines.Lines(),
    keys.AuthorizedKeys(),
    snippets.Sudoers(),
    snippets.Cron(),
    units.DropIns(),
    firewall.Firewall(),
    units.Units(),
)
SERVING: Final = {kind: one for one in ALL for kind in one.serves}
"""The facility of each kind."""
EVER: Final = frozenset(kind for one in ALL for kind in one.ever)
"""Kinds of which there is always one on a machine; see `facility.Facility.ever`."""
