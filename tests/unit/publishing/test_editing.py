"""Images, values and names set in place: what matches, what is told, and that nothing else moves."""

from __future__ import annotations

import pytest

from tests.unit.publishing import sources
from undrift import errors
from undrift.model import delivery
from undrift.publishing import referring

ONE = '  source: {manifests: "k8s/{stage}"}\n  stages: [{name: staging}]\n'
FILES = {"k8s/staging/deployment.yaml": sources.DEPLOYMENT}


async def edited(spec: str, text: str = sources.DEPLOYMENT, name: str = "deployment.yaml") -> str:
    return (await sources.render_one(ONE + spec, {f"k8s/staging/{name}": text}))[name]


@pytest.mark.parametrize(
    "image, before, after",
    [
        ("{name: application, newTag: '1.1'}", "'petclinic:1.0' #", "'petclinic:1.1' #"),
        ("{name: petclinic, newTag: '1.1'}", "'petclinic:1.0' #", "'petclinic:1.1' #"),
        ("{name: prepare, newName: reg.example/bb}", '"busybox:1"', '"reg.example/bb:1"'),
        ("{name: sidecar, newTag: '2'}", "5000/proxy@sha256:0123456789abcdef", "5000/proxy:2"),
        ("{name: 'registry.example:5000/proxy', newTag: '2'}", "proxy@sha256:0123456789abcdef", "proxy:2"),
        ("{name: sidecar, digest: 'sha256:ff'}", "@sha256:0123456789abcdef", "@sha256:ff"),
    ],
)
async def test_an_image_is_set_and_every_other_byte_stays(image: str, before: str, after: str) -> None:
    assert before in sources.DEPLOYMENT
    assert await edited(f"  images: [{image}]\n") == sources.DEPLOYMENT.replace(before, after)


@pytest.mark.parametrize(
    "kind, wrapped",
    [
        ("apiVersion: v1\nkind: Pod\n", "spec: {containers: [{name: a, image: x:1}]}\n"),
        ("apiVersion: batch/v1\nkind: CronJob\n", "spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: x:1}]}}}}}\n"),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Rollout\n", "spec: {template: {spec: {ephemeralContainers: [{name: a, image: x:1}]}}}\n"),
        ("apiVersion: v1\nkind: List\n", "items: [{kind: Pod, apiVersion: v1, spec: {containers: [{name: a, image: x:1}]}}]\n"),
    ],
)  # fmt: skip
async def test_containers_are_found_in_every_kind(kind: str, wrapped: str) -> None:
    assert await edited("  images: [{name: a, newTag: '2'}]\n", kind + wrapped) == kind + wrapped.replace(
        "x:1", "x:2"
    )


async def test_a_definition_of_a_kind_is_no_resource_with_containers() -> None:
    text = "apiVersion: v1\nkind: CustomResourceDefinition\nspec: {containers: [{name: a, image: x:1}]}\n"

    with pytest.raises(errors.ContainerUnknown):
        await edited("  images: [{name: a, newTag: '2'}]\n", text)


async def test_services_of_compose_are_containers() -> None:
    spec = "  source: {files: app}\n  stages: [{name: staging}]\n  images: [{name: web, newTag: '2'}]\n"
    text = "services:\n  web:\n    image: shop:1 # keep\n  db: {image: 'postgres:16'}\n"

    made = await sources.render_one(spec, {"app/compose.yaml": text, "app/.env": "A=1\n"})

    assert made == {"compose.yaml": text.replace("shop:1", "shop:2"), ".env": "A=1\n"}


async def test_line_ends_anchors_and_merged_fields_stay_what_they_are() -> None:
    text = (
        "apiVersion: v1\r\nkind: Pod\r\nspec:\r\n  containers:\r\n  - &first\r\n    name: a\r\n"
        "    image: &image x:1\r\n  - <<: *first\r\n    name: b\r\n  - name: c\r\n    image: *image\r\n"
    )

    assert await edited("  images: [{name: c, newTag: '2'}]\n", text) == text.replace("*image", "x:2")
    assert await edited("  images: [{name: b, newTag: '2'}]\n", text) == text.replace(
        "*first\r\n", "*first\r\n    image: x:2\r\n"
    )
    with pytest.raises(errors.RenderFailed, match="would change more than was asked for"):
        await edited("  images: [{name: a, newTag: '2'}]\n", text)


async def test_an_alias_keeps_what_it_stood_for() -> None:
    text = "kind: Pod\napiVersion: v1\nspec: {containers: [{name: a, image: &i x:1}, {name: b, image: *i}]}\n"
    all_of_it = text.replace("&i x:1", "&i x:2")

    assert await edited("  images: [{name: a, newTag: '2'}]\n", text) == all_of_it.replace("*i", "x:1")
    assert await edited("  images: [{name: x, newTag: '2'}]\n", text) == all_of_it


async def test_a_missing_container_is_told_with_those_that_are_there() -> None:
    with pytest.raises(errors.ContainerUnknown) as caught:
        await sources.render(ONE + "  images: [{name: aplication, newTag: '2'}]\n", FILES)

    error = caught.value
    assert error.what == 'images[0]: no container "aplication" in Deployment/petclinic'
    assert str(error.origin) == "k8s/staging/deployment.yaml:12:9"
    assert (error.why, error.hint) == (
        "declared at undrift.yaml:8:12",
        "did you mean application? containers: prepare, application, sidecar",
    )
    assert error.revision


async def test_without_any_container_the_hint_is_another() -> None:
    with pytest.raises(errors.ContainerUnknown) as caught:
        await edited("  images: [{name: a, newTag: '2'}]\n", "kind: ConfigMap\napiVersion: v1\n")

    assert str(caught.value.origin) == "undrift.yaml:8:12"
    assert "set it by its path" in caught.value.hint


async def test_what_is_encrypted_is_not_edited() -> None:
    sealed = sources.DEPLOYMENT + "sops:\n  mac: ENC[AES256_GCM,data:x]\n"

    assert await edited("  set: []\n", sealed) == sealed
    with pytest.raises(errors.RenderFailed, match="it is encrypted"):
        await edited("  images: [{name: application, newTag: '2'}]\n", sealed)


@pytest.mark.parametrize(
    "value, before, after",
    [
        ("{path: spec.replicas, value: 3}", "replicas: 2", "replicas: 3"),
        ("{path: spec.replicas, value: '3'}", "replicas: 2", "replicas: 3"),
        ("{path: 'spec.template.spec.containers[0].name', value: on}", "name: application", 'name: "true"'),
        ("{path: 'spec.template.spec.containers[name=sidecar].name', value: 'a: b'}", "name: sidecar", 'name: "a: b"'),
        ("{path: 'metadata.labels[\"a.b/c\"]', value: x, create: true}", "{name: petclinic}", '{labels: {"a.b/c": "x"}, name: petclinic}'),
        ("{path: spec.paused, value: true, create: true}", "  replicas: 2", "  paused: true\n  replicas: 2"),
        ("{path: spec.strategy, value: {type: Recreate}, create: true}", "  replicas", "  strategy:\n    type: Recreate\n  replicas"),
    ],
)  # fmt: skip
async def test_a_value_is_set_in_the_type_of_what_was_there(value: str, before: str, after: str) -> None:
    assert await edited(f"  set: [{value}]\n") == sources.DEPLOYMENT.replace(before, after)


async def test_a_number_becomes_a_text_where_a_text_was() -> None:
    text = 'apiVersion: v1\nkind: ConfigMap\ndata:\n  port: "80" # x\n'

    assert await edited("  set: [{path: data.port, value: 8080}]\n", text) == text.replace("80", "8080", 1)


async def test_json_stays_json() -> None:
    text = '{"apiVersion": "v1", "kind": "Pod",\n\t"spec": {"n": 1, "containers": [{"name": "a", "image": "x:1"}]}}\n'
    spec = "  images: [{name: a, newTag: '2'}]\n  set: [{path: spec.n, value: word}, {path: spec.x, value: new, create: true}]\n"

    made = await edited(spec, text, "pod.json")

    assert made == text.replace("x:1", "x:2").replace('"n": 1', '"x": "new", "n": "word"')


async def test_file_and_resource_narrow_where_a_value_is_set() -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: petclinic}\nspec: {replicas: 2}\n"
    files = {**FILES, "k8s/staging/deep/service.yaml": service}

    for narrow in ("resource: Service/*", "file: service.yaml", "file: deep/*"):
        made = await sources.render_one(
            ONE + f"  set: [{{path: spec.replicas, value: 3, {narrow}}}]\n", files
        )
        assert made == {
            "deployment.yaml": sources.DEPLOYMENT,
            "deep/service.yaml": service.replace("replicas: 2", "replicas: 3"),
        }


@pytest.mark.parametrize(
    "value, what, hint",
    [
        (
            "{path: spec.replica, value: 3}",
            "is not in the manifests",
            "nearest: spec.replicas; add create: true",
        ),
        ("{path: spec.replicas, value: 3, resource: Service/*}", "of Service/*", "add create: true"),
        ("{path: 'spec.replicas]', value: 3}", "is no path", ""),
        (
            "{path: 'spec.template.spec.containers[7].x', value: 3, create: true}",
            "is not in the manifests",
            "nearest",
        ),
    ],
)
async def test_a_path_that_is_not_there_is_told(value: str, what: str, hint: str) -> None:
    with pytest.raises(errors.ValueUnknown) as caught:
        await edited(f"  set: [{value}]\n")

    assert what in caught.value.what
    assert hint in caught.value.hint
    assert str(caught.value.origin) == "undrift.yaml:8:9"


async def test_where_a_value_is_created_has_to_be_said() -> None:
    files = {**FILES, "k8s/staging/other.yaml": sources.DEPLOYMENT.replace("petclinic}", "other}")}
    new = "path: spec.paused, value: true, create: true"

    with pytest.raises(errors.ValueUnknown, match="could be created in 2 places"):
        await sources.render(ONE + f"  set: [{{{new}}}]\n", files)
    made = await sources.render_one(ONE + f"  set: [{{{new}, resource: '*/other'}}]\n", files)
    assert [("paused" in text) for _, text in sorted(made.items())] == [False, True]


async def test_all_that_is_wrong_is_told_at_once() -> None:
    spec = "  images: [{name: a, newTag: '2'}]\n  set: [{path: x.y, value: 1}]\n"

    with pytest.raises(errors.Several) as caught:
        await edited(spec)

    assert {type(one) for one in caught.value.parts} == {errors.ContainerUnknown, errors.ValueUnknown}


@pytest.mark.parametrize(
    "text, name, tag, digest",
    [
        ("nginx", "nginx", "", ""),
        ("host:5000/a/b", "host:5000/a/b", "", ""),
        ("host:5000/a/b:v1", "host:5000/a/b", "v1", ""),
        ("a@sha256:0f", "a", "", "sha256:0f"),
        ("a:v1@sha256:0f", "a", "v1", "sha256:0f"),
    ],
)
def test_a_reference_is_taken_apart_and_put_together(text: str, name: str, tag: str, digest: str) -> None:
    found = referring.parse(text)

    assert (found.name, found.tag, found.digest) == (name, tag, digest)
    assert str(found) == text
    assert referring.replaced(text, delivery.Image("x", new_name="b")) == text.replace(name, "b", 1)
