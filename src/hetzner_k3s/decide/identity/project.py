"""Gates about what Hetzner showed: complete, ours, and under the names of the file."""

from __future__ import annotations

from typing import Final

from hetzner_k3s.decide.identity import meeting_place
from hetzner_k3s.decide.identity.server_labels import restore_labels
from hetzner_k3s.decide.view import given_up
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import AcceptCa, Consent, Keep, Prune, Replace, ResetQuorumFrom, Restore
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.identity import Phase, RecordConflict
from hetzner_k3s.model.plan import EVERY, Refusal, Way


def listing_complete(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while the project could not be listed whole: what is not shown may exist."""
    if not isinstance(context.state.cloud, Unknown):
        return ()
    return (
        Refusal(
            code="listing.incomplete",
            saw=f"The Hetzner listing is incomplete: {context.state.cloud.why}.",
            why="What a listing does not show may exist all the same, so nothing can be proven absent.",
            you_can="Run the command again when the Hetzner API answers.",
        ),
    )


def record_agrees(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when two resources tell of two births."""
    record = lookup.birth_record(context.spec, context.view)
    if not isinstance(record, RecordConflict) or context.control_plane.former_ca is not None:
        return ()
    values = " and ".join(record.values)
    return (
        Refusal(
            code="record.conflict",
            saw=f"The labels of {context.spec.name}'s resources name two values of '{record.field}': {values}.",
            why="They belong to two bootstraps or two lineages; taking either side could lose the other's data.",
            you_can="Look which servers carry which label.",
            ways=(
                Way(text=_REMOVE_ONE, deletes=_carriers(context)),
                *(_half_accepted(context, record.values) if record.field == "ca" else ()),
            ),
        ),
    )


_REMOVE_ONE = "Remove the resources of the cluster that you do not keep."


def _carriers(context: DecisionContext) -> frozenset[str]:
    """Name what carries a record: the masters, and what they share."""
    shared = (carrier.name for carrier in lookup.shared_carriers(context.spec, context.view))
    return frozenset((*shared, *(server.name for server in lookup.owned_masters(context.spec.name, context.view))))


def _half_accepted(context: DecisionContext, values: tuple[str, ...]) -> tuple[Way, ...]:
    served = {m.facts.disk.server_ca for m in context.control_plane.all_masters if m.facts and m.facts.disk.server_ca}
    answered = [ca[:8] for ca in values if any(whole.startswith(ca) for whole in served)]
    given: Consent | type[Consent] = AcceptCa(answered[0]) if len(answered) == 1 else AcceptCa
    typed = given if isinstance(given, Consent) else given.flag
    return (Way(text=f"If a run with `{typed}` was cut off here, give that flag again.", consent=given),)


def not_deleting(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to create into a cluster whose deletion has begun."""
    if context.control_plane.record.phase is not Phase.DELETING:
        return ()
    return (
        Refusal(
            code="cluster.deleting",
            saw=f"A deletion of {context.spec.name} has begun (label {naming.LABEL_PHASE}=deleting).",
            why="Parts of it may be gone already; what is left is not a cluster to repair.",
            you_can="Finish it with `hetzner-k3s delete --config …`, with the same flags as before: without them "
            "volumes and load balancers that Kubernetes made stay. Then create anew.",
        ),
    )


def names_are_ours(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when a name of ours is taken by a server without our labels, or masters exist under other names."""
    roles = {s.name: s.role for s in context.spec.servers()}
    wanted = roles.keys()
    foreign = [s for s in context.view.servers if s.name in wanted and not _ours(context, s, roles[s.name])]
    return (*(_foreign(context, s) for s in foreign), *_renamed(context, masters_of_other_names(context)))


def masters_of_other_names(context: DecisionContext) -> tuple[Server, ...]:
    """Return the masters that exist under names which neither the file nor its own numbering has, by id.

    While there are any, nothing can be said about the masters of the file: they are not lost, they are these.
    """
    wanted = {s.name for s in context.spec.servers()}
    others = {s.id: s for s in lookup.owned_masters(context.spec.name, context.view) if s.name not in wanted}
    others |= {s.id: s for s in context.view.servers if s.name not in wanted and _named_like_a_master(context, s)}
    surplus = {
        m.server.id for m in context.control_plane.surplus if m.server
    }  # of our own naming: `permission` tells of them
    return tuple(server for number, server in sorted(others.items()) if number not in surplus)


def _ours(context: DecisionContext, server: Server, role: str) -> bool:
    return naming.server_labels(context.spec.name, role).items() <= server.labels.items()


def _named_like_a_master(context: DecisionContext, server: Server) -> bool:
    """Check whether an unlabelled server has a name that a master of this cluster could have had."""
    pattern = naming.master_name_pattern(context.spec.name)
    return naming.LABEL_CLUSTER not in server.labels and pattern.fullmatch(server.name) is not None


def _foreign(context: DecisionContext, server: Server) -> Refusal:
    """Refuse a server that may have lost its labels, or be another's: of a born cluster it may be the only master."""
    born = context.control_plane.record.phase is Phase.BORN
    ours = f"If it is the cluster's, {restore_labels(context, server)} " if born else ""
    return Refusal(
        code="server.foreign",
        saw=f"Server {server.name} (id {server.id}) exists, but does not carry the labels of this cluster.",
        why="It is not ours to use or to change, and its name is needed.",
        you_can=f"{ours}If it is somebody else's, rename it" + (" and run `create` again." if born else _OR_ANOTHER),
        keeps=EVERY if born else frozenset(),
        ways=() if born else (Way(deletes=frozenset({server.name})),),
    )


_OR_ANOTHER = " or delete it, or choose another cluster_name."


def _renamed(context: DecisionContext, servers: tuple[Server, ...]) -> tuple[Refusal, ...]:
    if not servers:
        return ()
    names = ", ".join(f"{s.name} (id {s.id})" for s in servers)
    return (
        Refusal(
            code="masters.other-names",
            saw=f"Masters exist that the file does not name: {names}.",
            why="Renaming masters and removing them are not supported, and new ones beside them could be a second "
            "cluster.",
            you_can=_old_names(context, servers),
        ),
    )


def _old_names(context: DecisionContext, servers: tuple[Server, ...]) -> str:
    """Return which key of the file made other names of the same numbers: servers' types are in their names, or not."""
    pattern = naming.master_name_pattern(context.spec.name)
    numbers = {found[1] for s in servers if (found := pattern.fullmatch(s.name))}
    if not numbers & {str(master.index) for master in context.spec.masters}:
        return "Restore the masters_pool (count, instance type in names) that the cluster was made with."
    plain = {naming.master_name(context.spec.name, int(number)) for number in numbers}
    with_types = not {s.name for s in servers} & plain
    if with_types and not set(context.spec.master_names) & plain:
        return "Write the masters_pool.instance_type that is in these names back into the file."
    return f"Set include_instance_type_in_instance_name back to {str(with_types).lower()}: these are the same masters."


def resources_are_ours(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when a network, firewall, balancer or placement group of others has a name of ours."""
    named = {
        "network": lookup.made_network(context.spec, context.view),
        "firewall": lookup.firewall(context.spec, context.view),
        "load balancer": lookup.load_balancer(context.spec, context.view),
    }
    groups = (lookup.placement_group(group.name, context.view) for group in context.spec.placement_groups())
    found = [*named.items(), *(("placement group", group) for group in groups)]
    return tuple(
        _foreign_resource(kind, resource.name)
        for kind, resource in found
        if resource is not None and resource.labels.get(naming.LABEL_CLUSTER) != context.spec.name
    )


def _foreign_resource(kind: str, name: str) -> Refusal:
    return Refusal(
        code="resource.foreign",
        saw=f"The {kind} {name} exists, but does not carry the label of this cluster.",
        why="It is not ours to use or to change, and its name is needed.",
        you_can="Rename it or choose another cluster_name; a network that is meant to be used goes into "
        "networking.private_network.existing_network_name.",
    )


_WHAT_NEEDS_THE_NETWORK: Final = frozenset({Replace, Prune, ResetQuorumFrom, Restore, Keep, AcceptCa})
"""Consents to steps that would go by the nodes' addresses."""


def network_exists(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when the network is missing that the file says exists, or that a born cluster lives in."""
    if (meeting := meeting_place.elsewhere(context)) is not None:
        return (_made_otherwise(context, meeting),)
    if not lookup.lacks_network(context.spec, context.view):
        return ()
    name = context.spec.network.existing_network_name
    if name is None:
        lives = context.control_plane.record.phase is Phase.BORN and not given_up.consented(context)
        return (_network_gone(context),) if lives else ()
    return (
        Refusal(
            code="network.missing",
            saw=f"The project has no network named {name}.",
            why="The file says that it exists already, so it is not ours to make.",
            you_can="Correct networking.private_network.existing_network_name, or create the network.",
        ),
    )


def _made_otherwise(context: DecisionContext, elsewhere: str) -> Refusal:
    private = context.spec.network.private
    return Refusal(
        code="network.made-otherwise",
        saw=f"The file says `private_network.enabled: {str(private).lower()}`, and {elsewhere}.",
        why="The addresses at which the nodes meet are the masters' names for one another; a node that meets them "
        "elsewhere would not be reached.",
        you_can=f"Write `enabled: {str(not private).lower()}` below networking.private_network.",
        forbids=_WHAT_NEEDS_THE_NETWORK,
    )


def _network_gone(context: DecisionContext) -> Refusal:
    return Refusal(
        code="network.gone",
        saw=f"The private network {context.spec.network_name} of a cluster that was initialized is not in the project.",
        why="The masters' addresses in it were their names for one another; a new network does not bring them back.",
        you_can="Check whether it was renamed. If it was deleted, nothing here can repair that yet.",
        forbids=_WHAT_NEEDS_THE_NETWORK,
    )


def ssh_key_is_ours(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when the key's name is taken by another key."""
    name = context.spec.ssh_key_name
    if lookup.ssh_key(context.spec, context.view):
        return ()
    named = next((k for k in context.view.ssh_keys if k.name == name), None)
    if named is None and context.spec.ssh.existing_ssh_key_name is None:
        return ()
    saw = (
        f"The project's SSH key {name} has the fingerprint {named.fingerprint}, your public key another."
        if named
        else f"The project has no SSH key named {name}."
    )
    return (
        Refusal(
            code="ssh-key.other",
            saw=saw,
            why="Servers made with it would not let us in.",
            you_can="Correct networking.ssh.public_key_path or existing_ssh_key_name.",
        ),
    )
