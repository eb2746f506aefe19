"""What CI installs: a wheel that works in an environment of nothing but what it asks for."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest

from tests import peers
from tests.architecture import reading
from tests.integration.publishing import places
from undrift.publishing import snippets

UV = reading.ROOT / ".uv" / "bin" / "uv"


def uv(*arguments: object) -> None:
    program = UV if UV.exists() else peers.require_peer("uv")
    done = subprocess.run(
        [program, *map(str, arguments)],
        cwd=reading.ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--wheel", "--out-dir", folder)
    (found,) = folder.glob("*.whl")
    return found


def test_it_holds_what_is_read_at_run_time(wheel: pathlib.Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {f"undrift/publishing/snippets/{name}" for name in snippets._SOURCES.values()} <= names
    assert [name for name in names if name.startswith("undrift/publishing/schemas/") and name.endswith(".xz")]
    assert not [name for name in names if name.startswith(("tests", "integrations", "docs"))]


def furnished(place: pathlib.Path) -> pathlib.Path:
    """An environment with what the lock file says that undrift needs, and nothing else; all of it is here already."""
    uv("venv", "--quiet", "--python", sys.executable, place)
    listed = place / "requirements.txt"
    uv("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--output-file", listed)
    (packages,) = place.glob("lib/python*/site-packages")
    for name in re.findall(r"^([\w.-]+)==", listed.read_text(encoding="utf-8"), re.MULTILINE):
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another system
        for part in {file.parts[0] for file in found.files or () if ".." not in file.parts}:
            if not (packages / part).exists():
                (packages / part).symlink_to(pathlib.Path(str(found.locate_file(part))))
    return place / "bin" / "python"


def test_it_begins_and_publishes_where_nothing_else_is(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    place = places.made(tmp_path)
    python = furnished(tmp_path / "fresh")
    uv("pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return place.run(python.parent / "undrift", *arguments)

    assert run("--version").stdout.startswith("undrift ")
    done = run("init", "--gitops", f"file://{place.gitops}", "--ci", "shell")
    assert done.returncode == 0, done.stderr
    file = place.application / "undrift.yaml"
    text = file.read_text(encoding="utf-8").replace("#forge: gitea", "forge: none")
    file.write_text(text.replace("publish: pull-request", "publish: direct"), encoding="utf-8")
    place.git("add", "-A")
    place.git("commit", "-qm", "Deliver")
    done = run("publish", "--image", f"application={places.IMAGE}")
    assert done.returncode == 0, done.stderr
    assert places.IMAGE in place.published("staging")
