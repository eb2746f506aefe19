"""Manifests → resources, and everything that can be wrong with one."""

from typing import Any

import pytest

from undrift import errors, interfaces
from undrift.lib import yaml
from undrift.model import resource, source, target
from undrift.providers.hosts import provider

PLACE = target.Target("here", "hosts", settings={"root": "/srv/root"})
FACTS = target.Facts({"os": "linux", "hostname": "web1"})


def load(text: str, /, *, place: target.Target = PLACE, **files: Any) -> resource.DesiredState:
    documents = tuple(
        interfaces.Document(one.data, "app/host.yaml", one.positions) for one in yaml.documents(text)
    )
    named = {name.replace("__", "/"): source.File(content.encode()) for name, content in files.items()}
    return provider.HostsProvider().load(interfaces.Rendered(documents, named), FACTS, place)


def host(spec: str) -> str:
    return f"apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n{spec}"


def wrong(text: str, **files: Any) -> list[tuple[str, str, str]]:
    """(place, what, hint) of each error."""
    with pytest.raises(errors.UndriftError) as caught:
        load(text, **files)
    return [
        (str(one.origin).removeprefix("app/host.yaml:"), one.what, one.hint) for one in caught.value.parts
    ]


def rid(text: str) -> resource.ResourceId:
    kind, _, name = text.partition("/")
    return resource.ResourceId.of(kind, name)


def test_all_errors_are_told_at_once_each_with_its_place_and_the_nearest_word() -> None:
    text = host("""  files:
    - {path: /a, contents: x}
    - {path: relative, content: x}
    - {path: /b, content: x, mode: 644}
    - {path: /c, content: x, source: files/x}
  services:
    - {name: web, command: [x], state: runing}
  filse: []
""")

    assert wrong(text) == [
        ("5:18", "spec.files[0].contents is not a known field", "did you mean content?"),
        (
            "6:8",
            "spec.files[1].path is not an absolute path",
            "write it from the target's root, such as /etc/motd",
        ),
        ("7:30", "spec.files[2].mode is not a mode", 'write it as "0644", in quotes'),
        (
            "8:7",
            "spec.files[3] needs exactly one of source, content, template; there are source and content",
            "",
        ),
        ("10:33", "spec.services[0].state should be running or stopped", "did you mean running?"),
        ("11:3", "spec.filse is not a known field", "did you mean files?"),
    ]


@pytest.mark.parametrize(
    "spec, what, hint",
    [
        ("  files: [{path: /a, source: files/motd}]", "there is no file files/motd in the application's folder", "did you mean files/modt?"),
        ("  directories: [{path: /a, source: file}]", "there is no folder file in the application's folder", "did you mean files?"),
        ("  files: [{path: /a, content: x}, {path: /a, content: x}]", "/a is declared twice", "keep one of the two"),
        ("  files: [{path: /a, content: x}]\n  links: [{path: /a, to: x}]", "/a is declared twice", "keep one of the two"),
        ("  files: [{path: /.undrift/x, content: x}]", "File//.undrift/x cannot be declared", ""),
        ("  files: [{path: /a/../b, content: x}]", "spec.files[0].path leads upwards with '..'", "write where it really is"),
        ("  files: [{path: /a, source: ../x}]", "spec.files[0].source is not a path below the application's folder", "write it such as files/motd"),
        ("  files: [{path: /a, content: x, dependsOn: [/ab]}, {path: /abc, content: x}]", "dependsOn of File//a names /ab, which this application does not declare", "did you mean /abc?"),
        ("  services: [{name: web, command: [x], restartOn: [/ab]}]\n  files: [{path: /abc, content: x}]", "Service/web restarts or reloads on /ab, which this application does not declare", "did you mean /abc?"),
        ("  services: [{name: web}]", "the service web has no command", "say which program to run: command: [program, argument]"),
        ("  services: [{name: 'a b', command: [x]}]", "spec.services[0].name 'a b' is not a name", "use up to 64 letters, digits and . _ @ -"),
        ("  commands: [{name: a, command: [x], timeout: 5}]", "spec.commands[0].timeout is not a duration", "write it with its unit, such as 5s"),
        ("  links: [{path: /a}]", "spec.links[0].to is missing", ""),
        ("  links: [{path: /a, to: '{{ nam }}'}]\n  vars: {name: x}", "the template cannot be filled in", "did you mean name?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_do(spec: str, what: str, hint: str) -> None:
    found = wrong(host(spec + "\n"), files__modt="x")

    assert [(one[1], one[2]) for one in found] == [(what, hint)]
    assert found[0][0][:1].isdigit()


def test_a_document_that_is_no_manifest_says_so() -> None:
    ((place, what, hint),) = wrong("apiVersion: apps/v1\nkind: Deployment\n")

    assert (place, what) == ("1:1", "this is not a manifest of a host")
    assert "undrift.dev/hosts/v1" in hint
    assert wrong("- 1\n- 2\n")[0][1] == "this is not a manifest of a host"


@pytest.mark.parametrize(
    "template, line, why",
    [
        ("one\n{{ two }}\n", 2, "'two' is undefined"),
        ("one\n\n{% if %}", 3, "Expected an expression, got 'end of statement block'"),
        ("{{ ''.__class__.__mro__ }}", 1, "access to attribute '__class__' of 'str' object is unsafe."),
        ("{{ 'a' * 99999999999 }}", 1, "* makes too much"),
        ("{{ 9 ** 99999 }}", 1, "** makes too much"),
        ("\n{{ 1 / 0 }}", 2, "ZeroDivisionError"),
        ("{% include '/etc/passwd' %}", 1, "a template cannot bring in another"),
    ],
)
def test_a_template_that_fails_says_where_and_cannot_leave_its_sandbox(
    template: str, line: int, why: str
) -> None:
    text = host("  files: [{path: /a, template: templates/a.j2}]\n")

    with pytest.raises(errors.UndriftError) as caught:
        load(text, place=PLACE, **{"templates__a.j2": template})

    (error,) = caught.value.parts
    assert error.code == "UD404"
    assert error.why == why
    assert error.origin == errors.Origin("app/templates/a.j2", line)


def test_edges_come_from_the_tree_the_command_and_what_is_asked() -> None:
    found = load(
        host("""  directories: [{path: /srv}, {path: /srv/www}]
  files:
    - {path: /srv/www/a, content: x}
    - {path: /srv/x/conf, content: x, wave: 1}
  links: [{path: /srv/l, to: www}]
  services:
    - {name: web, command: [run, "{{ root }}/srv/x/conf"], restartOn: [/srv/www], dependsOn: [Link//srv/l]}
""")
    ).resources

    def needs(text: str) -> list[str]:
        return [str(each) for each in found[rid(text)].depends_on]

    assert needs("Directory//srv/www") == ["Directory//srv"]
    assert needs("File//srv/www/a") == ["Directory//srv/www"]
    assert needs("File//srv/x/conf") == ["Directory//srv"]
    assert needs("Service/web") == [
        "File//srv/x/conf",
        "Directory//srv/www",
        "File//srv/www/a",
        "Link//srv/l",
    ]
    assert found[rid("Service/web")].fields["command"] == ["run", "/srv/root/srv/x/conf"]
    assert rid("Directory//srv/www/a") in found[rid("File//srv/www/a")].excludes
    assert rid("File//srv") in found[rid("File//srv/www/a")].excludes


def test_the_trigger_changes_with_what_it_restarts_on_and_with_nothing_else() -> None:
    spec = "  files: [{path: /a, content: %s}, {path: /b, content: %s}]\n  services: [{name: s, command: [x], restartOn: [/a]}]\n"

    def trigger(one: str, other: str) -> Any:
        return load(host(spec % (one, other))).resources[rid("Service/s")].fields["trigger"]

    assert trigger("x", "x") == trigger("x", "other")
    assert trigger("x", "x") != trigger("other", "x")


def test_settings_of_the_target_are_checked() -> None:
    place = target.Target("here", "hosts", settings={"rot": "/", "state": "var", "manager": "supervisord"})

    with pytest.raises(errors.UndriftError) as caught:
        load(host("  files: []\n"), place=place)

    assert [(one.what, one.hint) for one in caught.value.parts] == [
        ("Target here: settings.rot is not a known setting", "did you mean root?"),
        ("Target here: settings.state cannot be used", "write an absolute path, such as /srv/site"),
        ("Target here: settings.manager cannot be used", "did you mean supervisor?"),
    ]
