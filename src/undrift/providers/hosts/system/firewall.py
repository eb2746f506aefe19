"""A table of nftables that is wholly ours (nft(8)), loaded in one transaction and again when the machine starts.

What is loaded is held against what was loaded when it was made, as `nft list` tells it: a rule that somebody adds by
hand is seen. Sets that fill by themselves are left out of that. Everybody else's tables are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, local, shaping, transport
from undrift.providers.hosts.system import checking, deadman, facility

LOADED: Final = "as declared"
CHANGED: Final = "changed by hand"
MISSING: Final = "not loaded"
_LISTED: Final = "listed"
_FOLDER: Final = "/etc/nftables.d"
_RUNS: Final = "/run/systemd/system"
_ACCESS: Final = transport.Attributes(0o600)
_LIVING: Final = re.compile(r"\b(dynamic|timeout)\b|\b(add|update)\s+@")
_QUESTION: Final = r"""
command -v nft >/dev/null || exit 0
for name do
  family=${name%% *} table=${name#* }
  terse=; case $table in *' terse') terse=-t; table=${table% terse} ;; esac
  told=$(nft -s $terse list table "$family" "$table" 2>&1)
  if [ $? = 0 ]; then
    printf '%s %s\t%s\n' "$family" "$table" "$(printf '%s' "$told" | sha256sum | cut -d' ' -f1)"
  else
    case $told in *'No such file'*) ;; *) printf '%s\n' "$told" >&2; exit 1 ;; esac
  fi
done
"""
_UNIT: Final = """# Kept by Undrift.
[Unit]
Description=The firewall {name} (kept by Undrift)
DefaultDependencies=no
After=nftables.service local-fs.target
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {path}

[Install]
WantedBy=sysinit.target
"""


class Firewall(facility.Facility):
    """Tables of ours."""

    serves = (kinds.FIREWALL,)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        wanted: dict[str, transport.Need] = {_RUNS: transport.Need.NOTHING}
        for rid in ids:
            wanted |= {_path(rid): transport.Need.CONTENT, _unit(rid): transport.Need.CONTENT}
            wanted[_wants(rid)] = transport.Need.NOTHING
        return wanted

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`. Which sets fill by themselves is told by the table; so both forms are asked for."""
        words = [word for rid in sorted(ids) for word in (_table(rid), f"{_table(rid)} terse")]
        return transport.Question(_QUESTION, tuple(words))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        found = _digests(told)
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            text, listed = told.text(_path(rid)), found.get(_table(rid))
            if text is None and listed is None:
                continue
            body = _body(rid, text or "")
            digest = local.name_content(body.encode("utf-8", "surrogateescape"))
            fields: dict[str, Any] = {
                "digest": kinds.hide(digest) if rid in told.hidden else digest,
                "loaded": _state(listed, told.notes.get(rid, {}), body),
            }
            if _RUNS in told.seen:
                fields["atBoot"] = _wants(rid) in told.seen and told.text(_unit(rid)) == _unit_text(rid)
            known[rid] = facility.Known(fields)
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`. Checked, then loaded whole; what shuts us out is undone by the machine itself."""
        rid = order.wanted.id
        path = _path(rid)
        content = write(rid, shaping.text_of(shaping.content_of(order.wanted))).encode(
            "utf-8", "surrogateescape"
        )
        await checking.before(host, order.wanted, path, content, ("nft", "-c", "-f", "{}"))
        seen = await host.look({path: transport.Need.CONTENT, _RUNS: transport.Need.NOTHING})
        former = seen[path].content if path in seen else None
        if order.live is None or order.live.get("loaded") != LOADED or former != content:
            await self._load(host, order.wanted, former, content)
        if _RUNS in seen:
            unit = transport.Write(
                _unit(rid), _unit_text(rid).encode(), transport.Attributes(0o644), replace=True
            )
            await host.change([unit])
            await facility.run(host, ["systemctl", "daemon-reload"], "telling systemd of the firewall")
            name = _unit_name(rid)
            await facility.run(host, ["systemctl", "enable", "-q", "--no-reload", name], f"enabling {name}")
        return {_LISTED: _digests(await _ask(host, self.question([rid]))).get(_table(rid), {})}

    async def _load(
        self, host: transport.Transport, wanted: resource.Resource, former: bytes | None, content: bytes
    ) -> None:
        rid = wanted.id
        path = _path(rid)
        rules = former if former is not None else write(rid, None).encode()
        undo = deadman.Undo(copies=(path,), ruleset=rules)
        back: list[transport.Step] = [
            transport.Remove(path, transport.Sort.FILE)
            if former is None
            else transport.Write(path, former, _ACCESS, replace=True)
        ]
        try:
            confirm = float(wanted.settings.get("confirm") or 0)
            async with deadman.switch(host, rid, confirm, undo):
                await host.change([transport.Write(path, content, _ACCESS, replace=True)])
                await facility.run(host, ["nft", "-f", path], f"loading {rid}", timeout=confirm or 60.0)
        except errors.TargetError:
            await host.change(back)
            raise

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`."""
        rid = gone.id
        family, table = _table(rid).split(" ")
        if _RUNS in await host.look({_RUNS: transport.Need.NOTHING}):
            await facility.attempt(host, ["systemctl", "disable", "-q", "--no-reload", _unit_name(rid)])
        await host.change([transport.Remove(each, transport.Sort.FILE) for each in (_unit(rid), _path(rid))])
        done = await facility.attempt(host, ["nft", "delete", "table", family, table])
        if done.returncode and b"No such file" not in done.stderr:
            raise facility.refusal(f"removing the table {table}", done)


def write(rid: resource.ResourceId, body: str | None) -> str:
    """What `nft -f` loads in one transaction: the table goes and comes; None: it only goes."""
    table = _table(rid)
    text = f"# Kept by Undrift.\ntable {table}\ndelete table {table}\n"
    return text if body is None else f"{text}table {table} {{\n{body.rstrip()}\n}}\n"


def _body(rid: resource.ResourceId, text: str) -> str:
    """What was declared, out of what `write` made; what is something else as it is."""
    head = write(rid, None) + f"table {_table(rid)} {{\n"
    return (
        text[len(head) :].removesuffix("\n}\n") if text.startswith(head) and text.endswith("\n}\n") else text
    )


def plain(body: str) -> bytes:
    """The content that is compared."""
    return body.rstrip().encode("utf-8", "surrogateescape")


def _state(listed: Mapping[str, str] | None, notes: facility.Notes, body: str) -> str:
    if listed is None:
        return MISSING
    kept = notes.get(_LISTED, {})
    form = "terse" if _LIVING.search(body) else "whole"
    return LOADED if kept.get(form) == listed.get(form) else CHANGED


def _digests(told: facility.Told) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in told.lines("the firewall"):
        table, _, digest = line.partition("\t")
        form = "terse" if table in found else "whole"
        found.setdefault(table, {})[form] = digest
    return found


async def _ask(host: transport.Transport, question: transport.Question | None) -> facility.Told:
    _, (done,) = await host.survey({}, [question] if question is not None else [])
    return facility.Told({}, done)


def _table(rid: resource.ResourceId) -> str:
    """Family and name, as nft takes them; ours begin with our own name, so that nobody else has them."""
    family, _, name = rid.name.rpartition("/")
    return f"{family or 'inet'} undrift_{name}"


def _path(rid: resource.ResourceId) -> str:
    return f"{_FOLDER}/undrift-{rid.name.replace('/', '-')}.nft"


def _unit_name(rid: resource.ResourceId) -> str:
    return f"undrift-firewall-{rid.name.replace('/', '-')}.service"


def _unit(rid: resource.ResourceId) -> str:
    return f"/etc/systemd/system/{_unit_name(rid)}"


def _wants(rid: resource.ResourceId) -> str:
    return f"/etc/systemd/system/sysinit.target.wants/{_unit_name(rid)}"


def _unit_text(rid: resource.ResourceId) -> str:
    return _UNIT.format(name=rid.name, path=_path(rid))
