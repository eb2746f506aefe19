"""ApplicationGenerators: elements from everywhere, templates, and what a generator remembers."""

import dataclasses

import pytest

from tests.unit.config import declaring
from undrift import errors
from undrift.config import configuration, elements, reading, templating
from undrift.model import application, source


def generator(generators: str, template: str = "", more: str = "") -> str:
    body = (
        template or '{metadata: {name: "{{ name }}"}, spec: {source: {path: "{{ path }}"}, target: servers}}'
    )
    return (
        "---\napiVersion: undrift.dev/v1\nkind: ApplicationGenerator\nmetadata: {name: shops}\n"
        f"spec:\n  generators: {generators}\n  template: {body}\n{more}"
    )


class Repository:
    """Another source, whose folders can be looked at."""

    def __init__(self, **files: str) -> None:
        self.files = {name.replace("__", "/"): source.File(text.encode()) for name, text in files.items()}
        self.asked: list[tuple[str, str]] = []

    async def fetch(self, name: str, path: str) -> source.Artifact:
        self.asked.append((name, path))
        if name != "charts":
            raise errors.PathMissing(f"there is no {path}")
        below = {
            each.removeprefix(f"{path}/"): file
            for each, file in self.files.items()
            if path == "." or each.startswith(f"{path}/")
        }
        return source.Artifact(source.Revision("main", "sha1:1"), path, "sha256:1", below)


async def read(
    generators: str, *, files: dict[str, str] | None = None, place: elements.Directories | None = None
) -> configuration.Configuration:
    made = declaring.artifact({"undrift.yaml": declaring.BASE + generator(generators)} | (files or {}))
    return await reading.read(made, None, place)


def paths(found: configuration.Configuration) -> dict[str, str]:
    assert not found.errors, [str(error) for error in found.errors]
    return {name: each.source.path for name, each in found.applications.items()}


async def test_one_application_an_entry_of_a_list() -> None:
    found = await read("[{list: [{name: a, path: x/a}, {name: b, path: x/b}]}]")

    assert paths(found) == {"a": "x/a", "b": "x/b"}
    assert {each.generator for each in found.applications.values()} == {"shops"}


async def test_one_application_a_folder_of_the_config_repository() -> None:
    files = {"apps/web/host.yaml": "", "apps/api/deep/host.yaml": "", "apps/README.md": "", "apps/old/x": ""}
    found = await read('[{directories: {path: "apps/*", exclude: [apps/old]}}]', files=files)

    assert paths(found) == {"api": "apps/api", "web": "apps/web"}


async def test_paths_are_those_of_the_repository_not_of_the_configuration() -> None:
    text = declaring.BASE + generator('[{directories: {path: "undrift/apps/*"}}]')
    made = declaring.artifact({"undrift.yaml": text, "apps/web/host.yaml": ""}, "undrift")

    assert paths(await reading.read(made)) == {"web": "undrift/apps/web"}


async def test_one_application_a_folder_of_another_source() -> None:
    place = Repository(charts__web__x="", charts__api__x="", docs__x="")
    found = await read('[{directories: {source: charts, path: "charts/*"}}]', place=place)

    assert paths(found) == {"api": "charts/api", "web": "charts/web"}
    assert place.asked == [("charts", "charts")]


async def test_one_application_a_data_file() -> None:
    files = {
        "stages/basel.json": '{"path": "x/basel"}',
        "stages/bern.yaml": "path: x/bern\n",
        "stages/many.yaml": "[{name: c, path: x/c}, {name: d, path: x/d}]",
        "stages/link.yaml": "",
    }
    found = await read('[{files: {path: "stages/*", exclude: [stages/link.yaml]}}]', files=files)

    assert paths(found) == {"basel": "x/basel", "bern": "x/bern", "c": "x/c", "d": "x/d"}


async def test_a_data_file_that_is_broken_breaks_the_generator_and_says_where() -> None:
    found = await read('[{files: {source: charts, path: "*.txt"}}]', place=Repository(**{"a.txt": "a: [\n"}))

    assert [type(error) for error in found.errors] == [errors.ConfigUnreadable]
    assert str(found.errors[0].origin) == "a.txt:2:1"
    assert ("ApplicationGenerator", "shops") in found.spoiled


async def test_two_generators_crossed() -> None:
    template = '{metadata: {name: "{{ stage }}-{{ name }}"}, spec: {source: {path: "{{ matrix[1].name }}"}, target: servers}}'
    text = generator(
        "[{matrix: [{list: [{stage: a}, {stage: b}]}, {list: [{name: x}, {name: z}]}]}]", template
    )
    assert paths(await declaring.read(declaring.BASE + text)) == {
        "a-x": "x",
        "a-z": "z",
        "b-x": "x",
        "b-z": "z",
    }


async def test_a_key_that_both_sides_of_a_matrix_have_must_be_told_apart() -> None:
    found = await read("[{matrix: [{list: [{name: a, path: p}]}, {list: [{name: b, path: p}]}]}]")

    assert "'name' is undefined" in found.errors[0].why


async def test_a_missing_source_breaks_the_generator_with_the_place_of_the_glob() -> None:
    found = await read('[{directories: {source: gone, path: "charts/*"}}]', place=Repository())

    (error,) = found.errors
    assert isinstance(error, errors.PathMissing)
    assert error.origin is not None
    assert error.origin.line == 14


async def test_too_many_elements_are_refused() -> None:
    rows = ", ".join("{a: 1}" for _ in range(101))
    found = await read(f"[{{matrix: [{{list: [{rows}]}}, {{list: [{rows}]}}]}}]")

    assert "more than 10000 elements" in found.errors[0].what


@pytest.mark.parametrize(
    "own, of_generator, becomes",
    [
        ("", "", application.DeletionPolicy.APPROVE),
        ("", "delete", application.DeletionPolicy.DELETE),
        ("orphan", "delete", application.DeletionPolicy.ORPHAN),
    ],
)
async def test_a_generator_has_a_deletion_policy_of_its_own(
    own: str, of_generator: str, becomes: application.DeletionPolicy
) -> None:
    spec = f", deletionPolicy: {own}" if own else ""
    template = f'{{metadata: {{name: "{{{{ name }}}}"}}, spec: {{target: servers{spec}}}}}'
    more = f"  deletionPolicy: {of_generator}\n" if of_generator else ""
    found = await declaring.read_well(declaring.BASE + generator("[{list: [{name: a}]}]", template, more))

    assert found.applications["a"].deletion_policy is becomes


async def test_an_element_that_stays_gives_the_same_application() -> None:
    """Nothing is made again when a commit touches neither the generator nor its elements."""
    reader = reading.Reader()
    files = {"undrift.yaml": declaring.BASE + generator('[{directories: {path: "apps/*"}}]'), "apps/a/x": "1"}
    first = await reader.read(declaring.artifact(files))
    second = await reader.read(declaring.artifact(files | {"apps/a/x": "2"}))
    third = await reader.read(declaring.artifact(files | {"apps/b/x": "1"}))

    assert second.applications["a"] is first.applications["a"]
    assert set(third.applications) == {"a", "b"}


async def test_a_generator_that_breaks_leaves_what_it_made_in_doubt() -> None:
    reader = reading.Reader()
    good = declaring.BASE + generator("[{list: [{name: a, path: x}]}]")
    before = (await reader.read(declaring.artifact({"u.yaml": good}))).applications["a"]
    bad = declaring.BASE + generator("[{lst: [{name: a, path: x}]}]")
    broken = await reader.read(declaring.artifact({"u.yaml": bad}))
    gone = await reader.read(declaring.artifact({"u.yaml": declaring.BASE}))

    assert not broken.may_remove(before)
    assert gone.may_remove(before)
    assert gone.may_remove(dataclasses.replace(before, origin=None))


class TestTemplates:
    @pytest.mark.parametrize(
        "text, value",
        [
            ("plain", "plain"),
            ("{{ n }}", 3),
            (" {{ n }} ", 3),
            ("n{{ n }}", "n3"),
            ("{{ n + 1 }}", 4),
            ("{{ name | upper }}", "BASEL"),
            ("{{ rows }}", [1, 2]),
            ("{{ rows | join('-') }}", "1-2"),
            ("{{ missing | default('x') }}", "x"),
            ("{% if n > 2 %}big{% endif %}", "big"),
            ("{{ n }}{{ n }}", "33"),
            ("{# nothing #}", ""),
        ],
    )
    def test_a_text_is_filled_in(self, text: str, value: object) -> None:
        assert templating.fill(text, {"n": 3, "name": "basel", "rows": [1, 2]}) == value

    def test_as_text_where_text_is_due(self) -> None:
        assert templating.fill("{{ n }}", {"n": 3}, native=False) == "3"

    @pytest.mark.parametrize(
        "text",
        [
            "{{ n.__class__ }}",
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "{{ 'x' * 10 }}",
            "{{ 2 ** 2 }}",
            "{{ '%5d' % 1 }}",
            "{{ [1] * 3 }}",
            "{{ cycler }}",
            "{{ self }}",
            "{{ n | attr('real') }}",
            "{% for x in range(9) %}{% endfor %}",
            "{{ 1 / 0 }}",
            "{{ nobody.name }}",
            "{{",
            "{% import 'os' as os %}",
            "{{ rows.append(1) }}",
            "{{ '{:>99999999}'.format(1) }}",
            "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        ],
    )
    def test_nothing_else_can_be_said(self, text: str) -> None:
        with pytest.raises(templating.Unfilled):
            templating.fill(text, {"n": 3, "rows": []})

    @pytest.mark.parametrize(
        "text",
        [
            "{{ 'a'" + " | replace('a', 'aa')" * 60 + " }}",
            "{{ 'ab'" + " | list | join('ab')" * 60 + " }}",
            "{% for a in rows %}{% for b in rows %}x{% endfor %}{% endfor %}",
            "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{{ rows | join('x' ~ rows) }}",
        ],
    )
    def test_a_text_cannot_grow_without_bounds(self, text: str) -> None:
        with pytest.raises(templating.Unfilled):
            templating.fill(text, {"rows": list(range(5000))})
