"""All laws, and holding a stand to one of them."""

from __future__ import annotations

import unittest
from typing import Final

from undrift.testing.conformance import converging, failing, hiding, owning, stand, trial

LAWS: Final = (*converging.LAWS, *owning.LAWS, *failing.LAWS, *hiding.LAWS)


async def hold(law: trial.Law, place: stand.Stand) -> None:
    """Try a law on a stand that nothing happened on yet.

    Raises `AssertionError` where it is broken, and `unittest.SkipTest` (which pytest knows) where the provider's
    capabilities excuse it.
    """
    here = trial.Trial(place)
    excuse = law.excuse(here.capabilities)
    if excuse:
        raise unittest.SkipTest(excuse)
    try:
        await law.check(here)
    finally:
        await here.close()
