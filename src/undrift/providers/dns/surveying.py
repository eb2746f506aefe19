"""A live zone as the files that it could be declared with."""

from __future__ import annotations

from undrift import errors
from undrift.model import finding
from undrift.providers.dns import naming, opening


async def survey(place: opening.Opened, scope: str) -> finding.Survey:
    """See `interfaces.Surveyor`. Raises a `TargetError`."""
    zone = naming.ascii_name(f"{scope.rstrip('.')}.")
    found = await place.look(zone, whole=True)
    if not found.exists:
        raise errors.ChangeRefused(
            f"the name server does not have the zone {zone}", hint="is it the right server?"
        )
    return finding.Survey((), ())
