"""Stages as exact trees: what is taken, what is left out, what is refused, and what is told of it."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.publishing import sources
from undrift import errors, plugins
from undrift.model import source
from undrift.publishing import placing, rendering

LINK = source.FileKind.LINK
STAGES = "  stages: [{name: staging}, {name: production}]\n"
MANIFESTS = '  source: {manifests: "k8s/{stage}"}\n'
DEPLOYMENT = sources.DEPLOYMENT


async def test_every_file_is_taken_as_it_is() -> None:
    files: dict[str, sources.Text] = {
        "k8s/staging/a.yaml": "a:   1 # kept\r\n",
        "k8s/staging/run.sh": source.File(b"#!/bin/sh\n", source.FileKind.EXECUTABLE),
        "k8s/staging/files/logo.png": b"\x89PNG\0",
        "k8s/staging/b.yaml": source.File(b"a.yaml", LINK),
        "k8s/staging/sealed.yaml": "a: ENC[AES256_GCM,data:x]\nsops: {mac: 'ENC[AES256_GCM,data:y]'}\n",
        "k8s/staging/.hidden.yaml": "x: 1\n",
        "k8s/staging/.github/x.yaml": "x: 1\n",
        "k8s/staging/.gitignore": "x\n",
        "src/Main.java": "class Main {}\n",
    }
    place = sources.MemorySource(files)
    (made,) = await sources.render(MANIFESTS + "  stages: [{name: staging}]\n", place)

    assert made.files == {
        name.removeprefix("k8s/staging/"): file
        for name, file in place.files.items()
        if name.startswith("k8s/staging/") and "/." not in name
    }
    assert place.fetched == ["k8s/staging"]
    assert list(made.files) == sorted(made.files)


async def test_include_and_exclude() -> None:
    files = {"k/a.yaml": "a: 1\n", "k/b.yaml": "b: 1\n", "k/sub/.c.yaml": "c: 1\n", "k/.git/x.yaml": "x: 1\n"}
    spec = (
        "  source: {manifests: {path: k, include: ['**/*.yaml'], exclude: [b.yaml]}}\n  stages: [{name: s}]\n"
    )

    assert [*await sources.render_one(spec, files)] == ["a.yaml", "sub/.c.yaml"]


async def test_variables_are_filled_in_but_not_in_what_is_encrypted() -> None:
    sealed = "a: ${NAME}\nb: ENC[AES256_GCM,data:x]\nsops: {mac: x}\n"
    spec = "  source: {manifests: {path: k, substitute: {NAME: shop}}}\n  stages: [{name: s, substitute: {NAME: bar}}]\n"

    made = await sources.render_one(spec, {"k/a.yaml": "a: ${NAME} $${NAME}\n", "k/b.yaml": sealed})

    assert made == {"a.yaml": "a: bar ${NAME}\n", "b.yaml": sealed}


async def test_the_delivery_itself_is_not_published() -> None:
    spec = "  source: {manifests: .}\n  stages: [{name: s}]\n"

    assert [*await sources.render_one(spec, {"undrift.yaml": "kind: Delivery\n", "a.yaml": "a: 1\n"})] == [
        "a.yaml"
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n---\n"])
async def test_a_stage_with_nothing_in_it_is_refused(text: str) -> None:
    files = {"k8s/a.yaml": text, "k8s/README.md": "Read me.\n"}
    spec = "  source: {manifests: k8s}\n  stages: [{name: s}]\n"

    with pytest.raises(errors.RenderEmpty, match="renders to nothing") as refused:
        await sources.render(spec, files)
    assert "manifests of k8s gave no manifest" in refused.value.why
    assert "allowEmpty: true in the stage" in refused.value.hint
    assert await sources.render_one(spec.replace("manifests", "files"), files) == files_below(files)


def files_below(files: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("k8s/"): text for name, text in files.items()}


async def test_a_stage_may_be_empty_where_its_policy_says_so() -> None:
    spec = "  source: {manifests: k8s}\n  stages: [{name: s, target: t, policy: {allowEmpty: true}}]\n"

    assert [*await sources.render_one(spec, {"k8s/a.yaml": "# nothing\n"})] == ["a.yaml", "application.yaml"]
    alone = "  source: {manifests: k8s}\n  stages: [{name: s, allowEmpty: true}]\n"
    assert [*await sources.render_one(alone, {"k8s/a.yaml": "# nothing\n"})] == ["a.yaml"]


async def test_any_layers_files_may_be_templates() -> None:
    files = {
        "dns/zone.yaml": "{% if x %}: [",
        "dns/main.tf": 'a = "${var.b}"\n',
        "dns/.terraform.lock.hcl": "x\n",
    }
    spec = "  source: {files: dns}\n  stages: [{name: s}]\n"

    assert await sources.render_one(spec, files) == {
        name.removeprefix("dns/"): text for name, text in files.items()
    }
    with pytest.raises(errors.RenderFailed, match="cannot be read as a manifest"):
        await sources.render(spec.replace("files", "manifests"), files)


async def test_resources_know_where_they_were_declared() -> None:
    (made,) = await sources.render(
        MANIFESTS + "  stages: [{name: staging}]\n  set: [{path: spec.paused, value: true, create: true}]\n",
        {"k8s/staging/x/deployment.yaml": DEPLOYMENT, "k8s/staging/list.yaml": "{kind: List, apiVersion: v1, items: [\n{kind: A, apiVersion: v1, metadata: {name: b}}]}\n"},
    )  # fmt: skip

    inner, web = made.resources
    assert (web.title, web.file) == ("Deployment/petclinic", "x/deployment.yaml")
    assert str(web.where("spec", "template")) == "k8s/staging/x/deployment.yaml:7:3"
    assert web.data["spec"]["paused"] is True
    assert (inner.title, str(inner.where("metadata", "name"))) == ("A/b", "k8s/staging/list.yaml:2:38")


async def test_extra_resources_lie_beside_and_a_taken_name_gets_its_folder() -> None:
    spec = "  source: {manifests: k8s/staging}\n  resources: ['extra/{stage}', one.yaml]\n  stages: [{name: staging}]\n"
    files = {
        "k8s/staging/a.yaml": "a: 1\n",
        "extra/staging/a.yaml": "b: 1\n",
        "extra/staging/README.md": "no\n",
        "extra/staging/.x.yaml": "no: 1\n",
        "one.yaml": "c: 1\n",
    }

    assert await sources.render_one(spec, files) == {
        "a.yaml": "a: 1\n",
        "staging-a.yaml": "b: 1\n",
        "one.yaml": "c: 1\n",
    }


async def test_what_is_wrong_with_any_stage_is_told_at_once() -> None:
    place = {"k8s/staging/a.yaml": DEPLOYMENT, "k8s/prod/a.yaml": DEPLOYMENT}
    images = "  images: [{name: nobody, newTag: '1'}]\n"

    with pytest.raises(errors.Several) as caught:
        await sources.render(MANIFESTS + STAGES + images, place)

    container, missing = caught.value.parts
    assert isinstance(container, errors.ContainerUnknown)
    assert missing.what == 'stages[1] "production": k8s/production not found'
    assert (missing.why, missing.hint) == (
        "there is no production in k8s",
        "present: prod, staging; rename prod, or set stages[1].path",
    )
    assert str(missing.origin) == "undrift.yaml:7:29"
    assert missing.author == "A Person <a@example.org>"


async def test_the_nearest_folder_that_is_there_is_shown() -> None:
    with pytest.raises(errors.StageMissing) as caught:
        await sources.render(
            '  source: {manifests: "a/b/c"}\n  stages: [{name: s}]\n', {"x/y.yaml": "a: 1\n", "ax/z": ""}
        )

    assert caught.value.hint == "present: ax, x; rename ax, or set stages[0].path"


async def test_one_resource_in_two_files_is_told_with_both_places() -> None:
    files = {"k/a.yaml": DEPLOYMENT, "k/b.yaml": "x: 1\n---\n" + DEPLOYMENT}

    with pytest.raises(errors.ResourceTwice) as caught:
        await sources.render("  source: {manifests: k}\n  stages: [{name: s, namespace: shop}]\n", files)

    assert caught.value.what == "two files define Deployment/petclinic in namespace shop"
    assert (str(caught.value.origin), caught.value.why) == ("k/b.yaml:4:1", "the other is k/a.yaml:2:1")


@pytest.mark.parametrize(
    "first, second, twice",
    [("{name: a}", "{name: a, namespace: s}", True), ("{name: a}", "{name: a, namespace: t}", False), ("{generateName: a}", "{generateName: a}", False)],
)  # fmt: skip
async def test_the_namespace_is_part_of_a_resources_name(first: str, second: str, twice: bool) -> None:
    files = {
        f"k/{at}.yaml": f"kind: A\napiVersion: v1\nmetadata: {one}\n"
        for at, one in enumerate((first, second))
    }
    job = sources.render("  source: {manifests: k}\n  stages: [{name: s}]\n", files)

    if twice:
        with pytest.raises(errors.ResourceTwice):
            await job
    else:
        assert len((await job)[0].resources) == 2


@pytest.mark.parametrize(
    "names, why",
    [
        (["a/../b"], "no path below a folder"),
        (["/etc/passwd"], "no path below a folder"),
        (["a\\b"], "no path below a folder"),
        (["a\nb"], "control character"),
        (["a\udcff"], "not UTF-8"),
        (["x/.GIT/config"], "Git's own"),
        (["git~1"], "Git's own"),
        ([".gitattributes"], "Git's own"),
        (["A/x", "a/y"], "one file on many file systems"),
        (["Straße", "STRASSE"], "one file on many file systems"),
        (["e\u0301", "\u00e9"], "one file on many file systems"),
        (["hydrator.metadata"], "Undrift writes a file of that name"),
    ],
)
def test_names_that_play_tricks_are_refused(names: list[str], why: str) -> None:
    found = list(placing.refused(dict.fromkeys(names, source.File(b""))))

    assert [why in error.why for error in found] == [True]


def test_a_file_cannot_be_a_folder_too() -> None:
    (error,) = placing.refused(dict.fromkeys(["a", "a/b"], source.File(b"")))

    assert error.what == "a would be a file and a folder"


@pytest.mark.parametrize("to", ["../../x", "/etc/passwd", "a/../../../x"])
async def test_links_that_leave_are_refused(to: str) -> None:
    with pytest.raises(errors.ArtifactRefused):
        await sources.render(
            MANIFESTS + "  stages: [{name: staging}]\n",
            {"k8s/staging/a/l": source.File(to.encode(), LINK), "k8s/staging/b": ""},
        )
    assert [*placing.refused({"a/l": source.File(to.encode(), LINK)})]


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x"])
async def test_paths_that_leave_the_source_are_refused(path: str) -> None:
    place = sources.MemorySource({"k/a.yaml": "a: 1\n"})
    declared = sources.deliver("  source: {manifests: k}\n  stages: [{name: s}]\n")
    stage = dataclasses.replace(declared.stages[0], resources=(path,))
    with pytest.raises(errors.ArtifactRefused, match="leads out of the source"):
        await rendering.render(declared, stage, place, sources.REVISION, plugins.Registry(None))
    assert place.fetched == ["k"]


def test_each_rendered_resource_has_a_file_of_its_own() -> None:
    def one(kind: str, name: str, namespace: str = "", version: str = "v1") -> dict[str, object]:
        return {
            "kind": kind,
            "apiVersion": version,
            "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        }

    found = placing.names(
        [
            one("Service", "web"),
            one("ClusterRole", "system:A_b"),
            one("Role", "x", "a"),
            one("Role", "x", "b"),
            one("Ingress", "w", "", "a.io/v1"),
            one("Ingress", "w", "", "b.io/v1"),
            one("A", "b-c"),
            one("A-b", "c"),
            {"kind": "Job", "metadata": {"generateName": "run-"}},
        ]
    )  # fmt: skip

    assert found == [
        "service-web.yaml",
        "clusterrole-system-a-b.yaml",
        "role-a-x.yaml",
        "role-b-x.yaml",
        "ingress-a.io-w.yaml",
        "ingress-b.io-w.yaml",
        "a-b-c.yaml",
        "a-b-c-2.yaml",
        "job-run.yaml",
    ]
