"""Any bytes that the Hetzner API sends become a typed value or a typed error, for every listing and every call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.answering import Answer, Answering, answering
from tests.hosts.outside import INSTANCES, VALUES, assert_typed, nearly, sent

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.hetzner import connection as wire
from hetzner_k3s.adapters.system import SystemClock, SystemRng
from hetzner_k3s.model.cloud import CloudView, FirewallRule, ServerOrder
from hetzner_k3s.model.errors import CloudError, CloudUnavailable
from hetzner_k3s.model.hetzner.belongings import Belongings
from hetzner_k3s.model.secrets import Secret

pytestmark = pytest.mark.usefixtures("no_collection")

FEW = settings(max_examples=10, deadline=None)
TOKEN = "the-hetzner-token-of-this-test"


class NoWaiting(SystemClock):
    """A clock on which no wait takes time."""

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def api() -> Iterator[Answering]:
    with answering() as api:
        yield api


def cloud_at(api: Answering) -> HetznerCloud:
    # Without TLS: reading Mozilla's authorities again for each of thousands of connections takes longest of all.
    plain = httpx2.AsyncHTTPTransport(verify=False)
    return HetznerCloud(Secret(TOKEN), clock=NoWaiting(), rng=SystemRng(), endpoint=f"{api.url}/v1", transport=plain)


def outcome(api: Answering, call: Callable[[HetznerCloud], Coroutine[Any, Any, Any]], answer: Answer) -> Any:
    """Return what a call comes to when everything is answered so; anything but a `CloudError` is raised."""
    api.answer = lambda _method, _path: answer
    api.asked.clear()

    async def story() -> Any:
        cloud = cloud_at(api)
        try:
            async with asyncio.timeout(20):
                return await call(cloud)
        finally:
            await cloud.close()

    try:
        return asyncio.run(story())
    except CloudError as error:
        told = error
    assert TOKEN not in str(told)
    assert str(told).isprintable()
    return told


RULE = FirewallRule(direction="in", protocol="tcp", port="22", networks=("0.0.0.0/0",))
ORDER = ServerOrder(
    name="demo-master1",
    server_type="cpx22",
    image="debian-13",
    location="fsn1",
    labels={"cluster": "demo"},
    ssh_key=1,
    network=1,
    placement_group=None,
    user_data="",
    ipv4=True,
    ipv6=True,
)
CALLS: dict[str, Callable[[HetznerCloud], Coroutine[Any, Any, Any]]] = {
    "survey": lambda c: c.survey(),
    "belongings": lambda c: c.belongings(),
    "servers": lambda c: c.servers(),
    "servers_and_groups": lambda c: c.servers_and_groups(),
    "server_exists": lambda c: c.server_exists(7),
    "assortment": lambda c: c.assortment(frozenset({"debian-13", "7"})),
    "last_rebuild": lambda c: c.last_rebuild(7),
    "find_server": lambda c: c.find_server("demo-master1"),
    "placement_group": lambda c: c.placement_group(7),
    "balanced": lambda c: c.balanced(7),
    "grant_of": lambda c: c.grant_of(Secret("t" * 64), 7),
    "create_ssh_key": lambda c: c.create_ssh_key("demo", "ssh-ed25519 AAAA demo"),
    "create_network": lambda c: c.create_network("demo", "10.0.0.0/16", "eu-central", {}),
    "create_placement_group": lambda c: c.create_placement_group("demo", {}),
    "create_firewall": lambda c: c.create_firewall("demo", [RULE], "cluster=demo", {}),
    "set_firewall_rules": lambda c: c.set_firewall_rules(7, [RULE]),
    "apply_firewall": lambda c: c.apply_firewall(7, "cluster=demo"),
    "create_load_balancer": lambda c: c.create_load_balancer("demo", "fsn1", 7, "cluster=demo", {}),
    "correct_load_balancer": lambda c: c.correct_load_balancer(7, 8, "cluster=demo"),
    "create_server": lambda c: c.create_server(ORDER),
    "power_on": lambda c: c.power_on(7),
    "power_off": lambda c: c.power_off(7),
    "shut_down": lambda c: c.shut_down(7),
    "change_type": lambda c: c.change_type(7, "cpx32"),
    "merge_labels": lambda c: c.merge_labels("server", 7, {"a": "b"}),
    "replace_labels": lambda c: c.replace_labels("placement_group", 7, {"a": "b"}),
    "delete": lambda c: c.delete("server", 7),
    "delete_firewall": lambda c: c.delete("firewall", 7),
    "delete_server": lambda c: c.delete_server(7),
    "delete_unused_firewall": lambda c: c.delete_unused_firewall(7, ("cluster=demo",)),
}
EVERY_CALL = pytest.mark.parametrize("name", CALLS)


def test_every_call_of_the_port_is_tried() -> None:
    public = {name for name in vars(HetznerCloud) if not name.startswith("_")}
    assert public - {"close", "arrived"} <= {*CALLS}


@EVERY_CALL
def test_what_was_seen_is_a_typed_error_or_value(api: Answering, name: str) -> None:
    """Seen: `[]`, `{}` and `null` ended every command with a bug report."""
    for content in INSTANCES:
        outcome(api, CALLS[name], Answer(content[:2000], 201))


@pytest.mark.parametrize("status", [200, 301, 400, 404, 503])
def test_what_was_seen_is_a_typed_error_at_any_status(api: Answering, status: int) -> None:
    for content in INSTANCES:
        assert isinstance(outcome(api, CALLS["servers"], Answer(content, status)), CloudError)


@EVERY_CALL
@FEW
@given(content=st.one_of(st.binary(max_size=100), VALUES.map(sent)), status=st.sampled_from([200, 204, 302, 404, 503]))
def test_any_answer_is_a_typed_error_or_value(api: Answering, name: str, content: bytes, status: int) -> None:
    outcome(api, CALLS[name], Answer(content, status))


@FEW
@given(content=st.binary(max_size=200))
def test_bytes_that_are_no_http_are_no_answer(api: Answering, content: bytes) -> None:
    assert isinstance(outcome(api, CALLS["servers"], Answer(content, raw=True)), CloudError)
    assert isinstance(
        outcome(api, CALLS["servers"], Answer(b"HTTP/1.1 200 OK\r\n" + content, raw=True)), CloudError | tuple
    )


SERVER = {
    "id": 7,
    "name": "demo-master1",
    "status": "running",
    "location": {"name": "fsn1"},
    "server_type": {"name": "cpx22"},
    "labels": {"cluster": "demo"},
    "public_net": {"ipv4": {"ip": "198.51.100.7"}},
    "private_net": [{"network": 3, "ip": "10.0.0.2"}],
    "placement_group": {"id": 4},
    "protection": {"delete": False},
}
COVER = {"type": "label_selector", "label_selector": {"selector": "cluster=demo"}}
MATCHED = [{"type": "server", "server": {"id": 7}}]
RULE_ROW = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"], "destination_ips": []}
COMMON = {"id": 7, "name": "demo", "labels": {"cluster": "demo"}}
ROWS: dict[str, dict[str, Any]] = {
    "servers": SERVER,
    "networks": {**COMMON, "ip_range": "10.0.0.0/16", "subnets": [{"ip_range": "10.0.0.0/16"}]},
    "placement_groups": {**COMMON, "servers": [7]},
    "firewalls": {**COMMON, "rules": [RULE_ROW], "applied_to": [{**COVER, "applied_to_resources": MATCHED}]},
    "load_balancers": {
        **COMMON,
        "public_net": SERVER["public_net"],
        "services": [{"protocol": "tcp", "listen_port": 6443, "destination_port": 6443, "proxyprotocol": False}],
        "targets": [{**COVER, "targets": MATCHED}],
    },
    "ssh_keys": {**COMMON, "fingerprint": "aa:bb"},
}
USED: dict[str, dict[str, Any]] = {
    "volumes": {**COMMON, "size": 10, "server": 7, "protection": {"delete": False}},
    "floating_ips": {**COMMON, "ip": "192.0.2.1", "server": None},
    "primary_ips": {**COMMON, "ip": "192.0.2.2", "assignee_id": 7, "auto_delete": True},
}


def page(kind: str) -> dict[str, Any]:
    return {kind: [{**ROWS, **USED}[kind]], "meta": {"pagination": {"page": 1, "last_page": 1, "total_entries": 1}}}


def survey_of(api: Answering, pages: dict[str, Any]) -> Any:
    return listing_of(api, "survey", pages)


def listing_of(api: Answering, call: str, pages: dict[str, Any]) -> Any:
    api.answer = lambda _method, path: Answer(sent(pages[path.split("?")[0].rpartition("/")[2]]))
    try:
        return asyncio.run(CALLS[call](cloud_at(api)))
    except CloudError as error:
        return error


RIGHT = {kind: page(kind) for kind in (*ROWS, *USED)}


def test_the_right_listings_are_read(api: Answering) -> None:
    view = survey_of(api, RIGHT)
    assert_typed(view, CloudView)
    assert view.servers[0].private_ips == {3: "10.0.0.2"}
    assert view.firewalls[0].servers == {7}


@pytest.mark.parametrize("kind", ROWS)
@FEW
@given(data=st.data())
def test_a_listing_with_one_thing_wrong(api: Answering, kind: str, data: st.DataObject) -> None:
    view = survey_of(api, {**RIGHT, kind: data.draw(nearly(page(kind)))})
    if not isinstance(view, CloudError):
        assert_typed(view, CloudView)


@pytest.mark.parametrize("kind", USED)
@FEW
@given(data=st.data())
def test_a_listing_of_what_servers_use_with_one_thing_wrong(api: Answering, kind: str, data: st.DataObject) -> None:
    right = listing_of(api, "belongings", RIGHT)
    assert_typed(right, Belongings)
    assert [address.server for address in right.addresses] == [None, 7]
    found = listing_of(api, "belongings", {**RIGHT, kind: data.draw(nearly(page(kind)))})
    if not isinstance(found, CloudError):
        assert_typed(found, Belongings)


def test_a_listing_of_endless_pages_is_not_read(api: Answering) -> None:
    many = {"servers": [], "meta": {"pagination": {"last_page": 10**9, "total_entries": 0}}}
    assert "more than 200 pages" in str(survey_of(api, {**RIGHT, "servers": many}))


def test_an_answer_without_an_end_is_an_error(api: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_MOST_BYTES", 1000)
    assert "longer than" in str(outcome(api, CALLS["servers"], Answer(b" " * 70_000)))
    packed = Answer(b"\x1f\x8b" + b"x" * 50, headers={"Content-Encoding": "gzip"})
    assert isinstance(outcome(api, CALLS["servers"], packed), CloudUnavailable)


def test_an_answer_that_takes_too_long_is_an_error(api: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_WHOLE_SECONDS", -1.0)
    assert isinstance(outcome(api, CALLS["servers"], Answer(sent(RIGHT["servers"]))), CloudUnavailable)


def test_what_hetzner_says_is_printable(api: Answering) -> None:
    said = {"error": {"code": "forbidden", "message": "no\x1b[2J\x9b\u202e\nrefused: everything"}}
    error = outcome(api, CALLS["servers"], Answer(sent(said), 403))
    assert r"no\x1b[2J\x9b\u202e\nrefused: everything" in str(error)
