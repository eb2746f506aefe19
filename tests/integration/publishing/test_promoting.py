"""`undrift promote` as CI runs it: gates that are shut, hotfixes that go past them, and all or nothing."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil

import pytest
import yaml

from tests.integration.publishing import places

BINARY = str(places.BIN / "undrift")
STAGES = ("staging", "prod-eu", "prod-us")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> places.Place:
    """Two stages side by side behind staging, which is published."""
    made = places.made(tmp_path)
    for stage in STAGES[1:]:
        shutil.copytree(made.application / "k8s" / "staging", made.application / "k8s" / stage)
    shutil.rmtree(made.application / "k8s" / "production")
    configure(made, "petclinic")
    ended(made, 0, "publish")
    return made


def document(place: places.Place, name: str) -> dict[str, object]:
    behind = [
        {"name": one, "namespace": "petclinic-staging", "requires": [{"stage": "staging"}]}
        for one in STAGES[1:]
    ]
    return {
        "apiVersion": "undrift.dev/v1",
        "kind": "Delivery",
        "metadata": {"name": name},
        "spec": {
            "gitopsRepository": {"url": f"file://{place.gitops}", "forge": "none"},
            "source": {"manifests": "k8s/{stage}"},
            "stages": [{"name": "staging", "namespace": "petclinic-staging"}, *behind],
            "train": "all",
        },
    }


def configure(place: places.Place, *names: str) -> None:
    text = yaml.safe_dump_all([document(place, name) for name in names], sort_keys=False)
    (place.application / "undrift.yaml").write_text(text, encoding="utf-8")
    commit(place)


def commit(place: places.Place) -> None:
    place.git("add", "-A")
    place.git("commit", "-qm", "Change")


def ended(place: places.Place, code: int, *arguments: str) -> str:
    done = place.run(BINARY, *arguments)
    said = " ".join(f"{done.stdout}\n{done.stderr}".split())
    assert done.returncode == code, said
    return said


def folders(place: places.Place) -> list[str]:
    return place.git("ls-tree", "--name-only", "main", cwd=place.gitops).split()


def test_publishing_leaves_what_has_a_gate_to_promoting(place: places.Place) -> None:
    assert folders(place) == ["staging"]


def test_a_gate_that_is_shut_is_told(place: places.Place) -> None:
    """No agent has reported: what is not known opens no gate."""
    tip = place.tip()

    assert re.search(r"prod-eu waiting .*staging", ended(place, 0, "promote"))
    assert re.search(r"UD920.*may not go to prod-eu.*staging", ended(place, 10, "promote", "--to", "prod-eu"))
    assert place.tip() == tip


def test_a_hotfix_goes_past_it_and_says_so(place: places.Place) -> None:
    said = ended(place, 2, "promote", "--to", "prod-eu", "--hotfix", "It burns", "--detailed-exitcode")

    assert "prod-eu published" in said
    assert folders(place) == ["prod-eu", "staging"]
    assert "Undrift-Hotfix: It burns" in place.git("log", "-1", "--format=%B", "main", cwd=place.gitops)
    assert "unchanged" in ended(place, 0, "promote", "--to", "prod-eu", "--hotfix", "It burns")


def test_nothing_is_promoted_while_anything_that_would_be_is_wrong(place: places.Place) -> None:
    """P8, over several stages."""
    path = place.application / "k8s" / "prod-us" / "deployment.yaml"
    path.write_text(path.read_text("utf-8").replace("petclinic:1.0", "petclinic:latest"), encoding="utf-8")
    commit(place)
    tip = place.tip()

    said = ended(place, 5, "promote", "--to", "prod-eu", "--to", "prod-us", "--hotfix", "It burns")

    assert re.search(r"UD409.*petclinic:latest.*prod-us", said)
    assert place.tip() == tip


def test_nothing_of_a_train_is_promoted_while_anything_of_it_is_wrong(place: places.Place) -> None:
    """P8, over several applications: the second one's container is not there."""
    configure(place, "petclinic", "visits")
    text = (place.application / "undrift.yaml").read_text("utf-8")
    first, second = text.split("---\n")
    broken = second + "  images:\n  - {name: nowhere, newTag: '2'}\n"
    (place.application / "undrift.yaml").write_text(f"{first}---\n{broken}", encoding="utf-8")
    commit(place)
    tip = place.tip()

    said = ended(place, 4, "promote", "--train", "--to", "prod-eu", "--hotfix", "It burns")

    assert re.search(r"UD305.*nowhere", said)
    assert place.tip() == tip


TOLD = "#!/bin/sh\necho push >> pushes\nwhile read old new ref; do echo $ref >> pushes; done\n"


def hook(place: places.Place, name: str, text: str) -> None:
    path = place.gitops / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def test_a_train_is_one_push(place: places.Place) -> None:
    """P2, P7 and P9 over several applications: two of them and two stages are four commits, and one move of the branch."""
    configure(place, "petclinic", "visits")
    ended(place, 0, "publish", "--application", "visits", "--stage", "staging")
    ended(place, 0, "publish", "--application", "petclinic", "--stage", "staging")
    before = place.tip()
    hook(place, "pre-receive", TOLD)

    ended(place, 0, "promote", "--train", "--to", "prod-eu", "--to", "prod-us", "--hotfix", "It burns")

    assert (place.gitops / "pushes").read_text().split() == ["push", "refs/heads/main"]
    new = place.git("rev-list", "--reverse", f"{before}..main", cwd=place.gitops).split()
    touched = [set(place.git("diff", "--name-only", f"{one}^", one, cwd=place.gitops).split()) for one in new]
    assert [sorted({name.rpartition("/")[0] for name in names}) for names in touched] == [
        ["prod-eu/petclinic"], ["prod-us/petclinic"], ["prod-eu/visits"], ["prod-us/visits"],
    ]  # fmt: skip
    place.git("fsck", "--strict", cwd=place.gitops)
    ended(place, 0, "promote", "--train", "--to", "prod-eu", "--hotfix", "It burns")
    assert place.git("rev-parse", "main", cwd=place.gitops).strip() == new[-1]


def test_a_train_moves_together_or_not_at_all(place: places.Place) -> None:
    """P9: somebody is faster once, and everything is made anew on what is there then; a rule of the server stops all."""
    configure(place, "petclinic", "visits")
    once = (
        "#!/bin/sh\n[ -e raced ] && exit 0\ntouch raced\nunset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY\n"
        "unset GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        "other=$(git -c user.name=Jo -c user.email=jo@example.org commit-tree -p main -m Else 'main^{tree}')\n"
        "git update-ref refs/heads/main $other\n"
    )
    hook(place, "pre-receive", once)

    ended(place, 0, "promote", "--train", "--to", "prod-eu", "--hotfix", "It burns")

    said = place.git("log", "-3", "--format=%s", "main", cwd=place.gitops).splitlines()
    assert said[2] == "Else"
    assert all(line.startswith("[prod-eu]") for line in said[:2])

    tip = place.tip()
    hook(place, "pre-receive", "#!/bin/sh\nexit 1\n")
    ended(place, 6, "promote", "--train", "--to", "prod-us", "--hotfix", "It burns")
    assert place.tip() == tip


def test_a_train_over_two_repositories_says_what_moved(place: places.Place) -> None:
    other = place.root / "other.git"
    shutil.copytree(place.gitops, other)
    there = dataclasses.replace(place, gitops=other)
    documents = [document(place, "petclinic"), document(there, "visits")]
    (place.application / "undrift.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    commit(place)
    hook(there, "pre-receive", "#!/bin/sh\nexit 1\n")

    said = ended(place, 8, "promote", "--train", "--to", "prod-eu", "--hotfix", "It burns")

    assert re.search(r"UD922.*petclinic to prod-eu moved, and visits to prod-eu did not.*run it again", said)
    assert folders(place) == ["prod-eu", "staging"]
    assert folders(there) == ["staging"]
