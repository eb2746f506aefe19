"""The pages about many hosts and about values of other layers: their documents, in a repository with a real agent."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.docs import pages
from tests.e2e import world

MANIFEST = "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n"


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[world.World]:
    with world.world(tmp_path / "w") as made:
        yield made


def test_roll_out_to_many_hosts(place: world.World) -> None:
    """Both hosts get the application with their own variables; the second one after the first."""
    groups, generator = pages.blocks(pages.text("how-to/roll-out-to-many-hosts.md"), "yaml")
    names = ("alpha", "beta")
    for name in names:
        (place.root / name).mkdir()
        groups = groups.replace(f"/srv/{name}", str(place.root / name))
    place.write("undrift/groups.yaml", groups)
    place.write("undrift/web.yaml", generator)
    place.write("web/host.yaml", MANIFEST + "  files: [{path: /page, template: templates/page.j2}]\n")
    place.write("web/templates/page.j2", "{{ greeting }} {{ place }}")
    commit = place.push("Begin")
    place.start()
    for name in names:
        place.settled(f"web-{name}", commit)

    assert [(place.root / name / "page").read_text() for name in names] == ["hello alpha", "hello beta"]
    first, second = [place.client.history(f"web-{name}") for name in names]
    applied = [next(one["started"] for one in each if one["results"]) for each in (first, second)]
    assert applied == sorted(applied)
    assert any(stop["code"] == "UD619" for one in second for stop in one["stops"])


def test_values_across_layers(place: world.World) -> None:
    """What one publishes is in a template and, through settings, in a manifest of others."""
    page = pages.text("how-to/values-across-layers.md")
    gateway, records = pages.blocks(page, "yaml")
    (template,) = pages.blocks(page, "jinja")
    place.write("undrift/gateway.yaml", gateway)
    place.write("undrift/records.yaml", records)
    place.declare("web", "dependsOn: [gateway]")
    place.write("gateway/host.yaml", MANIFEST + '  links: [{path: /current, to: "192.0.2.7"}]\n')
    place.write("records/host.yaml", MANIFEST + "  files: [{path: /zone, content: 'web A ${ADDRESS}'}]\n")
    place.write("web/host.yaml", MANIFEST + "  files: [{path: /site, template: templates/site.j2}]\n")
    place.write("web/templates/site.j2", template)
    place.push("Begin")
    place.start()

    wanted = {"/zone": "web A 192.0.2.7", "/site": "upstream 192.0.2.7;\n"}
    place.until(lambda: {name: text for name, text in place.tree().items() if name in wanted} == wanted)
    shown = place.cli("plan").stdout
    assert shown.index("gateway on host (hosts)") < shown.index("records on host (hosts)")
