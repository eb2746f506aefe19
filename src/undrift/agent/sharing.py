"""Which applications are this agent's to work on, when several serve the same targets. Pure.

Rendezvous hashing (Thaler and Ravishankar, 1998): every holder is weighed for every name, the heaviest has it;
when a holder comes or goes only its own names move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable


def share(names: Iterable[str], holder: str, holders: Collection[str]) -> frozenset[str]:
    """Those of `names` that `holder` should have among the live `holders`."""
    everyone = {holder, *holders}
    if len(everyone) == 1:
        return frozenset(names)
    return frozenset(name for name in names if max(everyone, key=lambda one: _weight(one, name)) == holder)


def _weight(holder: str, name: str) -> bytes:
    return hashlib.blake2b(f"{holder}\0{name}".encode(), digest_size=8).digest()
