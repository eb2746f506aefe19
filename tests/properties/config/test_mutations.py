"""Whatever is done to a good configuration, reading it gives a configuration or errors with their place.

Never an exception; and an application whose document was not touched goes on as it was.
"""

import hypothesis
from hypothesis import strategies

from tests.unit.config import declaring
from undrift.config import reading
from undrift.lib import yaml

BASE = declaring.BASE.encode()
VALID = b"""apiVersion: undrift.dev/v1
kind: Application
metadata: {name: web, labels: {layer: servers}}
spec:
  source: {path: apps/web}
  renderer: {kind: helm, releaseName: web}
  target: servers
  interval: 1h30m
  dependsOn: [db]
  movedFrom: [www]
  policy:
    mode: approval
    deletionLimit: {count: 3, percent: 5}
    windows: [{kind: allow, days: [mon, sun], from: "22:00", to: "06:30", zone: Europe/Zurich}]
    ignore: [{resources: "file/*", path: mode}]
---
apiVersion: undrift.dev/v1
kind: Source
metadata: {name: charts}
spec:
  url: https://git.example.org/charts
  branch: main
  authentication: {token: {env: TOKEN}}
---
apiVersion: undrift.dev/v1
kind: ApplicationGenerator
metadata: {name: shops}
spec:
  generators: [{matrix: [{list: [{shop: basel}]}, {list: [{stage: test}]}]}]
  template:
    metadata: {name: "{{ shop }}-{{ stage }}"}
    spec: {source: {path: "shops/{{ shop }}"}, target: servers}
---
apiVersion: undrift.dev/v1
kind: Notifier
metadata: {name: chat}
spec: {kind: slack, url: {env: CHAT}, events: [DriftFound]}
"""
OTHER = (
    declaring.application("db")
    + """---
apiVersion: undrift.dev/v1
kind: Target
metadata: {name: zz-place}
spec: {provider: hosts, agent: main}
"""
    + declaring.application("zz-untouched", target="zz-place")
).encode()

_SNIPPETS = strategies.sampled_from(
    [b"", b"\n", b": ", b"- ", b"{", b"}", b"[", b"]", b"'", b'"', b"&a ", b"*a", b"<<: ", b"---\n", b"\t", b"\0",
     b"\xff", b"!!binary ", b"{{ x", b"%", b"null", b"- 1e999", b"? ", b"| ", b"0", b"-1", b"yes", b"ENC[", b"\xe2\x80\xa8"]
)  # fmt: skip
_VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(max_size=8)
    | strategies.sampled_from(
        ["web", "db", "config", "{{ x }}", "https://a:b@c", "30s", "../x", "Application"]
    ),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(
            strategies.sampled_from(["name", "kind", "spec", "env", "list", "x"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def _paths(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    if isinstance(data, dict):
        for key, value in data.items():
            found += _paths(value, (*path, key))
    if isinstance(data, list):
        for index, value in enumerate(data):
            found += _paths(value, (*path, index))
    return found


async def check(mutated: bytes) -> None:
    files = {"base.yaml": BASE, "mutated.yaml": mutated, "other.yaml": OTHER}
    found = await reading.read(declaring.artifact(files))

    for error in found.errors:
        assert error.origin is not None, error
        assert error.origin.file == "mutated.yaml" or error.code in {"UD103", "UD104", "UD105"}, error
        assert error.origin.line or error.code == "UD101", error
        assert str(error)
    assert "zz-untouched" in found.applications
    assert not set(found.applications) & found.broken


@hypothesis.given(
    strategies.lists(
        strategies.tuples(strategies.integers(0, len(VALID)), strategies.integers(0, 12), _SNIPPETS),
        min_size=1,
        max_size=4,
    )
)
async def test_bytes_may_be_anything(edits: list[tuple[int, int, bytes]]) -> None:
    text = VALID
    for place, length, put in edits:
        text = text[:place] + put + text[place + length :]
    await check(text)


@hypothesis.given(strategies.data())
async def test_values_may_be_anything(data: strategies.DataObject) -> None:
    """One part of one document is replaced by any value, or taken out."""
    documents = [each.data for each in yaml.documents(VALID)]
    which = data.draw(strategies.integers(0, len(documents) - 1))
    path = data.draw(strategies.sampled_from(_paths(documents[which])[1:]))
    holder = documents[which]
    for step in path[:-1]:
        holder = holder[step]
    if data.draw(strategies.booleans()):
        holder[path[-1]] = data.draw(_VALUES)
    else:
        del holder[path[-1]]
    await check("---\n".join(yaml.dump(each) for each in documents).encode())


@hypothesis.given(strategies.binary(max_size=200))
async def test_a_file_may_be_anything(content: bytes) -> None:
    await check(content)
