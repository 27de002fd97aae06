"""Deletion: the same loop with another wish. What is not ours is never named."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.identity.hosts import holds_ca
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import PlacementGroup
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CloseBirth, DeleteResource, DeleteServer, MarkDeleting, Step


def deletion_is_of_this_cluster(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to delete a cluster that is not the one this machine's kubeconfig belongs to."""
    have, recorded = context.state.local.kubeconfig_ca, context.control_plane.record.ca
    if have is None or recorded is None or have.startswith(recorded):
        return ()
    return (
        Refusal(
            code="delete.other-cluster",
            saw=f"{context.spec.kubeconfig_path} {holds_ca(have)}; the servers of '{context.spec.name}' in "
            f"this project have {recorded[:8]}.",
            why="The wrong one of two clusters of this name could be deleted.",
            you_can="Check the Hetzner token and kubeconfig_path; move the kubeconfig away if it is stale.",
        ),
    )


def tear_down(context: DecisionContext) -> Proposal:
    """Plan the next deletions: mark first, then balancer and servers, then what they stood on, the record last."""
    if context.control_plane.record.phase is not Phase.DELETING and _record_carrier_exists(context):
        step = MarkDeleting(target=context.spec.name)
        return Proposal((_planned(step, "whoever looks from now on must see that it goes"),))
    return Proposal(_servers(context) or _surroundings(context) or _close(context) or _record_group(context))


def _planned(step: Step, because: str) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.INFRASTRUCTURE, reason=Reason.DELETE, because=because)


def _record_carrier_exists(context: DecisionContext) -> bool:
    return _group_of_the_record(context) is not None or bool(lookup.owned_masters(context.spec.name, context.view))


def _group_of_the_record(context: DecisionContext) -> PlacementGroup | None:
    group = lookup.placement_group(naming.birth_record_placement_group(context.spec.name), context.view)
    return group if group and lookup.is_owned(context.spec.name, group.labels) else None


def _servers(context: DecisionContext) -> tuple[PlannedStep, ...]:
    balancer = lookup.deletable_load_balancer(context.spec, context.view)
    steps: list[Step] = []
    if balancer is not None:
        steps.append(DeleteResource(target=balancer.name, kind="load_balancer", resource_id=balancer.id))
    steps += [
        DeleteServer(target=server.name, server_id=server.id)
        for server in lookup.owned_servers(context.spec.name, context.view)
    ]
    return tuple(_planned(step, "it carries the cluster's label") for step in steps)


def _surroundings(context: DecisionContext) -> tuple[PlannedStep, ...]:
    steps = [
        DeleteResource(target=group.name, kind="placement_group", resource_id=group.id)
        for group in lookup.deletable_groups(context.spec, context.view)
        if group.name != naming.birth_record_placement_group(context.spec.name)
    ]
    firewall = lookup.firewall(context.spec, context.view)
    if firewall is not None and lookup.is_owned(context.spec.name, firewall.labels):
        steps.append(DeleteResource(target=firewall.name, kind="firewall", resource_id=firewall.id))
    network = lookup.deletable_network(context.spec, context.view)
    if network is not None:
        steps.append(DeleteResource(target=network.name, kind="network", resource_id=network.id))
    key = lookup.ssh_key(context.spec, context.view)
    if key is not None and key.name == naming.ssh_key(context.spec.name):
        steps.append(DeleteResource(target=key.name, kind="ssh_key", resource_id=key.id))
    return tuple(_planned(step, "nothing of the cluster uses it any more") for step in steps)


def _record_group(context: DecisionContext) -> tuple[PlannedStep, ...]:
    group = _group_of_the_record(context)
    if group is None:
        return ()
    step = DeleteResource(target=group.name, kind="placement_group", resource_id=group.id)
    return (_planned(step, "it holds the record that a deletion goes on, so it goes last"),)


def _close(context: DecisionContext) -> tuple[PlannedStep, ...]:
    """Forget the cluster on this machine, while the record can still tell whose kubeconfig lies here.

    In a project without a record the kubeconfig stays, and so does the journal where nobody is asked: with the token
    of another project they are all that forbids a second cluster.
    """
    local = context.state.local
    its = _kubeconfig_is_its(context)
    if not (local.open_birth or its) or _journal_stays(context):
        return ()
    remove = its and not context.intent.keep_kubeconfig
    kept_ca = local.kubeconfig_ca if its and not remove else None
    step = CloseBirth(target=context.spec.name, kubeconfig=remove, ca=kept_ca)
    return (PlannedStep(step=step, scope=Scope.LOCAL, reason=Reason.DELETE, because="the cluster is gone"),)


def _journal_stays(context: DecisionContext) -> bool:
    """Check whether the journal here tells of a birth that no record in this project does, and nobody is asked."""
    return context.state.local.open_birth and context.control_plane.record.phase is None and context.intent.unasked


def _kubeconfig_is_its(context: DecisionContext) -> bool:
    have, recorded = context.state.local.kubeconfig_ca, context.control_plane.record.ca
    return have is not None and recorded is not None and have.startswith(recorded)


def kept(context: DecisionContext) -> tuple[str, ...]:
    """Name what a deletion leaves, and why."""
    return (
        *_kept_network(context),
        *_kept_balancers(context),
        *_kept_volumes(context),
        *_kept_kubeconfig(context),
        *_kept_journal(context),
    )


def _kept_journal(context: DecisionContext) -> tuple[str, ...]:
    if not _journal_stays(context):
        return ()
    return (
        f"this machine still remembers a bootstrap of '{context.spec.name}' that nothing in this project "
        "tells of: the token "
        "may be another project's. If that cluster is gone for good, delete without --force and type its name",
    )


def _kept_network(context: DecisionContext) -> tuple[str, ...]:
    if context.spec.network.existing_network_name:
        return (f"network {context.spec.network_name} existed before the cluster and stays",)
    if lookup.own_network(context.spec, context.view) is None:
        return ()
    shared = lookup.network_is_shared(context.spec, context.view)
    return ("the network stays: servers of others are attached to it",) if shared else ()


def _kept_balancers(context: DecisionContext) -> tuple[str, ...]:
    network = lookup.network_id(context.spec, context.view)
    others = (b for b in context.view.load_balancers if b != lookup.deletable_load_balancer(context.spec, context.view))
    return tuple(
        f"load balancer {b.name} (id {b.id}) stays: if Kubernetes made it, delete it at Hetzner, it costs money"
        for b in others
        if network is not None and network in b.private_ips
    )


def _kept_volumes(context: DecisionContext) -> tuple[str, ...]:
    return tuple(
        f"{'volume' if len(server.volumes) == 1 else 'volumes'} {', '.join(map(str, server.volumes))} of {server.name} "
        f"{'stays' if len(server.volumes) == 1 else 'stay'}, detached: no data on volumes is deleted"
        for server in lookup.owned_servers(context.spec.name, context.view)
        if server.volumes
    )


def _kept_kubeconfig(context: DecisionContext) -> tuple[str, ...]:
    if context.state.local.kubeconfig_ca is None or _kubeconfig_is_its(context):
        return ()
    return (f"{context.spec.kubeconfig_path} stays: nothing in this project proves that it is of this cluster",)


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what is left after a deletion."""
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
