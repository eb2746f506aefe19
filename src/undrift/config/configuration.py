"""All that one revision of the config repository declares, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from undrift import errors
from undrift.config import declared
from undrift.lib import words
from undrift.model import agent, application, notifier, source, target


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is declared, by name; only what is right in itself and in what it refers to.

    `errors` are all that were found, each once. `faults` maps an application that is declared and cannot be
    used as it stands to what is wrong with it: it stays as it was before, whatever that was. `spoiled` are
    all such documents as (kind, name), `mentioned` every word in them. `digests` maps an application to a digest of the documents it is
    declared by (its own and its target's), for the `config` entry of an `InputLock`.

    `looked_into` names the sources in which generators look for folders or files. `unreadable_files` are files (paths from the root of the repository) that could not be read. `complete` is
    False when a document of ours may be lost: its file cannot be read, or it has no name. Then nobody knows
    which applications were removed: ask `may_remove`.
    """

    revision: source.Revision
    agents: Mapping[str, agent.Agent]
    applications: Mapping[str, application.Application]
    projects: Mapping[str, application.Project]
    targets: Mapping[str, target.Target]
    sources: Mapping[str, source.Source]
    notifiers: Mapping[str, notifier.Notifier]
    errors: declared.Errors = ()
    faults: Mapping[str, declared.Errors] = dataclasses.field(default_factory=dict)
    spoiled: frozenset[tuple[str, str]] = frozenset()
    mentioned: frozenset[str] = dataclasses.field(default=frozenset(), repr=False)
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unreadable_files: frozenset[str] = frozenset()
    looked_into: frozenset[str] = frozenset()
    complete: bool = True

    @property
    def broken(self) -> frozenset[str]:
        """Names of applications that are declared, but not in a way that can be used."""
        return frozenset(self.faults)

    def may_remove(self, before: application.Application) -> bool:
        """Whether an application that was declared before has been removed from Git, beyond doubt.

        False while it is declared, well or badly; while another that says `movedFrom` has its place, or a
        broken document that mentions its name might; while its file or its generator cannot be read, and while
        any document is lost.
        """
        name = before.name
        if not self.complete or name in self.applications or name in self.faults or name in self.mentioned:
            return False
        if any(name in each.moved_from for each in self.applications.values()):
            return False
        if before.generator and ("ApplicationGenerator", before.generator) in self.spoiled:
            return False
        return before.origin is None or before.origin.file not in self.unreadable_files

    def identify(self, wanted: str = "") -> agent.Agent:
        """The agent that a process is: the one it was told, or the only one.

        Raises `AgentUnknown` when there is none of that name, none at all, or several and nobody said which.
        """
        known = sorted(self.agents)
        if wanted in self.agents:
            return self.agents[wanted]
        if ("Agent", wanted) in self.spoiled:
            why, hint = "its document has errors", "correct it"
        elif wanted:
            why, hint = f"kind: Agent {wanted} is not declared", words.suggestion(wanted, known)
        elif len(known) == 1 and not any(kind == "Agent" for kind, _ in self.spoiled):
            return self.agents[known[0]]
        elif known:
            why, hint = f"several are declared: {', '.join(known)}", "say which with --agent"
        else:
            why = "no kind: Agent is declared"
            hint = "add {apiVersion: undrift.dev/v1, kind: Agent, metadata: {name: …}}: its name marks what it owns"
        raise errors.AgentUnknown("the configuration does not say which agent this is", why=why, hint=hint)

    def serving(self, name: str) -> Mapping[str, application.Application]:
        """The applications whose target is served by the agent `name`."""
        return {
            each.name: each for each in self.applications.values() if self.targets[each.target].agent == name
        }
