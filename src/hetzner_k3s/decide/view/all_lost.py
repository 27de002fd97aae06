"""Whether all masters of a born cluster are lost, and which one a snapshot was, or is to be, restored on."""

from __future__ import annotations

from hetzner_k3s.decide.view import stale_lineage
from hetzner_k3s.decide.view.control_plane import ControlPlane, MasterView
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.model.identity import BirthRecord, Phase


def all_lost(control_plane: ControlPlane) -> bool:
    """Check whether a born cluster has no master left that could hold its data.

    One that is silent may hold it, so a loss is proven only by what is absent, or was looked at and holds none; a
    server that never was a member and still boots is looked at before anything is restored beside it.
    """
    born = control_plane.record.phase is Phase.BORN and control_plane.gateway is None
    return born and all(holds_no_data(master) for master in control_plane.all_masters)


def holds_no_data(master: MasterView) -> bool:
    """Check whether a master is proven to hold none of the cluster's data, or was never a member and still boots."""
    if master.server is None:
        return True
    if master.facts is not None:
        return is_being_restored(master) or not (master.facts.disk.wal or master.facts.disk.tombstone)
    return master.barrier is Barrier.BOOTING


def is_being_restored(master: MasterView) -> bool:
    """Check whether what lies on a master was left by a restore that has not ended.

    The host's own mark is believed where its server's labels agree: a restore takes the member's label off before it
    begins, so data on a server that is labelled as a member are the cluster's, whatever mark was left beside them.
    """
    facts, server = master.facts, master.server
    if facts is None or not facts.restoring:
        return False
    return not (facts.disk.wal and server is not None and labelled_member(server))


def restored_master(control_plane: ControlPlane) -> MasterView | None:
    """Find the master that holds a restored snapshot and was not started with its agent yet.

    The others must hold nothing.
    """
    if control_plane.record.phase is not Phase.BORN or control_plane.gateway is not None:
        return None
    restored = [master for master in control_plane.all_masters if _is_restored(master, control_plane.record)]
    others = [master for master in control_plane.all_masters if master not in restored]
    return restored[0] if len(restored) == 1 and all(holds_no_data(m) for m in others) else None


def _is_restored(master: MasterView, record: BirthRecord) -> bool:
    facts = master.facts
    if facts is None or facts.held or facts.restoring or not facts.disk.wal:
        return False
    return stale_lineage.began_anew(facts, record) and (facts.agentless or not facts.server_unit.runs)


def target(control_plane: ControlPlane) -> MasterView:
    """Choose the master that is restored: one on which it was begun, one that has a server, else the first.

    One that was rebuilt comes last: without a Node to hold it against, nothing proves that its boot key is its own.
    """

    def rank(master: MasterView) -> tuple[bool, bool, bool, int]:
        return (
            not is_being_restored(master),
            master.barrier is Barrier.REBUILT,
            master.server is None,
            master.spec.index,
        )

    return min(control_plane.masters, key=rank)
