"""How a transaction is run: SQLite in a thread of its own, PostgreSQL on the event loop.

SQLite: one connection, one transaction at a time, each a single hop to its thread (a hop for each statement, as
async drivers do it, costs ten times as much). WAL with `synchronous=NORMAL` keeps intents through any death of
the process; a power cut may lose the last moments, after which the marks on the targets tell the truth. A process
that is stopped in the middle of a transaction keeps others out until it goes on or dies; PostgreSQL throws it out.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import pathlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import sqlalchemy as sa

from undrift import errors

if TYPE_CHECKING:
    from sqlalchemy.ext import asyncio as sa_async

_T = TypeVar("_T")
_STALLED = 5000
"""Milliseconds after which the server ends the transaction of an agent that was stopped in the middle of it."""
_TOGETHER = 16
_CORRUPT = ("malformed", "not a database", "corrupt")


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    """One function, and who waits on `loop` for what it returns."""

    work: Callable[[sa.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Runner(Protocol):
    """Runs functions over a connection, each in a transaction; one that fails may be run a second time."""

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Run one; it is committed unless it raises."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class SqliteRunner:
    """See the module. What waits at the same time is committed together, each alone where one of it fails."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._thread = futures.ThreadPoolExecutor(1, "sqlite")
        self._waiting: collections.deque[_Job] = collections.deque()
        self._lock = threading.Lock()
        self._serving = False

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        """See `Runner`. A caller that is cancelled does not stop what is under way."""
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        with self._lock:
            self._waiting.append(job)
            idle, self._serving = not self._serving, True
        if idle:
            self._thread.submit(self._serve)
        found: _T = await job.future
        return found

    def _serve(self) -> None:
        """Everything that waits, until nothing does. Waking the thread for each would cost more than the work."""
        while True:
            with self._lock:
                jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
                if not jobs:
                    self._serving = False
                    return
            self._answer([job for job in jobs if not job.future.cancelled()])

    def _answer(self, jobs: Sequence[_Job]) -> None:
        try:
            found = self._commit(jobs)
        except BaseException as error:  # noqa: BLE001 - it is the callers' to handle
            if len(jobs) == 1:
                _deliver(jobs, [error], _fail)
            else:
                for job in jobs:
                    self._answer([job])
        else:
            _deliver(jobs, found, _give)

    def _commit(self, jobs: Sequence[_Job]) -> list[Any]:
        if not jobs:
            return []
        with self._engine.begin() as connection:
            return [job.work(connection) for job in jobs]

    async def close(self) -> None:
        """See `Runner`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()


def _deliver(
    jobs: Sequence[_Job], values: Sequence[Any], how: Callable[[asyncio.Future[Any], Any], None]
) -> None:
    """Hand over what came out, with one call to each loop; one that is closed waits for nothing any more."""

    def all_of(pairs: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, value in pairs:
            if not future.done():
                how(future, value)

    loops = {id(job.loop): job.loop for job in jobs}
    for key, loop in loops.items():
        mine = [(job.future, value) for job, value in zip(jobs, values, strict=True) if id(job.loop) == key]
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(all_of, mine)


def _give(future: asyncio.Future[Any], value: Any) -> None:
    future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    future.set_exception(error)


class PostgresqlRunner:
    """See the module."""

    def __init__(self, engine: sa_async.AsyncEngine) -> None:
        self.engine = engine

    async def run(self, work: Callable[[sa.Connection], _T]) -> _T:
        """See `Runner`."""
        async with self.engine.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """See `Runner`."""
        await self.engine.dispose()


def runner(url: str) -> Runner:
    """The runner for a URL; opens nothing yet. Raises `ConfigInvalid` for a database that nobody knows."""
    parsed = sa.make_url(url)
    if parsed.drivername.startswith("sqlite"):
        if parsed.database and parsed.database != ":memory:":
            pathlib.Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = sa.create_engine(parsed.set(drivername="sqlite+pysqlite"), poolclass=sa.StaticPool)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return SqliteRunner(engine)
    if parsed.drivername.startswith("postgres"):
        from sqlalchemy.ext import asyncio as sa_async  # noqa: PLC0415 - slow to import, and SQLite is the default

        return PostgresqlRunner(
            sa_async.create_async_engine(
                parsed.set(drivername="postgresql+asyncpg"),
                pool_size=5,
                pool_pre_ping=True,
                pool_recycle=1800,
                connect_args={
                    "timeout": 10,
                    "command_timeout": 60,
                    "server_settings": {
                        "application_name": "undrift",
                        "idle_in_transaction_session_timeout": str(_STALLED),
                    },
                },
            )
        )
    raise errors.ConfigInvalid(
        f"{parsed.drivername} is no database that Undrift knows",
        hint="use sqlite:///path/to/file or postgresql://user@host/database",
    )


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "busy_timeout=10000",
        "foreign_keys=ON",
        "journal_size_limit=16777216",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock at once: two agents on one file then wait for one another instead of failing."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn a driver's errors into ours."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _explained(error) from error
    except (OSError, TimeoutError) as error:
        raise errors.DatabaseUnavailable(
            "the database cannot be reached", why=type(error).__name__, hint="it is tried again"
        ) from error


def _explained(error: sa.exc.SQLAlchemyError) -> errors.DatabaseError:
    cause = str(getattr(error, "orig", None) or error).splitlines()[0]
    if any(word in cause for word in _CORRUPT):
        return errors.DatabaseBroken(
            "the database file is damaged",
            why=cause,
            hint="stop the agent, move the file away and start again: what is owned is learnt anew from the "
            "targets, and applications whose plan is not empty wait for `undrift resume`",
        )
    return errors.DatabaseUnavailable(
        "the database does not work",
        why=cause,
        hint="look at disk space and permissions of the state folder, or at the database server",
    )
