"""Masters that are taken out of service with their data kept: stopped and masked, copied off, fenced."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.sides import Survivor
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import Keep, ResetQuorumFrom
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts, LogPosition, UnitFacts
from hetzner_k3s.model.operations.disaster import DataPrecondition
from hetzner_k3s.model.plan import Refusal, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState, Rescue
from hetzner_k3s.model.steps import FenceMember, FetchDatabase, HoldMaster, Step


def hold(survivor: Survivor, watched: float = 0.0) -> HoldMaster:
    """Return the step that stops a master, whichever leader it follows, after it was watched for so many seconds."""
    etcd = survivor.facts.etcd
    leader = etcd.leader if etcd.healthy and etcd.leader != "0" else None
    precondition = DataPrecondition(ca=survivor.ca, leader=leader)
    return HoldMaster(target=survivor.name, server_id=survivor.server.id, precondition=precondition, watched=watched)


def fence(survivor: Survivor) -> FenceMember:
    """Return the step that moves a held master's data aside."""
    return FenceMember(target=survivor.name, server_id=survivor.server.id, ca=survivor.ca)


def is_rescued(context: DecisionContext, survivor: Survivor) -> bool:
    """Check whether a verified copy of exactly this data lies here."""
    found = (r for r in context.state.local.rescues if r.server_id == survivor.server.id)
    return any(rescue.log == survivor.facts.log for rescue in found)


def left_held(server: Server) -> Refusal:
    """Refuse while a master is stopped and masked although nobody resets a quorum: it is missing where it is needed."""
    return Refusal(
        code="master.held",
        saw=f"k3s on {server.name} ({whereabouts(server)}) was stopped by a run with {ResetQuorumFrom.flag} or "
        f"{Keep.flag} that did not end, and is stopped and masked; quorum is not lost.",
        why="Whether its data is still of the cluster is not known, so it is not started by itself.",
        you_can=f"If that run was given {Keep.flag}, give it again.",
        ways=(
            Way(text=_LET_GO, starts=frozenset({server.name})),
            Way(text="If its data may go, delete the server at Hetzner.", deletes=frozenset({server.name})),
        ),
    )


_LET_GO = (
    "If its data is of the cluster: `rm /var/lib/hetzner-k3s/held && systemctl enable --now k3s` on its host; then run "
    "`create` again."
)


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a master was stopped and masked, copied off or fenced."""
    match step:
        case HoldMaster():
            return predictions.with_facts(state, step.server_id, lambda facts: _held(facts, _furthest(state)))
        case FetchDatabase():
            rescue = Rescue(server_id=step.server_id, server=step.target, log=step.log)
            local = replace(state.local, rescues=(*state.local.rescues, rescue))
            return replace(state, local=local)
        case FenceMember():
            return _fenced(state, step)
        case _:
            return state


def _held(facts: HostFacts, log: LogPosition) -> HostFacts:
    stopped = replace(facts, held=True, server_unit=UnitFacts(active="inactive"), etcd=EtcdFacts())
    return replace(stopped, log=log if facts.disk.wal else None)


def _furthest(state: ClusterState) -> LogPosition:
    """Return how far the longest log goes that was read: one that was not is foretold to be as long.

    A shorter one would foretell that the reset is refused, where a killed run had stopped the other master already.
    """
    readings = (reading.value.log for reading in state.hosts.values() if isinstance(reading, Known))
    return max((log for log in readings if log is not None), default=LogPosition(0, 0))


def _fenced(state: ClusterState, step: FenceMember) -> ClusterState:
    def emptied(facts: HostFacts) -> HostFacts:
        disk = DiskFacts(
            config_present=facts.disk.config_present,
            config_server=facts.disk.config_server,
            unit_flag=facts.disk.unit_flag,
        )
        bare = replace(facts, disk=disk, held=False, log=None, lineage=None, parent_lineage=None)
        return replace(bare, server_unit=UnitFacts(active="inactive"), etcd=EtcdFacts())

    return predictions.without_labels(
        predictions.with_facts(state, step.server_id, emptied), step.server_id, naming.MEMBER_LABELS
    )
