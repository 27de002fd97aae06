"""What forbids acting, by where the cluster is: of these gates all are asked, and all that refuse are shown."""

from __future__ import annotations

from hetzner_k3s.decide import consents
from hetzner_k3s.decide.disaster import quorum_reset, restore, split_brain
from hetzner_k3s.decide.identity import hosts, lineage, project
from hetzner_k3s.decide.lifecycle import (
    access,
    bootstrap,
    external_database,
    workers,
)
from hetzner_k3s.decide.preflight import alarms, clocks, critical_config, encryption, orders, tokens
from hetzner_k3s.decide.prune import permission
from hetzner_k3s.decide.repair import (
    remediate,
    stale_nodes,
    unhealthy_masters,
)
from hetzner_k3s.decide.rollout import skew
from hetzner_k3s.decide.view.context import (
    Gate,
    GateOf,
    ServingContext,
    UnservedContext,
)

LISTED: tuple[Gate, ...] = (
    project.listing_complete,
    project.record_agrees,
    project.not_deleting,
    project.names_are_ours,
)
"""What the listing forbids even where hardly anything else is asked."""

PROJECT_GATES: tuple[Gate, ...] = (
    *LISTED,
    project.resources_are_ours,
    project.network_exists,
    project.ssh_key_is_ours,
    access.operator_stays_in,
    clocks.own_clock_right,
    external_database.datastore_agrees,
    orders.orders_can_be_filled,
)
"""What the listing itself forbids, wherever the cluster's data lies."""

IDENTITY_GATES: tuple[Gate, ...] = (
    *PROJECT_GATES,
    hosts.hosts_are_known,
    hosts.one_identity,
    hosts.one_member_list,
    lineage.one_lineage,
    lineage.masters_of_one_lineage,
    hosts.kubeconfig_fits,
    hosts.agents_fit,
)
"""What the hosts tell of whose data there is forbids, wherever the cluster is."""

_CONSENT_GATES: tuple[Gate, ...] = (consents.RESTORING, consents.GIVING_UP, consents.consents_fit)

UNINITIALIZED_GATES: tuple[Gate, ...] = (
    *IDENTITY_GATES,
    bootstrap.bootstrap_permitted,
    split_brain.past_members,
    unhealthy_masters.bootstrap_can_go_on,
    unhealthy_masters.masters_explained,
    remediate.members_explained,
    stale_nodes.nodes_explained,
    alarms.datastore_takes_writes,
    *_CONSENT_GATES,
)

UNSERVED_GATES: tuple[GateOf[UnservedContext], ...] = (
    *IDENTITY_GATES,
    quorum_reset.quorum_lost,
    restore.loss_answered,
    unhealthy_masters.servers_are_ours,
    unhealthy_masters.healthy_master_left,
    stale_nodes.nodes_explained,
    restore.agent_token_found,
    alarms.datastore_takes_writes,
    workers.workers_explained,
    *_CONSENT_GATES,
)

_JOIN_GATES: tuple[GateOf[ServingContext], ...] = (
    critical_config.configuration_agrees,
    encryption.encryption_at_rest,
    clocks.clocks_agree,
    tokens.joins_are_accepted,
)
"""What forbids to let anything join."""

SERVING_GATES: tuple[GateOf[ServingContext], ...] = (
    *IDENTITY_GATES,
    split_brain.past_members,
    quorum_reset.held_beside_quorum,
    unhealthy_masters.servers_are_ours,
    unhealthy_masters.masters_explained,
    remediate.members_explained,
    permission.surplus_out_of_the_way,
    permission.surplus_may_go,
    stale_nodes.nodes_explained,
    *_JOIN_GATES,
    alarms.datastore_takes_writes,
    workers.workers_explained,
    skew.release_fits,
    *_CONSENT_GATES,
)

ON_DATABASE_GATES: tuple[Gate, ...] = (
    *PROJECT_GATES,
    hosts.hosts_are_known,
    hosts.one_identity,
    lineage.one_lineage,
    hosts.kubeconfig_fits,
    hosts.agents_fit,
)
"""Where the cluster's data lies outside its masters: nothing about members, quorum, snapshots."""

UNINITIALIZED_ON_DATABASE_GATES: tuple[Gate, ...] = (
    *ON_DATABASE_GATES,
    bootstrap.bootstrap_permitted,
    external_database.database_serves,
    unhealthy_masters.masters_explained,
    stale_nodes.nodes_explained,
    consents.consents_fit,
)

UNSERVED_ON_DATABASE_GATES: tuple[GateOf[UnservedContext], ...] = (
    *ON_DATABASE_GATES,
    external_database.database_serves,
    external_database.agent_token_found,
    unhealthy_masters.servers_are_ours,
    stale_nodes.nodes_explained,
    workers.workers_explained,
    consents.consents_fit,
)

SERVING_ON_DATABASE_GATES: tuple[GateOf[ServingContext], ...] = (
    *ON_DATABASE_GATES,
    unhealthy_masters.servers_are_ours,
    unhealthy_masters.masters_explained,
    permission.surplus_may_go,
    stale_nodes.nodes_explained,
    *_JOIN_GATES,
    workers.workers_explained,
    skew.release_fits,
    consents.consents_fit,
)
