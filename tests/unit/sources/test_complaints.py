"""What `git` complains about, in our words: each of these lines was printed by a real git."""

import pytest

from undrift import errors
from undrift.sources.git import command


def explain(said: str, *secrets: str) -> errors.SourceError:
    return command.explain("it failed", command.Finished(128, b"", said), secrets)


@pytest.mark.parametrize(
    "said, kind",
    [
        ("fatal: Authentication failed for 'https://example.com/a/'", errors.SourceDenied),
        (
            "fatal: could not read Username for 'https://example.com': terminal prompts disabled",
            errors.SourceDenied,
        ),
        (
            "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            errors.SourceDenied,
        ),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", errors.SourceDenied),
        ("remote: Repository not found.\nfatal: repository 'https://x/' not found", errors.SourceDenied),
        ("fatal: detected dubious ownership in repository at '/srv/a'", errors.SourceDenied),
        (
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            errors.HostKeyRefused,
        ),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", errors.HostKeyRefused),
        (
            "fatal: unable to access 'https://x/': SSL certificate problem: self-signed certificate",
            errors.HostKeyRefused,
        ),
        (
            "fatal: unable to access 'https://x/': server certificate verification failed.",
            errors.HostKeyRefused,
        ),
        ("fatal: couldn't find remote ref refs/heads/absent", errors.ReferenceMissing),
        ("fatal: remote error: upload-pack: not our ref aaaa", errors.ReferenceMissing),
        ("error: Server does not allow request for unadvertised object aaaa", errors.ReferenceMissing),
        (
            "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
            errors.StoreBroken,
        ),
        ("fatal: unable to create temporary file '/x/tmp_pack': Read-only file system", errors.StoreBroken),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", errors.SourceUnavailable),
        (
            "fatal: unable to access 'https://x/': The requested URL returned error: 503",
            errors.SourceUnavailable,
        ),
        (
            "ssh: connect to host x port 22: Connection refused\nfatal: Could not read from remote",
            errors.SourceUnavailable,
        ),
        (
            "error: RPC failed; curl 18 transfer closed\nfatal: protocol error: bad pack header",
            errors.SourceUnavailable,
        ),
        ("fatal: the remote end hung up unexpectedly\nfatal: early EOF", errors.SourceUnavailable),
        ("fatal: something new under the sun", errors.SourceUnavailable),
        ("", errors.SourceUnavailable),
    ],
)
def test_what_is_meant(said: str, kind: type[errors.SourceError]) -> None:
    error = explain(said)
    assert type(error) is kind
    assert error.hint


@pytest.mark.parametrize(
    "said",
    [
        "error: inflate: data stream error (incorrect data check)\nfatal: packed object aaaa is corrupt",
        "fatal: loose object aaaa (stored in /x) is corrupt",
        "error: packfile /x/pack-1.pack does not match index",
        "fatal: not a git repository: '/x/objects.git'",
        "fatal: bad config line 1 in file /x/config",
        "fatal: unable to read tree aaaa",
    ],
)
def test_damage_of_our_own_store(said: str) -> None:
    with pytest.raises(command.Corruption):
        explain(said)


def test_secrets_are_masked() -> None:
    error = explain("fatal: unable to access: header was Basic c2VjcmV0LXZhbHVl", "c2VjcmV0LXZhbHVl")
    assert "c2VjcmV0LXZhbHVl" not in str(error)
    assert "***" in str(error)


def test_what_is_shown_is_short() -> None:
    assert (
        command.shorten("remote: Hello\nfatal: x\nPlease make sure you have the correct access rights\n")
        == "Hello\nx"
    )


def test_settings_travel_in_the_environment() -> None:
    assert command.settings([("a.b", "c"), ("d.e", "f")]) == {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "a.b",
        "GIT_CONFIG_VALUE_0": "c",
        "GIT_CONFIG_KEY_1": "d.e",
        "GIT_CONFIG_VALUE_1": "f",
    }


def test_nothing_of_the_machine_but_what_is_meant_reaches_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "evil")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.sshCommand'='evil'")
    monkeypatch.setenv("GIT_TOKEN", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    found = command.plain_environment()
    assert found["HTTPS_PROXY"] == "http://proxy"
    assert "evil" not in repr(found)
    assert "secret" not in repr(found)
