"""Each field of every resource that we make at Hetzner is changed there by hand: `plan` names it, or does something.

Which fields there are is read off the requests by which a cluster is made, so a new one has no row here and is missed.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2
import pytest

from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Resource
from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.lab.simulated.wires.hetzner_transport import HetznerTransport
from hetzner_k3s.model import naming
from hetzner_k3s.model.plan import Forecast

from . import tool
from .clusters import CLUSTER, MASTER1, WORKER1, a_spec
from .story import healthy

Undo = Callable[[], None]
Strike = Callable[[Project], Undo]
Bodies = dict[str, set[str]]


@dataclass(frozen=True)
class Unnamed:
    """Why nobody names a change of this field."""

    why: str


@dataclass(frozen=True)
class Row:
    """What somebody does to a field, and what `plan` answers: steps, fields of differences and codes of refusals."""

    strike: Strike
    answer: str | Unnamed


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Name the fields of a body, `[]` for any entry of a list."""
    match value:
        case dict():
            for key, below in value.items():
                yield from leaves(below, f"{path}.{key}" if path else key)
        case list():
            for below in value:
                yield from leaves(below, f"{path}[]")
        case _:
            yield path


def of(kind: str, name: str) -> Callable[[Project], Any]:
    """Find a resource by name."""
    return lambda project: next(r for r in getattr(project, kind).values() if r.name == name)


def given(found: Callable[[Project], Any], attribute: str, change: Callable[[Any], Any]) -> Strike:
    """Give an attribute of what Hetzner keeps another value, until it is undone."""

    def strike(project: Project) -> Undo:
        record = found(project)
        before = getattr(record, attribute)
        setattr(record, attribute, change(before))
        return lambda: setattr(record, attribute, before)

    return strike


def unlabelled(found: Callable[[Project], Resource], label: str) -> Strike:
    return given(found, "labels", lambda labels: {key: value for key, value in labels.items() if key != label})


SERVER, WORKER = of("servers", MASTER1), of("servers", WORKER1)
NETWORK, FIREWALL = of("networks", CLUSTER), of("firewalls", CLUSTER)
BALANCER = of("load_balancers", naming.api_load_balancer(CLUSTER))
GROUP = of("placement_groups", naming.masters_placement_group(CLUSTER, 1))
KEY = of("ssh_keys", naming.ssh_key(CLUSTER))
BIG: Final = Unnamed("it does the same for the API, and how much of it is its owner's affair")
FIRST: Final = Unnamed("it acts at the first boot, and Hetzner shows it to nobody afterwards")


def renamed(name: str) -> str:
    """Return a name that somebody else would give."""
    return f"{name}-of-somebody"


def rule(**changes: Any) -> Strike:
    """Change the first rule of the firewall, that of SSH."""

    def changed(rules: list[Any]) -> list[Any]:
        description = changes.get("description", rules[0].description)
        inner = {key: value for key, value in changes.items() if key != "description"}
        return [replace(rules[0], rule=replace(rules[0].rule, **inner), description=description), *rules[1:]]

    return given(FIREWALL, "rules", changed)


def service(**changes: Any) -> Strike:
    return given(BALANCER, "services", lambda services: [replace(services[0], **changes)])


def checked(**changes: Any) -> Strike:
    def change(services: list[Any]) -> list[Any]:
        return [replace(services[0], health_check=replace(services[0].health_check, **changes))]

    return given(BALANCER, "services", change)


def asking(**changes: Any) -> Strike:
    """Change what the health check asks over HTTPS."""

    def change(services: list[Any]) -> list[Any]:
        check = services[0].health_check
        return [replace(services[0], health_check=replace(check, http=replace(check.http, **changes)))]

    return given(BALANCER, "services", change)


def subnet(**changes: Any) -> Strike:
    return given(NETWORK, "subnets", lambda subnets: [replace(subnets[0], **changes)])


def target(change: Callable[[Any], Any]) -> Strike:
    return given(BALANCER, "targets", lambda targets: [change(found) for found in targets])


OTHER_KEY: Final = ":".join(["ab"] * 16)
LB, FIREWALL_STEP = "EnsureLoadBalancer", "EnsureFirewall"
ROWS: Final[dict[str, Row]] = {
    "ssh_keys name": Row(given(KEY, "name", renamed), Unnamed("it is known by its fingerprint")),
    "ssh_keys public_key": Row(given(KEY, "fingerprint", lambda _: OTHER_KEY), "ssh-key.other"),
    "networks name": Row(given(NETWORK, "name", renamed), "network.gone"),
    "networks ip_range": Row(
        given(NETWORK, "ip_range", lambda _: ipaddress.ip_network("10.0.0.0/8")),
        Unnamed("Hetzner only enlarges it, and all addresses stay"),
    ),
    "networks labels.cluster": Row(unlabelled(NETWORK, "cluster"), "resource.foreign"),
    "networks subnets[].ip_range": Row(
        subnet(ip_range=ipaddress.ip_network("10.9.0.0/24")), "networking.private_network.subnet"
    ),
    "networks subnets[].network_zone": Row(
        subnet(network_zone="us-east"), Unnamed("Hetzner changes it of no subnet, and takes none away that is in use")
    ),
    "networks subnets[].type": Row(
        subnet(type="vswitch"), Unnamed("Hetzner changes it of no subnet, and takes none away that is in use")
    ),
    "placement_groups name": Row(given(GROUP, "name", renamed), "EnsurePlacementGroup"),
    "placement_groups type": Row(given(GROUP, "name", lambda name: name), Unnamed("Hetzner has one type")),
    "placement_groups labels.cluster": Row(unlabelled(GROUP, "cluster"), "resource.foreign"),
    "placement_groups labels.role": Row(unlabelled(GROUP, "role"), Unnamed("a word for readers")),
    "placement_groups labels.pool": Row(
        unlabelled(of("placement_groups", naming.workers_placement_group(CLUSTER, "small", 1)), "pool"),
        Unnamed("a word for readers"),
    ),
    "firewalls name": Row(given(FIREWALL, "name", renamed), FIREWALL_STEP),
    "firewalls labels.cluster": Row(unlabelled(FIREWALL, "cluster"), "resource.foreign"),
    "firewalls rules[].direction": Row(
        rule(direction="out", source_ips=(), destination_ips=("0.0.0.0/0",)), FIREWALL_STEP
    ),
    "firewalls rules[].protocol": Row(rule(protocol="udp"), FIREWALL_STEP),
    "firewalls rules[].port": Row(rule(port="2222"), FIREWALL_STEP),
    "firewalls rules[].source_ips[]": Row(rule(source_ips=("192.0.2.0/24",)), FIREWALL_STEP),
    "firewalls rules[].description": Row(rule(description="mine"), Unnamed("a word for readers")),
    "firewalls apply_to[].type": Row(given(FIREWALL, "selectors", lambda _: []), FIREWALL_STEP),
    "firewalls apply_to[].label_selector.selector": Row(
        given(FIREWALL, "selectors", lambda found: [replace(found[0], text="role=ingress")]), FIREWALL_STEP
    ),
    "load_balancers name": Row(given(BALANCER, "name", renamed), LB),
    "load_balancers load_balancer_type": Row(given(BALANCER, "type", lambda found: replace(found, name="lb21")), BIG),
    "load_balancers location": Row(given(BALANCER, "location", lambda found: replace(found, name="hel1")), BIG),
    "load_balancers algorithm.type": Row(given(BALANCER, "algorithm", lambda _: "least_connections"), BIG),
    "load_balancers network": Row(given(BALANCER, "attachment", lambda _: None), LB),
    "load_balancers labels.cluster": Row(unlabelled(BALANCER, "cluster"), "resource.foreign"),
    "load_balancers services[].protocol": Row(service(protocol="http"), LB),
    "load_balancers services[].listen_port": Row(service(listen_port=443), LB),
    "load_balancers services[].destination_port": Row(service(destination_port=443), LB),
    "load_balancers services[].proxyprotocol": Row(service(proxyprotocol=True), LB),
    "load_balancers services[].health_check.protocol": Row(checked(protocol="tcp", http=None), LB),
    "load_balancers services[].health_check.port": Row(checked(port=80), LB),
    "load_balancers services[].health_check.interval": Row(checked(interval=15), BIG),
    "load_balancers services[].health_check.timeout": Row(checked(timeout=10), BIG),
    "load_balancers services[].health_check.retries": Row(checked(retries=5), BIG),
    "load_balancers services[].health_check.http.domain": Row(
        asking(domain="api.example.com"), Unnamed("k3s answers whatever host it is asked for")
    ),
    "load_balancers services[].health_check.http.path": Row(asking(path="/ping"), LB),
    "load_balancers services[].health_check.http.response": Row(asking(response="ok"), LB),
    "load_balancers services[].health_check.http.status_codes[]": Row(asking(status_codes=("2??",)), LB),
    "load_balancers services[].health_check.http.tls": Row(asking(tls=False), LB),
    "load_balancers targets[].type": Row(given(BALANCER, "targets", lambda _: []), LB),
    "load_balancers targets[].label_selector.selector": Row(
        target(lambda found: replace(found, match=replace(found.match, text="role=ingress"))), LB
    ),
    "load_balancers targets[].use_private_ip": Row(target(lambda found: replace(found, use_private_ip=False)), LB),
    "servers name": Row(given(SERVER, "name", renamed), "masters.other-names"),
    "servers server_type": Row(
        given(SERVER, "server_type", lambda found: replace(found, name="cx1")), "masters_pool.instance_type"
    ),
    "servers image": Row(
        given(SERVER, "image", lambda found: replace(found, name="other", id=1)), "masters_pool.image"
    ),
    "servers location": Row(
        given(SERVER, "location", lambda found: replace(found, name="hel1")), "masters_pool.locations"
    ),
    "servers labels.cluster": Row(unlabelled(SERVER, "cluster"), "server.foreign"),
    "servers labels.role": Row(unlabelled(SERVER, "role"), "server.foreign"),
    "servers labels.hetzner-k3s/boot-key": Row(unlabelled(SERVER, naming.LABEL_BOOT_KEY), FIRST),
    "servers labels.hetzner-k3s/first-boot": Row(unlabelled(SERVER, naming.LABEL_FIRST_BOOT), FIRST),
    "servers labels.hetzner-k3s/host-key": Row(unlabelled(SERVER, naming.LABEL_HOST_KEY), "host.key-changed"),
    "servers placement_group": Row(given(SERVER, "placement_group", lambda _: None), "placement group"),
    "servers networks[]": Row(given(WORKER, "attachments", lambda _: []), "CreateServer"),
    "servers public_net.enable_ipv4": Row(given(WORKER, "ipv4", lambda _: None), "networking.public_network.ipv4"),
    "servers public_net.enable_ipv6": Row(given(WORKER, "ipv6", lambda _: None), "networking.public_network.ipv6"),
    "servers ssh_keys[]": Row(given(SERVER, "ssh_keys", lambda _: ()), FIRST),
    "servers start_after_create": Row(given(SERVER, "status", lambda _: "off"), "PowerOn"),
    "servers user_data": Row(given(SERVER, "user_data", lambda _: "#!/bin/true"), FIRST),
}
LOCK: Final = {f"placement_groups labels.hetzner-k3s/{what}" for what in ("holder", "run", "expires", "lease")}
"""Of the operator lock, which is there while a run is."""


@dataclass(frozen=True)
class Told:
    """What was made, and what `plan` says after each change."""

    bodies: set[str]
    forecasts: dict[str, Forecast]


@pytest.fixture(scope="module")
def told() -> Told:
    """Make a cluster, read by which requests, and do to it what the rows say, one after another."""
    bodies: set[str] = set()
    forecasts: dict[str, Forecast] = {}
    carry = HetznerTransport.handle_async_request

    async def tapped(self: HetznerTransport, request: httpx2.Request) -> httpx2.Response:
        kind = request.url.path.removeprefix("/v1/")
        if request.method == "POST" and "/" not in kind:
            bodies.update(f"{kind} {leaf}" for leaf in leaves(json.loads(request.content)))
        return await carry(self, request)

    async def tell() -> None:
        async with healthy(1, spec=a_spec(load_balancer=True)) as story:
            for name, row in ROWS.items():
                undo = row.strike(story.world.project)
                forecasts[name] = await tool.plan(story.world, story.spec)
                undo()
            forecasts[""] = await tool.plan(story.world, story.spec)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HetznerTransport, "handle_async_request", tapped)
        virtual_time.run(tell())
    return Told(bodies, forecasts)


def said(ahead: Forecast) -> set[str]:
    """Return the steps, fields of differences and codes of refusals of a forecast."""
    steps = {planned.key.verb for wave in ahead.waves for planned in wave}
    return steps | {one.field for one in ahead.differences} | {refusal.code for refusal in ahead.refusals}


def test_every_field_that_we_send_has_its_row(told: Told) -> None:
    assert told.bodies - LOCK == ROWS.keys()


def test_nothing_was_wrong_before_and_nothing_is_afterwards(told: Told) -> None:
    assert said(told.forecasts[""]) == set()


@pytest.mark.parametrize("field", ROWS)
def test_a_change_by_hand_is_named(field: str, told: Told) -> None:
    answer = ROWS[field].answer
    if isinstance(answer, Unnamed):
        assert said(told.forecasts[field]) == set()
    else:
        assert answer in said(told.forecasts[field])
