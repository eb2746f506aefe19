"""desired + live + inventory → plan. Pure: planning has no session and cannot change anything."""

from __future__ import annotations

import dataclasses

from undrift import errors
from undrift.engine import comparing, digesting, ordering, owning
from undrift.model import application, inventory, lock, plan, resource, target


def make_plan(situation: plan.Situation) -> plan.Plan:
    """The ordered difference between what should be and what is.

    Raises `OrderCycle`. Pruning is the deletes of the plan. What the policy leaves alone is `withheld`;
    what cannot be planned as things stand is a `Block`, which a guard turns into a stop.
    """
    draft = _Draft(situation)
    unchanged = draft.compare()
    able = situation.capabilities
    waves = ordering.order(draft.changes, able)
    described = digesting.document(situation.lock, situation.application.policy, waves, situation.key)
    return plan.Plan(
        application=situation.application.name,
        lock=situation.lock,
        digest=digesting.digest(described),
        waves=waves,
        withheld=tuple(draft.withheld),
        awaited=tuple(draft.awaited),
        blocks=tuple(draft.blocks),
        doubts=situation.previews.doubts,
        owned=draft.owned + unchanged,
        unchanged=unchanged,
        news=_news(situation),
    )


def _news(situation: plan.Situation) -> tuple[str, ...]:
    """The inputs that changed since the last good plan."""
    return situation.lock.differs(situation.last) if situation.last is not None else ()


def unfit(
    found: resource.LiveResource | None, change: plan.Change, ignore: tuple[application.Ignore, ...]
) -> str:
    """Why a target does not show what a change should have made; "" when it does."""
    if change.action is plan.Action.DELETE:
        same = found is not None and change.live is not None and found.uid == change.live.uid
        return "it is still there" if same and found is not None and found.mark is not None else ""
    if change.desired is None or change.action is plan.Action.MARK:
        return ""
    if found is None:
        return "" if change.desired.vanishes else "it is not there"
    ignored = (*comparing.left_alone(ignore, (), found), *change.desired.left)
    wrong = comparing.differences(change.desired.fields, found.fields, ignored)
    paths = [field.path for field in wrong if not isinstance(field.after, resource.Unknown)]
    return f"not as declared: {', '.join(paths)}" if paths else ""


class _Draft:
    """Changes found so far. Lives for one call of `make_plan`."""

    def __init__(self, situation: plan.Situation) -> None:
        self.situation = situation
        self.policy = situation.application.policy
        self.changes: list[plan.Change] = []
        self.withheld: list[plan.Change] = []
        self.awaited: list[plan.Change] = []
        self.blocks: list[plan.Block] = []
        self.owned = 0
        news = frozenset(_news(situation))
        uncommitted = bool(news) and not news & lock.COMMITTED
        self._declared = plan.Reason.INPUT if uncommitted else plan.Reason.DECLARED
        self._moved: set[resource.ResourceId] = set()

    def compare(self) -> int:
        """Fill the draft; returns how many resources are as declared."""
        if self.situation.previews.native is not None:
            return self._told(self.situation.previews.native)
        unchanged = self._desired()
        live = self.situation.live.resources
        if len(live) > unchanged:
            wanted = self.situation.desired.resources
            for rid, found in live.items():
                if rid not in wanted and rid not in self._moved:
                    self._unwanted(found)
        return unchanged

    def _told(self, native: tuple[plan.Change, ...]) -> int:
        """What differs is what the target's own tool says; whose it is and what may be done is ours to say."""
        told = {change.id: change for change in native}
        live, unchanged = self.situation.live.resources, 0
        for rid, declared in self.situation.desired.resources.items():
            found, change = live.get(rid), told.pop(rid, None)
            # The tool may have made something else of it, and that is what has to be there afterwards.
            wanted = change.desired or declared if change is not None else declared
            if found is not None:
                unchanged += self._existing(wanted, found, change.fields if change is not None else ())
            elif change is not None:
                unchanged += self._missing(wanted)
        for rid, found in live.items():
            if rid not in self.situation.desired.resources and rid not in self._moved:
                self._unwanted(found, spared=told.pop(rid, None) is None)
        for change in told.values():
            self._add(change)
        return unchanged

    def _desired(self) -> int:
        """The hot loop: most resources of most plans are unchanged, so that case is told first."""
        live = self.situation.live.resources
        agent, name = self.situation.owner.agent, self.situation.owner.application
        unchanged = 0
        for rid, wanted in self.situation.desired.resources.items():
            found = live.get(rid)
            if found is not None:
                mark = found.mark
                if (
                    mark is not None
                    and found.fields == wanted.fields
                    and mark.application == name
                    and mark.agent == agent
                    and mark.names == rid
                    and mark.protected == wanted.protected
                    and not mark.pending
                ):
                    unchanged += 1
                    continue
                unchanged += self._existing(wanted, found)
            else:
                unchanged += self._missing(wanted)
        return unchanged

    def _missing(self, wanted: resource.Resource) -> int:
        old = self._movable(wanted)
        entry = self.situation.inventory.entries.get(wanted.id)
        ours = entry is not None and entry.state is inventory.EntryState.CONFIRMED
        rivals = self.situation.claims.get(wanted.id, ())
        if rivals and not ours:
            self._block(wanted.id, _claimed_twice(wanted, rivals))
            return 0
        mark = self._fingerprint(wanted)
        if wanted.vanishes and ours and entry is not None and entry.fingerprint == mark:
            return 1
        if old is not None:
            self._moved.add(old.id)
            self.owned += 1
            fields = comparing.differences(wanted.fields, old.fields)
            self._add(plan.Change(plan.Action.MOVE, wanted.id, self._declared, wanted, old, fields, mark))
            return 0
        drifted = ours and entry is not None and entry.fingerprint == mark
        reason = plan.Reason.DRIFT if drifted else self._declared
        fields = tuple(plan.FieldChange(name, None, value) for name, value in wanted.fields.items())
        self._add(plan.Change(plan.Action.CREATE, wanted.id, reason, wanted, None, fields, mark))
        return 0

    def _movable(self, wanted: resource.Resource) -> resource.LiveResource | None:
        if wanted.moved_from is None or wanted.moved_from in self._moved:
            return None
        if wanted.moved_from in self.situation.desired.resources:
            return None
        old = self.situation.live.resources.get(wanted.moved_from)
        if old is None or owning.standing(old, self.situation) not in _OWNED:
            return None
        return old

    def _existing(
        self,
        wanted: resource.Resource,
        found: resource.LiveResource,
        native: tuple[plan.FieldChange, ...] | None = None,
    ) -> int:
        whose = owning.standing(found, self.situation)
        can = self.situation.capabilities
        ignored = comparing.left_alone(self.policy.ignore, can.yields_to, found)
        told = self.situation.previews.differences.get(wanted.id)
        if native is not None:
            fields = comparing.kept(native, ignored)
        elif told is None:
            fields = comparing.differences(wanted.fields, found.fields, ignored)
        else:
            fields = comparing.chosen(comparing.concealed(told, wanted.fields, found.fields), ignored)
        if ignored:
            left = (
                comparing.without(wanted.fields, ignored)
                if can.partial
                else comparing.overlay(wanted.fields, found.fields, ignored)
            )
            wanted = dataclasses.replace(wanted, fields=left, left=ignored)
        if whose in (owning.Standing.OTHER, owning.Standing.STRANGER):
            self._foreign(wanted, found, fields)
            return 0
        if fields:
            self.owned += 1
            self._update(wanted, found, fields)
            return 0
        mark = found.mark
        unmarked = self.situation.capabilities.marks is not target.Marks.RESOURCE
        if unmarked or (
            whose is owning.Standing.OURS
            and mark is not None
            and not mark.pending
            and mark.protected == wanted.protected
        ):
            return 1
        self.owned += 1
        self._add(
            plan.Change(
                plan.Action.MARK,
                wanted.id,
                plan.Reason.OWNERSHIP,
                wanted,
                found,
                (),
                self._fingerprint(wanted),
            )
        )
        return 0

    def _update(
        self,
        wanted: resource.Resource,
        found: resource.LiveResource,
        fields: tuple[plan.FieldChange, ...],
    ) -> None:
        mark = self._fingerprint(wanted)
        entry = self.situation.inventory.entries.get(wanted.id)
        applied = found.mark.fingerprint if found.mark is not None else ""
        applied = applied or (entry.fingerprint if entry is not None else "")
        reason = plan.Reason.DRIFT if applied == mark else self._declared
        fixed = self._immutable(wanted.id, fields)
        action = plan.Action.RECREATE if wanted.renew else plan.Action.UPDATE
        if fixed and not wanted.renew:
            if not comparing.matches(self.policy.recreate, wanted.id):
                self._block(wanted.id, _recreate_forbidden(wanted, fixed))
                return
            action = plan.Action.RECREATE
        self._add(plan.Change(action, wanted.id, reason, wanted, found, fields, mark))

    def _immutable(self, rid: resource.ResourceId, fields: tuple[plan.FieldChange, ...]) -> str:
        told = self.situation.previews.immutable.get(rid)
        if told:
            return told
        fixed = self.situation.capabilities.immutable.get(rid.kind, ())
        return ", ".join(field.path for field in fields if field.path in fixed)

    def _foreign(
        self,
        wanted: resource.Resource,
        found: resource.LiveResource,
        fields: tuple[plan.FieldChange, ...],
    ) -> None:
        mark = found.mark if found.mark is not None and found.mark.names == found.id else None
        holder = mark.application if mark is not None else ""
        ours = mark is not None and mark.agent == self.situation.owner.agent
        if ours and holder in self.situation.claims.get(wanted.id, ()):
            self._block(wanted.id, _claimed_twice(wanted, (holder,)))
            return
        rivals = self.situation.claims.get(wanted.id, ())
        if mark is None and rivals and self.situation.capabilities.marks is not target.Marks.RESOURCE:
            self._block(wanted.id, _claimed_twice(wanted, rivals))
            return
        holder = holder or self._former_holder()
        taken = (ours or mark is None) and holder in self.situation.application.takes_from
        asked = wanted.adopt or comparing.matches(self.policy.adopt, wanted.id)
        if not taken and not asked:
            self._block(wanted.id, _adoption_required(wanted, found, ours=ours))
            return
        self._add(
            plan.Change(
                plan.Action.ADOPT,
                wanted.id,
                plan.Reason.OWNERSHIP,
                wanted,
                found,
                fields,
                self._fingerprint(wanted),
                from_owner=holder,
            )
        )

    def _former_holder(self) -> str:
        """Who may have had what bears no mark of its own: one that we take from, and that marked this target."""
        takes, agent = self.situation.application.takes_from, self.situation.owner.agent
        marks = self.situation.live.marks
        return next((one.application for one in marks if one.agent == agent and one.application in takes), "")

    def _unwanted(self, found: resource.LiveResource, *, spared: bool = False) -> None:
        whose = owning.standing(found, self.situation)
        if whose not in _OWNED:
            return
        self.owned += 1
        if found.id in self.situation.claims or (spared and not self._orphans()):
            return
        if self._orphans():
            change = plan.Change(plan.Action.RELEASE, found.id, plan.Reason.OWNERSHIP, None, found)
        else:
            fields = tuple(plan.FieldChange(name, value, None) for name, value in found.fields.items())
            change = plan.Change(plan.Action.DELETE, found.id, plan.Reason.PRUNE, None, found, fields)
        if change.action is plan.Action.DELETE and (not self._prunes() or self._protected(found)):
            self.withheld.append(change)
        elif self.situation.takers:
            self.awaited.append(change)
        else:
            self.changes.append(change)

    def _orphans(self) -> bool:
        subject = self.situation.application
        return subject.decommissioned and subject.deletion_policy is application.DeletionPolicy.ORPHAN

    def _prunes(self) -> bool:
        return self.policy.prune or self.situation.application.decommissioned

    def _protected(self, found: resource.LiveResource) -> bool:
        entry = self.situation.inventory.entries.get(found.id)
        guarded = (
            (found.mark is not None and found.mark.protected)
            or (entry is not None and entry.protected)
            or found.id.kind in self.situation.capabilities.data_kinds
        )
        return guarded and not comparing.matches(self.policy.delete_protected, found.id)

    def _fingerprint(self, wanted: resource.Resource) -> str:
        return digesting.fingerprint(wanted.fields, self.situation.key)

    def _add(self, change: plan.Change) -> None:
        if change.reason is plan.Reason.DRIFT and not self.policy.self_heal:
            self.withheld.append(change)
        else:
            self.changes.append(change)

    def _block(self, rid: resource.ResourceId, error: errors.GuardError) -> None:
        self.blocks.append(plan.Block(rid, error))


_OWNED = (owning.Standing.OURS, owning.Standing.FORMER)


def protected(withheld: tuple[plan.Change, ...], policy: application.Policy) -> tuple[errors.Protected, ...]:
    """A warning for each delete that was withheld although pruning is on: it is protected or holds data."""
    if not policy.prune:
        return ()
    return tuple(
        errors.Protected(
            f"{change.id} is no longer declared but protected, so it stays",
            hint=f"to have it deleted, add it to policy.deleteProtected in Git: {change.id}",
        )
        for change in withheld
        if change.action is plan.Action.DELETE
    )


def awaited(changes: tuple[plan.Change, ...], takers: frozenset[str]) -> tuple[errors.HandoverPending, ...]:
    """A warning that something stays, because another application may take it over."""
    if not changes:
        return ()
    names = ", ".join(sorted(takers))
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    return (
        errors.HandoverPending(
            f"{changes[0].id}{more} stays until it is known who takes it",
            why=f"it is no longer declared here; {names} may take it over, but could not be rendered yet",
            hint=f"nothing to do if that ends by itself; else see `undrift status {min(takers)}`",
        ),
    )


def _claimed_twice(wanted: resource.Resource, rivals: tuple[str, ...]) -> errors.ClaimedTwice:
    return errors.ClaimedTwice(
        f"{wanted.id} is declared by another application too",
        origin=wanted.origin,
        why=f"{', '.join(rivals)} declares the same resource on this target",
        hint="declare it in one of them; to hand it over, remove it there and name that application in takesFrom here",
    )


def _recreate_forbidden(wanted: resource.Resource, fixed: str) -> errors.RecreateForbidden:
    return errors.RecreateForbidden(
        f"{wanted.id} cannot be changed in place",
        origin=wanted.origin,
        why=f"immutable: {fixed}",
        hint=f"to have it deleted and made again, add it to policy.recreate in Git: {wanted.id}",
    )


def _adoption_required(
    wanted: resource.Resource, found: resource.LiveResource, *, ours: bool
) -> errors.AdoptionRequired:
    mark = found.mark
    if mark is None:
        why = "it was there before Undrift" + (
            f" (written by {', '.join(found.managers)})" if found.managers else ""
        )
        hint = f"to take it over, add it to policy.adopt in Git: {wanted.id}"
    elif ours:
        why = f"it belongs to the application {mark.application}"
        hint = f"to take it over, add {mark.application} to takesFrom"
    else:
        why = f"it belongs to the application {mark.application} of another agent, {mark.agent}"
        hint = f"remove it there first, or add it to policy.adopt in Git: {wanted.id}"
    return errors.AdoptionRequired(
        f"{wanted.id} exists and is not ours", origin=wanted.origin, why=why, hint=hint
    )
