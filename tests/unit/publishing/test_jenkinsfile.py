"""A call of gitops-build-lib becomes an outline; what cannot be taken over is said, and nothing of it makes us fall."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import pytest

from undrift import errors
from undrift.config import delivering, staging
from undrift.publishing import drafting, jenkinsfile, outline, spelling, surveying

WHOLE: dict[str, Any] = {
    "k8sVersion": "'1.29.8'",
    "cesBuildLibRepo": "'https://git.example/lib'",
    "mainBranch": "'main'",
    "scm": "[provider: 'SCMManager', credentialsId: 'bot', baseUrl: 'https://scm.example/scm', repositoryUrl: 'a/b']",
    "application": "'shop'",
    "gitopsTool": "'ARGO'",
    "folderStructureStrategy": "'GLOBAL_ENV'",
    "stages": "[staging: [deployDirectly: true, namespace: 'stg'], production: [deployDirectly: false]]",
    "deployments": "[sourcePath: 'k8s', destinationRootPath: '.', plain: [updateImages: [[filename: 'a.yaml', "
    "containerName: 'web', imageName: 'registry.example:5000/shop/web:1.0']]]]",
    "fileConfigmaps": "[[name: 'index', sourceFilePath: '../index.html', stage: ['staging']]]",
    "validators": "[kubeval: [enabled: true], yamllint: [enabled: false]]",
    "buildImages": "[helm: 'x']",
}
HELM = (
    "[helm: [repoType: 'HELM', repoUrl: 'https://charts.example', chartName: 'web', version: '1.0.0', "
    "updateValues: [[fieldPath: 'a.b', newValue: true]]]]"
)


def converted(files: Mapping[str, str] | None = None, /, **fields: str) -> outline.Outline:
    """The outline of a call with the fields of `WHOLE`, some of them otherwise; "" leaves one out."""
    given = ",\n".join(f"  {name}: {value}" for name, value in {**WHOLE, **fields}.items() if value)
    tree = surveying.Tree({name: text.encode() for name, text in (files or {}).items()})
    return jenkinsfile.convert(f"deployViaGitops(\n{given}\n)\n", "Jenkinsfile", tree)


def remarks(found: outline.Outline, word: str) -> list[str]:
    return [one for one in found.remarks if word in one]


def test_the_whole_map() -> None:
    found = converted()

    assert found.application == "shop"
    assert (found.url, found.branch, found.forge) == (
        "https://scm.example/scm/repo/a/b",
        "main",
        "scm-manager",
    )
    assert found.folder == "{stage}/{application}"
    assert found.source == ("manifests", {"path": "k8s/{stage}"})
    assert [(one.name, one.publish, one.namespace) for one in found.stages] == [
        ("staging", "direct", "stg"),
        ("production", "pull-request", ""),
    ]
    (image,) = found.images
    assert (image.name, image.fields) == (
        "web",
        {"newName": "registry.example:5000/shop/web", "newTag": "1.0"},
    )
    assert found.spec == {
        "configMapGenerator": [{"name": "index", "files": ["index.html"], "stages": ["staging"]}],
        "kubeVersion": "1.29.8",
    }


def test_what_is_left_out_has_the_defaults_of_the_library() -> None:
    found = converted(stages="", mainBranch="", folderStructureStrategy="", fileConfigmaps="", k8sVersion="")

    assert [(one.name, one.publish) for one in found.stages] == [
        ("staging", "direct"),
        ("production", "pull-request"),
    ]
    assert found.branch == "main"
    assert found.spec == {}


@pytest.mark.parametrize(
    "strategy, root, folder",
    [
        ("GLOBAL_ENV", ".", "{stage}/{application}"),
        ("ENV_PER_APP", ".", "{application}/{stage}"),
        ("ENV_PER_APP", "apps/", "apps/{application}/{stage}"),
    ],
)
def test_the_folder_is_where_the_library_wrote(strategy: str, root: str, folder: str) -> None:
    deployments = f"[destinationRootPath: '{root}', plain: [:]]"

    assert converted(folderStructureStrategy=f"'{strategy}'", deployments=deployments).folder == folder


def test_a_chart_of_a_repository() -> None:
    found = converted({"k8s/values-shared.yaml": "", "k8s/values-staging.yaml": ""}, deployments=HELM)

    assert found.source == (
        "helm",
        {
            "chart": "web",
            "repository": "https://charts.example",
            "version": "1.0.0",
            "valueFiles": ["k8s/values-shared.yaml", "k8s/values-{stage}.yaml"],
        },
    )
    assert found.spec["set"] == [{"path": "a.b", "value": True}]
    assert found.images == ()


def test_manifests_beside_a_chart_are_taken_where_there_are_any() -> None:
    manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
    found = converted({"k8s/staging/a.yaml": manifest, "k8s/production/notes.yaml": "a: 1"}, deployments=HELM)

    assert [dict(one.more) for one in found.stages] == [{"resources": ["k8s/staging"]}, {}]


def test_a_local_chart_and_one_from_git() -> None:
    local = converted(deployments="[helm: [repoType: 'LOCAL', chartPath: 'chart']]")
    git = converted(
        deployments="[helm: [repoType: 'GIT', repoUrl: 'https://g.example/x', chartPath: 'web', version: 'v1']]"
    )

    assert local.source[1]["chart"] == "chart"
    assert not remarks(local, "came from Git")
    assert git.source[1]["chart"] == "web"
    assert remarks(git, "came from Git (https://g.example/x, v1, web)")


def test_an_image_that_is_computed_is_passed_instead() -> None:
    found = converted(
        deployments="[plain: [updateImages: [[filename: 'a', containerName: 'web', imageName: image.name()]]]]"
    )

    assert remarks(found, '`undrift publish --image web="$IMAGE_NAME"`')
    assert "newName" not in found.images[0].fields


def test_a_text_with_something_computed_in_it_becomes_variables() -> None:
    found = converted(
        deployments='[plain: [updateImages: [[filename: "a", containerName: "web", imageName: "r/a:${v}-$env.SHA"]]]]'
    )

    assert found.images[0].fields == {"newName": "r/a", "newTag": "${V}-${SHA}"}
    assert remarks(found, "the variable SHA now")


def test_credentials_never_get_into_the_file() -> None:
    found = converted(
        deployments="[helm: [repoType: 'LOCAL', updateValues: [[fieldPath: 'db.password', newValue: dbPassword]]]]"
    )
    text = drafting.draft(found)

    assert "set" not in found.spec
    assert remarks(found, "may be a credential")
    assert "DB_PASSWORD" not in text


def test_the_same_container_with_two_images_is_told() -> None:
    images = (
        "[[filename: 'a', containerName: 'web', imageName: 'x:1'], [filename: 'b', containerName: 'web', imageName: 'y:1'], "
        "[filename: 'c', containerName: 'web', imageName: 'x:1']]"
    )
    found = converted(deployments=f"[plain: [updateImages: {images}]]")

    assert len(found.images) == 1
    assert len(remarks(found, "Container web has another image in b")) == 1


@pytest.mark.parametrize(
    "field, told",
    [
        ({"colour": "'blue'"}, "colour (blue) is not known"),
        ({"gitopsTool": "'FLUX'"}, "HelmRelease"),
        ({"validators": "[mine: [validator: new Mine(this)]]"}, "kind: exec, name: mine"),
        ({"k8sVersion": "version()"}, "k8sVersion was computed (version())"),
        ({"scm": "scmOf(x)"}, "scm is computed in the Jenkinsfile"),
        ({"stages": "[a: [deployDirectly: true, replicas: 2]]"}, "stages.a.replicas (2) is not known"),
    ],
)
def test_what_is_not_taken_over_is_told(field: dict[str, str], told: str) -> None:
    assert remarks(converted(**field), told)


def test_what_behaves_otherwise_is_told_to_everybody() -> None:
    text = " ".join(converted().remarks)

    for word in (
        "--overwrite",
        "before the first one is pushed",
        "never overtakes",
        "branches",
        "Validators",
    ):
        assert word in text


def test_a_stage_whose_name_is_none_keeps_its_folder() -> None:
    found = converted(stages="['Prod_EU': [deployDirectly: true]]")

    assert [(one.name, dict(one.more)) for one in found.stages] == [("prod-eu", {"path": "k8s/Prod_EU"})]


@pytest.mark.parametrize(
    "value", ["compute()", "null", "'text'", "[]", "[:]", "['a', 1]", "[a: [b: 1]]", "7", "true"]
)
@pytest.mark.parametrize("field", [*WHOLE, "deployments.helm", "deployments.plain"])
def test_nothing_in_a_map_makes_us_fall(field: str, value: str) -> None:
    """Whatever stands in any field: what comes out is a file that is read once its gaps are filled."""
    name, _, inner = field.partition(".")
    found = converted(**{name: f"[{inner}: {value}]" if inner else value})
    found = dataclasses.replace(found, application="shop", url="https://forge.example/a/b.git")
    text = drafting.draft(found)
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "1")

    (read,) = delivering.read(text.encode(), "undrift.yaml", staging.Given(variables))
    assert read.delivery.stages


def test_a_file_without_the_call_is_refused() -> None:
    with pytest.raises(errors.UsageInvalid, match="does not call deployViaGitops"):
        jenkinsfile.convert("node { }", "Jenkinsfile", surveying.Tree({}))


def test_a_file_that_is_no_groovy_is_refused_with_its_line() -> None:
    with pytest.raises(errors.UsageInvalid, match="cannot be read as Groovy") as told:
        jenkinsfile.convert("\ndeployViaGitops([a: 1", "ci/Jenkinsfile", surveying.Tree({}))

    assert told.value.origin == errors.Origin("ci/Jenkinsfile", 2)


@pytest.mark.parametrize(
    "source, name",
    [
        ("env.GIT_COMMIT", "GIT_COMMIT"),
        ("imageTag", "IMAGE_TAG"),
        ("a.b('c')", "A_B_C"),
        ("1 + 1", "VALUE_1_1"),
    ],
)
def test_a_variable_has_a_name_that_a_shell_takes(source: str, name: str) -> None:
    assert spelling.variable(source) == name
    assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", name)
