"""Bitbucket Cloud (`api.bitbucket.org/2.0`). After its OpenAPI document; not verified live.

People are called by their UUID, in braces: nicknames are not unique, and anybody may change his own.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from undrift import errors
from undrift.forges import address, commenting, hiding, requesting, wording
from undrift.model import forge

_NEWEST = 10
_HASH = 40
_STATES = {"OPEN": forge.PullRequestState.OPEN, "MERGED": forge.PullRequestState.MERGED}
_WORDS = {
    forge.StatusState.PENDING: "INPROGRESS",
    forge.StatusState.SUCCESS: "SUCCESSFUL",
    forge.StatusState.FAILURE: "FAILED",
    forge.StatusState.ERROR: "FAILED",
}
_STATUSES = {
    "INPROGRESS": forge.StatusState.PENDING,
    "SUCCESSFUL": forge.StatusState.SUCCESS,
    "FAILED": forge.StatusState.FAILURE,
}
_ENDED = '(state = "MERGED" OR state = "DECLINED" OR state = "SUPERSEDED")'
_DRAFTS = "(draft = true OR draft = false)"
"""Drafts are left out of lists that do not ask for them (BCLOUD-23659)."""


class Bitbucket:
    """One repository on Bitbucket Cloud."""

    limits = forge.Limits(body=50_000, comment=32_000, description=255, labels=False, markdown_details=False)

    def __init__(self, client: requesting.Client, where: address.Address) -> None:
        self._client = client
        workspace, name = where.owner_and_name()
        self._name = f"{workspace}/{name}"
        self._base = f"repositories/{requesting.quote(workspace)}/{requesting.quote(name)}"
        self._web = f"{where.root}/{where.path}"
        self._uuid: str | None = None
        self._whole: dict[str, str] = {}
        self._heads: dict[str, str] = {}

    async def default_branch(self) -> str:
        """The name of the repository's main branch."""
        return str((await self._client.get(self._base))["mainbranch"]["name"])

    async def find_open(self, head: str, base: str) -> forge.PullRequest | None:
        """The open pull request between two branches of this repository."""
        async for one in self._list(head, base, f'state = "OPEN" AND {_DRAFTS}', "created_on"):
            return await self._pull_request(one)
        return None

    async def find_closed(self, head: str, base: str) -> Sequence[forge.PullRequest]:
        """Merged, declined and superseded ones, the newest first; ten at most."""
        found: list[forge.PullRequest] = []
        async for one in self._list(head, base, f"{_ENDED} AND {_DRAFTS}", "-created_on"):
            found.append(await self._pull_request(one))
            if len(found) == _NEWEST:
                break
        return found

    async def pull_request(self, number: int) -> forge.PullRequest:
        """One pull request."""
        return await self._pull_request(await self._client.get(self._pull(number)))

    async def create(self, spec: forge.PullRequestSpec) -> forge.PullRequest:
        """Open a pull request; where there is one already, that one.

        To ask for a second one would change the first, so that one is looked for before.
        """
        known = await self.find_open(spec.head, spec.base)
        if known is not None:
            return known
        body = {
            "title": wording.cut(spec.title, self.limits.title),
            "description": hiding.hide(spec.body),
            "source": {"branch": {"name": spec.head}},
            "destination": {"branch": {"name": spec.base}},
            "reviewers": self._reviewers(spec.reviewers),
            "draft": spec.draft,
        }
        made = await self._client.send("POST", f"{self._base}/pullrequests", body, again=True)
        return await self._pull_request(made)

    async def update(
        self,
        known: forge.PullRequest,
        *,
        title: str | None = None,
        body: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> forge.PullRequest:
        """Change title and text where they differ. There are no labels.

        What a PUT does not name may be lost, so it names all that there is: reviewers, draft.
        """
        cut = wording.cut(title, self.limits.title) if title is not None else known.title
        text = body if body is not None and not wording.same(body, known.body) else known.body
        if (cut, text) == (known.title, known.body):
            return known
        there = await self._client.get(self._pull(known.number))
        wanted = {
            "title": cut,
            "description": hiding.hide(text),
            "reviewers": [{"uuid": one["uuid"]} for one in there.get("reviewers") or ()],
            "draft": bool(there.get("draft")),
        }
        return await self._pull_request(await self._client.send("PUT", self._pull(known.number), wanted))

    async def close(self, known: forge.PullRequest, comment: str = "") -> None:
        """Decline, saying why in a comment."""
        if comment:
            await self._comment(known.number, comment)
        await self._client.send("POST", f"{self._pull(known.number)}/decline", {})

    async def upsert_comment(self, number: int, marker: str, body: str) -> forge.Comment:
        """The comment of ours that holds `marker` gets this text."""

        async def edit(known: forge.Comment, text: str) -> forge.Comment:
            at = f"{self._pull(number)}/comments/{known.key}"
            return _comment(await self._client.send("PUT", at, {"content": {"raw": hiding.hide(text)}}))

        ours = commenting.written_by(await self.comments(number), await self._me())
        return await commenting.upsert(ours, marker, body, lambda text: self._comment(number, text), edit)

    async def comments(self, number: int) -> Sequence[forge.Comment]:
        """All comments of a pull request, oldest first."""
        found = [one async for one in self._all(f"{self._pull(number)}/comments", {"pagelen": 100})]
        found.sort(key=lambda one: int(one["id"]))
        return [_comment(one) for one in found if not one.get("deleted")]

    async def set_status(self, sha: str, status: forge.Status) -> None:
        """Set a status of a commit; what says the same already is left.

        A status is shown at a pull request when it names its branch: that is known of commits that were heads.
        """
        wanted = self._said(sha, {
            "key": _key(status.context),
            "name": status.context,
            "state": _WORDS[status.state],
            "url": status.url or self._page(sha),
            "description": wording.cut(status.description, self.limits.description),
        })  # fmt: skip
        known = [self._status(sha, one) async for one in self._checks(sha)]
        if any(wording.says(one, self._status(sha, wanted)) for one in known):
            return
        await self._client.send("POST", f"{self._base}/commit/{sha}/statuses/build", wanted, again=True)

    async def statuses(self, sha: str) -> Sequence[forge.Status]:
        """The newest status of each context: there is only one of a key."""
        return [self._status(sha, one) async for one in self._checks(sha)]

    async def reviews(self, number: int) -> Sequence[forge.Review]:
        """The newest word of each participant; which commit it was about is told by the time."""
        data = await self._client.get(self._pull(number))
        said = [one for one in data.get("participants") or () if one.get("state") and one.get("user")]
        if not said:
            return []
        heads = [one async for one in self._heads_of(number)]
        found: list[forge.Review] = []
        for one in said:
            when = wording.seconds(one.get("participated_on"))
            seen = next((sha for since, sha in reversed(heads) if since <= when), "")
            sha = await self._full(seen)
            stale = bool(seen) and not data["source"]["commit"]["hash"].startswith(seen)
            found.append(forge.Review(one["user"]["uuid"], one["state"] == "approved", sha, stale))
        return found

    async def enable_auto_merge(self, known: forge.PullRequest, method: str) -> bool:
        """False: there is no such thing in this API."""
        return False

    def links(self) -> forge.Links:
        """Addresses for people."""
        return forge.Links(
            commit=f"{self._web}/commits/{{sha}}",
            compare=f"{self._web}/branches/compare/{{new}}%0D{{old}}",
            file=f"{self._web}/src/{{sha}}/{{path}}#lines-{{line}}",
            pull_request=f"{self._web}/pull-requests/{{number}}",
        )

    async def close_session(self) -> None:
        """Close the connections."""
        await self._client.close()

    # ------------------------------------------------------------------ below: what Bitbucket wants and says

    def _pull(self, number: int) -> str:
        return f"{self._base}/pullrequests/{number}"

    def _page(self, sha: str) -> str:
        return f"{self._web}/commits/{sha}"

    def _all(self, path: str, params: requesting.Params) -> AsyncIterator[Any]:
        ask = requesting.Ask("GET", path, params)
        return self._client.pages(ask, self._onward, lambda data: data["values"])

    def _onward(self, answer: requesting.Answer, ask: requesting.Ask) -> requesting.Ask | None:
        following = answer.data.get("next")
        return self._client.at(following, ask) if following else None

    async def _list(self, head: str, base: str, states: str, sort: str) -> AsyncIterator[Any]:
        query = f'source.branch.name = "{head}" AND destination.branch.name = "{base}" AND {states}'
        params: requesting.Params = {"q": query, "sort": sort, "pagelen": 50}
        async for one in self._all(f"{self._base}/pullrequests", params):
            ours = ((one["source"].get("repository") or {}).get("full_name") or self._name).lower()
            named = (one["source"]["branch"]["name"], one["destination"]["branch"]["name"])
            if ours == self._name.lower() and named == (head, base):
                yield one

    async def _pull_request(self, data: Any) -> forge.PullRequest:
        state = _STATES.get(data["state"], forge.PullRequestState.CLOSED)
        sha = await self._full((data["source"].get("commit") or {}).get("hash", ""))
        head = data["source"]["branch"]["name"]
        self._heads[sha] = head
        closed = state is forge.PullRequestState.CLOSED
        return forge.PullRequest(
            number=data["id"],
            head=head,
            base=data["destination"]["branch"]["name"],
            title=data["title"],
            body=hiding.reveal(data.get("description") or (data.get("summary") or {}).get("raw") or ""),
            state=state,
            url=data["links"]["html"]["href"],
            sha=sha,
            draft=bool(data.get("draft")),
            author=(data.get("author") or {}).get("uuid", ""),
            merged_sha=await self._full((data.get("merge_commit") or {}).get("hash", "")),
            closed_by=(data.get("closed_by") or {}).get("uuid", "") if closed else "",
            created=wording.seconds(data["created_on"]),
        )

    async def _full(self, short: str) -> str:
        """A commit's whole id: pull requests have its first twelve digits. What is gone stays short."""
        if not short or len(short) >= _HASH:
            return short
        if short not in self._whole:
            found = await self._client.find(f"{self._base}/commit/{short}")
            self._whole[short] = found["hash"] if found else short
        return self._whole[short]

    async def _heads_of(self, number: int) -> AsyncIterator[tuple[float, str]]:
        """The commits that were at the head, with the time since when, oldest first."""
        told = [one async for one in self._all(f"{self._pull(number)}/activity", {"pagelen": 50})]
        updates = [one["update"] for one in told if "update" in one]
        for since, sha in sorted(
            (wording.seconds(one["date"]), one["source"]["commit"]["hash"]) for one in updates
        ):
            yield since, sha

    def _reviewers(self, names: Sequence[str]) -> list[dict[str, str]]:
        users, teams = wording.people(names)
        if teams:
            raise errors.ForgeRefused(
                f"{self._client.host} knows no teams that review",
                why=f"team:{teams[0]} is among the reviewers",
                hint="name people: their UUID in braces, or their Atlassian account id",
            )
        return [{"uuid" if one.startswith("{") else "account_id": one} for one in users]

    async def _comment(self, number: int, text: str) -> forge.Comment:
        body = {"content": {"raw": hiding.hide(text)}}
        return _comment(await self._client.send("POST", f"{self._pull(number)}/comments", body))

    async def _me(self) -> str:
        """Our own UUID; "" where the token may not ask for it."""
        if self._uuid is None:
            answer = await self._client.ask(requesting.Ask("GET", "user", also=(401, 403, 404)))
            self._uuid = str(answer.data["uuid"]) if answer.status < 400 else ""  # noqa: PLR2004 - success
        return self._uuid

    def _checks(self, sha: str) -> AsyncIterator[Any]:
        return self._all(f"{self._base}/commit/{sha}/statuses", {"pagelen": 100})

    def _said(self, sha: str, status: Mapping[str, str]) -> dict[str, str]:
        head = self._heads.get(sha, "")
        return {**status, "refname": head} if head else dict(status)

    def _status(self, sha: str, data: Any) -> forge.Status:
        name = data.get("name") or ""
        return forge.Status(
            context=name if _key(name) == data["key"] else data["key"],
            state=_STATUSES.get(data["state"], forge.StatusState.ERROR),
            description=data.get("description") or "",
            url="" if data["url"] == self._page(sha) else data["url"],
            updated=wording.seconds(data.get("updated_on")),
        )


def _comment(data: Any) -> forge.Comment:
    author = (data.get("user") or {}).get("uuid", "")
    return forge.Comment(str(data["id"]), hiding.reveal(data["content"]["raw"] or ""), author)


def _key(context: str) -> str:
    """What a status is known by: its context, shortened where it has more than 40 characters."""
    if len(context) <= 40:  # noqa: PLR2004 - Bitbucket's limit
        return context
    return f"{context[:27]}-{hashlib.sha256(context.encode()).hexdigest()[:12]}"
