"""From files to an outline; tests/golden/init has whole repositories, here are the rules."""

import pytest

from undrift.publishing import guessing, surveying


def manifest(namespace: str = "", image: str = "web:1", name: str = "web") -> bytes:
    inside = f", namespace: {namespace}" if namespace else ""
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web{inside}}}\n"
        f"spec: {{template: {{spec: {{containers: [{{name: {name}, image: {image}}}]}}}}}}\n"
    ).encode()


def tree(*paths: str, **more: bytes) -> surveying.Tree:
    return surveying.Tree(dict.fromkeys(paths, manifest()) | more)


@pytest.mark.parametrize(
    "names, order",
    [
        (["production", "staging"], [("staging", "direct"), ("production", "pull-request")]),
        (["prod-us", "prod-eu", "dev", "qa"], [("dev", "direct"), ("qa", "direct"), ("prod-eu", "pull-request"), ("prod-us", "pull-request")]),
        (["one", "two"], [("one", "direct"), ("two", "pull-request")]),
        (["one"], [("one", "direct")]),
        (["live"], [("live", "pull-request")]),
        (["preprod", "prod"], [("preprod", "direct"), ("prod", "pull-request")]),
    ],
)  # fmt: skip
def test_stages_are_in_the_order_of_promotion_and_production_is_reviewed(
    names: list[str], order: list[tuple[str, str]]
) -> None:
    assert [(one.name, one.publish) for one in guessing.steps({name: {} for name in names})] == order


def test_folders_that_are_no_stages_are_parts_of_one_source() -> None:
    found = guessing.guess(tree("k8s/web/app.yaml", "k8s/db/app.yaml"), "shop")

    assert found.source == ("manifests", {"path": "k8s"})
    assert [one.name for one in found.stages] == ["staging", "production"]


def test_the_folder_with_the_most_stages_is_taken() -> None:
    found = guessing.guess(
        tree("old/staging/a.yaml", "deploy/staging/a.yaml", "deploy/production/a/b.yaml"), "shop"
    )

    assert found.source == ("manifests", {"path": "deploy/{stage}"})


def test_a_namespace_is_said_where_all_manifests_agree() -> None:
    files = surveying.Tree(
        {
            "k8s/staging/a.yaml": manifest("shop"),
            "k8s/staging/b.yaml": manifest(),
            "k8s/production/a.yaml": manifest("shop"),
            "k8s/production/b.yaml": manifest("other"),
        }
    )

    assert [one.namespace for one in guessing.guess(files, "shop").stages] == ["shop", ""]


@pytest.mark.parametrize(
    "images, ours",
    [
        ({"proxy": "envoy:1", "web": "registry.example/shop:1"}, "web"),
        ({"proxy": "envoy:1", "shop": "registry.example/other:1"}, "shop"),
        ({"proxy": "envoy:1", "application": "registry.example/other:1"}, "application"),
        ({"a": "registry.example:5000/shop@sha256:0", "shop": "x"}, "a"),
    ],
)
def test_the_image_that_is_built_here_comes_first_and_the_others_are_comments(
    images: dict[str, str], ours: str
) -> None:
    files = {f"k8s/{name}.yaml": manifest(image=image, name=name) for name, image in images.items()}
    found = guessing.guess(surveying.Tree(files), "shop")

    assert [one.name for one in found.images if one.ours] == [ours]
    assert found.images[0].name == ours
    assert len(found.images) == len(images)


def test_a_chart_goes_before_manifests_which_are_named() -> None:
    found = guessing.guess(tree("chart/Chart.yaml", "k8s/staging/a.yaml"), "shop")

    assert found.source[0] == "helm"
    assert [one for one in found.remarks if "manifests in k8s" in one]


def test_templates_and_broken_files_are_looked_past() -> None:
    files = surveying.Tree(
        {"k8s/staging/a.yaml": b"{{ if }}\na: b: c", "k8s/staging/b.yaml": b"\xff\xfe\x00"}
    )

    assert guessing.guess(files, "shop").remarks


@pytest.mark.parametrize("text, name", [("Shop_1", "shop-1"), ("--", ""), ("a" * 80, "a" * 63), ("Ünï", "n")])
def test_names(text: str, name: str) -> None:
    assert surveying.name_of(text) == name
