"""The product's table of contents: for each verb and situation what forbids acting, and what is done, in order.

All gates are evaluated and any refusal stops every scope: no server is bought, no worker deleted beside a control plane
that we do not understand. Only first aid, which needs no host and loses nothing, is held by nothing but what speaks
against it. Then come the moves: of those of the control plane the first with a proposal decides, the others are scopes
of their own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from hetzner_k3s.decide import consents, first_aid, invariants
from hetzner_k3s.decide.concurrency import startable
from hetzner_k3s.decide.differences import differences
from hetzner_k3s.decide.disaster import abandon, quorum_reset, restore, split_brain
from hetzner_k3s.decide.identity import ca_pins, ca_rotation, hosts, lineage, made_by_2x, project
from hetzner_k3s.decide.lifecycle import (
    access,
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
from hetzner_k3s.decide.preflight import alarms, clocks, critical_config, encryption, orders, steadiness, tokens
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
from hetzner_k3s.decide.situation import situation_of
from hetzner_k3s.decide.view.context import DecisionContext, Gate, Move, Note, Proposal, context_of
from hetzner_k3s.decide.view.situations import (
    AllLost,
    Bootstrapping,
    Deleting,
    MadeBy2x,
    OnDatabase,
    OtherData,
    QuorumLost,
    Restored,
    Rotated,
    Serving,
    Situation,
    SplitBrain,
    Uninitialized,
    Unlisted,
)
from hetzner_k3s.model.plan import Intent, Plan, Refusal, StepKey, Verb, agreeing
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

_LISTED: tuple[Gate, ...] = (
    project.listing_complete,
    project.record_agrees,
    project.not_deleting,
    project.names_are_ours,
)
"""What the listing forbids even where hardly anything else is asked."""

PROJECT_GATES: tuple[Gate, ...] = (
    *_LISTED,
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
    bootstrap.bootstrap_permitted,
    split_brain.past_members,
    quorum_reset.quorum_lost,
    restore.loss_answered,
    unhealthy_masters.bootstrap_can_go_on,
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

ON_DATABASE_GATES: tuple[Gate, ...] = (
    *PROJECT_GATES,
    hosts.hosts_are_known,
    hosts.one_identity,
    lineage.one_lineage,
    hosts.kubeconfig_fits,
    hosts.agents_fit,
    bootstrap.bootstrap_permitted,
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

NOTES: tuple[Note, ...] = (
    orders.orders_notes,
    permission.notes,
    load_balancer.notes,
    clocks.clock_notes,
    clocks.own_clock_note,
    tokens.token_notes,
    alarms.alarm_notes,
    stale_nodes.false_claim_notes,
    abandon.notes,
    uninitialized_nodes.notes,
    addons.credential_notes,
)
DEGRADED: tuple[Note, ...] = (
    unhealthy_masters.left_alone,
    abandon.left_behind,
    uninitialized_nodes.left_tainted,
    user_commands.failed,
)
"""What is not well and is left as it is: a run that has nothing else to do ends with exit code 3."""


PREPARATION: tuple[Move, ...] = (
    steadiness.await_steady,
    infra.ensure_infrastructure,
    join.prepare_masters,
    workers.bring_up_workers,
    retire.take_back,
)
"""What can be done before a master serves: everything up to the start of k3s (`take_back` waits for a master)."""

BESIDE_A_GATEWAY: tuple[Move, ...] = (
    steadiness.await_steady,
    infra.ensure_infrastructure,
    reconnect.reconnect_workers,
    reconnect.correct_server_lines,
    ca_pins.renew_pins,
    join.prepare_masters,
    workers.bring_up_workers,
    retire.remove_workers,
    retire.take_back,
    node_labels.label_nodes,
    addons.apply_addons,
    uninitialized_nodes.await_controller,
    user_commands.await_commands,
    tokens.pin_tokens,
    kubeconfig.write_kubeconfig,
    load_balancer.remove_load_balancer,
    token_copy.keep_tokens,
)
"""The scopes beside the control plane where a master serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a verb does in a situation.

    Args:
        gates: all are asked; one refusal stops every scope.
        before_all: moves beside which nothing else is planned.
        control_plane: moves of which the first with a proposal decides.
        moves: scopes of their own.
        before_the_end: gates that are asked where nothing is left to do or to wait for.
    """

    gates: tuple[Gate, ...]
    before_all: tuple[Move, ...] = ()
    control_plane: tuple[Move, ...] = ()
    moves: tuple[Move, ...] = ()
    before_the_end: tuple[Gate, ...] = (unfinished.cluster_lives,)


def _of_etcd(*control_plane: Move, moves: tuple[Move, ...] = PREPARATION) -> Program:
    return Program(gates=GATES, before_all=(power.power_on,), control_plane=control_plane, moves=moves)


CREATE: Mapping[type[Situation], Program] = {
    Unlisted: Program(gates=(project.listing_complete,)),
    OtherData: Program(gates=(*_LISTED, external_database.datastore_agrees)),
    Deleting: Program(gates=(project.listing_complete, project.record_agrees, project.not_deleting)),
    MadeBy2x: Program(gates=(made_by_2x.made_by_2x,)),
    Rotated: Program(gates=(*PROJECT_GATES, hosts.hosts_are_known, hosts.one_identity, consents.consents_fit)),
    SplitBrain: Program(
        gates=(*_LISTED, hosts.hosts_are_known, consents.consents_fit),
        before_all=(power.power_on,),
        control_plane=(split_brain.fence_other_side,),
    ),
    Uninitialized: _of_etcd(bootstrap.initialize),
    Bootstrapping: _of_etcd(bootstrap.initialize),
    Serving: _of_etcd(
        ca_rotation.renew_record,
        lineage.adopt_lineage,
        bootstrap.complete_record,
        tokens.renew_tokens,
        silent_api.await_api,
        replace.discard,
        remediate.repair,
        retire.remove_dead_members,
        removed_member.wipe_removed_member,
        join.join_masters,
        retire.remove_masters,
        moves=BESIDE_A_GATEWAY,
    ),
    QuorumLost: _of_etcd(ca_rotation.renew_record, quorum_reset.reset_quorum),
    AllLost: _of_etcd(ca_rotation.renew_record, abandon.forget, restore.bring_back),
    Restored: _of_etcd(ca_rotation.renew_record, restore.bring_back),
    OnDatabase: Program(
        gates=ON_DATABASE_GATES,
        before_all=(power.power_on,),
        control_plane=(
            bootstrap.initialize,
            ca_rotation.renew_record,
            bootstrap.complete_record,
            tokens.renew_tokens,
            silent_api.await_api,
            replace.discard,
            remediate.repair,
            external_database.start_masters,
            external_database.remove_masters,
        ),
        moves=BESIDE_A_GATEWAY,
    ),
}

_DELETION = Program(
    gates=(
        project.record_agrees,
        teardown.deletion_is_of_this_cluster,
        deletion_obstacles.nothing_protected,
        deletion_obstacles.nothing_used_by_others,
    ),
    moves=(teardown.tear_down,),
    before_the_end=(),
)

PROGRAM: Mapping[tuple[Verb, type[Situation]], Program] = {
    **{(Verb.CREATE, situation): program for situation, program in CREATE.items()},
    **{(Verb.DELETE, situation): _DELETION for situation in CREATE},
    (Verb.DELETE, Unlisted): dataclasses.replace(CREATE[Unlisted], before_the_end=()),
}
"""What each verb does in each situation. In those of `create` without moves something is always refused."""


def plan(spec: ClusterSpec, state: ClusterState, intent: Intent, in_flight: frozenset[StepKey] = frozenset()) -> Plan:
    """Decide what may be started now, beside the steps in flight, and say what is said beside them."""
    context = context_of(spec, state, intent, in_flight)
    decided = _next(context)
    invariants.check(context, decided)
    return dataclasses.replace(_told(context), steps=decided.steps, waits=decided.waits, refusals=decided.refusals)


def next_steps(spec: ClusterSpec, state: ClusterState, intent: Intent) -> Plan:
    """Decide likewise for a predicted state, of which nobody is told anything."""
    return _next(context_of(spec, state, intent, frozenset()))


def _next(context: DecisionContext) -> Plan:
    program, in_flight = PROGRAM[context.intent.verb, type(situation_of(context))], context.in_flight
    if refusals := _refusals(context, program.gates):
        aid = first_aid.first_aid(context) if context.intent.verb is Verb.CREATE else ()
        return Plan(steps=startable(aid, in_flight), refusals=refusals)
    proposals = _proposals(context, program)
    steps = startable((step for proposal in proposals for step in proposal.steps), in_flight)
    waits = tuple(wait for proposal in proposals for wait in proposal.waits)
    last = () if steps or waits or in_flight else program.before_the_end
    return Plan(steps=steps, waits=waits, refusals=_refusals(context, last))


def _told(context: DecisionContext) -> Plan:
    """Return a plan without steps that says what is said beside them."""
    if context.intent.verb is Verb.DELETE:
        return Plan(notes=teardown.kept(context))
    return Plan(
        notes=(*context.spec.not_yet, *(told for note in NOTES for told in note(context))),
        degraded=tuple(told for note in DEGRADED for told in note(context)),
        differences=differences(context),
    )


def _refusals(context: DecisionContext, gates: tuple[Gate, ...]) -> tuple[Refusal, ...]:
    return agreeing(tuple(refusal for gate in gates for refusal in gate(context)))


def _proposals(context: DecisionContext, program: Program) -> tuple[Proposal, ...]:
    if before_all := _heard(context, program.before_all):
        return before_all
    first = next((proposal for move in program.control_plane if (proposal := move(context)) is not None), Proposal())
    return (first,) if first.alone else (*_heard(context, program.moves), first)


def _heard(context: DecisionContext, moves: tuple[Move, ...]) -> tuple[Proposal, ...]:
    return tuple(proposal for move in moves if (proposal := move(context)) is not None)
