"""Deletion: marked first, the record last, and nothing of others."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.world import (
    CA,
    CLUSTER,
    DELETE,
    MASTER1,
    NETWORK,
    NO_RECORD,
    SPEC,
    WORKER1,
    born_record,
    forecast,
    forgetful,
    healthy,
    in_order,
    nothing,
    plan,
    recorded,
    verbs,
    waves,
    with_listing,
    with_server,
)

from hetzner_k3s.model.cloud import PlacementGroup, Server, ServerStatus
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Plan, StepKey
from hetzner_k3s.model.spec import NetworkSpec
from hetzner_k3s.model.state import LocalEvidence
from hetzner_k3s.model.steps import CloseBirth, DeleteServer, MarkDeleting

DELETING = recorded(healthy(), replace(born_record(), phase=Phase.DELETING))
STRANGER = Server(id=901, name="db", status=ServerStatus.RUNNING, private_ips={NETWORK: "10.0.0.9"})


def test_a_cluster_is_deleted_in_this_order() -> None:
    assert waves(healthy(), intent=DELETE) == [
        ["MarkDeleting prod"],
        [
            "DeleteResource load_balancer prod-api",
            "DeleteServer prod-master1",
            "DeleteServer prod-master2",
            "DeleteServer prod-master3",
            "DeleteServer prod-pool-small-worker1",
            "DeleteServer prod-pool-small-worker2",
        ],
        [
            "DeleteResource firewall prod",
            "DeleteResource network prod",
            "DeleteResource placement_group prod-pool-small-workers-pg1",
            "DeleteResource ssh_key prod",
        ],
        ["CloseBirth prod"],
        ["DeleteResource placement_group prod-masters-pg1"],
    ]


def test_a_deletion_that_was_begun_is_not_marked_again() -> None:
    assert "MarkDeleting" not in {key.verb for key in in_order(DELETING, intent=DELETE)}


def test_a_deletion_without_servers_goes_on_with_the_rest() -> None:
    state = with_listing(DELETING, servers=(), load_balancers=())
    assert waves(state, intent=DELETE)[0][0] == "DeleteResource firewall prod"


def test_a_deletion_that_was_cut_off_before_the_record_goes_on_there() -> None:
    view = DELETING.view
    state = with_listing(
        DELETING,
        servers=(),
        load_balancers=(),
        networks=(),
        firewalls=(),
        ssh_keys=(),
        placement_groups=view.placement_groups[:1],
    )
    assert waves(state, intent=DELETE) == [["CloseBirth prod"], ["DeleteResource placement_group prod-masters-pg1"]]
    assert waves(forgetful(state), intent=DELETE) == [["DeleteResource placement_group prod-masters-pg1"]]


def test_nothing_is_left_to_delete_in_an_empty_project() -> None:
    assert plan(nothing(), intent=DELETE) == Plan()


def test_in_another_empty_project_the_kubeconfig_stays_and_goes_on_forbidding_a_birth() -> None:
    """With the token of another project, `delete` would else take away what forbids a second cluster (review)."""
    state = replace(nothing(), local=LocalEvidence(kubeconfig_ca=CA, open_birth=True))
    decided = plan(state, intent=DELETE)
    assert [p.step for p in decided.steps] == [CloseBirth(target=CLUSTER, kubeconfig=False)]
    assert decided.notes == (
        "/home/someone/kubeconfig stays: nothing in this project proves that it is of this cluster",
    )
    assert [r.code for r in plan(replace(state, local=LocalEvidence(kubeconfig_ca=CA))).refusals] == [
        "birth.kubeconfig"
    ]


def test_in_another_empty_project_nobody_is_asked_so_the_journal_stays_too() -> None:
    state = replace(nothing(), local=LocalEvidence(open_birth=True))
    decided = plan(state, intent=replace(DELETE, unasked=True))
    assert decided.steps == ()
    (note,) = decided.notes
    assert "delete without --force" in note
    assert [r.code for r in plan(state).refusals] == ["birth.journal"]


def test_where_the_record_tells_of_the_birth_nobody_need_be_asked() -> None:
    assert "CloseBirth" in {key.verb for key in in_order(DELETING, intent=replace(DELETE, unasked=True))}


def test_the_kubeconfig_goes_with_the_cluster_unless_it_is_to_be_kept() -> None:
    steps = [p.step for wave in forecast(healthy(), intent=DELETE).waves for p in wave]
    assert CloseBirth(target=CLUSTER, kubeconfig=True) in steps
    kept = [p.step for wave in forecast(healthy(), intent=replace(DELETE, keep_kubeconfig=True)).waves for p in wave]
    assert CloseBirth(target=CLUSTER, kubeconfig=False, ca=CA) in kept


def test_a_cluster_that_was_never_born_is_deleted_without_a_kubeconfig() -> None:
    state = forgetful(recorded(healthy(), NO_RECORD))
    keys = in_order(state, intent=DELETE)
    assert keys[0] == StepKey(MarkDeleting, CLUSTER)
    assert "CloseBirth" not in {key.verb for key in keys}


def test_servers_beyond_the_file_are_deleted_too_and_those_of_others_never() -> None:
    surplus = replace(STRANGER, id=902, name="old-worker", labels={"cluster": CLUSTER, "role": "worker"})
    other = replace(STRANGER, id=903, name="other-master1", labels={"cluster": "other", "role": "master"})
    state = with_server(with_server(healthy(), surplus), other)
    deleted = {
        p.step.server_id for w in forecast(state, intent=DELETE).waves for p in w if isinstance(p.step, DeleteServer)
    }
    assert 902 in deleted
    assert 903 not in deleted


def test_a_server_of_others_that_only_has_our_name_is_left_alone() -> None:
    foreign = replace(STRANGER, name=WORKER1)
    state = with_server(with_listing(DELETING, servers=()), foreign)
    assert not [s for wave in waves(state, intent=DELETE) for s in wave if s.startswith("DeleteServer")]


def test_a_network_that_others_use_stays_and_is_named() -> None:
    state = with_server(healthy(), STRANGER)
    assert "the network stays: servers of others are attached to it" in plan(state, intent=DELETE).notes
    kinds = [p.step for wave in forecast(state, intent=DELETE).waves for p in wave]
    assert not [s for s in kinds if getattr(s, "kind", "") == "network"]


def test_an_existing_network_of_the_users_stays_and_is_named() -> None:
    spec = replace(SPEC, network=NetworkSpec(existing_network_name=CLUSTER))
    assert plan(healthy(), spec, DELETE).notes == ("network prod existed before the cluster and stays",)
    kinds = [p.step for wave in forecast(healthy(), spec, DELETE).waves for p in wave]
    assert not [s for s in kinds if getattr(s, "kind", "") == "network"]


def test_resources_of_others_with_our_names_are_never_deleted() -> None:
    view = DELETING.view
    state = with_listing(
        DELETING,
        servers=(),
        networks=tuple(replace(n, labels={}) for n in view.networks),
        firewalls=tuple(replace(f, labels={}) for f in view.firewalls),
        load_balancers=tuple(replace(b, labels={}) for b in view.load_balancers),
        placement_groups=tuple(replace(g, labels={}) for g in view.placement_groups),
        ssh_keys=tuple(replace(k, name="mine") for k in view.ssh_keys),
    )
    assert waves(forgetful(state), intent=DELETE) == []


def test_the_operator_lock_is_not_the_deletions_to_delete() -> None:
    lock = PlacementGroup(id=99, name="prod-operator-lock", labels={"cluster": CLUSTER})
    state = with_listing(healthy(), placement_groups=(*healthy().view.placement_groups, lock))
    assert lock.name not in {key.target for key in in_order(state, intent=DELETE)}


def test_each_step_of_a_deletion_says_why() -> None:
    steps = [p for wave in forecast(healthy(), intent=DELETE).waves for p in wave]
    assert all(p.because for p in steps)
    assert verbs(tuple(p for p in steps if p.step.target == MASTER1)) == [f"DeleteServer {MASTER1}"]


def test_a_protected_network_that_stays_anyway_is_no_obstacle() -> None:
    networks = tuple(replace(n, protected=True) for n in healthy().view.networks)
    assert not plan(with_server(with_listing(healthy(), networks=networks), STRANGER), intent=DELETE).refusals
    assert plan(with_listing(healthy(), networks=networks), intent=DELETE).refusals


def test_a_firewall_on_servers_that_go_is_no_obstacle() -> None:
    ours = frozenset(s.id for s in healthy().view.servers)
    state = with_listing(healthy(), firewalls=tuple(replace(f, servers=ours) for f in healthy().view.firewalls))
    assert not plan(state, intent=DELETE).refusals
