"""How a benchmark tells what it found: prose first, and one line of JSON last."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the median of several rounds."""
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def tell(name: str, value: float, unit: str, floor: float, *, lower_is_better: bool = True) -> None:
    """Print the figure and its floor; the last line is for machines."""
    ratio = value / floor if floor else 0.0
    sense = "lower" if lower_is_better else "higher"
    print(f"{name}: {value:.4g} {unit}, floor {floor:.4g} {unit}, ratio {ratio:.2f} ({sense} is better)")
    print(json.dumps({"name": name, "value": value, "unit": unit, "floor": floor, "ratio": ratio}))
