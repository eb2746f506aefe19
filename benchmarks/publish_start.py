"""publish-start: CPU until `undrift publish` can begin, in milliseconds; beside Python and click alone.

The figure is `undrift publish --help`; a whole run that finds nothing to do is told with it.
"""

from __future__ import annotations

import os
import pathlib
import sys

from benchmarks import figures, publishing

ROUNDS = 9


def cpu(command: list[str], place: pathlib.Path) -> float:
    """Milliseconds of CPU, the least of several rounds: the rest is what else the machine does."""
    used = []
    for _ in range(ROUNDS):
        before = publishing.spent()
        publishing.took(place, *command)
        used.append(publishing.spent() - before)
    return min(used) * 1000


def main() -> None:
    """Print it beside the floor."""
    with publishing.folder() as place, publishing.served(place) as url:
        made = publishing.application(place, "pet", url)
        publishing.took(made, publishing.UNDRIFT, "publish")
        whole = cpu([publishing.UNDRIFT, "publish"], made)
        loaded = cpu(
            [
                sys.executable,
                "-c",
                "from undrift.cli import publish_command; from undrift.publishing import preparing, running",
            ],
            made,
        )
        helped = cpu([publishing.UNDRIFT, "publish", "--help"], made)
        floor = cpu([sys.executable, "-c", "import asyncio, click"], made)
    print(
        f"everything that it imports: {loaded:.0f} ms; a whole run with nothing to do, git included: {whole:.0f} ms"
    )
    figures.tell("publish-start", helped, "ms", floor)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
