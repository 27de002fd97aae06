"""All masters lost: what could be restored, what forbids it, and the way back from a snapshot (RECOVERY_FACTS.md 3 H).

Nothing of it happens by itself: `--restore latest` or `--restore NAME` is the consent. What was found is told before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetzner_k3s.decide import losses, new_cluster, predictions
from hetzner_k3s.decide.basis import Basis, Opinion
from hetzner_k3s.decide.control_plane import NEVER_STARTED, MasterView, Stage
from hetzner_k3s.decide.unfit import unfit
from hetzner_k3s.model import lookup
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Wait
from hetzner_k3s.model.snapshots import KEPT, StoredSnapshot, of_cluster
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import KeepSnapshot, RestoreSnapshot, StartRestored, Step

LATEST = "latest"
_BOOT = 180.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The snapshot that is to be restored, and who holds its token: a server's id, None for this machine."""

    snapshot: StoredSnapshot
    token_from: int | None


# --- what there is to restore from ----------------------------------------------------------------------------------


def known_tokens(basis: Basis) -> dict[str, int | None]:
    """Give the hashes of the tokens that can be had -> the server that holds one, None for this machine."""
    found: dict[str, int | None] = {}
    for server in sorted(lookup.owned_servers(basis.spec.name, basis.view), key=lambda s: s.id):
        facts = basis.state.facts(server.id)
        if facts is not None and facts.disk.config_token_hash is not None and not facts.restoring:
            found.setdefault(facts.disk.config_token_hash, server.id)
    return {**dict.fromkeys(basis.state.local.token_hashes), **found}


def listed(basis: Basis) -> tuple[StoredSnapshot, ...]:
    """Give what lies in S3; nothing where it is not known, of which the gate speaks."""
    found = basis.state.snapshots
    return found.value if isinstance(found, Known) else ()


def ours(basis: Basis) -> tuple[StoredSnapshot, ...]:
    """Give this cluster's snapshots, newest first; those of others are never offered."""
    return of_cluster(listed(basis), basis.plane.record.uid)


def choose(basis: Basis) -> Choice | None:
    """Give what `--restore` names, if it is this cluster's and its token is known."""
    wanted = basis.intent.consents.restore
    tokens = known_tokens(basis)
    fitting = [s for s in ours(basis) if s.token_hash in tokens]
    named = fitting if wanted == LATEST else [s for s in fitting if wanted in {s.name, s.original}]
    if wanted is None or not named or named[0].token_hash is None:
        return None
    return Choice(named[0], tokens[named[0].token_hash])


# --- what forbids it ------------------------------------------------------------------------------------------------


def loss_answered(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse to do anything about the loss of all masters but what the user chose, and say what there is to choose."""
    if not losses.all_lost(basis.plane) or new_cluster.consented(basis):
        return ()
    if isinstance(basis.state.snapshots, Unknown):
        return (_unknown(basis, basis.state.snapshots.why),)
    found = ours(basis)
    if not found:
        return (_nothing_left(basis),)
    if not any(s.token_hash in known_tokens(basis) for s in found):
        return (_no_token(basis, found),)
    if basis.intent.consents.restore is None:
        return (_offer(basis, found),)
    return () if choose(basis) is not None else (_not_that_one(basis, found),)


def _lost(basis: Basis) -> str:
    record = basis.plane.record
    seen = "; ".join(f"{m.name}: {_state(m)}" for m in basis.plane.all_masters)
    return (
        f"The birth record says that '{basis.spec.name}' was born (CA {(record.ca or '-')[:8]}, UID "
        f"{(record.uid or '-')[:8]}); all its masters are lost: {seen}."
    )


def _state(master: MasterView) -> str:
    if master.facts is not None and master.facts.restoring:
        return "half a restore lies on it"
    if master.stage in NEVER_STARTED:
        return master.stage.value
    return f"{master.stage.value}, no data on its disk"


def _unknown(basis: Basis, why: str) -> Refusal:
    return Refusal(
        code="restore.unknown",
        saw=f"{_lost(basis)} Whether there are snapshots to restore from is not known: {why}.",
        why="What could not be listed may exist all the same, and it may be all that is left of the data.",
        you_can="Run `create` again when the S3 service answers; check datastore.etcd.s3_* in the file.",
    )


def _nothing_left(basis: Basis) -> Refusal:
    return Refusal(
        code="masters.all-lost",
        saw=f"{_lost(basis)} {_searched(basis)}",
        why="A new, empty cluster in its place would hide that the data is lost.",
        you_can=f"{_SEARCH[basis.spec.etcd.s3 is None]} If the data may go, give the cluster up and begin a new one: "
        f"`create --new-cluster-over {new_cluster.digits(basis.plane.record)}`.{new_cluster.workers_to_rebuild(basis)}",
    )


def _searched(basis: Basis) -> str:
    s3 = basis.spec.etcd.s3
    if s3 is None:
        return "No snapshot can be looked for: the file names no S3 (datastore.etcd.s3_enabled)."
    others = len(listed(basis))
    folder = f"bucket {s3.bucket}, folder {s3.folder}{' and the root' if s3.shared_root else ''}"
    left = f"; {others} {'snapshot' if others == 1 else 'snapshots'} of other clusters are there" if others else ""
    return f"S3 holds no snapshot of this cluster ({folder}){left}."


_SEARCH = {
    True: "If snapshots were copied to S3, name it under datastore.etcd in the file and run `create` again.",
    False: "If its snapshots lie in another folder or bucket, name that under datastore.etcd and run `create` again.",
}


def _no_token(basis: Basis, found: tuple[StoredSnapshot, ...]) -> Refusal:
    hashes = ", ".join(sorted({s.token_hash or "(none noted)" for s in found}))
    have = sorted(known_tokens(basis))
    seen = f"the tokens that were found have {', '.join(have)}" if have else "no token was found on any worker or here"
    return Refusal(
        code="restore.no-token",
        saw=f"{_lost(basis)} {_told(basis, found)} They are sealed with the token of hash {hashes}; {seen}.",
        why="Without that token the keys in a snapshot cannot be opened, and k3s would leave half a cluster behind.",
        you_can="Find the token: in a backup (`hetzner-k3s backup`), in /etc/rancher/k3s/config.yaml or "
        "/etc/systemd/system/k3s-agent.service.env of any worker that was ever in the cluster, in a password store. "
        "Give it in the environment variable HETZNER_K3S_TOKEN, or its file in HETZNER_K3S_TOKEN_FILE.",
    )


def _offer(basis: Basis, found: tuple[StoredSnapshot, ...]) -> Refusal:
    return Refusal(
        code="restore.consent",
        saw=f"{_lost(basis)} {_told(basis, found)} {_whose_token(basis, found)}",
        why="A restore goes back to that moment: what was written later is lost, so it is your choice.",
        you_can=f"Run `create --restore {LATEST}`, or `create --restore NAME` with a name that `hetzner-k3s snapshots` "
        "shows.",
    )


def _told(basis: Basis, found: tuple[StoredSnapshot, ...]) -> str:
    count = f"{len(found)} {'snapshot' if len(found) == 1 else 'snapshots'} of this cluster"
    return f"S3 holds {count}, the newest ({found[0].name}) {age(basis.state.observed_at - found[0].created)} old."


def _whose_token(basis: Basis, found: tuple[StoredSnapshot, ...]) -> str:
    tokens = known_tokens(basis)
    fitting = [s for s in found if s.token_hash in tokens]
    holder = tokens[fitting[0].token_hash or ""]
    name = next((s.name for s in basis.view.servers if s.id == holder), "this machine")
    what = "them" if len(fitting) == len(found) else f"{len(fitting)} of them, {fitting[0].name} first"
    return f"The token of hash {fitting[0].token_hash}, which {name} holds, opens {what}."


def _not_that_one(basis: Basis, found: tuple[StoredSnapshot, ...]) -> Refusal:
    wanted = basis.intent.consents.restore or ""
    anywhere = next((s for s in listed(basis) if wanted in {s.name, s.original}), None)
    if anywhere is None:
        saw = f"There is no such snapshot of this cluster; the newest is {found[0].name}."
    elif anywhere.cluster_uid != basis.plane.record.uid:
        saw = f"It is of another cluster (UID {(anywhere.cluster_uid or 'not noted')[:8]})."
    else:
        saw = f"It is sealed with the token of hash {anywhere.token_hash}, which was not found."
    return unfit(f"--restore {wanted}", saw, "Choose one that `hetzner-k3s snapshots` shows, or `--restore latest`.")


def consent_fits(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse `--restore` while a master is left that may hold newer data than any snapshot."""
    wanted = basis.intent.consents.restore
    if (
        wanted is None
        or losses.all_lost(basis.plane)
        or losses.restored_master(basis.plane) is not None
        or _settling(basis)
    ):
        return ()
    if basis.plane.seed is not None:
        saw = f"Its masters are not lost: {basis.plane.seed.name} is a healthy voter."
        return (unfit(f"--restore {wanted}", saw, "Run `create` without it."),)
    kept = (
        ", ".join(m.name for m in basis.plane.all_masters if not losses.holds_no_data(m))
        or "nothing is recorded as born"
    )
    return (
        unfit(
            f"--restore {wanted}",
            f"Not all masters are proven lost: {kept}.",
            "Run `create` without it to see what can be done. A snapshot is older than the data on a master's disk.",
        ),
    )


def _settling(basis: Basis) -> bool:
    """Tell whether a master that votes says that it was restored: then the consent was acted on, by this run even."""
    told = (m.facts for m in basis.plane.all_masters if m.facts is not None and m.facts.voter)
    return any(facts.lineage is not None for facts in told)


# --- what is done ---------------------------------------------------------------------------------------------------


def bring_back(basis: Basis) -> Opinion | None:
    """Lead a cluster whose masters are all lost to one healthy master; the rest is a repair like any other."""
    if (restored := losses.restored_master(basis.plane)) is not None and restored.server is not None:
        step = StartRestored(target=restored.name, server_id=restored.server.id)
        return Opinion((_planned(step, "it holds the restored snapshot, and no other master holds data"),))
    choice = choose(basis) if losses.all_lost(basis.plane) else None
    if choice is None:
        return None
    if not choice.snapshot.kept:
        return Opinion((_keep(basis, choice),))
    return _restore(basis, choice)


def _keep(basis: Basis, choice: Choice) -> PlannedStep:
    s3 = basis.spec.etcd.s3
    step = KeepSnapshot(
        target=f"{KEPT}{choice.snapshot.name}", snapshot=choice.snapshot, folder=s3.folder if s3 else ""
    )
    return _consented(basis, step, "k3s' retention, of this cluster or another, must not take it away meanwhile")


def _restore(basis: Basis, choice: Choice) -> Opinion:
    unseen = [m for m in basis.plane.all_masters if m.server is not None and m.facts is None]
    if unseen:
        because = "it must be seen to hold no data before a snapshot is restored beside it"
        return Opinion(waits=tuple(Wait(what=f"{m.name} to answer", because=because, deadline=_BOOT) for m in unseen))
    master = losses.target(basis.plane)
    if master.server is None or not _prepared(master):
        return Opinion()
    step = RestoreSnapshot(
        target=master.name,
        server_id=master.server.id,
        snapshot=choice.snapshot.name,
        token_hash=choice.snapshot.token_hash or "",
        token_from=choice.token_from,
        parent=basis.plane.record.lineage,
    )
    return Opinion((_consented(basis, step, f"all masters are lost; the snapshot is {_old(basis, choice)} old"),))


def _old(basis: Basis, choice: Choice) -> str:
    return age(basis.state.observed_at - choice.snapshot.created)


def _prepared(master: MasterView) -> bool:
    """Tell whether k3s is installed on it and a final host key protects what is sent."""
    facts = master.facts
    reached = master.stage not in {Stage.UNSECURED, Stage.REBUILT, Stage.BOOTING}
    return (
        facts is not None
        and reached
        and facts.boot_finished
        and bool(facts.k3s_version)
        and facts.server_unit.installed
    )


def _planned(step: Step, because: str) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because=because)


def _consented(basis: Basis, step: Step, because: str) -> PlannedStep:
    return replace(_planned(step, because), consent=flag(basis))


def flag(basis: Basis) -> str:
    """Give the consent as it was typed."""
    return f"--restore {basis.intent.consents.restore}"


def awaits_server(basis: Basis, name: str) -> bool:
    """Tell whether a server may be ordered under this name although no API answers: the snapshot is restored on it."""
    return losses.all_lost(basis.plane) and choose(basis) is not None and losses.target(basis.plane).name == name


def age(seconds: float) -> str:
    """Write an age as people say it."""
    minutes = int(max(0.0, seconds) // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Say what the world looks like after a step of a restore."""
    match step:
        case KeepSnapshot():
            return predictions.with_kept_snapshot(state, step)
        case RestoreSnapshot():
            return predictions.with_restored_data(spec, state, step)
        case StartRestored():
            return predictions.with_restored_voter(spec, state, step.server_id)
        case _:
            return state
