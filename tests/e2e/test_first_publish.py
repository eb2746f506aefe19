"""The page "A first publish, in a minute" does what it says, with Git and undrift alone."""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess

import pytest

from tests import peers
from tests.e2e import tutorial
from tests.integration.publishing import places

PAGE = "tutorial/first-publish.md"
HOME = "/home/ada"
WRONG = "latest"
"""What a command holds that the page shows the refusal of."""


def run(folder: pathlib.Path, home: pathlib.Path, command: str) -> list[str]:
    """What a command of the page says."""
    done = subprocess.run(
        shlex.split(command), cwd=folder, capture_output=True, text=True, timeout=100, check=False,
        env={
            **places.environment(home), "GIT_CONFIG_GLOBAL": "/dev/null", "USER": "ada", "LOGNAME": "ada",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
        },
    )  # fmt: skip
    assert (done.returncode != 0) == (WRONG in command), f"{command}: {done.stdout}{done.stderr}"
    return (done.stdout + done.stderr).splitlines()


def test_the_page_does_what_it_says(tmp_path: pathlib.Path) -> None:
    peers.require_peer("git")
    shown = 0
    for blocks in tutorial.sections(PAGE).values():
        for block in blocks:
            place = tmp_path / block.title
            if block.language != "console":
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(block.body.replace(HOME, str(tmp_path)), encoding="utf-8")
                continue
            for command, lines in block.commands():
                said = run(place, tmp_path, command)
                if lines:
                    wanted = [line for line in lines if line.strip()]
                    assert len(said) == len(wanted), (command, said)
                    for want, have in zip(wanted, said, strict=True):
                        assert known(want) == known(have), command
                    shown += 1
    assert shown == 9


def known(line: str) -> str:
    """A line, but for ids and who it is."""
    return re.sub(r"\bby \w+;", "by <who>;", " ".join(re.sub(r"\b[0-9a-f]{8}\b", "<id>", line).split()))


@pytest.mark.parametrize("word", ["forge: none", "undrift rollback", "--stage production"])
def test_the_page_shows_the_whole_way(word: str) -> None:
    text = "\n".join(block.body for blocks in tutorial.sections(PAGE).values() for block in blocks)
    assert word in text
