"""The story of the demo, as `make demo ONCE=1` tells it; and that nothing of it is ever left running."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest

from undrift.cli.demo import processes

PATIENCE = 110
STEPS = (
    "First apply",
    "serves version 1",
    "as declared",
    "A commit goes out",
    "is live: the site serves version 2",
    "that is drift",
    "it was noticed and healed",
    "-<p>Version 3, hacked</p>",
    "A bad commit is refused",
    "it is held back, before anything was touched",
    "where:  staging/host.yaml:12:7",
    "next:   did you mean directory?",
    "the site still serves version 2",
    "in sync again",
    "What leaves Git leaves the target",
    "about.html was pruned, and the server answers 404",
    "was not touched",
    "Production waits for a person",
    "nothing was touched there until now",
    "undrift approve website-production",
    "what was applied is what was approved",
    "All of it came true",
)


def command(folder: pathlib.Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "undrift", "demo", "--directory", str(folder), *more]


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """A short path: sockets have short names. Whatever a failing test leaves there is ended."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="undrift-demo-"))
    yield root / "demo"
    processes.stop(root / "demo")
    shutil.rmtree(root)


def left(folder: pathlib.Path) -> list[str]:
    """Whatever runs and names the folder or works in it: seen without the demo's own way to look."""
    found = []
    for place in pathlib.Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with contextlib.suppress(OSError):
                arguments = (place / "cmdline").read_bytes()
                cwd = os.fsencode(place.joinpath("cwd").readlink())
                if os.fsencode(folder) in arguments or cwd.startswith(os.fsencode(folder)):
                    found.append(arguments.replace(b"\0", b" ").decode())
    return found


@contextlib.contextmanager
def playing(folder: pathlib.Path, until: str) -> Iterator[subprocess.Popen[str]]:
    """A demo that has told as far as `until`; what it tells later is read too, so that it never waits for us."""
    process = subprocess.Popen(command(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    output = process.stdout
    told = []
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    for line in output:
        told.append(line)
        if until in line:
            break
    alarm.cancel()
    reader = threading.Thread(target=lambda: told.extend(output))
    reader.start()
    try:
        assert until in told[-1] or any(until in line for line in told), "".join(told)
        yield process
    finally:
        process.kill()
        process.wait(20)
        reader.join(20)
        output.close()


def test_the_story_comes_true_twice(folder: pathlib.Path) -> None:
    """Each step in its order; the second time starts clean, and so does each after."""
    for _ in range(2):
        done = subprocess.run(
            command(folder, "--once"), capture_output=True, text=True, timeout=PATIENCE, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr
        places = [done.stdout.find(step) for step in STEPS]
        assert -1 not in places, (STEPS[places.index(-1)], done.stdout)
        assert places == sorted(places)
        assert "\x1b" not in done.stdout, "plain in a pipe"
        assert done.stderr == "", "and quiet"
        assert left(folder) == []


def test_machines_get_a_line_of_json_each(folder: pathlib.Path) -> None:
    done = subprocess.run(
        command(folder, "--once", "-o", "json"), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["step"] for one in told if "step" in one] == [1, 2, 3, 4, 5, 6]
    assert all(one["seconds"] >= 0 for one in told if "seconds" in one)
    assert left(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_while_it_stays_up_leaves_nothing_running(
    folder: pathlib.Path, number: signal.Signals
) -> None:
    with playing(folder, "undrift rollback") as process:
        assert len(left(folder)) >= 5, "the demo, an agent, two supervisors, two web servers"
        process.send_signal(number)

        assert process.wait(40) == 0
    assert left(folder) == []


def test_who_ends_it_in_the_middle_leaves_nothing_running(folder: pathlib.Path) -> None:
    """The exit code says that the story was not told to its end."""
    with playing(folder, "A commit goes out") as process:
        process.send_signal(signal.SIGINT)

        assert process.wait(40) == 130
    assert left(folder) == []


def test_a_demo_that_was_killed_is_cleaned_up_by_the_next_and_nothing_else_is(folder: pathlib.Path) -> None:
    """Somebody's own program in the folder of the demo is not the demo's to end."""
    with playing(folder, "A commit goes out") as process:
        process.kill()
        process.wait(20)
    assert left(folder), "nobody could end what it had started"
    viewer = subprocess.Popen(["sleep", "600"], cwd=folder / "checkout")
    pager = subprocess.Popen(["tail", "-f", str(folder / "agent.log")], stdout=subprocess.DEVNULL)
    try:
        done = subprocess.run(
            command(folder, "--once"), capture_output=True, text=True, timeout=PATIENCE, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert viewer.poll() is None
        assert pager.poll() is None
    finally:
        for one in (viewer, pager):
            one.kill()
            one.wait(10)
    assert left(folder) == []


def test_a_folder_that_is_not_a_demo_s_is_left_alone(folder: pathlib.Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work", encoding="utf-8")
    done = subprocess.run(command(folder, "--once"), capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "not the folder of a demo" in done.stderr
    assert (folder / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_a_name_too_long_for_sockets_is_said_before_anything_is_made(folder: pathlib.Path) -> None:
    done = subprocess.run(
        command(folder / ("x" * 60), "--once"), capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert "choose a shorter one with --directory" in done.stderr
    assert not folder.exists()
