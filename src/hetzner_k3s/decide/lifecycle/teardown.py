"""Deletion: the same loop with another wish. What is not ours is never named."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.identity.hosts import holds_ca
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import Basis, Opinion
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import PlacementGroup
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CloseBirth, DeleteResource, DeleteServer, MarkDeleting, Step


def deletion_is_of_this_cluster(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse to delete a cluster that is not the one this machine's kubeconfig belongs to."""
    have, recorded = basis.state.local.kubeconfig_ca, basis.plane.record.ca
    if have is None or recorded is None or have.startswith(recorded):
        return ()
    return (
        Refusal(
            code="delete.other-cluster",
            saw=f"{basis.spec.kubeconfig_path} {holds_ca(have)}; the servers of '{basis.spec.name}' in "
            f"this project have {recorded[:8]}.",
            why="The wrong one of two clusters of this name could be deleted.",
            you_can="Check the Hetzner token and kubeconfig_path; move the kubeconfig away if it is stale.",
        ),
    )


def tear_down(basis: Basis) -> Opinion:
    """Plan the next deletions: mark first, then balancer and servers, then what they stood on, the record last."""
    if basis.plane.record.phase is not Phase.DELETING and _record_carrier_exists(basis):
        step = MarkDeleting(target=basis.spec.name)
        return Opinion((_planned(step, "whoever looks from now on must see that it goes"),))
    return Opinion(_servers(basis) or _surroundings(basis) or _close(basis) or _record_group(basis))


def _planned(step: Step, because: str) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.INFRASTRUCTURE, reason=Reason.DELETE, because=because)


def _record_carrier_exists(basis: Basis) -> bool:
    return _group_of_the_record(basis) is not None or bool(lookup.owned_masters(basis.spec.name, basis.view))


def _group_of_the_record(basis: Basis) -> PlacementGroup | None:
    group = lookup.placement_group(naming.birth_record_placement_group(basis.spec.name), basis.view)
    return group if group and lookup.is_owned(basis.spec.name, group.labels) else None


def _servers(basis: Basis) -> tuple[PlannedStep, ...]:
    balancer = lookup.deletable_load_balancer(basis.spec, basis.view)
    steps: list[Step] = []
    if balancer is not None:
        steps.append(DeleteResource(target=balancer.name, kind="load_balancer", resource_id=balancer.id))
    steps += [
        DeleteServer(target=server.name, server_id=server.id)
        for server in lookup.owned_servers(basis.spec.name, basis.view)
    ]
    return tuple(_planned(step, "it carries the cluster's label") for step in steps)


def _surroundings(basis: Basis) -> tuple[PlannedStep, ...]:
    steps = [
        DeleteResource(target=group.name, kind="placement_group", resource_id=group.id)
        for group in lookup.deletable_groups(basis.spec, basis.view)
        if group.name != naming.birth_record_placement_group(basis.spec.name)
    ]
    firewall = lookup.firewall(basis.spec, basis.view)
    if firewall is not None and lookup.is_owned(basis.spec.name, firewall.labels):
        steps.append(DeleteResource(target=firewall.name, kind="firewall", resource_id=firewall.id))
    network = lookup.deletable_network(basis.spec, basis.view)
    if network is not None:
        steps.append(DeleteResource(target=network.name, kind="network", resource_id=network.id))
    key = lookup.ssh_key(basis.spec, basis.view)
    if key is not None and key.name == naming.ssh_key(basis.spec.name):
        steps.append(DeleteResource(target=key.name, kind="ssh_key", resource_id=key.id))
    return tuple(_planned(step, "nothing of the cluster uses it any more") for step in steps)


def _record_group(basis: Basis) -> tuple[PlannedStep, ...]:
    group = _group_of_the_record(basis)
    if group is None:
        return ()
    step = DeleteResource(target=group.name, kind="placement_group", resource_id=group.id)
    return (_planned(step, "it holds the record that a deletion goes on, so it goes last"),)


def _close(basis: Basis) -> tuple[PlannedStep, ...]:
    """Forget the cluster on this machine, while the record can still tell whose kubeconfig lies here.

    In a project without a record the kubeconfig stays, and so does the journal where nobody is asked: with the token
    of another project they are all that forbids a second cluster.
    """
    local = basis.state.local
    its = _kubeconfig_is_its(basis)
    if not (local.open_birth or its) or _journal_stays(basis):
        return ()
    remove = its and not basis.intent.keep_kubeconfig
    kept_ca = local.kubeconfig_ca if its and not remove else None
    step = CloseBirth(target=basis.spec.name, kubeconfig=remove, ca=kept_ca)
    return (PlannedStep(step=step, scope=Scope.LOCAL, reason=Reason.DELETE, because="the cluster is gone"),)


def _journal_stays(basis: Basis) -> bool:
    """Tell whether the journal here tells of a birth that no record in this project does, and nobody is asked."""
    return basis.state.local.open_birth and basis.plane.record.phase is None and basis.intent.unasked


def _kubeconfig_is_its(basis: Basis) -> bool:
    have, recorded = basis.state.local.kubeconfig_ca, basis.plane.record.ca
    return have is not None and recorded is not None and have.startswith(recorded)


def kept(basis: Basis) -> tuple[str, ...]:
    """Name what a deletion leaves, and why."""
    return (
        *_kept_network(basis),
        *_kept_balancers(basis),
        *_kept_volumes(basis),
        *_kept_kubeconfig(basis),
        *_kept_journal(basis),
    )


def _kept_journal(basis: Basis) -> tuple[str, ...]:
    if not _journal_stays(basis):
        return ()
    return (
        f"this machine still remembers a birth of '{basis.spec.name}' that nothing in this project tells of: the token "
        "may be another project's. If that cluster is gone for good, delete without --force and type its name",
    )


def _kept_network(basis: Basis) -> tuple[str, ...]:
    if basis.spec.network.existing_network_name:
        return (f"network {basis.spec.network_name} existed before the cluster and stays",)
    if lookup.own_network(basis.spec, basis.view) is None:
        return ()
    shared = lookup.network_is_shared(basis.spec, basis.view)
    return ("the network stays: servers of others are attached to it",) if shared else ()


def _kept_balancers(basis: Basis) -> tuple[str, ...]:
    network = lookup.network_id(basis.spec, basis.view)
    others = (b for b in basis.view.load_balancers if b != lookup.deletable_load_balancer(basis.spec, basis.view))
    return tuple(
        f"load balancer {b.name} (id {b.id}) stays: if Kubernetes made it, delete it at Hetzner, it costs money"
        for b in others
        if network is not None and network in b.private_ips
    )


def _kept_volumes(basis: Basis) -> tuple[str, ...]:
    return tuple(
        f"{'volume' if len(server.volumes) == 1 else 'volumes'} {', '.join(map(str, server.volumes))} of {server.name} "
        f"{'stays' if len(server.volumes) == 1 else 'stay'}, detached: no data on volumes is deleted"
        for server in lookup.owned_servers(basis.spec.name, basis.view)
        if server.volumes
    )


def _kept_kubeconfig(basis: Basis) -> tuple[str, ...]:
    if basis.state.local.kubeconfig_ca is None or _kubeconfig_is_its(basis):
        return ()
    return (f"{basis.spec.kubeconfig_path} stays: nothing in this project proves that it is of this cluster",)


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Say what is left after a deletion."""
    match step:
        case MarkDeleting():
            return predictions.with_record(spec, state, BirthRecord(phase=Phase.DELETING))
        case DeleteServer():
            return predictions.without_resource(state, "server", step.server_id)
        case DeleteResource():
            return predictions.without_resource(state, step.kind, step.resource_id)
        case CloseBirth():
            known_as_dead = step.kubeconfig or step.ca is not None
            ca = None if known_as_dead else state.local.kubeconfig_ca
            return replace(state, local=replace(state.local, open_birth=False, kubeconfig_ca=ca))
        case _:
            return state
