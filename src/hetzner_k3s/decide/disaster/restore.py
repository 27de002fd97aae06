"""All masters lost: what could be restored, what forbids it, and the way back from a snapshot.

See docs/facts/recovery.md#restore-order.

Nothing of it happens by itself: `Restore`, of `latest`, a name or a path, is the consent. What was found is told
before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from hetzner_k3s.decide.disaster import restore_predictions, restore_refusals, restore_sources
from hetzner_k3s.decide.disaster.restore_sources import Place, Source
from hetzner_k3s.decide.view import all_lost, given_up, held_tokens, predictions
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, UnservedContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.model.consents import LATEST, Restore
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.host import HostFacts, Snapshot
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Wait, Way
from hetzner_k3s.model.snapshots import KEPT, GivenFile, StoredSnapshot, name_on_host
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import KeepSnapshot, RestoreSnapshot, StartRestored, Step, UploadSnapshot

_BOOT = 180.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The snapshot that is to be restored, by which consent, the hash of its token, and who holds that.

    The same of the agents' token.
    """

    consent: Restore
    source: Source
    token_hash: str
    token_from: held_tokens.Holder
    agent_hash: str | None = None
    agent_from: held_tokens.Holder = None


# --- what there is to restore from ----------------------------------------------------------------------------------


def known_tokens(context: DecisionContext) -> dict[str, int | None]:
    """Return the hashes of the tokens that can be had -> the server that holds one, None for this machine."""
    found: dict[str, int | None] = {}
    for server, facts in held_tokens.on_servers(context):
        if facts.disk.config_token_hash is not None and not facts.disk.config_token_agent:
            found.setdefault(facts.disk.config_token_hash, server.id)
    here = (*context.state.local.token_hashes, *(held.server for held in context.state.local.kept))
    return {**dict.fromkeys(here), **found}


def choose(context: DecisionContext) -> Choice | None:
    """Return what the user named, if it is this cluster's and its token is known."""
    wanted = context.consents.get(Restore)
    if wanted is None:
        return None
    tokens = known_tokens(context)
    fitting = [s for s in restore_sources.ours(context) if opened_by(s, tokens)]
    anyone = wanted == LATEST or context.state.local.snapshot is not None
    named = fitting if anyone else [s for s in fitting if wanted.named in {s.name, s.original}]
    if not named:
        return None
    token_hash = opened_by(named[0], tokens)[0]
    agent = held_tokens.agent_token(context, token_hash) or (None, None)
    return Choice(wanted, named[0], token_hash, tokens[token_hash], *agent)


def opened_by(source: Source, tokens: Mapping[str, int | None]) -> tuple[str, ...]:
    """Return the hashes of those tokens that may open a snapshot."""
    return tuple(token_hash for token_hash in source.token_hashes if token_hash in tokens)


def target(context: DecisionContext, choice: Choice) -> MasterView:
    """Return which master is restored: the one on whose disk the snapshot lies, else any that can be."""
    holder = next((m for m in context.control_plane.masters if m.name == choice.source.server), None)
    return holder or all_lost.target(context.control_plane)


def agent_token_found(context: UnservedContext) -> tuple[Refusal, ...]:
    """Refuse to restore without the agents' token where the cluster has one."""
    chosen = choose(context) if all_lost.all_lost(context.control_plane) else None
    if chosen is None or not held_tokens.agent_token_is_missing(context, chosen.token_hash):
        return ()
    return (held_tokens.missing_agent_token(context),)


# --- what forbids it ------------------------------------------------------------------------------------------------


def loss_answered(context: UnservedContext) -> tuple[Refusal, ...]:
    """Refuse to do anything about the loss of all masters but what the user chose, and say what there is to choose."""
    if not all_lost.all_lost(context.control_plane) or given_up.consented(context):
        return ()
    unseen, wanted = _unseen(context), context.consents.get(Restore)
    chosen, here = choose(context), context.state.local.snapshot
    if unseen and here is None and (chosen is None or wanted == LATEST):
        return (restore_refusals.unknown(context, "; ".join(unseen)),)
    if chosen is not None:
        return restore_refusals.nowhere_to(all_lost.target(context.control_plane))
    found = restore_sources.ours(context)
    if not found:
        return (restore_refusals.nothing_left(context) if here is None else _not_that_file(context, here),)
    if not any(opened_by(s, known_tokens(context)) for s in found):
        return (_no_token(context, found),)
    return (_offer(context, found) if wanted is None else _not_that_one(context, wanted, found),)


def _unseen(context: DecisionContext) -> tuple[str, ...]:
    """Return where snapshots may lie that nobody saw: what could not be listed may be the newest."""
    stored = context.state.snapshots
    s3 = (f"what S3 holds is not known: {stored.why}",) if isinstance(stored, Unknown) else ()
    return (*s3, *(f"the snapshots on {name} could not be read" for name in restore_sources.unread(context)))


def _not_that_file(context: DecisionContext, here: GivenFile) -> Refusal:
    uid = here.cluster_uid
    told = f"of another cluster (UID {uid[:8]})" if uid else "no snapshot of etcd, or a damaged one"
    return unfit(
        here.given,
        f"{here.name} is {told}. {restore_refusals.all_are_lost(context)}",
        "Give the snapshot or the backup of this cluster; `hetzner-k3s snapshots --from PATH` shows whose one is.",
    )


def _no_token(context: DecisionContext, found: tuple[Source, ...]) -> Refusal:
    hashes = ", ".join(sorted({h for s in found for h in s.token_hashes or ("(none noted)",)}))
    have = sorted(known_tokens(context))
    seen = f"the tokens that were found have {', '.join(have)}" if have else "none was found on any server or here"
    return Refusal(
        code="restore.no-token",
        saw=f"{restore_refusals.all_are_lost(context)} {_told(context, found)} They are sealed with the token of hash "
        f"{hashes}; {seen}.",
        why="Without that token the keys in a snapshot cannot be opened, and k3s would leave half a cluster behind.",
        you_can="Find the token: in a backup (`hetzner-k3s backup`), in the state folder of whoever ran `create` "
        "(~/.local/state/hetzner-k3s), in a password store; of a cluster without an agent token also in "
        "/etc/rancher/k3s/config.yaml or /etc/systemd/system/k3s-agent.service.env of any worker. "
        "Give it in the environment variable HETZNER_K3S_TOKEN, or its file in HETZNER_K3S_TOKEN_FILE.",
    )


_RUN: Final = (
    f"Run `create {LATEST}`, or `create {Restore('NAME')}` with the name of one, or `create {Restore('PATH')}` with a "
    "backup."
)


def _offer(context: DecisionContext, found: tuple[Source, ...]) -> Refusal:
    return Refusal(
        code="restore.consent",
        saw=f"{restore_refusals.all_are_lost(context)} {_told(context, found)} {_whose_token(context, found)}",
        why="A restore goes back to that moment: what was written later is lost, so it is your choice.",
        you_can="`hetzner-k3s snapshots` shows them.",
        ways=(Way(consent=LATEST, text=_RUN),),
    )


def _told(context: DecisionContext, found: tuple[Source, ...]) -> str:
    count = f"{len(found)} {'snapshot' if len(found) == 1 else 'snapshots'} of this cluster"
    where = ", ".join(f"{number} {place}" for place, number in sorted(Counter(s.where for s in found).items()))
    old = age(context.state.cluster_time - found[0].created)
    there = "is" if len(found) == 1 else "are"
    return f"There {there} {count} ({where}), the newest ({found[0].name}, {found[0].where}) {old} old."


def _whose_token(context: DecisionContext, found: tuple[Source, ...]) -> str:
    tokens = known_tokens(context)
    fitting = [s for s in found if opened_by(s, tokens)]
    token_hash = opened_by(fitting[0], tokens)[0]
    holder = tokens[token_hash]
    name = next((s.name for s in context.view.servers if s.id == holder), "this machine")
    what = "them" if len(fitting) == len(found) else f"{len(fitting)} of them, {fitting[0].name} first"
    return f"The token of hash {token_hash}, which {name} holds, opens {what}."


def _not_that_one(context: DecisionContext, wanted: Restore, found: tuple[Source, ...]) -> Refusal:
    if (elsewhere := _beside_a_begun_one(context, wanted)) is not None:
        return elsewhere
    anywhere = next((s for s in restore_sources.everything(context) if wanted.named in {s.name, s.original}), None)
    if anywhere is None:
        saw = f"There is no such snapshot of this cluster; the newest is {found[0].name}."
    elif anywhere.cluster_uid != context.control_plane.record.uid:
        saw = f"It is of another cluster (UID {(anywhere.cluster_uid or 'not noted')[:8]})."
    else:
        saw = f"It is sealed with the token of hash {', '.join(anywhere.token_hashes) or '-'}, which was not found."
    can = f"Choose one that `hetzner-k3s snapshots` shows, or `{LATEST}`."
    return unfit(wanted, saw, can, Way(consent=LATEST))


def _beside_a_begun_one(context: DecisionContext, wanted: Restore) -> Refusal | None:
    """Refuse a snapshot that is there, on another master than the one on which half a restore lies."""
    beside = restore_sources.beside_a_begun_one(context)
    found = next((s for s in beside if wanted.named in {s.name, s.original}), None)
    if found is None:
        return None
    begun = ", ".join(restore_sources.begun_on(context))
    return unfit(
        wanted,
        f"It lies {found.where}, and half a restore lies on {begun}: only there it is gone on with.",
        f"Copy it here (/var/lib/rancher/k3s/server/db/snapshots/{found.name} of {found.server}) and run `create "
        f"{Restore('PATH')}` with that file, which is restored on {begun}. Or `{LATEST}`, the newest on {begun}.",
        Way(consent=LATEST),
    )


def restoring_fits(context: DecisionContext, wanted: Restore) -> tuple[Refusal, ...]:
    """Refuse the consent while a master is left that may hold newer data than any snapshot."""
    if (
        all_lost.all_lost(context.control_plane)
        or all_lost.restored_master(context.control_plane) is not None
        or _settling(context)
    ):
        return ()
    if context.control_plane.gateway is not None:
        saw = f"Its masters are not lost: {context.control_plane.gateway.name} is a healthy voter."
        return (unfit(wanted, saw, "Run `create` without it."),)
    kept = (
        ", ".join(m.name for m in context.control_plane.all_masters if not all_lost.holds_no_data(m))
        or "nothing is recorded as initialized"
    )
    return (
        unfit(
            wanted,
            f"Not all masters are proven lost: {kept}.",
            "Run `create` without it to see what can be done. A snapshot is older than the data on a master's disk.",
        ),
    )


def _settling(context: DecisionContext) -> bool:
    """Check whether a master that votes says that it was restored: then the consent was acted on, by this run even."""
    told = (m.facts for m in context.control_plane.all_masters if m.facts is not None and m.facts.voter)
    return any(facts.lineage is not None for facts in told)


# --- what is done ---------------------------------------------------------------------------------------------------


def bring_back(context: UnservedContext) -> Proposal | None:
    """Lead a cluster whose masters are all lost to one healthy master; the rest is a repair like any other."""
    if (restored := all_lost.restored_master(context.control_plane)) is not None and restored.server is not None:
        step = StartRestored(target=restored.name, server_id=restored.server.id, quiet=_at_work(context, restored))
        return Proposal((_planned(step, _STARTED),))
    choice = choose(context) if all_lost.all_lost(context.control_plane) else None
    if choice is None:
        return None
    stored = choice.source.stored
    if stored is not None and not stored.kept:
        return Proposal((_keep(context, choice, stored),))
    return _restore(context, choice)


_STARTED = (
    "it holds the restored snapshot, and no other master holds data; the masters' Nodes in it name servers that are "
    "gone, so they are deleted first, and each master registers anew"
)


def _at_work(context: DecisionContext, restored: MasterView) -> tuple[int, ...]:
    """Return the other masters whose k3s runs: they hold nothing, and wait for somebody to join."""
    others = [m for m in context.control_plane.all_masters if m.name != restored.name]
    return tuple(m.server.id for m in others if m.server and m.facts and m.facts.server_unit.runs)


def _keep(context: DecisionContext, choice: Choice, stored: StoredSnapshot) -> PlannedStep:
    s3 = context.spec.etcd.s3
    step = KeepSnapshot(target=f"{KEPT}{stored.name}", snapshot=stored, folder=s3.folder if s3 else "")
    return _consented(choice, step, "k3s' retention, of this cluster or another, must not take it away meanwhile")


def _restore(context: DecisionContext, choice: Choice) -> Proposal:
    unseen = [m for m in context.control_plane.all_masters if m.server is not None and m.facts is None]
    if unseen:
        because = "it must be seen to hold no data before a snapshot is restored beside it"
        return Proposal(waits=tuple(Wait(what=f"{m.name} to answer", because=because, deadline=_BOOT) for m in unseen))
    master = target(context, choice)
    if master.server is None or not _prepared(master):
        return Proposal()
    source = choice.source
    if source.place is Place.HERE and not _has_arrived(master, source):
        upload = UploadSnapshot(
            target=master.name,
            server_id=master.server.id,
            name=_uploaded(source),
            size=source.size,
            sha256=source.sha256 or "",
        )
        return Proposal((_consented(choice, upload, "the snapshot to restore lies on this machine"),))
    step = RestoreSnapshot(
        target=master.name,
        server_id=master.server.id,
        snapshot=_uploaded(source) if source.place is Place.HERE else source.name,
        sha256=source.sha256,
        token_hash=choice.token_hash,
        token_from=choice.token_from,
        agent_hash=choice.agent_hash,
        agent_from=choice.agent_from,
        parent=context.control_plane.record.lineage,
    )
    old = age(context.state.cluster_time - source.created)
    return Proposal((_consented(choice, step, f"all masters are lost; the snapshot is {old} old"),))


def _uploaded(source: Source) -> str:
    """Return the name of the copy on the host: one that k3s' retention does not take away, and every program reads."""
    return f"{KEPT}{name_on_host(source.original, source.sha256 or '')}"


def _has_arrived(master: MasterView, source: Source) -> bool:
    """Check whether the file lies there; that it is the very same, the restore makes sure of."""
    there = {(s.name, s.size) for s in master.facts.snapshots} if master.facts else set()
    return (_uploaded(source), source.size) in there


def _prepared(master: MasterView) -> bool:
    """Check whether k3s is installed on it and a final host key protects what is sent."""
    facts = master.facts
    secured = not master.awaits_first_contact and master.barrier is not Barrier.REBUILT
    return (
        facts is not None
        and secured
        and facts.boot_finished
        and bool(facts.k3s_version)
        and facts.server_unit.installed
    )


def _planned(step: Step, because: str) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because=because)


def _consented(choice: Choice, step: Step, because: str) -> PlannedStep:
    return replace(_planned(step, because), consent=choice.consent)


def consent_for_server(context: DecisionContext, name: str) -> Restore | None:
    """Return the consent by which a server is ordered under this name though no API answers: to be restored on."""
    chosen = choose(context) if all_lost.all_lost(context.control_plane) else None
    return chosen.consent if chosen is not None and target(context, chosen).name == name else None


_EVER = 6e10
"""Seconds: older than any file; what tells its age may be no time at all."""


def age(seconds: float) -> str:
    """Write an age as people say it."""
    minutes = int(min(max(0.0, seconds), _EVER) // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a step of a restore."""
    match step:
        case KeepSnapshot():
            return restore_predictions.with_kept_snapshot(state, step)
        case UploadSnapshot():
            return _with_upload(state, step)
        case RestoreSnapshot():
            return restore_predictions.with_restored_data(spec, state, step)
        case StartRestored():
            still = predictions.with_facts_of(state, step.quiet, _stopped)
            return restore_predictions.with_restored_voter(spec, still, step.server_id)
        case _:
            return state


def _stopped(facts: HostFacts) -> HostFacts:
    return replace(facts, server_unit=replace(facts.server_unit, active="inactive"))


def _with_upload(state: ClusterState, step: UploadSnapshot) -> ClusterState:
    arrived = Snapshot(name=step.name, size=step.size, created=state.cluster_time)
    return predictions.with_facts(
        state, step.server_id, lambda facts: replace(facts, snapshots=(*facts.snapshots, arrived))
    )
