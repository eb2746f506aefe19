"""Every law over every provider."""

from __future__ import annotations

import pytest

from undrift.testing.conformance import stand, suite, trial


@pytest.mark.parametrize("law", suite.LAWS, ids=str)
async def test_law(place: stand.Stand, law: trial.Law) -> None:
    """What holds for one layer holds for all."""
    await suite.hold(law, place)
