"""The product's table of contents: what forbids acting, and what is done, in order.

All gates are evaluated and any refusal stops every scope: no server is bought, no worker deleted beside a control plane
that we do not understand. Only first aid, which needs no host and loses nothing, is held by nothing but what speaks
against it. Then come the moves. Of CONTROL_PLANE the first with an opinion decides; the others are
scopes of their own.
"""

from __future__ import annotations

from hetzner_k3s.decide import consents, first_aid
from hetzner_k3s.decide.concurrency import startable
from hetzner_k3s.decide.differences import differences
from hetzner_k3s.decide.disaster import abandon, quorum_reset, restore, split_brain
from hetzner_k3s.decide.identity import ca_pins, ca_rotation, hosts, lineage, made_by_2x, project
from hetzner_k3s.decide.lifecycle import (
    addons,
    bootstrap,
    deletion_obstacles,
    external_database,
    infra,
    join,
    kubeconfig,
    node_labels,
    silent_api,
    teardown,
    token_copy,
    unfinished,
    uninitialized_nodes,
    user_commands,
    workers,
)
from hetzner_k3s.decide.preflight import access, alarms, clocks, critical_config, encryption, orders, steadiness, tokens
from hetzner_k3s.decide.prune import load_balancer, permission, retire
from hetzner_k3s.decide.repair import (
    power,
    reconnect,
    remediate,
    removed_member,
    replace,
    stale_nodes,
    unhealthy_masters,
)
from hetzner_k3s.decide.view.context import Basis, Gate, Move, Note, Opinion, basis_of
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Intent, Plan, Refusal, StepKey, Verb, agreeing
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

PROJECT_GATES: tuple[Gate, ...] = (
    project.listing_complete,
    project.record_agrees,
    project.not_deleting,
    project.names_are_ours,
    project.resources_are_ours,
    project.network_exists,
    project.ssh_key_is_ours,
    access.operator_stays_in,
    clocks.own_clock_right,
    external_database.datastore_agrees,
    orders.orders_can_be_filled,
    made_by_2x.made_by_2x,
)
"""What the listing itself forbids, wherever the cluster's data lies."""

GATES: tuple[Gate, ...] = (
    *PROJECT_GATES,
    hosts.hosts_are_known,
    hosts.one_identity,
    hosts.one_member_list,
    lineage.one_lineage,
    lineage.masters_of_one_lineage,
    hosts.kubeconfig_fits,
    hosts.agents_fit,
    bootstrap.birth_permitted,
    split_brain.past_members,
    quorum_reset.quorum_lost,
    restore.loss_answered,
    unhealthy_masters.birth_can_go_on,
    unhealthy_masters.servers_are_ours,
    unhealthy_masters.healthy_master_left,
    unhealthy_masters.masters_explained,
    remediate.members_explained,
    permission.surplus_out_of_the_way,
    permission.surplus_may_go,
    stale_nodes.nodes_explained,
    critical_config.configuration_agrees,
    encryption.encryption_at_rest,
    clocks.clocks_agree,
    tokens.joins_are_accepted,
    restore.agent_token_found,
    alarms.datastore_takes_writes,
    workers.workers_explained,
    restore.consent_fits,
    abandon.consent_fits,
    consents.consents_fit,
)

WHILE_FENCING: tuple[Gate, ...] = (
    project.listing_complete,
    project.record_agrees,
    project.not_deleting,
    project.names_are_ours,
    hosts.hosts_are_known,
    consents.consents_fit,
)

WHILE_DELETING: tuple[Gate, ...] = (project.listing_complete, project.record_agrees, project.not_deleting)
"""Where a deletion has begun: what is left is no cluster to repair, so nobody says how it could be."""

OF_2X_GATES: tuple[Gate, ...] = (made_by_2x.made_by_2x,)
"""Where the cluster is one of hetzner-k3s 2.x: to the other gates it looks like a birth with servers in its way."""

WHILE_ROTATED: tuple[Gate, ...] = (
    *PROJECT_GATES,
    hosts.hosts_are_known,
    hosts.one_identity,
    consents.consents_fit,
)
"""Where the CA was rotated and its owner has not said so yet, or not every master runs with the new one."""

ON_DATABASE_GATES: tuple[Gate, ...] = (
    *PROJECT_GATES,
    hosts.hosts_are_known,
    hosts.one_identity,
    lineage.one_lineage,
    hosts.kubeconfig_fits,
    hosts.agents_fit,
    bootstrap.birth_permitted,
    external_database.database_serves,
    external_database.agent_token_found,
    unhealthy_masters.servers_are_ours,
    unhealthy_masters.masters_explained,
    permission.surplus_may_go,
    stale_nodes.nodes_explained,
    critical_config.configuration_agrees,
    encryption.encryption_at_rest,
    clocks.clocks_agree,
    tokens.joins_are_accepted,
    workers.workers_explained,
    consents.consents_fit,
)
"""Where the cluster's data lies outside its masters: nothing about members, quorum, snapshots."""

BESIDE_OTHER_DATA: tuple[Gate, ...] = (
    project.listing_complete,
    project.record_agrees,
    project.not_deleting,
    project.names_are_ours,
    external_database.datastore_agrees,
)
"""Where the file names another place for the data, or the masters by other names: nothing is lost there, and whoever
spoke of lost masters would give wrong advice.
"""

NOTES: tuple[Note, ...] = (
    orders.orders_told,
    permission.notes,
    load_balancer.notes,
    clocks.clocks_told,
    clocks.own_clock_note,
    tokens.tokens_told,
    alarms.alarms_told,
    stale_nodes.false_claims_told,
    abandon.notes,
    uninitialized_nodes.notes,
    addons.credentials_told,
)
DEGRADED: tuple[Note, ...] = (
    unhealthy_masters.left_alone,
    abandon.left_behind,
    uninitialized_nodes.left_tainted,
    user_commands.failed,
)
"""What is not well and is left as it is: a run that has nothing else to do ends with exit code 3."""

BEFORE_ALL: tuple[Move, ...] = (power.give_power,)
"""Moves beside which nothing else is planned."""


CONTROL_PLANE: tuple[Move, ...] = (
    split_brain.fence_other_side,
    ca_rotation.renew_record,
    abandon.forget,
    restore.bring_back,
    quorum_reset.reset_quorum,
    bootstrap.give_birth,
    lineage.adopt_lineage,
    bootstrap.complete_record,
    tokens.renew_tokens,
    silent_api.await_api,
    replace.discard,
    remediate.repair,
    retire.let_the_dead_go,
    removed_member.wipe_former,
    join.join_masters,
    retire.let_masters_go,
)

ON_DATABASE: tuple[Move, ...] = (
    bootstrap.give_birth,
    ca_rotation.renew_record,
    bootstrap.complete_record,
    tokens.renew_tokens,
    silent_api.await_api,
    replace.discard,
    remediate.repair,
    external_database.start_masters,
    external_database.let_masters_go,
)
"""In the place of CONTROL_PLANE, where the cluster's data lies outside its masters."""

MOVES: tuple[Move, ...] = (
    steadiness.await_steady,
    infra.lay_infrastructure,
    reconnect.reconnect_workers,
    reconnect.correct_server_lines,
    ca_pins.renew_pins,
    join.prepare_masters,
    workers.bring_up_workers,
    retire.let_workers_go,
    retire.take_back,
    node_labels.label_nodes,
    addons.apply_addons,
    uninitialized_nodes.await_controller,
    user_commands.await_commands,
    tokens.pin_tokens,
    kubeconfig.write_kubeconfig,
    load_balancer.let_balancer_go,
    token_copy.keep_tokens,
)

BEFORE_THE_END: tuple[Gate, ...] = (unfinished.cluster_lives,)
"""Asked where nothing is left to do or to wait for: what forbids calling the cluster up to date."""

DELETE_GATES: tuple[Gate, ...] = (
    project.listing_complete,
    project.record_agrees,
    teardown.deletion_is_of_this_cluster,
    deletion_obstacles.nothing_protected,
    deletion_obstacles.nothing_used_by_others,
)


def plan(spec: ClusterSpec, state: ClusterState, intent: Intent, in_flight: frozenset[StepKey] = frozenset()) -> Plan:
    """Decide what may be started now, beside the steps in flight."""
    basis = basis_of(spec, state, intent, in_flight)
    create = intent.verb is Verb.CREATE
    notes = (*spec.not_yet, *(told for note in NOTES for told in note(basis))) if create else teardown.kept(basis)
    degraded = tuple(told for note in DEGRADED for told in note(basis)) if create else ()
    differing = differences(basis) if create else ()
    refusals = _refusals(basis, _gates(basis) if create else DELETE_GATES)
    if refusals:
        aid = startable(first_aid.first_aid(basis) if create else (), in_flight)
        return Plan(steps=aid, refusals=refusals, notes=notes, degraded=degraded, differences=differing)
    opinions = _opinions(basis) if create else (teardown.tear_down(basis),)
    steps = startable((step for opinion in opinions for step in opinion.steps), in_flight)
    waits = tuple(wait for opinion in opinions for wait in opinion.waits)
    if create and not (steps or waits or in_flight):
        refusals = tuple(refusal for gate in BEFORE_THE_END for refusal in gate(basis))
    return Plan(steps=steps, waits=waits, refusals=refusals, notes=notes, degraded=degraded, differences=differing)


def _gates(basis: Basis) -> tuple[Gate, ...]:
    """Give the gates of `create`: where the cluster's data lies decides (`ControlPlane.store`), here and for moves."""
    renamed = basis.plane.record.phase is Phase.BORN and project.masters_of_other_names(basis)
    if renamed or external_database.datastore_agrees(basis):
        return BESIDE_OTHER_DATA
    if basis.plane.record.phase is Phase.DELETING:
        return WHILE_DELETING
    if made_by_2x.is_of_2x(basis):
        return OF_2X_GATES
    if hosts.was_rotated(basis):
        return WHILE_ROTATED
    return ON_DATABASE_GATES if basis.plane.on_database else GATES


def _refusals(basis: Basis, gates: tuple[Gate, ...]) -> tuple[Refusal, ...]:
    """Ask every gate; of a listing that failed only the first one speaks, since to the others it looks like nothing.

    While one side of a split brain is being fenced, nothing else is done, and most gates would only tell of the split.
    """
    asked = gates if isinstance(basis.state.cloud, Known) else (project.listing_complete,)
    asked = WHILE_FENCING if asked is GATES and split_brain.is_fencing(basis) else asked
    return agreeing(tuple(refusal for gate in asked for refusal in gate(basis)))


def _opinions(basis: Basis) -> tuple[Opinion, ...]:
    before_all = tuple(opinion for move in BEFORE_ALL if (opinion := move(basis)) is not None)
    if before_all:
        return before_all
    control_plane = ON_DATABASE if basis.plane.on_database else CONTROL_PLANE
    first = next((opinion for move in control_plane if (opinion := move(basis)) is not None), Opinion())
    if first.alone:
        return (first,)
    return (*(opinion for move in MOVES if (opinion := move(basis)) is not None), first)
