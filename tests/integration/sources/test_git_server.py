"""The shipped Git server behaves like a forge: git itself can clone from it, push to it, and is refused."""

import os
import pathlib
import subprocess

import pytest

from undrift.testing import git_http, git_server


def git(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, **settings}
    return subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, check=False)


def test_a_commit_is_cloned_over_http(tmp_path: pathlib.Path) -> None:
    """What was committed comes out of a clone, odd names, modes and links included."""
    with git_server.GitServer(tmp_path / "served") as server:
        repository = server.repository("apps.git")
        repository.commit(
            {"site/index.html": "<h1>Hello</h1>", 'odd "name"\n\u00e9': b"\x00\xff"}, "Say hello"
        )
        repository.commit_entries({"run": ("100755", "#!/bin/sh\n"), "link": ("120000", "run")})
        repository.commit({"site/index.html": None})
        done = git("clone", "-q", repository.url, str(tmp_path / "clone"))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "clone" / 'odd "name"\n\u00e9').read_bytes() == b"\x00\xff"
        assert os.access(tmp_path / "clone" / "run", os.X_OK)
        assert (tmp_path / "clone" / "link").readlink() == pathlib.Path("run")
        assert not (tmp_path / "clone" / "site").exists()
        assert server.count() == 2  # ls-refs, fetch


def test_a_stranger_is_refused(tmp_path: pathlib.Path) -> None:
    behaviour = git_http.Behaviour(users={"ada": "secret"}, tokens={"tok"})
    with git_server.GitServer(tmp_path, behaviour) as server:
        repository = server.repository("apps.git")
        repository.commit({"a": "1"})
        assert "could not read Username" in git("ls-remote", repository.url).stderr
        known = repository.url.replace("http://", "http://ada:secret@")
        assert repository.revision() in git("ls-remote", known).stdout
        bearer = git("-c", "http.extraHeader=Authorization: Bearer tok", "ls-remote", repository.url)
        assert repository.revision() in bearer.stdout


def test_it_is_gone_and_comes_back_on_the_same_port(tmp_path: pathlib.Path) -> None:
    with git_server.GitServer(tmp_path) as server:
        repository = server.repository("apps.git")
        repository.commit({"a": "1"})
        server.stop()
        assert git("ls-remote", repository.url).returncode != 0
        server.start()
        assert repository.revision() in git("ls-remote", repository.url).stdout


@pytest.mark.parametrize("format_", ["ssh", "openpgp"])
def test_commits_and_tags_are_signed(tmp_path: pathlib.Path, format_: str) -> None:
    repository = git_server.GitRepository(tmp_path / "apps.git")
    maker = git_server.make_ssh_signer if format_ == "ssh" else git_server.make_openpgp_signer
    signer = maker(tmp_path / "keys")
    first = repository.commit({"a": "1"})
    second = repository.commit({"a": "2"}, "Sign this", sign=signer)
    assert repository.revision("main^") == first
    assert "gpgsig" in repository.git("cat-file", "commit", second)
    repository.tag("v1", sign=signer)
    assert "SIGNATURE" in repository.git("cat-file", "tag", "v1")
