"""`undrift init`, as a person runs it: what it writes, what it leaves alone, and that what follows works."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from tests.integration.publishing import places
from undrift.config import delivering
from undrift.publishing import snippets

URL = "https://forge.example/ops/gitops.git"


@pytest.fixture
def place(tmp_path: pathlib.Path) -> places.Place:
    return places.made(tmp_path)


def test_it_writes_a_file_that_is_read(place: places.Place) -> None:
    done = place.undrift("init", "--gitops", URL)
    file = place.application / "undrift.yaml"
    (read,) = delivering.read(file.read_bytes(), "undrift.yaml")

    assert done.returncode == 0, done.stderr
    assert "wrote undrift.yaml" in done.stdout
    assert "staging (direct) → production (pull-request)" in done.stdout
    assert read.delivery.destination.url == URL
    assert [stage.namespace for stage in read.delivery.stages] == [
        "petclinic-staging",
        "petclinic-production",
    ]
    assert file.stat().st_mode & 0o777 == 0o644


def test_without_a_url_what_is_missing_is_said_with_its_line(place: places.Place) -> None:
    first = place.undrift("init")
    place.git("add", "-A")
    place.git("commit", "-qm", "Deliver")
    then = place.undrift("publish", "--dry-run")
    number = next(
        number
        for number, line in enumerate((place.application / "undrift.yaml").read_text().splitlines(), 1)
        if "CHANGE-ME" in line and "url:" in line
    )

    assert "in place of CHANGE-ME" in first.stdout
    assert then.returncode == 3
    assert "gitopsRepository.url is not a URL" in then.stderr
    assert f"undrift.yaml:{number}:" in then.stderr


def test_nothing_is_written_over_unless_that_is_asked_for(place: places.Place) -> None:
    file = place.application / "undrift.yaml"
    file.write_text("mine\n", encoding="utf-8")

    refused = place.undrift("init")
    assert refused.returncode == 64
    assert "is there already" in refused.stderr
    assert file.read_text(encoding="utf-8") == "mine\n"

    assert place.undrift("init", "--force").returncode == 0
    assert "kind: Delivery" in file.read_text(encoding="utf-8")


def test_the_other_spelling_of_the_file_is_seen(place: places.Place) -> None:
    (place.application / "undrift.yml").write_text("mine\n", encoding="utf-8")

    assert place.undrift("init").returncode == 64
    assert not (place.application / "undrift.yaml").exists()


def test_the_application_is_called_like_its_repository(place: places.Place) -> None:
    place.git("remote", "add", "origin", "git@forge.example:team/Web-Shop.git")
    place.undrift("init")
    (place.application / "part").mkdir()
    place.undrift("init", "part")

    assert "  name: web-shop\n" in (place.application / "undrift.yaml").read_text(encoding="utf-8")
    assert "  name: part\n" in (place.application / "part" / "undrift.yaml").read_text(encoding="utf-8")
    assert place.undrift("init", "--force", "--application", "Other App").returncode == 64
    assert place.undrift("init", "--force", "--application", "other-app").returncode == 0
    assert "  name: other-app\n" in (place.application / "undrift.yaml").read_text(encoding="utf-8")


def test_it_works_where_there_is_no_git(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "My App"
    folder.mkdir()
    place = places.Place(tmp_path, folder, tmp_path)

    done = place.run(places.BIN / "undrift", "init", env={"PATH": str(tmp_path)})

    assert done.returncode == 0, done.stderr
    assert "  name: my-app\n" in (folder / "undrift.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("system", sorted(snippets.FILES))
def test_the_file_of_a_ci_system_is_written_and_printed_where_there_is_one(
    place: places.Place, system: str
) -> None:
    file = place.application / snippets.FILES[system]
    done = place.undrift("init", "--ci", system)
    text = file.read_text(encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert text == snippets.text(system, "application")
    assert os.access(file, os.X_OK) == (system == "shell")

    file.write_text("mine\n", encoding="utf-8")
    again = place.undrift("init", "--ci", system)
    assert again.returncode == 0, again.stderr
    assert file.read_text(encoding="utf-8") == "mine\n"
    assert "undrift.yaml is there already and was left as it is" in again.stdout
    assert all(line.strip() in again.stdout for line in text.splitlines())


def test_the_image_in_ci_has_the_name_that_the_delivery_gives_it(place: places.Place) -> None:
    for stage in places.STAGES:
        file = place.application / "k8s" / stage / "deployment.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace("application", "web"), encoding="utf-8")
    place.undrift("init", "--gitops", URL.replace("forge.example", "git.corp.example:8443"))
    place.undrift("init", "--ci", "gitlab")

    text = (place.application / ".gitlab-ci.yml").read_text(encoding="utf-8")
    assert '--image web="$IMAGE"' in text
    assert "application=" not in text
    assert "UNDRIFT_FORGE_HOST: git.corp.example:8443 #" in text


def test_a_jenkinsfile_is_converted(place: places.Place) -> None:
    (place.application / "Jenkinsfile").write_text(
        "deployViaGitops(application: 'shop', scm: [provider: 'SCMManager', baseUrl: 'https://scm.example/scm', "
        "repositoryUrl: 'ops/gitops'], deployments: [plain: [:]])\n",
        encoding="utf-8",
    )
    done = place.undrift("init", "--from-jenkinsfile")
    (read,) = delivering.read((place.application / "undrift.yaml").read_bytes(), "undrift.yaml")

    assert done.returncode == 0, done.stderr
    assert read.delivery.application == "shop"
    assert read.delivery.destination.forge == "scm-manager"
    assert "note: " in done.stdout
    assert place.undrift("init", "--force", "--from-jenkinsfile", "missing").returncode == 64


def test_for_machines_it_is_data(place: places.Place) -> None:
    done = place.undrift("init", "--ci", "github", "-o", "json")
    told = json.loads(done.stdout)

    assert told["application"] == "petclinic"
    assert told["stages"] == [
        {"name": "staging", "publish": "direct"},
        {"name": "production", "publish": "pull-request"},
    ]
    assert told["written"] == [told["file"], told["ci_file"]]


def test_what_it_writes_can_be_published(tmp_path: pathlib.Path) -> None:
    place = places.delivered(tmp_path)
    before = place.tip()
    shown = place.undrift("publish", "--dry-run", "--image", f"application={places.IMAGE}")
    assert shown.returncode == 0, shown.stderr
    assert place.tip() == before

    done = place.undrift("publish", "--image", f"application={places.IMAGE}")
    assert done.returncode == 0, done.stderr
    assert [places.IMAGE in place.published(stage) for stage in places.STAGES] == [True, True]
