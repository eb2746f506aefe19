"""A forge's API as a server on loopback that takes nothing which its contract does not name.

A contract is a table of routes: method, path, the parameters and the body that it may have. Whatever else is asked for
is answered with an error and kept in `complaints`, so that a test can say that there were none. Bad days are the
relay's (`tests.conformance.forges.relay`).
"""

from __future__ import annotations

import abc
import base64
import binascii
import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self
from urllib import parse

from aiohttp import web

from tests.conformance.forges.servers import world

Schema = Mapping[str, Any]
"""Field → type, tuple of types, a schema of its own, a list with the schema of its items; `!` at the end: needed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What was asked: `path` values by their names, `query` with the last value of each, `body` as JSON."""

    method: str
    url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    person: world.Person

    def number(self, name: str, default: int) -> int:
        """A parameter that is a number."""
        text = self.query.get(name, "")
        return int(text) if text.lstrip("-").isdigit() else default


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its JSON, None for an empty one."""

    status: int
    data: Any = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    media: str = "application/json"


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """One operation. `{name}` in `path` is one part of it; `writes` needs more than reading."""

    method: str
    path: str
    handler: Callable[[Request], Reply]
    query: frozenset[str] = frozenset()
    body: Schema | None = None
    accepts: str = "application/json"
    makes: str = "application/json"
    writes: bool = False

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The values in the path; None where this is not what is asked for."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path) if method == self.method else None
        return {name: parse.unquote(text) for name, text in found.groupdict().items()} if found else None


class RefusedError(Exception):
    """What is asked for is against the contract, or the forge says no: it carries the answer."""

    def __init__(self, status: int, message: str, kind: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.more = status, message, kind, more


class Contract(abc.ABC):
    """A server for one repository. `async with` starts it; `url` is its address, `clone_url` the repository's."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        self.world = world.World()
        self.url = ""
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self._runner: web.AppRunner | None = None

    @property
    @abc.abstractmethod
    def clone_url(self) -> str:
        """What Git would clone."""

    @property
    @abc.abstractmethod
    def api(self) -> str:
        """The address of the API."""

    @abc.abstractmethod
    def routes(self) -> list[Route]:
        """The operations that there are."""

    @abc.abstractmethod
    def refusal(self, error: RefusedError) -> Reply:
        """An error as this forge shows it."""

    def extra_headers(self, request: Request) -> Mapping[str, str]:
        """Headers of each answer."""
        return {}

    def normal(self, path: str) -> str:
        """A path as the routes know it."""
        return path

    def signed_in(self, scheme: str, credentials: str, headers: Mapping[str, str]) -> world.Person | None:
        """Who that is: a bearer's token, or the password of a user whose name it is."""
        if scheme == "bearer":
            return self._holder(credentials)
        if scheme == "basic":
            try:
                user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            holder = self._holder(password)
            return holder if holder and user == holder.login else None
        return None

    def _holder(self, token: str) -> world.Person | None:
        return next((one for one in self.world.people.values() if one.token == token), None)

    def stranger(self, headers: Mapping[str, str]) -> Reply:
        """What is said to somebody who is not signed in."""
        return self.refusal(RefusedError(401, "authentication is required"))

    # --- serving -----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=8 << 20)
        application.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        return _response(await self._answer(request, request.raw_path.partition("?")[0]))

    async def _answer(self, request: web.Request, path: str) -> Reply:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        person = self.signed_in(scheme.lower(), credentials, request.headers)
        if "tok-" in request.raw_path or "Cookie" in request.headers:
            self.complaints.append(f"a token in a URL, or a cookie: {path}")
        if person is None:
            return self.stranger(request.headers)
        try:
            asked, route = self._read(request, path, person, await request.text())
            self.requests.append(asked)
            reply = route.handler(asked)
        except RefusedError as error:
            return self.refusal(error)
        return dataclasses.replace(reply, headers={**self.extra_headers(asked), **reply.headers})

    def _read(
        self, request: web.Request, path: str, person: world.Person, text: str
    ) -> tuple[Request, Route]:
        found = [
            (route, values)
            for route in self.routes()
            if (values := route.match(request.method, self.normal(path))) is not None
        ]
        if not found:
            raise self._complain(404, f"{request.method} {path} is not in the contract")
        route, values = found[0]
        query = {name: request.query.getall(name)[-1] for name in request.query}
        if unknown := query.keys() - route.query:
            raise self._complain(400, f"{request.method} {path}: unknown parameters {sorted(unknown)}")
        if route.writes and not person.writes:
            raise RefusedError(403, "you may not do that")
        self._negotiate(request, route)
        body = self._body(request, route, text)
        return Request(request.method, path, values, query, dict(request.headers), body, person), route

    def _negotiate(self, request: web.Request, route: Route) -> None:
        wanted = [one.partition(";q")[0].strip() for one in request.headers.get("Accept", "*/*").split(",")]
        kinds = {"*/*", "application/*", route.makes, route.makes.partition(";")[0]}
        if not any(one in kinds or one.startswith(f"{route.makes};") for one in wanted):
            raise self._complain(406, f"{request.method} {request.path} makes {route.makes}, not {wanted}")

    def _body(self, request: web.Request, route: Route, text: str) -> Any:
        if not text:
            needed = [name for name in route.body or {} if name.endswith("!")]
            if needed:
                raise self._complain(400, f"{request.method} {request.path} needs a body")
            return {}
        media = request.headers.get("Content-Type", "").replace("; charset=utf-8", "")
        if media != route.accepts:
            raise self._complain(415, f"{request.method} {request.path} takes {route.accepts}, not {media}")
        body = json.loads(text)
        problem = check(body, route.body or {}, "body")
        if problem:
            raise self._complain(400, f"{request.method} {request.path}: {problem}")
        return body

    def _complain(self, status: int, message: str) -> RefusedError:
        self.complaints.append(message)
        return RefusedError(status, message)


def check(value: Any, schema: Any, path: str) -> str:
    """What is wrong with a value, "" for nothing."""
    if isinstance(schema, Mapping):
        if not isinstance(value, Mapping):
            return f"{path} is not an object"
        kinds = {name.removesuffix("!"): kind for name, kind in schema.items()}
        if unknown := value.keys() - kinds.keys():
            return f"{path} has unknown fields {sorted(unknown)}"
        missing = [name for name in schema if name.endswith("!") and name[:-1] not in value]
        if missing:
            return f"{path} lacks {missing}"
        problems = (check(value[name], kinds[name], f"{path}.{name}") for name in value)
        return next((problem for problem in problems if problem), "")
    if isinstance(schema, list):
        if not isinstance(value, list):
            return f"{path} is not a list"
        problems = (check(item, schema[0], f"{path}[{index}]") for index, item in enumerate(value))
        return next((problem for problem in problems if problem), "")
    return "" if isinstance(value, schema) else f"{path} is a {type(value).__name__}"


def _response(reply: Reply) -> web.Response:
    text = "" if reply.data is None else reply.data if isinstance(reply.data, str) else json.dumps(reply.data)
    headers = {**reply.headers, "Content-Type": reply.media} if text else dict(reply.headers)
    return web.Response(status=reply.status, body=text.encode(), headers=headers)
