"""publish-start: CPU of a whole `undrift publish` that finds nothing to do, without that of its `git`s, in milliseconds.

Beside it, in the same run, what no command of ours can be below: Python with asyncio and click, and with pydantic, which
reads the Delivery. The CPU of the `git`s, that of `publish --help` and that of what is imported are told, too.
"""

from __future__ import annotations

import os
import pathlib
import sys

from benchmarks import figures, publishing

ROUNDS = 9
ITSELF = """
import resource, sys
from undrift.cli import main
sys.argv = ["undrift", "publish"]
try:
    main.main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open(".git/cpu", "w") as file:
        file.write(str(used.ru_utime + used.ru_stime))
"""
IMPORTED = """
from undrift.cli import publish_command
from undrift.publishing import deciding, preparing, running, validating
"""
PYDANTIC = """
import asyncio, click, pydantic
class Model(pydantic.BaseModel):
    number: int = 1
"""


def cpu(command: list[str], place: pathlib.Path) -> float:
    """Milliseconds of CPU, the least of several rounds: the rest is what else the machine does."""
    used = []
    for _ in range(ROUNDS):
        before = publishing.spent()
        publishing.took(place, *command)
        used.append(publishing.spent() - before)
    return min(used) * 1000


def alone(place: pathlib.Path) -> float:
    """Milliseconds of CPU of a whole run, those of the `git`s that it starts left out; the least of several rounds."""
    used = []
    for _ in range(ROUNDS):
        publishing.took(place, sys.executable, "-c", ITSELF)
        used.append(float((place / ".git" / "cpu").read_text(encoding="utf-8")))
    return min(used) * 1000


def main() -> None:
    """Print it beside the floor."""
    with publishing.folder() as place, publishing.served(place) as url:
        made = publishing.application(place, "pet", url)
        publishing.took(made, publishing.UNDRIFT, "publish")
        itself = alone(made)
        whole = cpu([publishing.UNDRIFT, "publish"], made)
        loaded = cpu([sys.executable, "-c", IMPORTED], made)
        helped = cpu([publishing.UNDRIFT, "publish", "--help"], made)
        model = cpu([sys.executable, "-c", PYDANTIC], made)
        floor = cpu([sys.executable, "-c", "import asyncio, click"], made)
    print(
        f"with its gits: {whole:.0f} ms; all that it imports: {loaded:.0f} ms; publish --help: {helped:.0f} ms"
    )
    print(f"Python with asyncio, click and one model of pydantic: {model:.0f} ms")
    figures.tell("publish-start", itself, "ms", floor)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
