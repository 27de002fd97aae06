"""Workers that know no living master any more: after a restore, or when all masters got other addresses.

An agent finds the masters by the `server:` it was started with and by those it learned of since (K3S_RUN_FACTS.md,
"agent whose `server:` was the deleted host"). When all of these are gone it has no way back by itself; its pods go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hetzner_k3s.decide import predictions
from hetzner_k3s.decide.basis import Basis, Opinion
from hetzner_k3s.decide.control_plane import JOINED, MasterView
from hetzner_k3s.model import lookup
from hetzner_k3s.model.host import DiskFacts, HostFacts, UnitFacts
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import API_PORT, ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ReconnectWorker, Step


def reconnect_workers(basis: Basis) -> Opinion | None:
    """Point the first such worker to a living master; one by one, since each restarts its agent."""
    if any(verb == ReconnectWorker.__name__ for verb, _ in basis.in_flight):
        return None
    for spec in basis.spec.workers():
        server = basis.server(spec.name)
        facts = basis.state.facts(server.id) if server is not None else None
        if server is not None and facts is not None and is_lost(basis, facts):
            url = f"https://{_addresses_of(basis, basis.plane.masters)[0]}:{API_PORT}"
            known = facts.disk.agent_servers
            step = ReconnectWorker(
                target=spec.name, server_id=server.id, via=basis.plane.seed_server.id, server_url=url, known=known
            )
            return Opinion((_planned(step),))
    return None


def _planned(step: ReconnectWorker) -> PlannedStep:
    return PlannedStep(
        step=step,
        scope=Scope.WORKER,
        reason=Reason.LOST,
        because="every master that its agent knows is gone; its pods go on while it is started anew",
    )


def is_lost(basis: Basis, facts: HostFacts) -> bool:
    """Tell whether an agent knows masters, and none of them lives; asked only when all masters of the file vote.

    Before that, a successor may yet get the address that the agent knows.
    """
    plane = basis.plane
    if plane.record.phase is not Phase.BORN or plane.seed is None or plane.kube is None:
        return False
    if not facts.agent_unit.runs or facts.disk.config_server is None or not _of_this_cluster(basis, facts):
        return False
    if any(master.stage not in JOINED for master in plane.masters):
        return False
    known = {_host(facts.disk.config_server), *(_host(entry) for entry in facts.disk.agent_servers)}
    return not known & _living(basis)


def _of_this_cluster(basis: Basis, facts: HostFacts) -> bool:
    seed = basis.plane.seed
    return seed is not None and seed.facts is not None and trusts_masters(facts.disk, seed.facts.disk)


def trusts_masters(agent: DiskFacts, master: DiskFacts) -> bool:
    """Check whether an agent holds the CA of a master, one that was rotated into it, or one made out of it."""
    return master.knows_ca(agent.agent_ca) or agent.agent_knows_ca(master.server_ca)


def _host(address: str) -> str:
    """Give the host of a URL, or of an address with a port."""
    return address.removeprefix("https://").partition("/")[0].rpartition(":")[0].strip("[]")


def _addresses_of(basis: Basis, masters: Iterable[MasterView]) -> list[str]:
    """Give the private addresses of masters, the seed's first."""
    network = basis.plane.network_id or 0
    ordered = sorted(masters, key=lambda m: (m is not basis.plane.seed, m.spec.index))
    return [m.server.private_ips[network] for m in ordered if m.server is not None and network in m.server.private_ips]


def _living(basis: Basis) -> set[str]:
    """Give the addresses of masters, of those beyond the file too: who knows one learns of the others there."""
    balancer = lookup.load_balancer(basis.spec, basis.view)
    public = {m.server.public_ipv4 for m in basis.plane.all_masters if m.server and m.server.public_ipv4}
    before = {*balancer.private_ips.values(), *filter(None, [balancer.public_ipv4])} if balancer else set()
    return {
        *_addresses_of(basis, basis.plane.all_masters),
        *public,
        *before,
        *filter(None, [basis.spec.api_server_hostname]),
    }


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Say what the world looks like after a worker was pointed to a living master."""
    if not isinstance(step, ReconnectWorker):
        return state
    return _reconnected(state, step.server_id, step.server_url)


def _reconnected(state: ClusterState, server_id: int, server_url: str) -> ClusterState:
    """Point an agent to a living master."""

    def change(facts: HostFacts) -> HostFacts:
        address = server_url.removeprefix("https://")
        disk = replace(facts.disk, config_server=server_url, agent_servers=(address,))
        return replace(facts, disk=disk, agent_unit=UnitFacts(active="active"))

    name = next(s.name for s in state.view.servers if s.id == server_id)

    def heard(kube: KubeView) -> KubeView:
        node = kube.node(name)
        return kube if node is None else predictions.with_node(kube, replace(node, ready=True))

    return predictions.map_kube(predictions.with_facts(state, server_id, change), heard)
