"""The documentation builds: no page is unplaced, no link leads nowhere."""

import pathlib
import subprocess
import sys

import pytest

from tests.architecture import reading


def build(site: pathlib.Path) -> subprocess.CompletedProcess[str]:
    mkdocs = pathlib.Path(sys.executable).with_name("mkdocs")
    command = [str(mkdocs), "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=reading.ROOT, capture_output=True, text=True, check=False)


def test_the_site_builds(tmp_path: pathlib.Path) -> None:
    done = build(tmp_path / "site")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "explanation" / "architecture.html").is_file()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_front_pages_lead_somewhere(page: str) -> None:
    text = (reading.ROOT / page).read_text(encoding="utf-8")
    targets = [part.partition(")")[0] for part in text.split("](")[1:]]
    missing = [target for target in targets if "://" not in target and not (reading.ROOT / target).exists()]

    assert targets
    assert not missing
