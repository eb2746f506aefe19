"""Applications on a real cluster, made from dicts of files, and reconciles of them by the engine."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from tests.integration.providers import world as hosts
from undrift import errors, interfaces
from undrift.engine import reconciling, rendering, settling
from undrift.lib import canonical
from undrift.model import application, health, record, resource, source, target, view
from undrift.providers.kubernetes import marks, provider
from undrift.renderers import plain
from undrift.testing import control_plane, memory

KEY = b"k" * 32
PATIENCE = 30.0


@dataclasses.dataclass
class World:
    """Applications in one namespace. `session` is made when it is first needed."""

    plane: control_plane.ControlPlane
    namespace: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    database: memory.MemoryDatabase = dataclasses.field(default_factory=memory.MemoryDatabase)
    provider: provider.KubernetesProvider = dataclasses.field(default_factory=provider.KubernetesProvider)
    session: interfaces.Session | None = None
    sources: dict[str, hosts.Files] = dataclasses.field(default_factory=dict)
    cache: rendering.Cache = dataclasses.field(default_factory=dict)
    agent: str = "agent"
    account: str = ""

    @property
    def place(self) -> target.Target:
        settings = {"kubeconfig": str(self.plane.kubeconfig()), **self.settings}
        return target.Target("here", "kubernetes", settings=settings, account=self.account)

    async def connect(self) -> interfaces.Session:
        if self.session is None:
            self.session = await self.provider.connect(self.place, Files())
        return self.session

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def restart(self) -> None:
        """As a new process: nothing is known but what the database and the cluster know."""
        await self.close()
        self.provider = provider.KubernetesProvider()
        self.cache = {}

    def commit(self, *manifests: str, name: str = "app") -> None:
        """A commit with one file of YAML documents."""
        self.commit_files({"all.yaml": "\n---\n".join(manifests)}, name=name)

    def commit_files(self, files: Mapping[str, str | bytes | source.File], name: str = "app") -> None:
        self.sources.setdefault(name, hosts.Files()).commit(files)

    async def reconcile(
        self,
        name: str = "app",
        *,
        dry: bool = False,
        renderer: interfaces.Renderer | None = None,
        seen: view.Surroundings | None = None,
        **declared: Any,
    ) -> record.Reconciliation:
        policy = application.Policy(**{"health_timeout": 30.0, **declared.pop("policy", {})})
        declared.setdefault("namespace", self.namespace)
        if "renderer_settings" in declared:
            declared["renderer"] = declared.pop("renderer_settings")
        subject = reconciling.Subject(
            application=application.Application(
                name, application.SourceReference("config", name), "here", policy=policy, **declared
            ),
            config_digest=canonical.digest([name, repr(declared), repr(policy)]),
            memory=await self.database.recall(name),
            surroundings=seen or view.Surroundings(),
            dry=dry,
        )
        lease = (await self.database.acquire([name], "agent", 60))[name]
        around = reconciling.World(
            agent=self.agent,
            source=self.sources[name],
            renderer=renderer or plain.PlainRenderer(),
            provider=self.provider,
            target=self.place,
            session=await self.connect(),
            database=self.database,
            lease=lease,
            cache=self.cache,
            key=KEY,
            version="1",
        )
        told = await reconciling.reconcile(subject, around, "r1")
        if told.failure is not None and isinstance(told.failure.error, errors.InternalError):
            raise told.failure.error from told.failure.error.__cause__
        if not dry:
            await self.database.settle(lease, name, functools.partial(settling.settle, told))
        return told

    async def until_healthy(self, name: str = "app", **declared: Any) -> record.Reconciliation:
        """Reconcile until all is well; fails with what the last reconcile came to."""
        told: record.Reconciliation | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    told = await self.reconcile(name, **declared)
                    if told.health.status is health.Status.HEALTHY:
                        return told
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(
                f"not healthy: {told and (told.ending, told.health, told.failure)}"
            ) from None

    def get(self, path: str) -> Any:
        """What is in our namespace: `configmaps/a`, `apps/v1/deployments/web`; None when it is not there."""
        group, _, rest = path.rpartition("/v1/")
        root = f"/apis/{group}/v1" if group else "/api/v1"
        return self.plane.get(f"{root}/namespaces/{self.namespace}/{rest if group else path}")

    def config_map(self, name: str = "a", **data: str) -> str:
        """The manifest of a ConfigMap."""
        rows = "".join(f'  {key}: "{value}"\n' for key, value in data.items())
        return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n{rows}"

    async def drifted(self, rid: str) -> None:
        """Until the watch tells that a resource (`ConfigMap/a`) changed without us."""
        session = await self.connect()
        async with asyncio.timeout(10):
            async for ids in session.watch():
                if rid in {short(one) for one in ids if one.namespace in ("", self.namespace)}:
                    return

    def requests(self) -> int:
        """How many requests were sent so far, watches not counted."""
        [shared] = self.provider._clusters.values()
        assert shared._opened is not None
        return sum(count for verb, count in shared._opened.cluster.api.counts.items() if verb != "WATCH")


class Files:
    """Credentials are read from files."""

    async def resolve(self, credential: source.Credential) -> str:
        with open(credential.file, encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 - a small file of a test
            return file.read()


def changes(told: record.Reconciliation) -> list[str]:
    """What was planned, as `create ConfigMap/ns/a`, without the namespace."""
    assert told.plan is not None, told.failure
    return [f"{change.action.value} {short(change.id)}" for change in told.plan.changes]


def short(rid: resource.ResourceId) -> str:
    """An id without its namespace."""
    return f"{rid.kind}/{rid.name}"


def fields(told: record.Reconciliation) -> dict[str, tuple[Any, Any]]:
    """Path → before and after, of all changes."""
    assert told.plan is not None, told.failure
    return {
        field.path: (field.before, field.after) for change in told.plan.changes for field in change.fields
    }


def deployment(name: str = "web", replicas: int | None = 1, image: str = "nginx:1.27", more: str = "") -> str:
    """The manifest of a Deployment."""
    count = f"  replicas: {replicas}\n" if replicas is not None else ""
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n{count}"
        f"  selector: {{matchLabels: {{app: {name}}}}}\n"
        f"  template:\n    metadata: {{labels: {{app: {name}}}}}\n"
        f'    spec: {{containers: [{{name: main, image: "{image}"{more}}}]}}\n'
    )


__all__ = ["World", "changes", "deployment", "fields", "marks", "short"]
