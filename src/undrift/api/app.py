"""Routes. Each hands on to the service; an `UndriftError` becomes its JSON with a fitting status."""

from __future__ import annotations

import json
import math
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette import applications, exceptions, requests, responses, routing

from undrift import errors
from undrift.agent import shapes
from undrift.service import service

_Endpoint = Callable[[requests.Request], Awaitable[responses.Response]]
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.ApplicationUnknown, 404),
    (errors.UsageInvalid, 422),
    (errors.OrderError, 409),
    (errors.GuardError, 409),
)


def build(served: service.Service) -> applications.Starlette:
    """The application that answers on the socket."""
    routes = _Routes(served)
    one = "/v1/applications/{name}"
    return applications.Starlette(
        routes=[
            routing.Route("/v1/agent", routes.agent),
            routing.Route("/v1/applications", routes.status),
            routing.Route(one, routes.application),
            routing.Route(f"{one}/plan", routes.plan),
            routing.Route(f"{one}/approve", routes.approve, methods=["POST"]),
            routing.Route(f"{one}/reconcile", routes.reconcile, methods=["POST"]),
            routing.Route(f"{one}/hold", routes.hold, methods=["POST"]),
            routing.Route(f"{one}/resume", routes.resume, methods=["POST"]),
            routing.Route("/v1/history", routes.history),
            routing.Route("/v1/events", routes.events),
        ],
        exception_handlers={errors.UndriftError: _refused, exceptions.HTTPException: _unknown},
    )


class _Routes:
    def __init__(self, served: service.Service) -> None:
        self._service = served

    async def agent(self, _: requests.Request) -> responses.Response:
        return responses.JSONResponse(await self._service.agent())

    async def status(self, _: requests.Request) -> responses.Response:
        return responses.JSONResponse({"applications": await self._service.status()})

    async def application(self, request: requests.Request) -> responses.Response:
        return responses.JSONResponse(await self._service.application(_name(request)))

    async def plan(self, request: requests.Request) -> responses.Response:
        return responses.JSONResponse(await self._service.plan(_name(request)))

    async def approve(self, request: requests.Request) -> responses.Response:
        digest = _text(await _body(request), "digest")
        return responses.JSONResponse(await self._service.approve(_name(request), digest, _caller(request)))

    async def reconcile(self, request: requests.Request) -> responses.Response:
        wait = _number(await _body(request), "wait", 0.0)
        return responses.JSONResponse(await self._service.reconcile(_name(request), _caller(request), wait))

    async def hold(self, request: requests.Request) -> responses.Response:
        body = await _body(request)
        seconds = _number(body, "seconds", 0.0)
        reason = _text(body, "reason", "")
        found = await self._service.hold(_name(request), seconds, _caller(request), reason)
        return responses.JSONResponse(found)

    async def resume(self, request: requests.Request) -> responses.Response:
        return responses.JSONResponse(await self._service.resume(_name(request), _caller(request)))

    async def history(self, request: requests.Request) -> responses.Response:
        asked = request.query_params
        limit, before = _query(asked.get("limit"), "limit", 20), asked.get("before")
        page = None if before is None else _query(before, "before", 0)
        found = await self._service.history(asked.get("application"), limit, page)
        return responses.JSONResponse({"history": found})

    async def events(self, request: requests.Request) -> responses.Response:
        asked = request.query_params
        found = self._service.events(
            asked.get("application"), _query(asked.get("limit"), "limit", 100), follow="follow" in asked
        )
        return responses.StreamingResponse(_stream(found), media_type="text/event-stream")


async def _stream(found: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    async for one in found:
        yield b"data: " + json.dumps(one).encode() + b"\n\n"


async def _refused(_: requests.Request, error: Exception) -> responses.Response:
    if not isinstance(error, errors.UndriftError):
        raise error
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 503)
    return responses.JSONResponse(shapes.error(error), status)


async def _unknown(request: requests.Request, error: Exception) -> responses.Response:
    if not isinstance(error, exceptions.HTTPException):
        raise error
    what = f"{request.method} {request.url.path} is nothing that the agent knows"
    told = errors.UsageInvalid(what, hint="is the command line of another version than the agent?")
    return responses.JSONResponse(shapes.error(told), error.status_code, error.headers)


def _name(request: requests.Request) -> str:
    return str(request.path_params["name"])


def _caller(request: requests.Request) -> str:
    """The user on the other end of the socket, as the kernel says."""
    uid = request.scope.get("state", {}).get("uid")
    if uid is None:
        return "unknown"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


async def _body(request: requests.Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise errors.UsageInvalid("the request is not JSON") from error
    if not isinstance(found, dict):
        raise errors.UsageInvalid("the request is not a JSON object")
    return found


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise errors.UsageInvalid(f"{name} has to be text")
    return value


def _number(body: dict[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise errors.UsageInvalid(f"{name} has to be a number")
    return float(value)


def _query(value: str | None, name: str, default: int) -> int:
    if value is None:
        return default
    if not value.isdecimal() or len(value) > 9:  # noqa: PLR2004 - fits any database
        raise errors.UsageInvalid(f"{name} has to be a whole number")
    return int(value)
