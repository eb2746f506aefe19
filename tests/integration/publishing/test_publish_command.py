"""`undrift publish` and its like as CI runs them: every exit code, and every message that promotion.md §5d asks for."""

from __future__ import annotations

import pathlib
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests import peers
from tests.integration.publishing import places
from undrift.cli import exits
from undrift.testing import control_plane, git_http, git_server

BINARY = str(places.BIN / "undrift")
DEFECT = """\
import sys
from undrift.cli import main
from undrift.publishing import running
running.publish = None
sys.argv = ["undrift", "publish"]; main.main()
"""


@pytest.fixture
def place(tmp_path: pathlib.Path) -> places.Place:
    """An application of two stages, ready to be published directly."""
    made = places.made(tmp_path)
    configure(made)
    return made


def configure(place: places.Place, **spec: Any) -> None:
    """Write and commit `undrift.yaml`; `spec` stands over what is usual."""
    document = {
        "apiVersion": "undrift.dev/v1",
        "kind": "Delivery",
        "metadata": {"name": "petclinic"},
        "spec": {
            "gitopsRepository": {"url": f"file://{place.gitops}", "forge": "none"},
            "source": {"manifests": "k8s/{stage}"},
            "stages": [{"name": stage, "namespace": f"petclinic-{stage}"} for stage in places.STAGES],
            **spec,
        },
    }
    write(place, "undrift.yaml", yaml.safe_dump(document, sort_keys=False))
    commit(place, "Configure")


def write(place: places.Place, name: str, text: str) -> None:
    path = place.application / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def commit(place: places.Place, message: str = "Change") -> str:
    place.git("add", "-A")
    place.git("commit", "-q", "--allow-empty", "-m", message)
    return place.git("rev-parse", "HEAD").strip()


def change(place: places.Place, old: str, new: str, stage: str = "staging") -> None:
    path = place.application / "k8s" / stage / "deployment.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    commit(place)


def hook(place: places.Place, name: str, text: str) -> None:
    path = place.gitops / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def refs(place: places.Place) -> str:
    return place.git("for-each-ref", cwd=place.gitops)


def with_helm(place: places.Place) -> dict[str, str]:
    """Variables with which Helm is found, where it was built."""
    helm = control_plane.find_tool("helm")
    path = places.environment(place.root)["PATH"]
    return {"PATH": f"{helm.parent}:{path}"} if helm is not None else {}


def publish(place: places.Place, code: int, *arguments: str, **environ: str) -> str:
    """Run it, see that it ends with this code, and give all that it said in one line."""
    return run(place, code, "publish", *arguments, **environ)


def run(place: places.Place, code: int, *arguments: str, **environ: str) -> str:
    """The same for any command."""
    done = place.run(BINARY, *arguments, env=environ)
    said = " ".join(f"{done.stdout}\n{done.stderr}".split())
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


# --- codes that are no failure ----------------------------------------------------------------------------


def test_0_done_and_nothing_to_do(place: places.Place) -> None:
    assert "staging published" in publish(place, 0)
    before = refs(place)
    assert "staging unchanged" in publish(place, 0)
    assert refs(place) == before


def test_2_something_was_published(place: places.Place) -> None:
    assert "would be published" in publish(place, 2, "--detailed-exitcode", "--dry-run")
    assert place.git("rev-list", "--count", "main", cwd=place.gitops) == "1\n"
    publish(place, 2, "--detailed-exitcode")
    publish(place, 0, "--detailed-exitcode")


def test_9_a_newer_one_is_there(place: places.Place) -> None:
    old = place.git("rev-parse", "HEAD").strip()
    commit(place)
    publish(place, 0)
    before = refs(place)

    assert "superseded" in publish(place, 0, "--revision", old)
    said = publish(place, 9, "--revision", old, "--fail-superseded")

    assert re.search(r"UD918.*is published already and is newer", said)
    assert refs(place) == before


def test_1_a_defect(place: places.Place) -> None:
    done = place.run(sys.executable, "-c", DEFECT)

    assert done.returncode == 1
    assert "UD900" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--nonsense",), ("--image", "x"), ("--deadline", "soon"), ("--sequence", "0"), ("too", "much")],
)
def test_64_a_command_line_without_sense(place: places.Place, arguments: tuple[str, ...]) -> None:
    assert "UD805" in publish(place, 64, *arguments)


# --- rows 1 to 5: configuration ---------------------------------------------------------------------------


def row_1_no_file(place: places.Place) -> None:
    (place.application / "undrift.yaml").unlink()
    commit(place)


def row_2_unknown_key(place: places.Place) -> None:
    configure(place, source={"helm": {"chart": "chart", "valuesFiles": ["a.yaml"]}})


def row_3_stage_folder_is_missing(place: places.Place) -> None:
    place.git("mv", "k8s/production", "k8s/prod")
    commit(place)


def row_4_variable_is_not_set(place: places.Place) -> None:
    configure(place, images=[{"name": "application", "newTag": "${IMAGE_TAG}"}])


def row_5_forge_cannot_be_told(place: places.Place) -> None:
    configure(
        place,
        gitopsRepository={"url": "https://git.corp.example/ops/gitops.git"},
        stages=[{"name": "production", "namespace": "petclinic-production", "publish": "pull-request"}],
    )


# --- rows 6 to 11: rendering ------------------------------------------------------------------------------


def row_6_container_is_unknown(place: places.Place) -> None:
    configure(place, images=[{"name": "aplication", "newTag": "2"}])


def row_7_value_is_unknown(place: places.Place) -> None:
    configure(place, set=[{"path": "spec.replcas", "value": 2, "resource": "Deployment/*"}])


def chart(place: places.Place, template: str = "", dependency: str = "") -> None:
    write(place, "chart/Chart.yaml", f"apiVersion: v2\nname: petclinic\nversion: 1.0.0\n{dependency}")
    write(place, "chart/templates/all.yaml", template)
    configure(place, source={"helm": {"path": "chart"}})


def row_8_helm_is_missing(place: places.Place) -> None:
    chart(place)


def row_9_chart_dependency_is_missing(place: places.Place) -> None:
    peers.require_tool("helm")
    chart(
        place,
        dependency="dependencies: [{name: redis, version: 19.x, repository: 'https://charts.example'}]\n",
    )


def row_10_resource_is_there_twice(place: places.Place) -> None:
    shutil.copy(
        place.application / "k8s" / "staging" / "deployment.yaml",
        place.application / "k8s" / "staging" / "b.yaml",
    )
    commit(place)


# --- rows 12 to 15: validating ----------------------------------------------------------------------------


def row_12_field_of_the_wrong_type(place: places.Place) -> None:
    change(place, "spec:\n  selector", "spec:\n  replicas: two\n  selector")


def row_13_removed_version(place: places.Place) -> None:
    configure(place, kubeVersion="1.33")
    write(
        place,
        "k8s/staging/psp.yaml",
        "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: x}\n",
    )
    commit(place)


def row_14_secret_in_plain(place: places.Place) -> None:
    write(
        place,
        "k8s/production/db.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: petclinic-production}\nstringData: {password: x}\n",
    )
    commit(place)


def row_15_mutable_image(place: places.Place) -> None:
    change(place, "petclinic:1.0", "petclinic:latest", "production")


# --- rows 17, 18, 20 and 21: publishing -------------------------------------------------------------------


def row_17_protected(place: places.Place) -> None:
    hook(place, "pre-receive", "echo 'GH006: Protected branch update failed' >&2; exit 1")


def row_18_others_push_all_the_time(place: places.Place) -> None:
    """Each time somebody pushes, somebody else was faster."""
    hook(
        place,
        "pre-receive",
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        "export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x\n"
        "git update-ref refs/heads/main $(git commit-tree -p main -m Faster 'main^{tree}')",
    )


def row_20_too_shallow_to_tell(place: places.Place) -> None:
    publish(place, 0)
    commit(place, "Newer")
    whole = place.application.with_name("whole")
    place.application.rename(whole)
    place.git("clone", "-q", "--depth=1", f"file://{whole}", str(place.application), cwd=place.root)
    place.git("remote", "remove", "origin")


def row_21_edited_by_hand(place: places.Place) -> None:
    publish(place, 0)
    clone = place.root / "clone"
    place.git("clone", "-q", str(place.gitops), str(clone), cwd=place.root)
    (clone / "production/petclinic/deployment.yaml").write_text("kind: Edited\n", encoding="utf-8")
    place.git("commit", "-qam", "Help out", cwd=clone)
    place.git("push", "-q", cwd=clone)
    commit(place)


ROWS: tuple[tuple[Callable[[places.Place], None], int, str], ...] = (
    (row_1_no_file, 3, r"UD108.*there is no undrift\.yaml in .*or above.*undrift init"),
    (row_2_unknown_key, 3, r"UD102.*source\.helm\.valuesFiles.*undrift\.yaml:\d+:\d+.*did you mean valueFiles"),
    (row_3_stage_folder_is_missing, 3, r'UD109.*stages\[1\] "production".*k8s/production.*prod, staging'),
    (row_4_variable_is_not_set, 3, r"UD110.*IMAGE_TAG.*images\[0\]\.newTag.*undrift\.yaml:\d+.*--image application="),
    (row_5_forge_cannot_be_told, 3, r"UD111.*cannot tell the forge of git\.corp\.example.*forge: .*gitea"),
    (row_6_container_is_unknown, 4, r"UD305.*images\[0\].*aplication.*application"),
    (row_7_value_is_unknown, 4, r"UD306.*set\[0\].*spec\.replcas.*create: true"),
    (row_8_helm_is_missing, 4, r"UD304.*helm.*install"),
    (row_9_chart_dependency_is_missing, 4, r"redis.*charts/.*helm dependency"),
    (row_10_resource_is_there_twice, 4, r"UD402.*two files define Deployment/petclinic in namespace.*b\.yaml"),
    (row_12_field_of_the_wrong_type, 5, r"UD401.*Deployment/petclinic: spec\.replicas.*whole number.*k8s/staging/deployment\.yaml:5:"),
    (row_13_removed_version, 5, r"UD407.*policy/v1beta1.*removed in Kubernetes 1\.25"),
    (row_14_secret_in_plain, 5, r"UD408.*Secret/db is plain.*k8s/production/db\.yaml:1.*waive"),
    (row_15_mutable_image, 5, r"UD409.*petclinic:latest.*production"),
    (row_17_protected, 6, r"UD912.*branch main of .* is protected.*GH006.*publish: pull-request"),
    (row_18_others_push_all_the_time, 7, r"UD913.*gave up after 1 s and \d+ attempts.*nothing was changed.*--deadline"),
    (row_20_too_shallow_to_tell, 10, r"UD916.*nobody can tell if \w{8} is newer than \w{8}.*fetch-depth: 0.*--sequence"),
    (row_21_edited_by_hand, 10, r"UD917.*production/petclinic was edited by hand.*changed: \S+.*\w{8} Help out \(Ada.*keep.*--overwrite"),
)  # fmt: skip
"""Row 11 is `test_row_11`, 16 `test_row_16`, 19 in tests/integration/publishing/test_gitea.py, L801 `test_row_22`."""


@pytest.mark.parametrize("prepare, code, message", ROWS, ids=[row.__name__ for row, _, _ in ROWS])
def test_a_message_and_its_code(
    place: places.Place, prepare: Callable[[places.Place], None], code: int, message: str
) -> None:
    prepare(place)
    before = "" if code == 7 else refs(place)

    environ = {} if prepare is row_8_helm_is_missing else with_helm(place)
    said = publish(place, code, "--deadline", "1s", **environ)

    assert re.search(message, said, re.IGNORECASE), said
    assert before in ("", refs(place)), "P8: something was pushed"


def test_every_code_is_seen() -> None:
    """8 is seen on a forge; see there."""
    seen = {code for _, code, _ in ROWS} | {0, 1, 2, 8, 9, 64}

    assert seen == {one.value for one in exits.Exit}


def test_row_11_a_render_that_is_not_repeatable(place: places.Place) -> None:
    peers.require_tool("helm")
    chart(
        place,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {password: {{ randAlphaNum 8 | quote }}}\n",
    )

    said = run(place, 4, "render", "--twice", "--into", str(place.root / "out"), **with_helm(place))

    assert re.search(r"UD307.*ConfigMap/x data\.password differs.*randAlphaNum", said)


def test_row_16_a_token_that_may_not(place: places.Place) -> None:
    (place.root / "served").mkdir()
    with git_server.GitServer(
        place.root / "served", git_http.Behaviour(users={"bot": "right-one"})
    ) as server:
        repository = server.repository("gitops.git")
        repository.commit({"a": "1"}, "Begin")
        configure(place, gitopsRepository={"url": repository.url, "forge": "none"})

        said = publish(place, 6, UNDRIFT_TOKEN="wrong-one", UNDRIFT_USERNAME="bot")
        nobody = publish(place, 6)
        publish(place, 0, UNDRIFT_TOKEN="right-one", UNDRIFT_USERNAME="bot")

    assert re.search(r"UD202.*the token from \$UNDRIFT_TOKEN, user bot needs: write repository", said)
    assert "wrong-one" not in said
    assert re.search(r"UD202.*put a token into UNDRIFT_TOKEN; it needs: write repository", nobody)


def test_row_16_a_server_that_answers_403_to_a_push(place: places.Place) -> None:
    (place.root / "served").mkdir()
    with git_server.GitServer(place.root / "served") as server:
        repository = server.repository("gitops.git")
        repository.commit({"a": "1"}, "Begin")
        repository.git("config", "http.receivepack", "false")
        configure(place, gitopsRepository={"url": repository.url, "forge": "none"})

        said = publish(place, 6)

    assert re.search(r"UD202.*403.*needs: write repository", said)


def test_row_22_a_context_that_is_not_local(place: places.Place) -> None:
    said = run(place, 3, "apply", "--local", "--context", "gke_prod")

    assert re.search(r"UD921.*gke_prod.*local\.contexts", said)


# --- nothing is changed where anything is wrong -------------------------------------------------------------


def test_all_that_is_wrong_with_all_stages_is_told_at_once(place: places.Place) -> None:
    """P8, and two rows in one run: the lowest code counts."""
    row_14_secret_in_plain(place)
    row_12_field_of_the_wrong_type(place)
    before = refs(place)

    said = publish(place, 5)

    assert "UD401" in said
    assert "UD408" in said
    assert refs(place) == before


def test_json_says_what_became_of_every_stage(place: places.Place) -> None:
    done = place.run(BINARY, "publish", "--output", "json")
    told = yaml.safe_load(done.stdout)

    assert [(one["stage"], one["outcome"]) for one in told["stages"]] == [
        ("staging", "published"),
        ("production", "published"),
    ]
    assert told["stages"][1]["commit"] == place.tip()


@pytest.mark.parametrize("stage", places.STAGES)
def test_a_stage_alone_may_be_published(place: places.Place, stage: str) -> None:
    publish(place, 0, "--stage", stage)

    assert place.git("ls-tree", "--name-only", "main", cwd=place.gitops).split() == [stage]


def test_an_empty_repository_is_begun(place: places.Place) -> None:
    shutil.rmtree(place.gitops)
    place.git("init", "-q", "--bare", "-b", "main", str(place.gitops), cwd=place.root)

    publish(place, 0)

    assert "petclinic" in place.published("production")
    place.git("fsck", "--strict", cwd=place.gitops)


def test_an_empty_repository_with_long_ids_is_begun(place: places.Place) -> None:
    shutil.rmtree(place.gitops)
    place.git(
        "init", "-q", "--bare", "--object-format=sha256", "-b", "main", str(place.gitops), cwd=place.root
    )

    publish(place, 0)
    publish(place, 0)

    assert len(place.tip()) == len("0" * 64)


def test_a_server_that_cannot_push_together_is_said(place: places.Place) -> None:
    """Direct stages are one ref; a direct one and one by branch are two."""
    configure(
        place,
        stages=[
            {"name": "staging", "namespace": "petclinic-staging"},
            {"name": "production", "namespace": "petclinic-production", "publish": "pull-request"},
        ],
    )
    place.git("config", "receive.advertiseAtomic", "false", cwd=place.gitops)
    before = refs(place)

    assert re.search(r"UD102.*cannot move several branches at once.*--stage", publish(place, 3))
    assert refs(place) == before
    publish(place, 0, "--stage", "staging")
    publish(place, 0, "--stage", "production")


def test_nobodys_file_makes_room_for_a_folder(place: places.Place) -> None:
    """P2: what is in the way is not ours."""
    clone = place.root / "clone"
    place.git("clone", "-q", str(place.gitops), str(clone), cwd=place.root)
    (clone / "staging").write_text("a file\n", encoding="utf-8")
    place.git("add", "-A", cwd=clone)
    place.git("commit", "-qm", "In the way", cwd=clone)
    place.git("push", "-q", cwd=clone)
    before = refs(place)

    for more in ((), ("--overwrite",)):
        said = publish(place, 10, *more)
        assert re.search(r"UD917: staging is a file where the folder staging/petclinic has to be", said)

    assert refs(place) == before


def test_two_applications_do_not_share_a_folder(place: places.Place) -> None:
    configure(
        place, gitopsRepository={"url": f"file://{place.gitops}", "forge": "none", "path": "all/{stage}"}
    )
    publish(place, 0)
    before = refs(place)
    text = (place.application / "undrift.yaml").read_text("utf-8")
    write(place, "undrift.yaml", text.replace("name: petclinic\n", "name: other\n", 1))
    change(place, "petclinic:1.0", "petclinic:2.0")

    said = publish(place, 10)

    assert re.search(r"UD917.*it was published for stage staging of petclinic", said)
    assert refs(place) == before


def test_what_is_kept_is_not_rendered_too(place: places.Place) -> None:
    keep = {"url": f"file://{place.gitops}", "forge": "none", "keep": ["*.yaml"]}
    configure(place, gitopsRepository=keep)

    assert re.search(r"UD207.*deployment\.yaml is rendered.*keep", publish(place, 4))


def test_whoever_commits_may_be_the_author_too(place: places.Place) -> None:
    """On a runner where Git knows nobody."""
    configure(place, commit={"author": "committer"})

    publish(place, 0)

    shown = place.git("log", "-1", "--format=%an %ae", "main", cwd=place.gitops)
    assert shown == "Undrift undrift@localhost\n"
