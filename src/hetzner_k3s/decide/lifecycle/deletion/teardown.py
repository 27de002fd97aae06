"""Deletion: the same loop with another wish. What is not ours is never named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hetzner_k3s.decide.identity.hosts import holds_ca
from hetzner_k3s.decide.lifecycle.deletion import belongings
from hetzner_k3s.decide.lifecycle.deletion.belongings import Going, going
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import LoadBalancer, PlacementGroup
from hetzner_k3s.model.hetzner.belongings import Volume
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CloseBirth, DeleteResource, DeleteServer, MarkDeleting, MarkForDeletion, Step


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
    """Plan the next deletions: mark first, then balancer and servers, then what they used, the record last."""
    if context.control_plane.record.phase is not Phase.DELETING and _record_carrier_exists(context):
        step = MarkDeleting(target=context.spec.name)
        return Proposal((_planned(step, "whoever looks from now on must see that it goes"),))
    made = going(context)
    return Proposal(
        _marks(made)
        or _servers(context)
        or _made_by_kubernetes(made)
        or _surroundings(context)
        or _close(context)
        or _record_group(context)
    )


def _planned(step: Step, because: str) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.INFRASTRUCTURE, reason=Reason.DELETE, because=because)


def _record_carrier_exists(context: DecisionContext) -> bool:
    return _group_of_the_record(context) is not None or bool(lookup.owned_masters(context.spec.name, context.view))


def _group_of_the_record(context: DecisionContext) -> PlacementGroup | None:
    group = lookup.placement_group(naming.birth_record_placement_group(context.spec.name), context.view)
    return group if group and lookup.is_owned(context.spec.name, group.labels) else None


def _marks(made: Iterable[Going]) -> tuple[PlannedStep, ...]:
    """Plan to mark what will go after the servers."""
    return tuple(
        replace(_planned(_mark(going), "what proves whose it is goes first"), consent=going.consent)
        for going in made
        if not going.marked
    )


def _mark(going: Going) -> MarkForDeletion:
    return MarkForDeletion(target=going.resource.name, kind=going.kind, resource_id=going.resource.id, uid=going.uid)


def _made_by_kubernetes(made: Iterable[Going]) -> tuple[PlannedStep, ...]:
    """Plan to delete what is marked, once no server uses it and no controller would make it anew."""
    return tuple(
        replace(_planned(_deletion(going), _made_for(going.resource)), consent=going.consent) for going in made
    )


def _deletion(going: Going) -> DeleteResource:
    return DeleteResource(target=going.resource.name, kind=going.kind, resource_id=going.resource.id)


def _made_for(resource: Volume | LoadBalancer) -> str:
    if isinstance(resource, LoadBalancer):
        return "Kubernetes made it for a Service of this cluster"
    return f"Kubernetes made it for {resource.claim or 'this cluster'}: {resource.size} GB, and all data on it"


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
    its = kubeconfig_is_its(context)
    if not (local.open_birth or its) or journal_stays(context):
        return ()
    remove = its and not context.intent.keep_kubeconfig
    kept_ca = local.kubeconfig_ca if its and not remove else None
    step = CloseBirth(target=context.spec.name, kubeconfig=remove, ca=kept_ca)
    return (PlannedStep(step=step, scope=Scope.LOCAL, reason=Reason.DELETE, because="the cluster is gone"),)


def journal_stays(context: DecisionContext) -> bool:
    """Check whether the journal here tells of a birth that no record in this project does, and nobody is asked."""
    return context.state.local.open_birth and context.control_plane.record.phase is None and context.intent.unasked


def kubeconfig_is_its(context: DecisionContext) -> bool:
    """Check whether the kubeconfig here is proven to be this cluster's."""
    have, recorded = context.state.local.kubeconfig_ca, context.control_plane.record.ca
    return have is not None and recorded is not None and have.startswith(recorded)


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what is left after a deletion."""
    match step:
        case MarkDeleting():
            return predictions.with_record(spec, state, BirthRecord(phase=Phase.DELETING))
        case MarkForDeletion():
            return belongings.predict(state, step)
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
