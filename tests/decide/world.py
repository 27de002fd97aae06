"""Observations made by hand, and how decisions are asked for about them: what tests of decisions import.

A wish and a healthy cluster are made in `healthy`, and broken in one way each by the functions of `mishaps`.
"""

from __future__ import annotations

from tests.decide.healthy import (
    ADDONS,
    CA,
    CLUSTER,
    CREATE,
    DELETE,
    FIRST_MASTER,
    FIRST_WORKER,
    LINEAGE,
    MASTER1,
    MASTER2,
    MASTER3,
    NETWORK,
    NO_RECORD,
    NOW,
    OTHER_CA,
    OTHER_UID,
    PRUNE,
    PUBLIC_KEY,
    REPLACEMENTS,
    ROLLOUT,
    SPEC,
    SURGING,
    UID,
    UPGRADE,
    VERSION,
    WORKER1,
    WORKER2,
    a_pool,
    a_spec,
    address_of,
    agent_facts,
    born_record,
    edit_etcd,
    edit_facts,
    edit_kube,
    edit_node,
    edit_server,
    healthy,
    kube_of,
    kubeconfig_of,
    member_id_of,
    member_of,
    node_of,
    nothing,
    server_id_of,
    server_of,
    surroundings,
    voter_facts,
    with_listing,
    with_reading,
    with_server,
)
from tests.decide.mishaps import (
    bare,
    booting,
    bought_as,
    configured_otherwise,
    database_deleted,
    disconnected,
    forgetful,
    former,
    joining,
    lose,
    made_from,
    not_ready,
    off,
    ordered_as_surge,
    other_identity,
    read_through_a_voter,
    ready,
    rebuilt,
    recorded,
    replacement_of,
    running_release,
    started_by_hand,
    stopped,
    stopped_agent,
    tombstoned,
    unlistable,
    unlisted,
    unmarked,
    unreachable,
    with_boot_key,
    with_next_key,
    with_snapshot,
    without_member,
    without_node,
    without_quorum,
)

from hetzner_k3s import decide
from hetzner_k3s.decide.view.context import ServingContext, context_of
from hetzner_k3s.model.plan import Forecast, Intent, Plan, PlannedStep, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

__all__ = [
    "ADDONS",
    "CA",
    "CLUSTER",
    "CREATE",
    "DELETE",
    "FIRST_MASTER",
    "FIRST_WORKER",
    "LINEAGE",
    "MASTER1",
    "MASTER2",
    "MASTER3",
    "NETWORK",
    "NOW",
    "NO_RECORD",
    "OTHER_CA",
    "OTHER_UID",
    "PRUNE",
    "PUBLIC_KEY",
    "REPLACEMENTS",
    "ROLLOUT",
    "SPEC",
    "SURGING",
    "UID",
    "UPGRADE",
    "VERSION",
    "WORKER1",
    "WORKER2",
    "a_pool",
    "a_spec",
    "address_of",
    "agent_facts",
    "bare",
    "booting",
    "born_record",
    "bought_as",
    "codes",
    "configured_otherwise",
    "database_deleted",
    "disconnected",
    "edit_etcd",
    "edit_facts",
    "edit_kube",
    "edit_node",
    "edit_server",
    "forecast",
    "forgetful",
    "former",
    "healthy",
    "in_order",
    "joining",
    "kube_of",
    "kubeconfig_of",
    "lose",
    "made_from",
    "member_id_of",
    "member_of",
    "node_of",
    "not_ready",
    "nothing",
    "off",
    "ordered_as_surge",
    "other_identity",
    "plan",
    "read_through_a_voter",
    "ready",
    "rebuilt",
    "recorded",
    "replacement_of",
    "running_release",
    "served",
    "server_id_of",
    "server_of",
    "started_by_hand",
    "stopped",
    "stopped_agent",
    "surroundings",
    "tombstoned",
    "unlistable",
    "unlisted",
    "unmarked",
    "unreachable",
    "verbs",
    "voter_facts",
    "waves",
    "with_boot_key",
    "with_listing",
    "with_next_key",
    "with_reading",
    "with_server",
    "with_snapshot",
    "without_member",
    "without_node",
    "without_quorum",
]


def plan(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> Plan:
    """Plan with nothing in flight."""
    return decide.plan(spec, state, intent)


def forecast(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> Forecast:
    """Give the whole way."""
    return decide.forecast(spec, state, intent)


def served(spec: ClusterSpec, state: ClusterState, intent: Intent = CREATE) -> ServingContext:
    """Look at a cluster that a healthy master serves."""
    context = context_of(spec, state, intent, frozenset())
    assert isinstance(context, ServingContext)
    return context


def codes(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> list[str]:
    """Give the codes of the refusals."""
    return [refusal.code for refusal in plan(state, spec, intent).refusals]


def verbs(steps: tuple[PlannedStep, ...]) -> list[str]:
    """Give steps as `Verb target`, sorted."""
    return sorted(str(step.key) for step in steps)


def waves(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> list[list[str]]:
    """Give the forecast as lists of `Verb target`."""
    return [verbs(wave) for wave in forecast(state, spec, intent).waves]


def in_order(state: ClusterState, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> list[StepKey]:
    """Give the keys of the forecast's steps, wave after wave."""
    return [step.key for wave in forecast(state, spec, intent).waves for step in wave]
