"""The product's table of contents: for each verb and situation what forbids acting, and what is done, in order.

How the rules are asked, `asking.py` says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from hetzner_k3s.decide import consents, first_aid, gates, invariants
from hetzner_k3s.decide.adopt import adoption
from hetzner_k3s.decide.asking import Program, Wish
from hetzner_k3s.decide.disaster import abandon, quorum_reset, restore, split_brain
from hetzner_k3s.decide.identity import ca_pins, ca_rotation, hosts, lineage, project
from hetzner_k3s.decide.lifecycle import (
    addons,
    bootstrap,
    external_database,
    infra,
    join,
    kubeconfig,
    node_labels,
    silent_api,
    token_copy,
    unfinished,
    uninitialized_nodes,
    user_commands,
    workers,
)
from hetzner_k3s.decide.lifecycle.deletion import leftovers, obstacles, teardown
from hetzner_k3s.decide.preflight import alarms, clocks, orders, steadiness, tokens
from hetzner_k3s.decide.prune import addons as addons_off
from hetzner_k3s.decide.prune import load_balancer, permission, retire
from hetzner_k3s.decide.repair import (
    power,
    reconnect,
    remediate,
    removed_member,
    replace,
    stale_nodes,
    stopped_workers,
    unhealthy_masters,
)
from hetzner_k3s.decide.rollout import addons as rollout_of_addons
from hetzner_k3s.decide.rollout import masters as rollout_of_masters
from hetzner_k3s.decide.rollout import staging, surge
from hetzner_k3s.decide.rollout import workers as rollout_of_workers
from hetzner_k3s.decide.situation import situation_of
from hetzner_k3s.decide.view.context import (
    DecisionContext,
    Gate,
    GateOf,
    Move,
    MoveOf,
    Note,
    ServingContext,
    UnservedContext,
)
from hetzner_k3s.decide.view.situations import (
    Adopted,
    AllLost,
    Bootstrapping,
    Deleting,
    MadeBy2x,
    OtherData,
    QuorumLost,
    Restored,
    Rotated,
    Serving,
    ServingOnDatabase,
    Situation,
    SplitBrain,
    Uninitialized,
    UninitializedOnDatabase,
    Unlisted,
    UnservedOnDatabase,
)
from hetzner_k3s.model.plan import Intent, Plan, StepKey, Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

NOTES: tuple[Note, ...] = (
    lambda context: context.spec.not_yet,
    orders.orders_notes,
    permission.notes,
    power.notes,
    load_balancer.notes,
    clocks.clock_notes,
    clocks.own_clock_note,
    tokens.token_notes,
    alarms.alarm_notes,
    stale_nodes.false_claim_notes,
    abandon.notes,
    adoption.notes,
    uninitialized_nodes.notes,
    addons.credential_notes,
    rollout_of_addons.notes,
)
DEGRADED: tuple[Note, ...] = (
    unhealthy_masters.left_alone,
    abandon.left_behind,
    uninitialized_nodes.left_tainted,
    user_commands.failed,
    adoption.left_to_do,
    rollout_of_addons.left_undone,
)
"""What is not well and is left as it is: a run that has nothing else to do ends with exit code 3."""


PREPARATION: tuple[Move, ...] = (
    steadiness.await_steady,
    infra.ensure_infrastructure,
    join.prepare_masters,
    workers.bring_up_workers,
)
"""What can be done before a master serves: everything up to the start of k3s."""

BESIDE_A_GATEWAY: tuple[MoveOf[ServingContext], ...] = (
    steadiness.await_steady,
    infra.ensure_infrastructure,
    reconnect.reconnect_workers,
    reconnect.correct_server_lines,
    ca_pins.renew_pins,
    stopped_workers.start_workers,
    join.prepare_masters,
    workers.join_workers,
    staging.stage_k3s,
    rollout_of_workers.roll_workers,
    retire.remove_workers,
    retire.take_back,
    surge.keep_what_the_file_wants,
    node_labels.label_nodes,
    addons.apply_addons,
    rollout_of_addons.take_over,
    addons_off.remove_addons,
    uninitialized_nodes.await_controller,
    user_commands.await_commands,
    tokens.pin_tokens,
    kubeconfig.write_kubeconfig,
    load_balancer.remove_load_balancer,
    token_copy.keep_tokens,
)
"""The scopes beside the control plane where a master serves."""


_LIVES: tuple[Gate, ...] = (unfinished.cluster_lives,)


def _refusing(*asked: Gate) -> Program[DecisionContext]:
    """Return a program of a situation in which something is always refused."""
    return Program(given=DecisionContext, gates=asked, before_the_end=_LIVES)


def _adopting(asked: tuple[Gate, ...], control_plane: Move) -> Program[DecisionContext]:
    """Return a program that records a cluster of 2.x: that is all that is done, whatever else the file asks for."""
    return Program(given=DecisionContext, gates=asked, control_plane=(control_plane,))


def _anywhere(
    asked: tuple[Gate, ...], *control_plane: Move, moves: tuple[Move, ...] = PREPARATION
) -> Program[DecisionContext]:
    return Program(
        given=DecisionContext,
        gates=asked,
        before_all=(power.power_on,),
        control_plane=control_plane,
        moves=moves,
        before_the_end=_LIVES,
    )


def _unserved(
    asked: tuple[GateOf[UnservedContext], ...], *control_plane: MoveOf[UnservedContext]
) -> Program[UnservedContext]:
    return Program(
        given=UnservedContext,
        gates=asked,
        before_all=(power.power_on,),
        control_plane=control_plane,
        moves=PREPARATION,
        before_the_end=_LIVES,
    )


def _serving(
    asked: tuple[GateOf[ServingContext], ...], *control_plane: MoveOf[ServingContext]
) -> Program[ServingContext]:
    return Program(
        given=ServingContext,
        gates=asked,
        before_all=(power.power_on,),
        control_plane=control_plane,
        moves=BESIDE_A_GATEWAY,
        before_the_end=_LIVES,
    )


AnyProgram = Program[UnservedContext] | Program[ServingContext]
"""Rules that take any context take either of these, too."""

CREATE: Mapping[type[Situation], AnyProgram] = {
    Unlisted: _refusing(project.listing_complete),
    OtherData: _refusing(*gates.LISTED, external_database.datastore_agrees),
    Deleting: _refusing(project.listing_complete, project.record_agrees, project.not_deleting),
    MadeBy2x: _adopting((project.listing_complete, project.record_agrees, adoption.adopted_or_refused), adoption.adopt),
    Adopted: _adopting((project.listing_complete, project.record_agrees, consents.consents_fit), adoption.adopt_rest),
    Rotated: _refusing(*gates.PROJECT_GATES, hosts.hosts_are_known, hosts.one_identity, consents.consents_fit),
    SplitBrain: _anywhere(
        (*gates.LISTED, hosts.hosts_are_known, consents.consents_fit), split_brain.fence_other_side, moves=()
    ),
    Uninitialized: _anywhere(gates.UNINITIALIZED_GATES, bootstrap.initialize),
    Bootstrapping: _anywhere(gates.UNINITIALIZED_GATES, bootstrap.initialize),
    Serving: _serving(
        gates.SERVING_GATES,
        ca_rotation.renew_record,
        lineage.adopt_lineage,
        bootstrap.complete_record,
        tokens.renew_tokens,
        silent_api.await_api,
        replace.discard,
        remediate.repair,
        retire.remove_dead_members,
        rollout_of_masters.next_master,
        removed_member.wipe_removed_member,
        join.join_masters,
        retire.remove_masters,
    ),
    QuorumLost: _unserved(gates.UNSERVED_GATES, ca_rotation.renew_record, quorum_reset.reset_quorum),
    AllLost: _unserved(gates.UNSERVED_GATES, ca_rotation.renew_record, abandon.forget, restore.bring_back),
    Restored: _unserved(gates.UNSERVED_GATES, ca_rotation.renew_record, restore.bring_back),
    UninitializedOnDatabase: _anywhere(gates.UNINITIALIZED_ON_DATABASE_GATES, bootstrap.initialize),
    UnservedOnDatabase: _unserved(
        gates.UNSERVED_ON_DATABASE_GATES,
        ca_rotation.renew_record,
        bootstrap.complete_record,
        external_database.start_first_master,
    ),
    ServingOnDatabase: _serving(
        gates.SERVING_ON_DATABASE_GATES,
        ca_rotation.renew_record,
        bootstrap.complete_record,
        tokens.renew_tokens,
        silent_api.await_api,
        replace.discard,
        remediate.repair,
        rollout_of_masters.next_master,
        external_database.start_masters,
        external_database.remove_masters,
    ),
}

_DELETION: Final[Program[DecisionContext]] = Program(
    given=DecisionContext,
    gates=(
        project.record_agrees,
        teardown.deletion_is_of_this_cluster,
        obstacles.nothing_protected,
        obstacles.nothing_used_by_others,
    ),
    moves=(teardown.tear_down,),
)
_DELETION_UNLISTED: Final[Program[DecisionContext]] = Program(given=DecisionContext, gates=(project.listing_complete,))

PROGRAM: Mapping[tuple[Verb, type[Situation]], AnyProgram] = {
    **{(Verb.CREATE, situation): program for situation, program in CREATE.items()},
    **{(Verb.DELETE, situation): _DELETION for situation in CREATE},
    (Verb.DELETE, Unlisted): _DELETION_UNLISTED,
}
"""What each verb does in each situation. In those of `create` without moves something is always refused."""

WISHES: Mapping[Verb, Wish] = {
    Verb.CREATE: Wish(aid=first_aid.first_aid, notes=NOTES, degraded=DEGRADED, differences=adoption.differences),
    Verb.DELETE: Wish(notes=(leftovers.kept,)),
}
"""What each verb does in all of them."""


def plan(spec: ClusterSpec, state: ClusterState, intent: Intent, in_flight: frozenset[StepKey] = frozenset()) -> Plan:
    """Decide what may be started now, beside the steps in flight, and say what is said beside them."""
    context = surge.seen(spec, state, intent, in_flight)
    decided = _next(context)
    invariants.check(context, decided)
    told = WISHES[intent.verb].told(context)
    return dataclasses.replace(told, steps=decided.steps, waits=decided.waits, refusals=decided.refusals)


def next_steps(spec: ClusterSpec, state: ClusterState, intent: Intent) -> Plan:
    """Decide likewise for a predicted state, of which nobody is told anything."""
    return _next(surge.seen(spec, state, intent))


def _next(context: DecisionContext) -> Plan:
    verb = context.intent.verb
    return PROGRAM[verb, type(situation_of(context))].next(context, WISHES[verb])
