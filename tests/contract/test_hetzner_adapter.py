"""The product's own adapter against the lab over HTTP: adoption, completeness, fates, waiting, deletion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.hetzner import cloud as adapter
from hetzner_k3s.lab.realhosts.system import SystemClock
from hetzner_k3s.model.cloud import BalancerTarget, FirewallRule, ServerOrder, ServerStatus
from hetzner_k3s.model.errors import CloudConflict, CloudRefused, CloudUnavailable, Fate
from hetzner_k3s.model.hetzner.load_balancing import API_SERVICE
from hetzner_k3s.model.secrets import Secret

from .running_lab import OTHER_TOKEN, PUBLIC_KEY, TOKEN, Lab, SeededRng

T = TypeVar("T")

LABELS = {"cluster": "demo", "role": "master", "hetzner-k3s/boot-key": "abc"}
SSH_RULE = FirewallRule(direction="in", protocol="tcp", port="22", networks=("0.0.0.0/0",), description="ssh")


class HastyClock(SystemClock):
    """The machine's clock, on which waits take a twentieth."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


def cloud_of(lab: Lab, token: str = TOKEN) -> HetznerCloud:
    return HetznerCloud(Secret(token), clock=HastyClock(), rng=SeededRng(7), endpoint=lab.api)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def fault(lab: Lab, **rule: Any) -> None:
    assert lab.admin("POST", "/faults", json=rule).ok


def requests_of(lab: Lab, method: str, path: str = "") -> list[str]:
    return [e.path for e in lab.recorder.exchanges if e.method == method and e.path.startswith(path)]


async def order_of(cloud: HetznerCloud, name: str = "demo-master1") -> ServerOrder:
    key = await cloud.create_ssh_key("demo", PUBLIC_KEY)
    network = await cloud.create_network("demo", "10.0.0.0/16", "eu-central", {})
    group = await cloud.create_placement_group("demo-masters-pg1", {"cluster": "demo"})
    return ServerOrder(
        name=name,
        server_type="cpx22",
        image="debian-13",
        location="fsn1",
        labels=LABELS,
        ssh_key=key.id,
        network=network.id,
        placement_group=group.id,
        user_data="#cloud-config\n{}\n",
        ipv4=True,
        ipv6=True,
    )


def test_a_server_is_asked_for_once_and_comes_back_with_its_addresses(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        server = await cloud.create_server(order)
        assert server.status is ServerStatus.RUNNING
        assert server.public_ipv4
        assert server.private_ips == {order.network: "10.0.0.2"}
        assert server.labels == LABELS
        assert server.placement_group == order.placement_group
        assert await cloud.find_server("demo-master1") == server

    run(story())
    assert requests_of(lab, "POST", "/servers") == ["/servers"]


def test_a_lost_answer_leads_to_adoption_not_to_a_second_server(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        fault(lab, effect="drop", method="POST", path="/servers")
        server = await cloud.create_server(order)
        assert server.status is ServerStatus.RUNNING
        assert [s.id for s in (await cloud.survey()).servers] == [server.id]

    run(story())


def test_a_name_of_another_is_never_adopted(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        first = await cloud.create_server(order)
        assert (await cloud.create_server(order)).id == first.id
        with pytest.raises(CloudConflict, match="does not carry the labels"):
            await cloud.create_server(replace(order, labels={**LABELS, "hetzner-k3s/boot-key": "other"}))

    run(story())


def test_answers_that_stay_lost_end_after_bounded_tries(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        fault(lab, effect="error", method="POST", path="/servers", code="server_error", always=True)
        with pytest.raises(CloudUnavailable) as failed:
            await cloud.create_server(order)
        assert failed.value.fate is Fate.MAY_HAVE_HAPPENED

    run(story())
    assert len(requests_of(lab, "POST", "/servers")) == 3


def test_no_capacity_is_told_by_its_code_and_did_not_happen(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        fault(lab, effect="unavailable", server_type="cpx22", location="fsn1")
        with pytest.raises(CloudUnavailable) as failed:
            await cloud.create_server(order)
        assert failed.value.code == "resource_unavailable"
        assert failed.value.fate is Fate.DID_NOT_HAPPEN
        assert failed.value.hint

    run(story())


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "conflict"])
def test_what_passes_is_retried(lab: Lab, code: str) -> None:
    fault(lab, effect="error", method="POST", path="/placement_groups", code=code, times=2)
    run(cloud_of(lab).create_placement_group("demo-masters-pg1", {}))
    assert len(requests_of(lab, "POST", "/placement_groups")) == 3


def test_a_rate_limit_is_never_slept_out_until_its_reset(lab: Lab) -> None:
    fault(lab, effect="error", method="GET", path="/servers", code="rate_limit_exceeded", always=True)
    began = time.monotonic()
    with pytest.raises(CloudUnavailable) as failed:
        run(cloud_of(lab).survey())
    assert failed.value.code == "rate_limit_exceeded"
    assert time.monotonic() - began < 10


def test_a_wrong_token_is_refused(lab: Lab) -> None:
    with pytest.raises(CloudRefused, match="unauthorized") as refused:
        run(cloud_of(lab, "wrong").survey())
    assert "token" in refused.value.hint
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize("token", ["abc\ndef", "geheim€", " padded"])
def test_a_token_that_no_header_takes_is_refused_without_being_quoted(lab: Lab, token: str) -> None:
    with pytest.raises(CloudRefused) as refused:
        run(cloud_of(lab, token).survey())
    assert token.strip() not in str(refused.value)


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    nowhere = HetznerCloud(Secret(TOKEN), clock=HastyClock(), rng=SeededRng(7), endpoint="localhost")
    with pytest.raises(CloudRefused) as refused:
        run(nowhere.survey())
    assert "HCLOUD_ENDPOINT" in refused.value.hint


def test_another_project_is_empty(lab: Lab) -> None:
    async def story() -> None:
        await cloud_of(lab).create_placement_group("demo-masters-pg1", {})
        assert not (await cloud_of(lab, OTHER_TOKEN).survey()).placement_groups

    run(story())


def test_nobody_answers(lab: Lab) -> None:
    nowhere = HetznerCloud(Secret(TOKEN), clock=HastyClock(), rng=SeededRng(7), endpoint="http://127.0.0.1:9/v1")
    with pytest.raises(CloudUnavailable) as failed:
        run(nowhere.create_placement_group("demo-masters-pg1", {}))
    assert failed.value.fate is Fate.DID_NOT_HAPPEN


def test_a_survey_is_six_requests_and_complete_over_many_pages(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        assert not (await cloud.survey()).servers
        assert len(lab.recorder.exchanges) == 6
        for number in range(51):
            await asyncio.to_thread(lab.sdk().ssh_keys.create, f"key{number}", _public_key(number))
        view = await cloud.survey()
        assert [key.id for key in view.ssh_keys] == sorted(key.id for key in view.ssh_keys)
        assert len(view.ssh_keys) == 51

    run(story())


def test_the_catalogue_is_read_in_two_listings_and_one_request_an_image(lab: Lab) -> None:
    async def story() -> None:
        fault(lab, effect="unavailable", server_type="cpx22", location="hel1")
        found = await cloud_of(lab).assortment(frozenset({"debian-13", "67794396", "debian-99", "1"}))
        assert found.locations["fsn1"] == "eu-central"
        assert found.locations["ash"] == "us-east"
        cpx22, cax11, cpx21 = (found.server_type(name) for name in ("cpx22", "cax11", "cpx21"))
        assert cpx22 is not None
        assert cpx22 == found.server_type(str(cpx22.id))
        assert {o.location: o.available for o in cpx22.offers} == {
            "fsn1": True,
            "nbg1": True,
            "hel1": False,
            "sin": True,
        }
        assert cax11 is not None
        assert cax11.architecture == "arm"
        assert cpx21 is not None
        ended = cpx21.offer("fsn1")
        assert ended is not None
        assert ended.ends == "2025-12-31T23:59:59Z"
        assert cpx21.offer("ash") is not None
        assert found.server_type("cpx99") is None
        both, x86 = frozenset({"x86", "arm"}), frozenset({"x86"})
        nothing: frozenset[str] = frozenset()
        assert found.images == {"debian-13": both, "67794396": x86, "debian-99": nothing, "1": nothing}

    run(story())
    assert len(requests_of(lab, "GET")) == 6


def test_a_catalogue_of_many_pages_is_read_to_its_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A type on a page that nobody read would be refused as unknown."""
    monkeypatch.setattr(adapter, "CATALOGUE_PAGE", 7)
    found = run(cloud_of(lab).assortment(frozenset()))
    assert len(found.server_types) == len(lab.sdk().server_types.get_all()) > 7


def test_a_page_with_a_hole_is_listed_again(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        await cloud.create_placement_group("a", {})
        await cloud.create_placement_group("b", {})
        fault(lab, effect="incomplete_page", method="GET", path="/placement_groups", times=2)
        assert [g.name for g in (await cloud.survey()).placement_groups] == ["a", "b"]

    run(story())


def test_a_listing_that_stays_incomplete_is_an_error_not_an_absence(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        await cloud.create_placement_group("a", {})
        fault(lab, effect="incomplete_page", method="GET", path="/placement_groups", always=True)
        with pytest.raises(CloudUnavailable, match="of 1 placement groups it showed 0"):
            await cloud.survey()

    run(story())


def test_the_lock_is_a_compare_and_set(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        group = await cloud.create_placement_group("demo-operator-lock", {"hetzner-k3s/run": "one"})
        with pytest.raises(CloudConflict):
            await cloud.create_placement_group("demo-operator-lock", {"hetzner-k3s/run": "two"})
        await cloud.delete("placement_group", group.id)
        fault(lab, effect="drop", method="POST", path="/placement_groups")
        assert (await cloud.create_placement_group("demo-operator-lock", {"hetzner-k3s/run": "three"})).id > group.id

    run(story())


def test_labels_that_are_merged_side_by_side_are_all_kept(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        group = await cloud.create_placement_group("demo-masters-pg1", {"cluster": "demo"})
        parts = {f"part-{number}": "written" for number in range(5)}
        await asyncio.gather(*(cloud.merge_labels("placement_group", group.id, {part: parts[part]}) for part in parts))
        read = await cloud.placement_group(group.id)
        assert read is not None
        assert read.labels == {"cluster": "demo", **parts}

    run(story())


def test_what_another_run_made_is_read_before_its_labels_are_written(lab: Lab) -> None:
    async def story() -> None:
        mine, theirs = cloud_of(lab), cloud_of(lab)
        group = await mine.create_placement_group("demo-masters-pg1", {"cluster": "demo"})
        await mine.merge_labels("placement_group", group.id, {"hetzner-k3s/phase": "bootstrapping"})
        assert requests_of(lab, "GET") == []
        merged = await theirs.merge_labels("placement_group", group.id, {"hetzner-k3s/phase": "born"})
        assert merged == {"cluster": "demo", "hetzner-k3s/phase": "born"}
        assert requests_of(lab, "GET") == [f"/placement_groups/{group.id}"]

    run(story())


def test_a_group_whose_new_labels_were_not_answered_is_read_before_the_next(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        group = await cloud.create_placement_group("demo-masters-pg1", {"cluster": "demo"})
        fault(lab, effect="error", method="PUT", path=r"/placement_groups/\d+", code="forbidden")
        with pytest.raises(CloudRefused):
            await cloud.merge_labels("placement_group", group.id, {"a": "1"})
        assert await cloud.merge_labels("placement_group", group.id, {"b": "2"}) == {"cluster": "demo", "b": "2"}
        assert len(requests_of(lab, "GET")) == 1

    run(story())


def test_labels_are_merged_on_a_fresh_reading_and_written_only_when_they_differ(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        group = await cloud.create_placement_group("demo-masters-pg1", {"cluster": "demo", "old": "x"})
        await cloud.merge_labels("placement_group", group.id, {"hetzner-k3s/phase": "born", "old": None})
        await cloud.merge_labels("placement_group", group.id, {"hetzner-k3s/phase": "born", "old": None})
        read = await cloud.placement_group(group.id)
        assert read is not None
        assert read.labels == {"cluster": "demo", "hetzner-k3s/phase": "born"}
        assert await cloud.placement_group(group.id + 1000) is None

    run(story())
    assert len(requests_of(lab, "PUT")) == 1


def test_the_same_ssh_key_under_another_name_is_taken(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        first = await cloud.create_ssh_key("mine", PUBLIC_KEY)
        assert await cloud.create_ssh_key("mine", PUBLIC_KEY) == first
        assert await cloud.create_ssh_key("demo", PUBLIC_KEY) == first
        with pytest.raises(CloudConflict):
            await cloud.create_ssh_key("mine", _public_key(1))

    run(story())


def test_everything_of_a_cluster_is_made_and_deleted(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        firewall = await cloud.create_firewall("demo", [SSH_RULE], "cluster=demo", {"a": "b"})
        assert (firewall.rules, firewall.selectors) == ((SSH_RULE,), ("cluster=demo",))
        await cloud.set_firewall_rules(firewall.id, [SSH_RULE, replace(SSH_RULE, port="80")])
        for _ in range(2):  # what is applied already stays so
            await cloud.apply_firewall(firewall.id, "role=master")
        (applied,) = (await cloud.survey()).firewalls
        assert set(applied.selectors) == {"cluster=demo", "role=master"}
        balancer = await cloud.create_load_balancer("demo-api", "fsn1", order.network, "cluster=demo", {})
        assert balancer.public_ipv4
        assert balancer.targets == (BalancerTarget(kind="label_selector", name="cluster=demo", private=True),)
        assert balancer.services == (API_SERVICE,)
        servers = await asyncio.gather(*(cloud.create_server(replace(order, name=f"demo-{n}")) for n in range(4)))
        view = await cloud.survey()
        assert view.servers == tuple(sorted(servers, key=lambda s: s.id))
        assert len(view.firewalls[0].rules) == 2
        assert await cloud.server_exists(servers[0].id)
        for server in servers:
            await cloud.delete("server", server.id)
        assert not await cloud.server_exists(servers[0].id)
        assert order.network is not None
        for kind, key in [("load_balancer", balancer.id), ("firewall", firewall.id), ("network", order.network)]:
            await cloud.delete(kind, key)
            await cloud.delete(kind, key)
        assert order.placement_group is not None
        await cloud.delete("placement_group", order.placement_group)
        await cloud.delete("ssh_key", order.ssh_key)
        left = await cloud.survey()
        assert not (left.servers)
        assert not (left.firewalls)
        assert not (left.networks)
        assert not (left.load_balancers)
        assert not left.placement_groups

    run(story())


def test_all_new_servers_are_awaited_by_one_listing(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        await asyncio.gather(*(cloud.create_server(replace(order, name=f"demo-{n}")) for n in range(8)))

    run(story())
    assert len(requests_of(lab, "GET", "/servers")) <= 8
    assert not requests_of(lab, "GET", "/servers/")
    assert not requests_of(lab, "GET", "/actions")


def test_many_actions_are_awaited_by_one_poller(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        servers = await asyncio.gather(*(cloud.create_server(replace(order, name=f"demo-{n}")) for n in range(8)))
        await asyncio.gather(*(cloud.delete("server", server.id) for server in servers))
        assert not await cloud.servers()

    run(story())
    assert len(requests_of(lab, "GET", "/actions")) <= 8
    assert not requests_of(lab, "GET", "/actions/")


def test_a_server_whose_machine_fails_is_no_wait_until_the_deadline(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_server_id: int) -> None:
        raise RuntimeError("no power")

    monkeypatch.setattr(lab.machines, "power_on", broken)

    async def story() -> None:
        cloud = cloud_of(lab)
        with pytest.raises(CloudUnavailable, match="start_server failed") as failed:
            await cloud.create_server(await order_of(cloud))
        assert failed.value.fate is Fate.MAY_HAVE_HAPPENED

    run(story())


def test_a_server_that_is_deleted_while_it_is_awaited_ends_the_wait(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deleted(server_id: int) -> None:
        asyncio.get_running_loop().run_in_executor(None, lab.send, "DELETE", f"/servers/{server_id}")
        await asyncio.sleep(0.5)

    monkeypatch.setattr(lab.machines, "power_on", deleted)

    async def story() -> None:
        cloud = cloud_of(lab)
        with pytest.raises(CloudUnavailable, match=r"was deleted while|does not exist anymore"):
            await cloud.create_server(await order_of(cloud))

    run(story())


def test_listings_that_fail_now_and_then_do_not_end_a_wait(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        fault(lab, effect="error", method="GET", path="/servers", code="service_error", times=2)
        assert (await cloud.create_server(order)).status is ServerStatus.RUNNING
        fault(lab, effect="error", method="GET", path="/servers", code="service_error", always=True)
        with pytest.raises(CloudUnavailable, match="service_error"):
            await cloud.create_server(replace(order, name="demo-master2"))

    run(story())


def _public_key(number: int) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_who_is_behind_a_load_balancer_is_told_by_its_selector(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        order = await order_of(cloud)
        server = await cloud.create_server(replace(order, labels={**order.labels, "hetzner-k3s/state": "member"}))
        selector = "cluster=demo,hetzner-k3s/state=member"
        balancer = await cloud.create_load_balancer("demo", "fsn1", order.network, selector, {"cluster": "demo"})
        for _ in range(200):
            if await cloud.balanced(balancer.id):
                break
            await asyncio.sleep(0.05)
        assert await cloud.balanced(balancer.id) == {server.id}
        assert await cloud.balanced(balancer.id + 1000) == frozenset()

    run(story())
