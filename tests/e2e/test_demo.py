"""The story of the demo, as `make demo ONCE=1` tells it; and that nothing of it is left running."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

STEPS = (
    "serves version 1",
    "is live",
    "healed after",
    "is held back",
    "did you mean directory?",
    "still serves version 2",
    "about.html was pruned",
    "undrift approve website-production",
    "exactly that was applied",
    "All of it came true",
)


def _demo(folder: pathlib.Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "undrift", "demo", "--directory", str(folder), *more]


def _left(folder: pathlib.Path) -> list[str]:
    found = []
    for place in pathlib.Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                arguments = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in arguments:
                found.append(arguments.replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A short path."""
    return tmp_path_factory.mktemp("d") / "demo"


def test_the_story_comes_true_twice(folder: pathlib.Path) -> None:
    """The second time starts clean."""
    for _ in range(2):
        done = subprocess.run(
            _demo(folder, "--once"), capture_output=True, text=True, timeout=110, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr
        places = [done.stdout.find(step) for step in STEPS]
        assert -1 not in places, done.stdout
        assert places == sorted(places)
        assert _left(folder) == []


def test_an_interrupt_leaves_nothing_running(folder: pathlib.Path) -> None:
    """Ctrl-C while it stays up."""
    process = subprocess.Popen(_demo(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    end = time.monotonic() + 90
    for line in process.stdout:
        if "undrift status" in line:
            break
        assert time.monotonic() < end
    assert _left(folder)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()

    assert process.wait(30) == 0, rest
    process.stdout.close()
    assert _left(folder) == []


def test_a_folder_that_is_not_ours_is_left_alone(folder: pathlib.Path) -> None:
    """An error says so."""
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work", encoding="utf-8")
    done = subprocess.run(_demo(folder, "--once"), capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "not the folder of a demo" in done.stderr
    assert (folder / "thesis.txt").exists()
