"""Playbooks on this machine, below a folder of the test's own, and reconciles of them by the engine."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any

from undrift import errors, interfaces
from undrift.model import application, record, resource, source, target
from undrift.providers.ansible import provider
from undrift.renderers import ansible as ansible_renderer
from undrift.testing.conformance import stand, trial

INVENTORY = 'all:\n  hosts:\n    web1: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}\n'


class Credentials:
    """Credentials by the names of environment variables."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    async def resolve(self, credential: source.Credential) -> str:
        if credential.env not in self.values:
            raise errors.CredentialMissing(f"{credential.env} is not set")
        return self.values[credential.env]


class Place(stand.Stand):
    """A machine with Ansible on it: `root` is what playbooks may change."""

    field = "content"

    def __init__(self, folder: pathlib.Path, program: pathlib.Path, **settings: Any) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        given = {"program": str(program), "state": str(folder / "state"), **settings}
        self.place = target.Target("fleet", "ansible", settings=given)

    def provider(self) -> interfaces.Provider:
        return provider.AnsibleProvider()

    def renderer(self, decryptor: interfaces.Decryptor) -> interfaces.Renderer:
        return ansible_renderer.AnsibleRenderer(decryptor)

    def files(self, things: Mapping[str, str], application: str) -> Mapping[str, str]:
        raise NotImplementedError

    def id(self, thing: str, application: str) -> resource.ResourceId:
        raise NotImplementedError

    async def read(self, application: str) -> Mapping[str, str]:
        return {path.name: path.read_text() for path in self.root.iterdir() if path.is_file()}

    async def put(self, thing: str, value: str, application: str) -> None:
        (self.root / thing).write_text(value)

    async def remove(self, thing: str, application: str) -> None:
        (self.root / thing).unlink()

    def away(self) -> contextlib.AbstractAsyncContextManager[None]:
        raise NotImplementedError

    def refusing(self, thing: str, application: str) -> contextlib.AbstractAsyncContextManager[None]:
        raise NotImplementedError


class World(trial.Trial):
    """One application of a playbook `site.yml`."""

    stand: Place

    def commit(self, tasks: str, name: str = "first", more: Mapping[str, str | bytes] | None = None) -> None:
        """A commit of a playbook with these tasks (`ROOT` stands for the folder), and of more files."""
        play = f"- name: Things\n  hosts: all\n  gather_facts: false\n  tasks:\n{tasks}"
        files: dict[str, str | bytes] = {"site.yml": play, "hosts.yml": INVENTORY, **(more or {})}
        root = str(self.stand.root)
        self.sources.setdefault(name, trial.Commits(1)).commit(
            {
                path: text if isinstance(text, bytes) else text.replace("ROOT", root).encode()
                for path, text in files.items()
            }
        )

    async def run(self, name: str = "first", *, dry: bool = False, **declared: Any) -> record.Reconciliation:
        """A reconcile of it; `ansible` are more settings of the renderer."""
        settings = {"inventory": "hosts.yml", **declared.pop("ansible", {})}
        chosen = application.RendererSettings("ansible", settings)
        go = self.look if dry else self.reconcile
        return await go(name, renderer=chosen, **declared)


def line(name: str, content: str) -> str:
    """A task that has one line in a file, and makes the file: of those that tell what differs the quickest."""
    return (
        f"    - name: Write {name}\n      ansible.builtin.lineinfile: "
        f"{{path: ROOT/{name}, line: '{content}', regexp: '.*', create: true, mode: '0644'}}\n"
    )
