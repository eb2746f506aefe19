"""The real programs that tests talk to: where they are, and what happens when one is missing.

`make test` obtains them (`scripts/testbed`). A missing one skips its tests on a laptop and fails them in CI,
so that a green CI run means that everything was run.
"""

import os
import pathlib
import shutil
import sys

import pytest

from undrift.testing import control_plane, gitea_server

# Debian keeps daemons out of a user's PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

# Programs that lie on no PATH at all, from the root; of several versions the newest is taken.
_ELSEWHERE = {
    "git-http-backend": ["usr/lib/git-core/git-http-backend", "usr/libexec/git-core/git-http-backend"],
    "initdb": ["usr/lib/postgresql/*/bin/initdb"],
    "pg_ctl": ["usr/lib/postgresql/*/bin/pg_ctl"],
    "postgres": ["usr/lib/postgresql/*/bin/postgres"],
    "psql": ["usr/lib/postgresql/*/bin/psql"],
    "libfaketime": ["usr/lib/*/faketime/libfaketime.so.1"],
    "docker-registry": ["usr/bin/registry", "usr/local/bin/registry"],
}


def _version(path: pathlib.Path) -> list[int]:
    return [int(part) for part in path.parts if part.isdigit()]


def find_peer(name: str) -> pathlib.Path | None:
    """Where the program is, or None. What is in our own environment (`sops`) is found too."""
    own = pathlib.Path(sys.executable).parent / name
    if own.is_file():
        return own
    found = shutil.which(name, path=_PATH)
    if found:
        return pathlib.Path(found)
    elsewhere = [path for pattern in _ELSEWHERE.get(name, []) for path in pathlib.Path("/").glob(pattern)]
    return max(elsewhere, key=_version) if elsewhere else None


def in_ci() -> bool:
    """Whether a missing peer is a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def require_peer(name: str) -> pathlib.Path:
    """Where the program is; without it the test is skipped, in CI it fails."""
    found = find_peer(name)
    if found is not None:
        return found
    reason = f"{name} is not installed; `make peers` as root obtains it"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_control_plane() -> control_plane.Programs:
    """The programs of a Kubernetes control plane; without them the test is skipped, in CI it fails."""
    found = control_plane.find()
    if found is not None:
        return found
    reason = "the Kubernetes control plane is not built; `make peers` builds it"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_tool(name: str) -> pathlib.Path:
    """Where kubectl or Helm was built; without it the test is skipped, in CI it fails."""
    found = control_plane.find_tool(name)
    if found is not None:
        return found
    reason = f"{name} is not built; `make peers` builds it"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_gitea() -> pathlib.Path:
    """Where Gitea was built; without it the test is skipped, in CI it fails."""
    found = gitea_server.find()
    if found is not None:
        return found
    reason = "Gitea is not built; `make peers` builds it"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_ansible() -> pathlib.Path:
    """Where ansible-playbook is, in an environment of its own; without it the test is skipped, in CI it fails."""
    places = (control_plane.ROOT).glob("ansible-*/bin/ansible-playbook")
    found = max((path for path in places if path.is_file()), key=_version, default=None)
    if found is not None:
        return found
    reason = "ansible-core is not installed; `make peers` obtains it"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
