"""An edit changes what it names and nothing else, however a file is written; made again it changes nothing."""

from __future__ import annotations

import copy
from typing import Any

import hypothesis
import yaml as pyyaml
from hypothesis import strategies

from undrift.lib import scalars, splicing, yaml
from undrift.model import delivery, source
from undrift.publishing import editing, referring, tree

WORDS = strategies.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True).filter(
    lambda word: isinstance(yaml.scalar(word)[0], str)
)
TEXTS = strategies.one_of(
    WORDS,
    strategies.text(max_size=12),
    strategies.sampled_from(
        ["on", "0123", "1e3", "a: b", "#x", "~", "", " ", "'", '"', "é", "12:30", "null", "|", "&a"]
    ),
)
SCALARS = strategies.one_of(
    TEXTS, strategies.integers(-(2**62), 2**62), strategies.booleans(), strategies.none()
)
DATA = strategies.recursive(
    SCALARS,
    lambda inner: strategies.one_of(
        strategies.lists(inner, max_size=3), strategies.dictionaries(TEXTS.filter(bool), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = strategies.dictionaries(WORDS, DATA, min_size=1, max_size=4)
STYLES = strategies.fixed_dictionaries(
    {
        "default_flow_style": strategies.sampled_from([True, False, None]),
        "default_style": strategies.sampled_from([None, '"', "'"]),
        "indent": strategies.integers(2, 6),
        "width": strategies.sampled_from([20, 80, 1000]),
        "allow_unicode": strategies.booleans(),
        "line_break": strategies.sampled_from(["\n", "\r\n"]),
    }
)


def places(node: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], tuple[int, int]]:
    """Where each scalar stands, by PyYAML's own parser."""
    if isinstance(node, pyyaml.MappingNode):
        found: dict[tuple[str | int, ...], tuple[int, int]] = {}
        for key, value in node.value:
            found |= places(value, (*path, str(key.value)))
        return found
    if isinstance(node, pyyaml.SequenceNode):
        found = {}
        for index, value in enumerate(node.value):
            found |= places(value, (*path, index))
        return found
    return {path: (node.start_mark.index, node.end_mark.index)}


def read(content: bytes) -> list[Any]:
    return [one.data for one in yaml.documents(content)]


@hypothesis.given(strategies.lists(DOCUMENTS, min_size=1, max_size=3), STYLES, SCALARS, strategies.data())
def test_a_value_is_set_and_everything_else_stays(
    documents: list[dict[str, Any]], style: dict[str, Any], value: Any, data: strategies.DataObject
) -> None:
    text = "# first\n" + pyyaml.safe_dump_all(documents, explicit_start=True, **style)
    content = text.encode()
    before = _sound(content, len(documents))
    index = data.draw(strategies.sampled_from(range(len(before))), label="document")
    known = places(list(pyyaml.compose_all(text, Loader=pyyaml.SafeLoader))[index])
    hypothesis.assume(known)
    path = data.draw(strategies.sampled_from(sorted(known, key=str)), label="path")
    hypothesis.assume(splicing.find(before[index], path)[0])

    after = splicing.change(content, [splicing.Edit(index, path, value)])

    desired = copy.deepcopy(before)
    splicing.put_in(desired[index], path, value)
    assert read(after) == desired
    start, end = (len(text[:at].encode()) for at in known[path])
    assert after.startswith(content[:start])
    assert after.endswith(content[end:])
    assert splicing.change(after, [splicing.Edit(index, path, value)]) == after


@hypothesis.given(strategies.lists(DOCUMENTS, min_size=1, max_size=2), STYLES, DATA, WORDS, strategies.data())
def test_a_new_value_is_added_and_nothing_is_taken_away(
    documents: list[dict[str, Any]], style: dict[str, Any], value: Any, name: str, data: strategies.DataObject
) -> None:
    content = pyyaml.safe_dump_all(documents, explicit_start=True, **style).encode()
    before = _sound(content, len(documents))
    index = data.draw(strategies.sampled_from(range(len(before))), label="document")
    hypothesis.assume(name not in before[index])

    after = splicing.change(content, [splicing.Edit(index, (name,), value, create=True)])

    desired = copy.deepcopy(before)
    desired[index][name] = value
    assert read(after) == desired
    assert _is_within(content, after)


@hypothesis.given(
    strategies.lists(strategies.tuples(WORDS, WORDS), min_size=1, max_size=4, unique_by=lambda one: one[0]),
    STYLES,
    strategies.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True),
    strategies.sampled_from(["", "host:5000/new", "on"]),
    strategies.sampled_from(["", "sha256:" + "0" * 64]),
    strategies.data(),
)
def test_an_image_is_set_in_its_container_and_nowhere_else(
    given: list[tuple[str, str]],
    style: dict[str, Any],
    tag: str,
    name: str,
    digest: str,
    data: strategies.DataObject,
) -> None:
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "spec": {"containers": [{"name": one, "image": image} for one, image in given]},
    }
    content = pyyaml.safe_dump(pod, **style).encode()
    _sound(content, 1)
    at = data.draw(strategies.sampled_from(range(len(given))), label="container")
    image = delivery.Image(given[at][0], name, tag, digest)

    once = _edited(content, image)
    desired = copy.deepcopy(read(content))
    desired[0]["spec"]["containers"][at]["image"] = referring.replaced(
        desired[0]["spec"]["containers"][at]["image"], image
    )

    assert read(once) == desired
    assert _edited(once, image) == once
    start, end = places(pyyaml.compose(content.decode(), Loader=pyyaml.SafeLoader))[
        ("spec", "containers", at, "image")
    ]
    assert (once.startswith(content[:start]), once.endswith(content[end:])) == (True, True)


@hypothesis.given(TEXTS, strategies.sampled_from(["", "'", '"']), strategies.booleans())
def test_a_text_is_a_text_for_every_reader(text: str, style: str, as_json: bool) -> None:
    _storable(text)
    written = scalars.written(text, style=style, as_json=as_json)

    for whole in (f"a: {written}\n", f"{{a: {written}}}\n", f"[{{a: {written}, b: 1}}]\n"):
        ours = yaml.documents(whole)[0].data
        theirs = pyyaml.safe_load(whole)
        assert (ours[0] if isinstance(ours, list) else ours)["a"] == text
        assert (theirs[0] if isinstance(theirs, list) else theirs)["a"] == text


@hypothesis.given(DOCUMENTS)
def test_what_a_tool_rendered_is_published_as_it_is(document: dict[str, Any]) -> None:
    assert read(yaml.dump(document).encode()) == [document]


def _edited(content: bytes, image: delivery.Image) -> bytes:
    made = tree.Tree()
    made.add(tree.read("pod.yaml", source.File(content), "pod.yaml"))
    assert editing.set_images(made, [(0, image)]) == []
    return made.pages["pod.yaml"].file.content


def _sound(content: bytes, count: int) -> list[Any]:
    """What is read, where our reader takes it (NaN and the like are none of this test's business)."""
    try:
        found = read(content)
    except yaml.YamlError:
        hypothesis.reject()
    hypothesis.assume(len(found) == count)
    return found


def _storable(text: str) -> None:
    hypothesis.assume(all(sign.isprintable() or sign in "\n\t" for sign in text))


def _is_within(part: bytes, whole: bytes) -> bool:
    """Whether `part` is `whole` with one stretch taken out."""
    front = 0
    while front < len(part) and part[front] == whole[front]:
        front += 1
    back = 0
    while back < len(part) - front and part[-1 - back] == whole[-1 - back]:
        back += 1
    return front + back == len(part)
