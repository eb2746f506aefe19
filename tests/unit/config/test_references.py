"""What documents say of one another: circles in any graph, and targets that outlive their document."""

import hypothesis
from hypothesis import strategies

from tests.unit.config import declaring
from undrift import errors
from undrift.config import references
from undrift.model import target

_NAMES = strategies.sampled_from("abcdefgh")
_GRAPHS = strategies.dictionaries(_NAMES, strategies.lists(_NAMES, max_size=4), max_size=8)


def reachable(start: str, edges: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    queue = list(edges.get(start, ()))
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += edges.get(name, ())
    return found


@hypothesis.given(_GRAPHS)
def test_every_circle_is_told_and_nothing_else(edges: dict[str, list[str]]) -> None:
    """A node is in one of the circles exactly when it can reach itself; each circle is a real one."""
    told = list(references.circles(edges))

    for circle in told:
        assert circle[0] == min(circle)
        assert len(set(circle)) == len(circle)
        for name, after in zip(circle, (*circle[1:], circle[0]), strict=True):
            assert after in edges[name]
    on_circle = {name for name in edges if name in reachable(name, edges)}
    assert {name for circle in told for name in circle} == on_circle
    assert len(told) == len(set(told))


def test_a_long_chain_is_no_matter() -> None:
    edges = {str(number): [str(number + 1)] for number in range(50_000)} | {"50000": []}

    assert not list(references.circles(edges))


async def test_a_dependency_on_a_broken_application_is_no_error_of_its_own() -> None:
    found = await declaring.read(
        declaring.BASE
        + declaring.application("web", "dependsOn: [db]")
        + declaring.application("db", "polcy: {}")
    )

    assert list(found.applications) == ["web"]
    assert len(found.errors) == 1


async def test_a_source_that_settings_of_a_renderer_name_has_to_be_declared() -> None:
    named = "renderer: {kind: helm, valueFiles: [a.yaml, {source: sharde, path: b.yaml}]}"
    source = "---\napiVersion: undrift.dev/v1\nkind: Source\nmetadata: {name: shared}\nspec: {url: https://example.com/x.git, branch: main}\n"
    found = await declaring.read(declaring.BASE + source + declaring.application("web", named))

    [error] = found.errors
    assert isinstance(error, errors.ReferenceUnknown)
    assert error.hint == "did you mean shared?"


async def test_a_project_that_is_broken_lets_nothing_through() -> None:
    """Its limits are not known, so nothing of it may change; the default project can be declared too."""
    broken = "---\napiVersion: undrift.dev/v1\nkind: Project\nmetadata: {name: default}\nspec: {targts: []}\n"
    found = await declaring.read(declaring.BASE + declaring.application("web") + broken)

    assert found.broken == {"web"}
    assert len(found.errors) == 1


SERVERS = target.Target("servers", "hosts", "main")
BEFORE = {"servers": SERVERS, "zones": target.Target("zones", "dns", "main")}


class TestKeepingTargets:
    async def test_a_target_in_use_stays_and_it_is_said(self) -> None:
        after = await declaring.read(declaring.BASE.replace("servers", "machines"))
        kept, found = references.keep_targets(BEFORE, after, {"web": "servers", "api": "servers"})

        assert set(kept) == {"machines", "servers"}
        assert kept["servers"] is SERVERS
        assert [type(each) for each in found] == [errors.TargetInUse]
        assert "api, web" in found[0].why

    async def test_one_that_leaves_with_all_that_is_on_it_is_no_error(self) -> None:
        after = await declaring.read(declaring.BASE.replace("servers", "machines"))
        users = {"web": "servers", "api": "servers"}

        assert references.keep_targets(BEFORE, after, users, {"web", "api"})[0]["servers"] is SERVERS
        assert references.keep_targets(BEFORE, after, users, {"web", "api"})[1] == ()
        assert "api" in references.keep_targets(BEFORE, after, users, {"web"})[1][0].why

    async def test_one_that_is_not_in_use_goes(self) -> None:
        after = await declaring.read(declaring.BASE.replace("servers", "machines"))

        assert references.keep_targets(BEFORE, after, {}) == (after.targets, ())

    async def test_one_that_changed_is_taken_as_it_is_now(self) -> None:
        after = await declaring.read(declaring.BASE)
        kept, found = references.keep_targets(BEFORE, after, {"web": "servers"})

        assert kept["servers"].settings == {"root": "/srv"}
        assert not found

    async def test_one_that_is_broken_stays_without_another_error(self) -> None:
        after = await declaring.read(declaring.BASE.replace("provider", "proider"))
        kept, found = references.keep_targets(BEFORE, after, {"web": "servers"})

        assert kept["servers"] is SERVERS
        assert not found
