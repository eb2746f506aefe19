"""Whatever people write and however little a forge takes: texts fit, are found again, order nothing and tell no secret."""

from __future__ import annotations

import base64
import dataclasses
import html
import re
import string
from typing import Any

import markdown_it
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import token

from tests.unit.publishing import about
from undrift import errors
from undrift.forges import escaping
from undrift.lib import yaml
from undrift.model import delivery, forge, plan, publication, source
from undrift.publishing import contrasting, describing, messages, subject

VICIOUS = (
    "```", "````\n", "</details>", "<!-- undrift:v1 app=a -->", "-->", "@all", "fixes #1", "\n/merge\n", "|", "\n\n",
    "[a](javascript:b)", "`", "\\", "\ue000", "\ue001", "\u202e", "\u2028", "\r", "\x1b[2J", "👩‍🍳", "# ", "- ", "~~~",
    "Undrift-Rollback: true", "[skip ci]", "https://evil.example", "---", "{stage}",
)  # fmt: skip
texts = st.lists(st.sampled_from(VICIOUS) | st.text(max_size=20), max_size=6).map("".join)
names = st.text(string.ascii_letters + string.digits + "-.", min_size=1, max_size=63)
shas = st.text("0123456789abcdef", min_size=40, max_size=40)
revisions = st.builds(
    publication.AppRevision,
    shas, texts, texts, st.integers(0, 4_000_000_000).map(float), texts, texts, st.lists(texts, max_size=3).map(tuple),
)  # fmt: skip
files = st.dictionaries(
    st.sampled_from(["a.yaml", "b.txt", "c.json"]),
    st.builds(
        source.File,
        texts.map(lambda text: text.encode("utf-8", "replace"))
        | texts.map(lambda text: config(text).encode("utf-8", "replace")),
    ),
)
limits = st.builds(
    forge.Limits,
    st.integers(1, 300), st.integers(0, 6000), st.integers(0, 9000), st.integers(0, 200),
    markdown_details=st.booleans(),
)  # fmt: skip


def config(text: str) -> str:
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"text": text}}
    return yaml.dump(data)


@st.composite
def subjects(draw: st.DrawFn) -> subject.Subject:
    """A few texts, and each of them in every place where people's words may stand."""
    one, two = draw(texts), draw(texts)
    revision = publication.AppRevision("b" * 40, one, two, draw(st.floats(0, 1e18)), one, two, (one, two))
    number = draw(st.integers(0, 3))
    problem = errors.ValidationError(one, origin=errors.Origin(two, number), why=two, hint=one)
    prior = subject.Prior(
        two,
        draw(st.none() | st.just(revision)),
        draw(st.booleans()),
        draw(st.floats(0, 1e18)),
        draw(st.sampled_from(["Healthy", "Degraded", one])),
        draw(st.floats(0, 1e9)),
        draw(st.none() | st.just(delivery.Requirement(one, soak=3600.0))),
        draw(st.none() | st.sampled_from(forge.StatusState)),
        one,
        two,
    )
    return subject.Subject(
        application=draw(names),
        stage=draw(names),
        tree="c" * 40,
        branch=one,
        revision=revision,
        before=draw(st.none() | st.just(about.OLD)),
        contrast=contrasting.contrast(draw(files), draw(files)),
        changelog=subject.Changelog(draw(st.sampled_from(subject.Relation)), (revision,) * number, number),
        charts=(subject.Chart(one, two, one),) * number,
        run=subject.Run(one, two),
        findings=publication.Findings(
            (problem,) * number,
            (problem,),
            (publication.Waived(problem, one, two),),
            (publication.Check(one, two, two, passed=False),) * number,
        ),
        priors=(prior,) * number,
        edits=(subject.Edit(one, two, two),) * number,
        rollback=draw(st.none() | st.just(publication.Rollback(one, two, one))),
        hotfix=draw(st.sampled_from(["", two])),
        source_links=about.about().source_links,
        way_back=one,
    )


MARKDOWN = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
OWN_HTML = re.compile(r"</?(?:details|summary|code)>|<!-- undrift:v1 [^<>]*-->")


def rendered(text: str) -> list[token.Token]:
    """What a reader of CommonMark and tables makes of it."""
    return [one for block in MARKDOWN.parse(text) for one in (block, *(block.children or ()))]


def orders(tokens: list[token.Token]) -> list[str]:
    """What a forge would act upon: called people, closed issues, commands, foreign HTML, links to elsewhere."""
    found: list[str] = []
    for one in tokens:
        if one.type == "text":
            found += re.findall(r"@[A-Za-z0-9]|#[0-9]|://[a-z]|[\ue000\ue001\u202e]", one.content)
        elif one.type == "html_block":
            words = html.unescape(re.sub(r"<code>.*?</code>", "", OWN_HTML.sub("", one.content)))
            found += re.findall(r"@[A-Za-z0-9]|#[0-9]|[\ue000\ue001\u202e]", words)
            found += re.findall(r"<[a-zA-Z/!].*", re.sub(OWN_HTML, "", one.content))
        elif one.type == "html_inline" and not OWN_HTML.fullmatch(one.content):
            found.append(one.content)
        elif one.type == "link_open" and not str(one.attrs["href"]).startswith("https://"):
            found.append(str(one.attrs["href"]))
        elif one.type in {"image", "heading_close", "hr", "blockquote_open", "code_block"}:
            found += [one.type] if one.type != "heading_close" or one.markup not in {"###", "####"} else []
    return found


def all_texts(found: subject.Subject, within: forge.Limits) -> list[str]:
    title, body = describing.pull_request(found, within)
    view = subject.View(found.stage, found.contrast, found.findings)
    broken = subject.View(found.stage, error=(found.findings.failed or (errors.RenderError("x"),))[0])
    return [
        title,
        body,
        describing.report(found, within),
        describing.application_comment(found.application, [view, broken, view], within),
        *(one.description for one in describing.statuses(found, within)),
    ]


@given(subjects(), limits)
def test_texts_fit(found: subject.Subject, within: forge.Limits) -> None:
    title, body, report, comment, *statuses = all_texts(found, within)

    assert escaping.size(title) <= within.title
    assert escaping.size(body) <= within.body
    assert max(escaping.size(report), escaping.size(comment)) <= within.comment
    assert all(escaping.size(one) <= within.description for one in statuses)


@given(subjects(), limits)
def test_texts_are_found_again(found: subject.Subject, within: forge.Limits) -> None:
    _, body, report, comment, *_ = all_texts(found, within)

    marker = describing.parse_marker(body)
    if within.body >= 400:
        assert marker is not None
    if marker is not None:
        assert (marker.application, marker.stage, marker.tree) == (found.application, found.stage, found.tree)
    if within.comment >= 800:
        assert report.startswith(describing.report_marker(found))
        assert comment.startswith(describing.application_marker(found.application))


@given(subjects(), limits)
def test_texts_order_nothing(found: subject.Subject, within: forge.Limits) -> None:
    _, body, report, comment, *_ = all_texts(found, within)

    for text in (body, report, comment):
        tokens = rendered(text)
        assert not orders(tokens)
        assert not re.search(r"^/\w", text, re.MULTILINE)
        folds = "".join(one.content for one in tokens if one.type.startswith("html"))
        assert folds.count("<details>") == folds.count("</details>")


@given(subjects())
def test_blocks_of_code_end_where_they_should(found: subject.Subject) -> None:
    report = describing.report(found, forge.Limits(comment=100_000))
    diffs = [one for one in found.contrast.differences if one.text]

    blocks = [one for one in rendered(report) if one.type == "fence"]

    assert [one.info for one in blocks] == ["diff"] * len(diffs)
    assert rendered(f"{report}\n\n# end")[-2].content == "end"


@given(subjects())
def test_only_time_has_passed(found: subject.Subject) -> None:
    within = forge.Limits()
    asked = [one for one in found.priors if one.requirement and one.state is None and one.reached]
    later = dataclasses.replace(
        found,
        priors=tuple(
            dataclasses.replace(one, soaked=one.soaked + 1.0) if one in asked else one for one in found.priors
        ),
    )
    same = [describing.statuses(one, within)[-1].state for one in (found, later)]
    assume(same[0] is same[1] and all(one.soaked >= 1 for one in asked))
    assume(all(one.soaked >= one.requirement.soak for one in asked if one.requirement))

    assert describing.alike(describing.report(found, within), describing.report(later, within))


# --- commit messages and provenance --------------------------------------------------------------------


@given(revisions, texts, st.none() | st.builds(publication.Rollback, texts, texts, texts), texts)
def test_messages_have_our_trailers_and_no_others(
    revision: publication.AppRevision, template: str, rollback: publication.Rollback | None, hotfix: str
) -> None:
    message = messages.commit(
        messages.Commit(
            application="a",
            stage="s",
            revision=revision,
            settings=delivery.CommitSettings(template),
            rollback=rollback,
            hotfix=hotfix,
        )
    )

    head, _, last = message.rstrip("\n").rpartition("\n\n")
    told = [line.partition(": ")[0] for line in last.split("\n")]
    assert len(told) == len(set(told))
    assert all(re.fullmatch(r"(Argocd-reference-commit|Undrift)-[A-Za-z-]+", name) for name in told)
    assert ("Undrift-Rollback" in told) == (rollback is not None)
    assert head.split("\n")[0].strip()
    body = head.split("\n")[1:]
    assert not [line for line in body if re.match(r"(?i)undrift-|argocd-|signed-off|---", line)]
    assert message.splitlines() == message.rstrip("\n").split("\n")


@given(
    revisions,
    shas,
    st.dictionaries(texts, texts, max_size=3),
    st.none() | st.builds(publication.Rollback, names),
)
def test_provenance_comes_back(
    revision: publication.AppRevision,
    tree: str,
    given_values: dict[str, str],
    rollback: publication.Rollback | None,
) -> None:
    found = publication.Provenance("a", "s", revision, tree, given_values, {}, given_values, rollback)
    content = messages.provenance(found)

    read, reason = messages.parse_provenance(content)

    assert read is not None, reason
    assert (read.application, read.stage, read.tree, read.revision.sha) == ("a", "s", tree, revision.sha)
    assert (read.variables, read.rollback) == (dict(sorted(given_values.items())), rollback)
    assert messages.provenance(read) == content


@given(st.binary(max_size=200) | texts.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_provenance_or_not(content: bytes) -> None:
    found, reason = messages.parse_provenance(content)

    assert (found is None) == bool(reason)


# --- secrets -------------------------------------------------------------------------------------------

values = st.text(string.ascii_letters + string.digits + "+/=:#'\"{} \n", min_size=6, max_size=30).map(
    lambda text: f"s3cr3t{text}x"
)


@st.composite
def secretive(draw: st.DrawFn) -> tuple[dict[str, source.File], list[str]]:
    """Files that hold secrets in one way or another, and those."""
    hidden = draw(st.lists(values, min_size=1, max_size=3))
    plain = {f"key{number}": value for number, value in enumerate(hidden)}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in plain.items()}
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": draw(st.sampled_from(["a", "b", "app-ct44h82c6k"]))},
        draw(st.sampled_from(["data", "stringData"])): draw(st.sampled_from([plain, encoded])),
    }
    holder: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    written = draw(
        st.sampled_from(
            [
                yaml.dump(secret),
                f"# {yaml.dump(holder)}---\n{yaml.dump(holder)}---\n{yaml.dump(secret)}---\n{yaml.dump(holder)}",
                yaml.dump({"apiVersion": "v1", "kind": "List", "items": [holder, secret]}),
                yaml.dump({**holder, "data": {"manifest": yaml.dump(secret)}}),
                yaml.dump({**holder, "kind": "Template", "objects": [{"nested": secret}]}),
                f"{yaml.dump(secret)}  broken: [\n",
                yaml.dump({**secret, "kind": "Thing", "sops": {"mac": "ENC[AES256_GCM,data:x]"}}),
            ]
        )
    )
    name = draw(st.sampled_from(["a.yaml", "b.yml", "c.txt"]))
    return {name: source.File(written.encode())}, [*plain.values(), *encoded.values()]


@given(secretive(), secretive() | st.just(({}, [])), limits | st.just(forge.Limits()))
def test_no_secret_is_told(
    one: tuple[dict[str, source.File], list[str]],
    other: tuple[dict[str, source.File], list[str]],
    within: forge.Limits,
) -> None:
    for before, after in ((one[0], other[0]), (other[0], one[0])):
        found = about.about(contrast=contrasting.contrast(before, after))

        told = "\n".join([*all_texts(found, within), repr(found)])

        for value in (*one[1], *other[1]):
            assert value not in told
            assert not [line for line in value.split("\n") if line.startswith("s3cr3t") and line in told]


# --- contrasts -----------------------------------------------------------------------------------------


@given(files)
def test_what_is_equal_has_no_contrast(found: dict[str, source.File]) -> None:
    assert contrasting.contrast(found, dict(found)) == contrasting.NONE


@given(files, files)
def test_what_comes_one_way_goes_the_other(
    before: dict[str, source.File], after: dict[str, source.File]
) -> None:
    there, back = contrasting.contrast(before, after), contrasting.contrast(after, before)

    assert there.count(plan.Action.CREATE) == back.count(plan.Action.DELETE)
    assert there.count(plan.Action.UPDATE) == back.count(plan.Action.UPDATE)
    assert there.layout == back.layout
    assert there.empty == (before == after)
