"""Spans of time as people write them: `30s`, `5m`, `2h`, `1d12h`, `1.5h`, `250ms`."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def parse(text: str) -> float:
    """Seconds. Raises `ValueError` that says what is accepted."""
    written = text.strip()
    parts = _PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        msg = f"{text!r} is not a duration: write for example 30s, 5m, 2h or 1d12h"
        raise ValueError(msg)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def spell(seconds: float) -> str:
    """The two largest units that say it: `1d12h`, `5m`, `0.25s`."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.3g}s"
    left = int(seconds)
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
