"""P15, a promise: the token that CI publishes with is in no argument, log, commit, text, file or message."""

from __future__ import annotations

import base64
import os
import pathlib
import stat
import sys
from urllib import parse

import pytest

from tests import peers
from tests.integration.publishing import gitea_world
from undrift.testing import gitea_server

WRAPPER = """\
#!{python}
import os, sys
with open({log!r}, "a") as log:
    print(repr(sys.argv), file=log)
os.execv({git!r}, [{git!r}, *sys.argv[1:]])
"""


def watched(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A folder with a `git` that writes down its arguments, and where it does."""
    git, log = peers.require_peer("git"), folder / "arguments"
    place = folder / "bin"
    place.mkdir()
    (place / "git").write_text(
        WRAPPER.format(python=sys.executable, log=str(log), git=str(git)), encoding="utf-8"
    )
    (place / "git").chmod(stat.S_IRWXU)
    return place, log


def contents(folder: pathlib.Path, without: set[pathlib.Path], name: str = "*") -> list[str]:
    """All files below a folder as text."""
    found = [path for path in folder.rglob(name) if path.is_file() and path not in without]
    return [path.read_bytes().decode("utf-8", "replace") for path in found]


def forms(token: str) -> set[str]:
    """How the token may show: as it is, in a header, in a URL."""
    pairs = [f"{user}:{token}".encode() for user in (gitea_world.BOT, "git", "oauth2", "")]
    return {token, parse.quote(token, safe=""), *(base64.b64encode(pair).decode() for pair in pairs)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("outcome", ["published", "refused"])
async def test_the_token_is_nowhere(tmp_path: pathlib.Path, outcome: str) -> None:
    with gitea_server.GiteaServer(peers.require_gitea()) as server:
        world = gitea_world.World(server, tmp_path)
        pet = world.application("pet")
        token = (
            server.person(gitea_world.BOT).token
            if outcome == "published"
            else "0123456789abcdef" * 2 + "-wrong"
        )
        place, log = watched(tmp_path)
        trace = tmp_path / "trace"
        environ = {
            "PATH": f"{place}{os.pathsep}{world.environ()['PATH']}",
            "UNDRIFT_TOKEN": token,
            "GIT_TRACE2": str(trace),  # what Git itself starts: git-remote-http and its arguments
            "TMPDIR": str(tmp_path / "tmp"),
        }
        (tmp_path / "tmp").mkdir()

        ended = [
            await world.undrift(pet.folder, "publish", *more, **environ)
            for more in ((), ("--output", "json"))
        ]
        pet.commit({"a.yaml": gitea_world.config_map("pet", 1)})
        ended.append(await world.undrift(pet.folder, "publish", "--dry-run", **environ))

        assert [one.code for one in ended] == ([0, 0, 0] if outcome == "published" else [6, 6, 6])
        arguments, started = (contents(path.parent, set(), path.name)[0] for path in (log, trace))
        texts = [one.told for one in ended] + [arguments, started]
        assert "push" in arguments or outcome == "refused"
        assert "remote-http" in started or outcome == "refused"  # by the API, before Git is asked
        for one in world.opened():
            comments = world.call("GET", f"issues/{one['number']}/comments")
            texts += [str(one), str(comments), str(world.call("GET", f"commits/{one['head']['sha']}/status"))]
        texts.append(world.git("log", "--all", "-p", "--format=%B%an%ae%cn%ce"))
        texts += contents(tmp_path, {log, trace})

        found = [text[:200] for text in texts for form in forms(token) if form in text]
        assert not found
        assert not any(contents(tmp_path / "tmp", set())), "something was left behind"  # but an empty lock


def test_the_hunt_would_find_it() -> None:
    """The search above can fail."""
    token = "s3cret"
    header = base64.b64encode(f"{gitea_world.BOT}:{token}".encode()).decode()

    assert any(form in f"Authorization: Basic {header}" for form in forms(token))
