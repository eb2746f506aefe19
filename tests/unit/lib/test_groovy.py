"""Values are read out of Groovy source; what would have to be computed stays what it is."""

from typing import Any

import pytest

from undrift.lib import groovy

E, T = groovy.Expression, groovy.Text


def value(source: str) -> Any:
    found = groovy.argument(f"call({source})", "call")
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    "source, meant",
    [
        ("'a'", "a"),
        ('"a"', "a"),
        ("'''a\n b'''", "a\n b"),
        ("'it\\'s \\\\ ${x}'", "it's \\ ${x}"),
        ("/a\\/b\\d/", "a/b\\d"),
        ("'line \\\n goes on'", "line  goes on"),
        ("12", 12),
        ("1_000L", 1000),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("[]", []),
        ("[:]", {}),
        ("[1, 'a', [2]]", [1, "a", [2]]),
        ("[a: 1, 'b-c': [d: 'e',],]", {"a": 1, "b-c": {"d": "e"}}),
        ("[(key): 1]", {"key": 1}),
        ("[a: /* no */ 1, // nothing\n b: 2]", {"a": 1, "b": 2}),
        ("'a' + 'b' + 1", "ab1"),
        ("('a')", "a"),
        ("a: 1, b: [2]", {"a": 1, "b": [2]}),
        ("name", E("name")),
        ("[a: f(1, [2]), b: x ? 'y' : 'z']", {"a": E("f(1, [2])"), "b": E("x ? 'y' : 'z'")}),
        ("a.b[0]", E("a.b[0]")),
        ("-1", E("-1")),
        ("a / b / c", E("a / b / c")),
        ('"a ${x.y(1)} b $c.d."', T(("a ", E("x.y(1)"), " b ", E("c.d"), "."))),
        ('"${f { it }}"', T(("", E("f { it }")))),
        ('"\\${x}"', "${x}"),
        ("'a' + b", T(("a", E("b")))),
        ("new Date().format('y')", E("new Date().format('y')")),
    ],
)
def test_a_value(source: str, meant: Any) -> None:
    assert value(source) == meant


@pytest.mark.parametrize(
    "source",
    [
        "call([a: 1])",
        "call(a: 1)",
        "call a: 1",
        "call([a: 1]) { more }",
        "x.call(a: 2)\ncall(a: 1)",
        "'call(a: 2)'; call(a: 1)",
        "// call(a: 2)\ncall(a: 1)",
        "def call(Map b) { }\ncall a: 1",
        "import x.call\n\ncall(a: 1)",
    ],
)
def test_the_call_is_found_however_it_is_written(source: str) -> None:
    found = groovy.argument(source, "call")

    assert found is not None
    assert found[0] == {"a": 1}


def test_the_line_of_the_call_is_told() -> None:
    assert groovy.argument("\n\n  call(1)", "call") == (1, 3)


@pytest.mark.parametrize("source", ["", "other(1)", "// call(1)", "def call = 1", "call"])
def test_where_nobody_calls_it_there_is_nothing(source: str) -> None:
    assert groovy.argument(source, "call") is None


def test_variables_are_filled_in_as_far_as_they_are_known() -> None:
    source = """
    String tag = "1.0-${build}"
    def image = "registry/app:${tag}"
    final build
    config = [image: image, other: unknown]
    if (image == 'x') { image = 'y' }
    """
    known = groovy.definitions(source)

    assert groovy.resolved(E("config"), known) == {
        "image": T(("registry/app:1.0-", E("build"))),
        "other": E("unknown"),
    }


def test_a_variable_that_is_made_of_itself_ends() -> None:
    known = groovy.definitions('def a = "${b}x"\ndef b = "${a}y"')

    assert isinstance(groovy.resolved(E("a"), known), groovy.Text)


def test_an_expression_ends_with_its_line_unless_it_clearly_goes_on() -> None:
    known = groovy.definitions("a = 'x' +\n  'y'\nb = z\n  .trim()\nc = [\n1\n]\nd = 1; e = 2")

    assert known == {"a": "xy", "b": E("z .trim()"), "c": [1], "d": 1, "e": 2}


@pytest.mark.parametrize(
    "source, line", [("call([a: 1", 1), ("\ncall('a", 2), ("call(\n'a\nb')", 2), ('call("${a")', 1)]
)
def test_what_has_no_end_is_told_with_its_line(source: str, line: int) -> None:
    with pytest.raises(groovy.GroovyError) as told:
        groovy.argument(source, "call")

    assert told.value.line == line
