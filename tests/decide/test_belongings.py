"""Volumes and load balancers that Kubernetes made: whose they are, when they go, and what is said of what stays."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
from tests.decide.used_by_servers import CLAIMED_VOLUME, SERVICES_BALANCER
from tests.decide.world import (
    CLUSTER,
    DELETE,
    FIRST_MASTER,
    NETWORK,
    NO_RECORD,
    NOW,
    OTHER_UID,
    SPEC,
    UID,
    WORKER1,
    WORKER2,
    born_record,
    codes,
    forecast,
    healthy,
    in_order,
    plan,
    recorded,
    server_id_of,
    waves,
    with_listing,
    with_server,
)

from hetzner_k3s.decide import invariants
from hetzner_k3s.decide.view.context import context_of
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import LoadBalancer, Server, ServerStatus
from hetzner_k3s.model.consents import Consents, WithLoadBalancers, WithVolumes
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.hetzner.belongings import Address, Belongings, Volume
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.kube import NamedVolumes
from hetzner_k3s.model.plan import Intent, Plan, PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import NetworkSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import DeleteResource, MarkForDeletion

ALL = replace(DELETE, consents=Consents.of(WithVolumes(), WithLoadBalancers()))
STRANGER = Server(id=901, name="db", status=ServerStatus.RUNNING, private_ips={NETWORK: "10.0.0.9"})
ATTACHED = server_id_of(WORKER1)
NAME = CLAIMED_VOLUME.name
DETACHED = replace(CLAIMED_VOLUME, server=None)
MARKED = replace(DETACHED, labels={**DETACHED.labels, naming.LABEL_GOES_WITH: UID})
BY_HAND = Volume(id=72, name="backup", size=20, server=ATTACHED)
WEB = SERVICES_BALANCER.name


def with_volumes(*volumes: Volume, state: ClusterState | None = None) -> ClusterState:
    return with_listing(state or healthy(), belongings=Belongings(volumes=volumes))


def with_balancer(balancer: LoadBalancer, state: ClusterState | None = None) -> ClusterState:
    state = state or healthy()
    return with_listing(state, load_balancers=(*state.view.load_balancers, balancer))


def with_named(state: ClusterState, *ids: int, uid: str = UID) -> ClusterState:
    return replace(state, named_volumes={FIRST_MASTER: Known(NamedVolumes(uid, frozenset(ids)))})


def goes(state: ClusterState) -> list[str]:
    """Name what goes of what Kubernetes made, where all may go."""
    return [key.target for key in in_order(state, intent=ALL) if key.target in {NAME, BY_HAND.name, WEB}]


def told(state: ClusterState, about: str) -> str:
    """Return the one thing that is said of it where nothing may go."""
    (note,) = [note for note in plan(state, intent=DELETE).notes if about in note]
    return note


def test_what_kubernetes_made_is_marked_before_the_servers_and_goes_after_them() -> None:
    state = with_balancer(SERVICES_BALANCER, with_volumes(CLAIMED_VOLUME))
    shown = waves(state, intent=ALL)
    assert shown[:2] == [
        ["MarkDeleting prod"],
        [f"MarkForDeletion load_balancer {WEB}", f"MarkForDeletion volume {NAME}"],
    ]
    assert all("load_balancer prod-api" in step or step.startswith("DeleteServer") for step in shown[2])
    assert shown[3] == [f"DeleteResource load_balancer {WEB}", f"DeleteResource volume {NAME}"]
    assert shown[4][0] == "DeleteResource firewall prod"
    assert plan(state, intent=ALL).notes == ()


@pytest.mark.parametrize(
    ("consents", "gone"),
    [
        (Consents(), set()),
        (Consents.of(WithVolumes()), {NAME}),
        (Consents.of(WithLoadBalancers()), {WEB}),
    ],
    ids=["nothing", "volumes", "load balancers"],
)
def test_each_flag_lets_go_its_own_and_nothing_else(consents: Consents, gone: set[str]) -> None:
    state = with_balancer(SERVICES_BALANCER, with_volumes(CLAIMED_VOLUME))
    steps = list(chain.from_iterable(forecast(state, intent=replace(DELETE, consents=consents)).waves))
    assert {p.step.target for p in steps if isinstance(p.step, MarkForDeletion)} == gone
    deleted = {p.step.resource_id for p in steps if isinstance(p.step, DeleteResource)}
    assert deleted & {CLAIMED_VOLUME.id, SERVICES_BALANCER.id} == {
        made.id for made in (CLAIMED_VOLUME, SERVICES_BALANCER) if made.name in gone
    }
    assert {p.consent for p in steps if p.step.target in gone} == set(consents.given)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(with_volumes(CLAIMED_VOLUME), id="attached to a server of ours"),
        pytest.param(with_volumes(replace(CLAIMED_VOLUME, labels={})), id="so, and of the driver by its name alone"),
        pytest.param(with_named(with_volumes(DETACHED), DETACHED.id), id="detached, named by a PersistentVolume"),
        pytest.param(with_volumes(MARKED), id="detached, marked by a run before"),
        pytest.param(with_volumes(replace(MARKED, server=999)), id="marked, of a server that is gone"),
        pytest.param(with_volumes(MARKED, state=with_listing(healthy(), servers=())), id="marked, servers gone"),
    ],
)
def test_a_volume_that_is_proven_to_be_the_clusters_goes_with_the_flag(state: ClusterState) -> None:
    assert set(goes(state)) == {NAME}
    assert "goes too with --with-volumes" in told(state, NAME)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        pytest.param(with_volumes(DETACHED), "no master told", id="detached, nobody asked"),
        pytest.param(with_named(with_volumes(DETACHED), 1), "named by no PersistentVolume here", id="named by nobody"),
        pytest.param(
            with_named(with_volumes(DETACHED), DETACHED.id, uid=OTHER_UID), "no master told", id="named by another API"
        ),
        pytest.param(
            replace(with_volumes(DETACHED), named_volumes={FIRST_MASTER: Unknown("silent", NOW)}),
            "no master told",
            id="API silent",
        ),
        pytest.param(
            with_volumes(replace(CLAIMED_VOLUME, server=999)), "no master told", id="of a server that is gone"
        ),
    ],
)
def test_a_volume_of_which_nothing_proves_whose_it_is_stays_and_is_named(state: ClusterState, why: str) -> None:
    assert goes(state) == []
    note = told(state, NAME)
    assert "perhaps for this cluster" in note
    assert why in note
    assert f"`hcloud volume delete {DETACHED.id}`" in note
    assert plan(state, intent=ALL).notes == plan(state, intent=DELETE).notes


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(with_server(with_volumes(replace(MARKED, server=STRANGER.id)), STRANGER), id="at another server"),
        pytest.param(
            with_volumes(replace(MARKED, labels={**MARKED.labels, naming.LABEL_GOES_WITH: OTHER_UID})),
            id="marked with another cluster",
        ),
        pytest.param(with_volumes(replace(BY_HAND, server=None)), id="made by hand, at no server"),
    ],
)
def test_a_volume_of_others_neither_goes_nor_is_named(state: ClusterState) -> None:
    assert goes(state) == []
    assert not [note for note in plan(state, intent=ALL).notes if "volume" in note]


@pytest.mark.parametrize("labels", [{}, {"cluster": CLUSTER}], ids=["attached", "labelled"])
def test_a_volume_that_somebody_made_by_hand_stays_and_is_named(labels: dict[str, str]) -> None:
    state = with_volumes(replace(BY_HAND, labels=labels, server=None if labels else ATTACHED))
    assert goes(state) == []
    assert told(state, BY_HAND.name) == (
        "volume backup (id 72, 20 GB) stays, detached, with all data: not made by Kubernetes. "
        "Later: `hcloud volume delete 72`"
    )


def test_without_a_record_that_outlives_the_servers_nothing_is_marked_so_all_stays() -> None:
    """As of a cluster of 2.x that was never adopted: cut off after its servers, nobody could tell its volumes."""
    state = with_balancer(SERVICES_BALANCER, recorded(with_volumes(CLAIMED_VOLUME), NO_RECORD))
    assert goes(state) == []
    for made in (CLAIMED_VOLUME, SERVICES_BALANCER):
        (note,) = [note for note in plan(state, intent=ALL).notes if made.name in note]
        assert "nothing that outlives the servers records a UID of this cluster alone" in note


@pytest.mark.parametrize("volume", [CLAIMED_VOLUME, DETACHED, MARKED], ids=["attached", "named", "marked"])
def test_beside_a_cluster_that_was_made_of_the_same_data_no_volume_goes(volume: Volume) -> None:
    """Restored from the same backup it has the same UID, and its PersistentVolumes name the very same volumes."""
    twin = replace(STRANGER, labels={"cluster": "staging", naming.LABEL_UID: UID})
    state = with_server(with_named(with_volumes(volume), volume.id), twin)
    assert goes(state) == []
    assert NAME in "".join(plan(state, intent=ALL).notes)


@pytest.mark.parametrize(
    "balancer",
    [
        pytest.param(SERVICES_BALANCER, id="sends to our server"),
        pytest.param(replace(SERVICES_BALANCER, private_ips={}), id="so, by public addresses"),
        pytest.param(replace(SERVICES_BALANCER, servers=frozenset()), id="in our own network"),
        pytest.param(
            replace(
                SERVICES_BALANCER,
                servers=frozenset({999}),
                private_ips={},
                labels={**SERVICES_BALANCER.labels, naming.LABEL_GOES_WITH: UID},
            ),
            id="marked by a run before",
        ),
    ],
)
def test_a_load_balancer_that_is_the_clusters_goes_with_the_flag(balancer: LoadBalancer) -> None:
    state = with_balancer(balancer)
    assert set(goes(state)) == {WEB}
    assert told(state, WEB) == (
        "load balancer web (id 41) stays, which costs money: of this cluster's Services; goes too with "
        "--with-load-balancers. Later: `hcloud load-balancer delete 41`"
    )


SHARED = replace(SERVICES_BALANCER, servers=frozenset({ATTACHED, STRANGER.id}))


@pytest.mark.parametrize(
    ("balancer", "why"),
    [
        pytest.param(SHARED, "servers of others are behind it", id="sends to a server of others too"),
        pytest.param(
            replace(SERVICES_BALANCER, labels={}), "not a Service's", id="without the cloud controller's label"
        ),
        pytest.param(
            replace(SERVICES_BALANCER, servers=frozenset(), private_ips={}),
            "nothing proves of which cluster",
            id="sends to nobody",
        ),
    ],
)
def test_a_load_balancer_that_may_be_anybodys_stays_and_is_named(balancer: LoadBalancer, why: str) -> None:
    state = with_server(with_balancer(balancer), STRANGER)
    assert goes(state) == []
    assert why in told(state, WEB)


@pytest.mark.parametrize("servers", [frozenset[int](), frozenset({STRANGER.id})], ids=["nobody", "another cluster"])
def test_in_a_network_of_several_clusters_only_targets_tell_whose_it_is(servers: frozenset[int]) -> None:
    """A load balancer of the neighbour's Service is in the same network, with the same label."""
    state = with_server(with_balancer(replace(SERVICES_BALANCER, servers=servers)), STRANGER)
    spec = replace(SPEC, network=NetworkSpec(existing_network_name=CLUSTER))
    assert WEB not in {key.target for key in in_order(state, spec, ALL)}
    named = any(WEB in note for note in plan(state, spec, ALL).notes)
    assert named is not bool(servers)


def test_addresses_that_stay_are_named_and_never_deleted() -> None:
    mail = Address(kind="floating_ip", id=81, name="mail", ip="192.0.2.81", server=ATTACHED)
    kept = Address(kind="primary_ip", id=82, name="kept", ip="192.0.2.82", server=ATTACHED)
    labelled = Address(kind="floating_ip", id=83, name="spare", ip="192.0.2.83", labels={"cluster": CLUSTER})
    goes_too = replace(kept, id=84, name="goes-too", goes_with_server=True)
    others = replace(mail, id=85, name="others", server=STRANGER.id)
    addresses = (mail, kept, labelled, goes_too, others)
    state = with_server(with_listing(healthy(), belongings=Belongings(addresses=addresses)), STRANGER)
    notes = [note for note in plan(state, intent=ALL).notes if "IP" in note]
    assert notes == [
        "floating IP mail (id 81, 192.0.2.81) stays, and costs money. Later: `hcloud floating-ip delete 81`",
        "primary IP kept (id 82, 192.0.2.82) stays, and costs money. Later: `hcloud primary-ip delete 82`",
        "floating IP spare (id 83, 192.0.2.83) stays, and costs money. Later: `hcloud floating-ip delete 83`",
    ]


def test_several_volumes_are_named_in_one_sentence() -> None:
    second = replace(CLAIMED_VOLUME, id=73, name="pvc-2", labels={"managed-by": "csi-driver"})
    assert told(with_volumes(CLAIMED_VOLUME, second), NAME) == (
        f"volumes {NAME} (id 71, 10 GB, of default/data), pvc-2 (id 73, 10 GB) stay, detached, with all data: made by "
        "Kubernetes for this cluster; goes too with --with-volumes. Later: `hcloud volume delete 71 73`"
    )


@pytest.mark.parametrize("intent", [DELETE, ALL], ids=["without flags", "with flags"])
def test_what_is_protected_is_an_obstacle_only_where_it_goes(intent: Intent) -> None:
    protected = with_balancer(
        replace(SERVICES_BALANCER, protected=True), with_volumes(replace(CLAIMED_VOLUME, protected=True))
    )
    refused = plan(protected, intent=intent).refusals
    assert [refusal.code for refusal in refused] == (["delete.protected"] if intent is ALL else [])
    assert all("hcloud load-balancer disable-protection web delete" in refusal.you_can for refusal in refused)


def test_a_deletion_that_was_cut_off_after_its_servers_goes_on_with_what_is_marked() -> None:
    begun = recorded(with_volumes(MARKED), replace(born_record(), phase=Phase.DELETING))
    state = with_listing(begun, servers=(), load_balancers=())
    assert waves(state, intent=ALL)[:2] == [
        [f"DeleteResource volume {NAME}"],
        waves(with_volumes(state=state), intent=ALL)[0],
    ]
    assert codes(state, intent=ALL) == []


def _deletion(volume: Volume) -> Plan:
    step = DeleteResource(target=volume.name, kind="volume", resource_id=volume.id)
    planned = PlannedStep(step=step, scope=Scope.INFRASTRUCTURE, reason=Reason.DELETE, because="it is a test")
    return Plan(steps=(planned,))


@pytest.mark.parametrize(
    ("state", "intent", "complaint"),
    [
        (with_volumes(MARKED), DELETE, "nobody permitted"),
        (with_volumes(), ALL, "not listed"),
        (with_volumes(DETACHED), ALL, "not marked"),
        (recorded(with_volumes(MARKED), replace(born_record(), uid=OTHER_UID)), ALL, "not marked"),
        (with_volumes(replace(MARKED, server=server_id_of(WORKER2))), ALL, "a server has it"),
    ],
    ids=["no consent", "not listed", "unmarked", "marked for another", "in use"],
)
def test_a_plan_that_would_lose_data_unproven_is_not_carried_out(
    state: ClusterState, intent: Intent, complaint: str
) -> None:
    context = context_of(SPEC, state, intent, frozenset())
    with pytest.raises(invariants.InvariantBroken, match=complaint):
        invariants.check(context, _deletion(MARKED))


def test_a_plan_that_deletes_a_marked_volume_holds() -> None:
    state = with_listing(with_volumes(MARKED), servers=(), load_balancers=())
    context = context_of(SPEC, state, ALL, frozenset())
    invariants.check(context, _deletion(MARKED))
