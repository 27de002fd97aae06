"""What is said when all masters are lost and nothing can be restored, or not all of it could be listed."""

from __future__ import annotations

from hetzner_k3s.decide.disaster import restore_sources
from hetzner_k3s.decide.view import given_up
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.model.consents import NewClusterOver, Restore
from hetzner_k3s.model.plan import Refusal, Way


def unknown(context: DecisionContext, why: str) -> Refusal:
    """Refuse to choose a snapshot while some could not be listed."""
    return Refusal(
        code="restore.unknown",
        saw=f"{all_are_lost(context)} Which snapshot is the newest cannot be told: {why}.",
        why="What could not be listed may exist all the same, and it may be all that is left of the data.",
        you_can="Run `create` again when it answers; for S3 check datastore.etcd.s3_* in the file. Or name the "
        f"snapshot: `create {Restore('NAME')}` with one that `hetzner-k3s snapshots` shows, or the PATH of a backup.",
    )


def nothing_left(context: DecisionContext) -> Refusal:
    """Refuse to begin anew where no snapshot was found, and say where else one may lie."""
    give_up = NewClusterOver(given_up.digits(context.control_plane.record))
    return Refusal(
        code="masters.all-lost",
        saw=f"{all_are_lost(context)} {_searched(context)}",
        why="A new, empty cluster in its place would hide that the data is lost.",
        you_can=_SEARCH[context.spec.etcd.s3 is None],
        ways=(
            Way(
                text=f"If the data may go, give the cluster up and begin a new one: `create {give_up}`."
                f"{given_up.workers_to_rebuild(context)}",
                consent=give_up,
            ),
        ),
    )


def nowhere_to(master: MasterView) -> tuple[Refusal, ...]:
    """Refuse to restore where every master that is left was rebuilt."""
    if master.barrier is not Barrier.REBUILT or master.server is None:
        return ()
    return (
        Refusal(
            code="master.rebuilt",
            saw=f"Every master was rebuilt. {master.name} ({whereabouts(master.server)}) answers with the key of its "
            "first boot, and no Node is left that would tell whether it is the same server.",
            why="Whoever read that key could answer in its place, and would be given the cluster's token.",
            you_can="Its disk is new and holds nothing. Delete that server at Hetzner and run the same command again: "
            "the snapshot is restored on one that is made anew.",
            ways=(Way(deletes=frozenset({master.name})),),
        ),
    )


def _searched(context: DecisionContext) -> str:
    s3 = context.spec.etcd.s3
    disks = "No snapshot of this cluster lies on a master's disk"
    if s3 is None:
        return f"{disks}, and the file names no S3 to look in (datastore.etcd.s3_enabled)."
    others = len(restore_sources.in_s3(context))
    folder = f"bucket {s3.bucket}, folder {s3.folder}{' and the root' if s3.shared_root else ''}"
    left = f"; {others} {'snapshot' if others == 1 else 'snapshots'} of other clusters are there" if others else ""
    return f"{disks}; S3 holds no snapshot of this cluster ({folder}){left}."


_GIVEN = Restore("PATH")
_SEARCH = {
    True: f"If you have a backup (`hetzner-k3s backup`) or a snapshot file, run `create {_GIVEN}`; if snapshots "
    "were copied to S3, name it under datastore.etcd in the file and run `create` again.",
    False: f"If you have a backup (`hetzner-k3s backup`) or a snapshot file, run `create {_GIVEN}`; if its "
    "snapshots lie in another folder or bucket, name that under datastore.etcd and run `create` again.",
}


def all_are_lost(context: DecisionContext) -> str:
    """Return what is recorded, and what became of each master."""
    record = context.control_plane.record
    seen = "; ".join(f"{m.name}: {_state(m)}" for m in context.control_plane.all_masters)
    return (
        f"The birth record says that '{context.spec.name}' was initialized (CA {(record.ca or '-')[:8]}, UID "
        f"{(record.uid or '-')[:8]}); all its masters are lost: {seen}."
    )


def _state(master: MasterView) -> str:
    if master.facts is not None and master.facts.restoring:
        return "half a restore lies on it"
    return master.condition if master.never_started else f"{master.condition}, no data on its disk"
