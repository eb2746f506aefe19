"""Capped exponential back-off with jitter. Pure: the caller brings the randomness.

Full jitter as in "Exponential Backoff And Jitter" (Marc Brooker, AWS Architecture Blog, 2015), but never below
half of the step, so that a retry is never immediate.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds: the first delay, the largest one, and by what each step grows."""

    first: float = 1.0
    cap: float = 300.0
    factor: float = 2.0

    def step(self, attempt: int) -> float:
        """The delay after the `attempt`-th failure (from 1), before jitter."""
        exponent = min(max(attempt, 1) - 1, 64)
        return float(min(self.cap, self.first * self.factor**exponent))

    def delay(self, attempt: int, chance: float) -> float:
        """The delay with jitter; `chance` is uniform in [0, 1)."""
        return self.step(attempt) * (0.5 + chance / 2)
