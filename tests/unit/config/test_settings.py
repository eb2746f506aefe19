"""The settings of a process: options before variables, all that is wrong at once, nothing secret on show."""

import pathlib

import pytest

from undrift import errors
from undrift.config import settings
from undrift.model import source

URL = "https://git.example.org/config"
ENVIRON = {"XDG_STATE_HOME": "/state"}


def refused(options: dict[str, object], environ: dict[str, str]) -> list[str]:
    with pytest.raises(errors.UndriftError) as caught:
        settings.load(options, environ)
    return [error.what for error in caught.value.parts]


def test_a_repository_is_all_it_takes() -> None:
    found = settings.load({"repository": URL}, ENVIRON)

    assert found == settings.Settings(
        repository=URL,
        path=".",
        branch="main",
        state_dir=pathlib.Path("/state/undrift"),
        socket=pathlib.Path("/state/undrift/agent.sock"),
        database="sqlite:////state/undrift/undrift.db",
        authentication=source.Authentication(),
    )
    assert found.source.name == "config"
    assert str(found.source.reference) == "main"


def test_options_come_before_variables() -> None:
    environ = ENVIRON | {
        "UNDRIFT_REPOSITORY": "https://other.example.org/x",
        "UNDRIFT_PATH": "a/b/",
        "UNDRIFT_AGENT": "east",
        "UNDRIFT_INTERVAL": "5s",
        "UNDRIFT_ALLOW_FORCE_PUSH": "true",
    }
    found = settings.load({"repository": URL, "path": None, "agent": ""}, environ)

    assert (found.repository, found.path, found.agent, found.interval) == (URL, "a/b", "east", 5.0)
    assert found.source.allow_force_push


def test_without_a_state_home_it_is_in_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    assert settings.load({"repository": URL}, {}).state_dir == pathlib.Path("/home/ada/.local/state/undrift")
    relative = settings.load({"repository": URL}, {"XDG_STATE_HOME": "state"})
    assert relative.state_dir == pathlib.Path("/home/ada/.local/state/undrift")


@pytest.mark.parametrize(
    "url, kept",
    [
        (URL, URL),
        ("git@example.org:x/y.git", "git@example.org:x/y.git"),
        ("ssh://git@example.org/x", "ssh://git@example.org/x"),
        ("file:///srv/git", "file:///srv/git"),
        ("/srv/git", "/srv/git"),
    ],
)
def test_a_repository_is_a_url_or_a_path(url: str, kept: str) -> None:
    assert settings.load({"repository": url}, ENVIRON).repository == kept


def test_a_relative_path_is_made_absolute() -> None:
    assert settings.load({"repository": "x"}, ENVIRON).repository == str(pathlib.Path.cwd() / "x")


@pytest.mark.parametrize(
    "written, becomes",
    [
        ("postgresql://u:hunter2@db/undrift", "postgresql://u:hunter2@db/undrift"),
        ("postgres://db/undrift", "postgresql://db/undrift"),
        ("sqlite+aiosqlite:////x.db", "sqlite:////x.db"),
        ("/x.db", "sqlite:////x.db"),
    ],
)
def test_a_database_is_named_as_people_do(written: str, becomes: str) -> None:
    found = settings.load({"repository": URL, "database": written}, ENVIRON)

    assert found.database == becomes
    assert "hunter2" not in repr(found)


def test_credentials_are_named_never_held() -> None:
    environ = ENVIRON | {
        "UNDRIFT_GIT_USERNAME": "ada",
        "UNDRIFT_GIT_PASSWORD": "hunter2",
        "UNDRIFT_GIT_KNOWN_HOSTS_FILE": "/etc/known_hosts",
        "UNDRIFT_GIT_GITHUB_APP_ID": "1",
        "UNDRIFT_GIT_GITHUB_INSTALLATION_ID": "2",
        "UNDRIFT_GIT_GITHUB_APP_KEY_FILE": "/key",
    }
    found = settings.load({"repository": URL}, environ)

    assert found.authentication == source.Authentication(
        username=source.Credential(env="UNDRIFT_GIT_USERNAME"),
        password=source.Credential(env="UNDRIFT_GIT_PASSWORD"),
        known_hosts=source.Credential(file="/etc/known_hosts"),
        github_app=source.GitHubApp("1", "2", source.Credential(file="/key")),
    )
    assert "hunter2" not in repr(found)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    environ = ENVIRON | {
        "UNDRIFT_INTERVAL": "soon",
        "UNDRIFT_TIMEOUT": "0s",
        "UNDRIFT_ALLOW_FORCE_PUSH": "maybe",
        "UNDRIFT_GIT_TOKN": "x",
        "UNDRIFT_GIT_PASSWORD": "hunter2",
        "UNDRIFT_GIT_SSH_KEY": "x",
        "UNDRIFT_GIT_SSH_KEY_FILE": "/x",
        "UNDRIFT_GIT_GITHUB_APP_ID": "1",
        "UNDRIFT_GIT_ALLOWED_SIGNERS_FILE": "/nowhere/signers",
    }
    found = refused({"path": "../x", "socket": "/" + "s" * 200, "database": "mysql://x"}, environ)

    assert len(found) == 12
    assert not any("hunter2" in what for what in found)
    assert any("UNDRIFT_GIT_TOKN" in what for what in found)
    assert any("too long" in what for what in found)
    assert any("cannot be read" in what for what in found)


@pytest.mark.parametrize("url", ["https://ada:hunter2@example.org/x", "https://hunter2@example.org/x"])
def test_a_credential_in_the_url_is_refused_unseen(url: str) -> None:
    (what,) = refused({"repository": url}, ENVIRON)

    assert "credential" in what
    assert "hunter2" not in what
