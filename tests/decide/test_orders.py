"""What Hetzner does not sell is refused where nothing exists yet, and only told beside a cluster that lives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.decide.world import MASTER1, NOW, SPEC, WORKER1, healthy, lose, nothing, plan, waves

from hetzner_k3s.model.cloud import LoadBalancer, PlacementGroup
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.hetzner.assortment import Assortment, Offer, ServerType
from hetzner_k3s.model.spec import ClusterSpec, NetworkSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.text.settings import KeyPath, Position, SettingPlaces
from hetzner_k3s.model.version import K3sVersion

ENDED = Offer(location="fsn1", available=False, ends="2019-12-31T23:59:59Z")
SHOP = Assortment(
    server_types=(
        ServerType(id=109, name="cpx22", architecture="x86", offers=(Offer(location="fsn1"), Offer(location="hel1"))),
        ServerType(id=45, name="cax11", architecture="arm", offers=(Offer(location="fsn1"),)),
        ServerType(
            id=23,
            name="cpx21",
            architecture="x86",
            offers=(Offer(location="fsn1", available=False, ends="2019-12-31"),),
        ),
        ServerType(
            id=98, name="ccx33", architecture="x86", offers=(Offer(location="fsn1", available=False, ends=None),)
        ),
    ),
    locations={"fsn1": "eu-central", "hel1": "eu-central", "nbg1": "eu-central", "ash": "us-east"},
    images={"ubuntu-24.04": frozenset({"x86", "arm"}), "77": frozenset({"x86"}), "debian-99": frozenset()},
)
SOLD: Reading[Assortment] = Known(SHOP)


def _with_worker(**order: Any) -> ClusterSpec:
    """Ask for one worker of another kind; everything else is as Hetzner sells it."""
    masters = tuple(replace(m, instance_type="cpx22", location="fsn1", image="ubuntu-24.04") for m in SPEC.masters)
    pool = SPEC.pools[0]
    workers = [replace(w, instance_type="cpx22", location="fsn1", image="ubuntu-24.04") for w in pool.workers]
    workers[0] = replace(workers[0], **order)
    return replace(SPEC, masters=masters, pools=(replace(pool, workers=tuple(workers)),))


def _looked(state: ClusterState, reading: Reading[Assortment] | None = SOLD) -> ClusterState:
    return replace(state, assortment=reading)


WORKERS = "worker_node_pools[0]"


@pytest.mark.parametrize(
    ("order", "setting", "why"),
    [
        ({"instance_type": "cpx2"}, "instance_type", "there is no server type cpx2 (did you mean cpx22?)"),
        ({"location": "fsn9"}, "location", "there is no location fsn9 (did you mean fsn1?)"),
        ({"location": "ash"}, "location", "ash is in network zone us-east, the private network in eu-central"),
        ({"location": "nbg1"}, "location", "cpx22 is not sold in nbg1; it is in fsn1, hel1"),
        (
            {"instance_type": "cpx21"},
            "instance_type",
            "cpx21 is not sold in fsn1 since 2019-12-31; it is in nowhere any more",
        ),
        ({"image": "debian-99"}, "image", "there is no image debian-99"),
        ({"instance_type": "cax11", "image": "77"}, "image", "image 77 is for x86, and cax11 is arm"),
    ],
)
def test_an_order_that_cannot_be_filled_is_refused_before_anything_is_bought(
    order: dict[str, str], setting: str, why: str
) -> None:
    spec = replace(_with_worker(**order), places=SettingPlaces("c.yaml", {("worker_node_pools", 0, setting): AT}))
    (refusal,) = plan(_looked(nothing()), spec).refusals
    assert refusal.code == "order.impossible"
    assert f"{WORKERS}.{setting}" in refusal.saw
    assert f"c.yaml:7:12: {WORKERS}.{setting}: {why}" in map(str, refusal.settings)
    assert not waves(_looked(nothing()), spec)


AT = Position(7, 12)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({("masters_pool", "locations", 0): AT}, "c.yaml:7:12: masters_pool.locations[0]: "),
        ({("masters_pool", "locations", 1): AT}, "c.yaml:7:12: masters_pool.locations[1]: "),
        (
            {("image",): Position(6, 5), ("masters_pool",): Position(5, 3)},
            "c.yaml:5:3: masters_pool.locations: ",
        ),
    ],
)
def test_a_masters_location_stands_in_a_list_or_is_left_out(given: dict[KeyPath, Position], told: str) -> None:
    """One location is for all masters, several are one for each, and none at all is the default."""
    base = _with_worker()
    masters = (base.masters[0], replace(base.masters[1], location="fsn9"), *base.masters[2:])
    spec = replace(base, masters=masters, places=SettingPlaces("c.yaml", given))
    (refusal,) = plan(_looked(nothing()), spec).refusals
    (setting,) = map(str, refusal.settings)
    assert setting.startswith(f"{told}there is no location fsn9")
    assert setting.endswith("(the file does not set it)") == ("locations:" in told)


@pytest.mark.parametrize("own", [True, False])
def test_an_image_is_the_pools_own_or_that_of_the_file(own: bool) -> None:
    path: KeyPath = ("worker_node_pools", 0, "image") if own else ("image",)
    spec = replace(_with_worker(image="debian-99"), places=SettingPlaces("c.yaml", {path: AT}))
    (refusal,) = plan(_looked(nothing()), spec).refusals
    assert [s.key for s in refusal.settings] == [f"{WORKERS}.image" if own else "image"]
    assert refusal.settings[0].position == AT


def test_all_orders_that_cannot_be_filled_are_told_at_once() -> None:
    spec = _with_worker(instance_type="ccx99", location="fsn9", image="debian-99")
    (refusal,) = plan(_looked(nothing()), spec).refusals
    assert [s.key for s in refusal.settings] == [f"{WORKERS}.instance_type", f"{WORKERS}.location", "image"]
    assert refusal.saw.endswith(f": {WORKERS}.instance_type, {WORKERS}.location, image.")


def test_a_type_may_be_given_by_its_id() -> None:
    assert not plan(_looked(nothing()), _with_worker(instance_type="109")).refusals


def test_what_is_wrong_in_one_pool_does_not_hold_back_the_repair_of_a_master() -> None:
    spec = _with_worker(instance_type="ccx99")
    lost = lose(lose(healthy(spec), MASTER1), WORKER1)
    told, untold = plan(_looked(lost), spec), plan(lost, spec)
    assert told.steps == untold.steps
    assert told.steps
    assert any("there is no server type ccx99" in note and WORKER1 in note for note in told.notes)


def test_what_exists_is_not_judged() -> None:
    """Servers that were bought run on when their type is no longer sold."""
    spec = _with_worker(instance_type="cpx21")
    state = _looked(healthy(spec))
    assert plan(state, spec) == plan(replace(state, assortment=None), spec)


@pytest.mark.parametrize("reading", [None, SOLD, Unknown("no answer", NOW)])
def test_what_is_out_of_stock_or_unread_holds_nothing_up(reading: Reading[Assortment] | None) -> None:
    spec = _with_worker(instance_type="ccx33")
    shown = plan(_looked(nothing(), reading), spec)
    assert shown.steps == plan(nothing(), spec).steps
    notes = "\n".join(shown.notes)
    assert (f"ccx33 as not available in fsn1 now ({WORKER1})" in notes) == (reading is SOLD)
    assert ("not compared with Hetzner's catalogue: no answer" in notes) == isinstance(reading, Unknown)


def _many(count: int) -> ClusterSpec:
    spec = _with_worker()
    pool = spec.pools[0]
    workers = tuple(
        replace(pool.workers[0], name=f"w{number}", index=number, placement_group=None) for number in range(count)
    )
    return replace(spec, pools=(replace(pool, workers=workers, count=count),), api_load_balancer=False)


@pytest.mark.parametrize(("workers", "fits"), [(97, True), (98, False)])
def test_a_network_takes_a_hundred_servers(workers: int, fits: bool) -> None:
    """Three masters and these workers; nothing has to be read for that."""
    refusals = plan(nothing(), _many(workers)).refusals
    assert [r.code for r in refusals] == ([] if fits else ["order.impossible"])
    assert fits or str(refusals[0].settings[0]) == (
        f"worker_node_pools: network {SPEC.network_name} would have 101 servers and load balancers, and one network "
        "takes 100; a new cluster can do without (networking.private_network.enabled: false)"
    )


@pytest.mark.parametrize(("workers", "fits"), [(98, True), (997, True), (998, False)])
def test_without_a_network_there_are_a_thousand(workers: int, fits: bool) -> None:
    refusals = plan(nothing(), replace(_many(workers), network=NetworkSpec(private=False))).refusals
    assert [r.code for r in refusals] == ([] if fits else ["order.impossible"])
    assert fits or str(refusals[0].settings[0]) == (
        "worker_node_pools: the cluster would have 1,001 nodes, and more than 1,000 were never tried"
    )


def test_the_load_balancer_counts_in_the_network() -> None:
    spec = replace(_many(97), api_load_balancer=True)
    (refusal,) = plan(nothing(), spec).refusals
    assert "would have 101 servers and load balancers" in refusal.settings[0].message


def test_servers_and_balancers_of_others_in_the_network_count() -> None:
    spec = _many(97)
    state = healthy(_with_worker())
    network = state.view.networks[0].id
    ours = len(state.view.load_balancers)
    balancer = LoadBalancer(id=7, name="theirs", private_ips={network: "10.0.0.99"})
    crowded = state.with_view(replace(state.view, load_balancers=(*state.view.load_balancers, balancer)))
    total = sum(network in s.private_ips for s in state.view.servers) + 97 + 1 + ours
    assert any(f"would have {total} servers" in note for note in plan(crowded, spec).notes)


def test_a_project_takes_fifty_placement_groups() -> None:
    groups = tuple(PlacementGroup(id=1000 + number, name=f"theirs-{number}") for number in range(50))
    full = nothing().with_view(replace(nothing().view, placement_groups=groups))
    (refusal,) = plan(full, _with_worker()).refusals
    assert "placement groups, and it may have 50" in refusal.settings[0].message


CHANNELS = {"v1.35": K3sVersion.parse("v1.35.9+k3s1"), "v1.36": K3sVersion.parse("v1.36.3+k3s1")}


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("v1.36.3+k3s1", None),
        ("v1.35.1+k3s2", None),
        ("v1.36.4-rc1+k3s1", None),
        ("v1.36.30+k3s1", "k3s has no release v1.36.30+k3s1: the newest of v1.36 is v1.36.3+k3s1"),
        ("v1.36.3+k3s2", "k3s has no release v1.36.3+k3s2: the newest of v1.36 is v1.36.3+k3s1"),
        ("v1.63.3+k3s1", "k3s has no release v1.63.3+k3s1: its newest is v1.36.3+k3s1"),
    ],
)
def test_a_k3s_that_was_never_released_is_refused_before_anything_is_bought(version: str, why: str | None) -> None:
    spec = replace(_with_worker(), k3s_version=K3sVersion.parse(version))
    told = plan(replace(nothing(), releases=Known(CHANNELS)), spec)
    refused = [setting for refusal in told.refusals for setting in refusal.settings]
    assert [(setting.key, setting.message) for setting in refused] == ([] if why is None else [("k3s_version", why)])
    living = plan(replace(lose(healthy(spec), WORKER1), releases=Known(CHANNELS)), spec)
    assert living.steps
    assert (f"k3s_version: {why}" in living.notes) == (why is not None)


def test_channels_that_cannot_be_read_are_a_note_and_never_a_refusal() -> None:
    told = plan(replace(nothing(), releases=Unknown("no answer", NOW)), _with_worker())
    assert told.steps == plan(nothing(), _with_worker()).steps
    assert any("was not looked up: no answer" in note for note in told.notes)
