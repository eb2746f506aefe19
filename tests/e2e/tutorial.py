"""A page of the tutorial as something to do: files to write, and commands to give, in their order."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from tests.docs import pages

_BLOCK = re.compile(
    r'^```(?P<language>\w+) title="(?P<title>[^"]+)"\n(?P<body>.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A block with a title. Of a file it is the path, of commands the folder they are given in."""

    language: str
    title: str
    body: str

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Each command, and the lines that the page shows below it."""
        line, shown = "", list[str]()
        for one in self.body.splitlines():
            if one.startswith("$ "):
                if line:
                    yield line, shown
                line, shown = one[2:], []
            else:
                shown.append(one)
        if line:
            yield line, shown


def sections(page: str) -> dict[str, list[Block]]:
    """The blocks of each section that have a title."""
    found = {}
    for heading, body in pages.sections(page, 2).items():
        found[heading] = [
            Block(match["language"], match["title"], match["body"]) for match in _BLOCK.finditer(body)
        ]
    return found


def alike(shown: str, said: str) -> bool:
    """Whether a line is what the page shows, but for ids, numbers and who it is."""
    return _plain(shown) == _plain(said)


def _plain(line: str) -> str:
    line = re.sub(r"\b[0-9a-f]{8}\b", "<id>", line)
    line = re.sub(r"https?://\S+?/(?=acme/)", "<forge>/", line)
    line = re.sub(r"\bby \w+:", "by <who>:", line)
    line = re.sub(r"\b\d+ checks\b", "<n> checks", line)
    return " ".join(line.split())
