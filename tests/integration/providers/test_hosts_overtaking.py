"""A process that stands still while it writes marks: another one goes on, and it brings nothing back later."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from undrift.model import inventory, resource
from undrift.providers.hosts import book, marks, shelf

OWNER = inventory.Owner("agent", "app")
FILE = resource.ResourceId.of("File", "/a")
OTHER = resource.ResourceId.of("File", "/b")
HOLDER = """\
import os, signal, sys
from undrift import errors
from undrift.lib import atomic
from undrift.model import inventory, resource
from undrift.providers.hosts import book, marks, shelf

real, stops = atomic.write, [sys.argv[2]]

def write(path, content, mode=0o600, *, suffix, ready):
    def then():
        for when, look in (("before the look", ready), ("after the look", lambda: None)):
            if when in stops:
                stops.remove(when)
                os.kill(os.getpid(), signal.SIGSTOP)
            look()
    real(path, content, mode, suffix=suffix, ready=then)

atomic.write = write
owner = inventory.Owner("agent", "app")
place = book.Book(shelf.Shelf(sys.argv[1]))
place.refresh(owner)

def record(name):
    rid = resource.ResourceId.of("File", name)
    return marks.Record(id=rid, agent="agent", application="app", made=marks.Intent(revision="late"))

place.stage(record("/a"))
for _ in range(2):
    try:
        place.flush()
    except errors.TargetError as error:
        print(error.code, flush=True)
place.stage(record("/b"))
place.flush()
"""


def record(rid: resource.ResourceId, revision: str) -> marks.Record:
    return marks.Record(id=rid, agent="agent", application="app", made=marks.Intent(revision=revision))


def revisions(state: pathlib.Path) -> dict[str, str]:
    rows = json.loads((state / "@agent" / "app.json").read_text())["resources"]
    return {row["id"][2]: row["made"]["revision"] for row in rows}


@pytest.fixture(params=["before the look", "after the look"])
def holder(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Stopped with the lock in its hand, with a file prepared that is not renamed yet."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), request.param], stdout=subprocess.PIPE, text=True
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_stands_still_with_the_lock_is_overtaken(
    tmp_path: pathlib.Path, holder: subprocess.Popen[str]
) -> None:
    """What the former holder had prepared is never seen; it hears of it, looks again and goes on."""
    ours = book.Book(shelf.Shelf(str(tmp_path), patience=0.5))
    ours.refresh(OWNER)
    ours.stage(record(FILE, "ours"))
    began = time.monotonic()
    ours.flush()
    took = time.monotonic() - began
    after = revisions(tmp_path)

    holder.send_signal(signal.SIGCONT)
    told, _ = holder.communicate(timeout=30)

    assert after == {"/a": "ours"}
    assert 0.5 < took < 5
    assert holder.returncode == 0
    assert told.split() == ["UD501", "UD504"], "it was overtaken, and then another had written"
    assert revisions(tmp_path) == {"/a": "ours", "/b": "late"}
    assert [path.name for path in sorted(tmp_path.glob("lock*"))] == ["lock.1"]
    assert not list(tmp_path.glob("@agent/.*"))
    ours.refresh(OWNER)
    assert ours.owned(OWNER) == {FILE, OTHER}


def test_several_who_wait_overtake_once(tmp_path: pathlib.Path, holder: subprocess.Popen[str]) -> None:
    """Each gets the lock in its turn, and nobody's marks are lost."""
    script = (
        "import sys\nfrom undrift.model import inventory, resource\n"
        "from undrift.providers.hosts import book, marks, shelf\n"
        "found = book.Book(shelf.Shelf(sys.argv[1], patience=0.5))\n"
        "for count in range(20):\n"
        "    found.refresh(inventory.Owner('agent', 'app'))\n"
        "    rid = resource.ResourceId.of('File', f'/{sys.argv[2]}/{count}')\n"
        "    found.stage(marks.Record(id=rid, agent='agent', application='app', made=marks.Intent()))\n"
        "    found.flush()\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(number)]) for number in range(3)
    ]

    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    assert len(revisions(tmp_path)) == 60
    assert [path.name for path in tmp_path.glob("lock*")] == ["lock.1"]
    assert holder.poll() is None
