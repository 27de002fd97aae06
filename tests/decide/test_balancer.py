"""The API's load balancer is compared by what it does, and gets back what it lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.decide.world import (
    NETWORK,
    SPEC,
    forecast,
    healthy,
    in_order,
    nothing,
    plan,
    waves,
    with_listing,
)

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import BalancedService, BalancerTarget, HealthCheck
from hetzner_k3s.model.difference import Remedy, left_as_it_is
from hetzner_k3s.model.hetzner.load_balancing import API_CHECK, API_SERVICE
from hetzner_k3s.model.plan import Reason
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import EnsureLoadBalancer

FIELD = "create_load_balancer_for_the_kubernetes_api"
MEMBERS = naming.members_selector(SPEC.name)
MASTERS = naming.masters_selector(SPEC.name)
(BALANCER,) = healthy().view.load_balancers
TCP = "tcp 6443 -> 6443"
CHECKED = "checked by https 6443/readyz (200, 401)"
WANTED = f"target {MEMBERS} by private addresses"


def target(selector: str, *, private: bool = True, kind: str = "label_selector") -> BalancerTarget:
    return BalancerTarget(kind=kind, name=selector, private=private)


def service(**changes: Any) -> BalancedService:
    return replace(API_SERVICE, **changes)


def changed(state: ClusterState | None = None, **changes: Any) -> ClusterState:
    return with_listing(state or healthy(), load_balancers=(replace(BALANCER, **changes),))


def checked(**changes: Any) -> dict[str, Any]:
    return {"services": (service(check=replace(API_CHECK, **changes)),)}


def otherwise(seen: str) -> set[tuple[str, str]]:
    """Return the difference of a service that is checked in another way."""
    return {(f"{TCP}, {CHECKED}", f"{TCP}, checked by {seen}")}


LACKS: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "no network": ({"private_ips": {}}, {("network prod", "no network")}),
    "no target": ({"targets": ()}, {(WANTED, "no target for the masters")}),
    "a server as target": ({"targets": (target("101", kind="server"),)}, {(WANTED, "no target for the masters")}),
    "workers too": ({"targets": (target("cluster=prod"),)}, {(WANTED, "no target for the masters")}),
    "others' masters too": ({"targets": (target("role=master"),)}, {(WANTED, "no target for the masters")}),
    "fewer masters": ({"targets": (target(f"{MEMBERS},zone=a"),)}, {(WANTED, "no target for the masters")}),
    "public addresses": ({"targets": (target(MEMBERS, private=False),)}, {(WANTED, "it by public ones")}),
    "2.x, public": ({"targets": (target(MASTERS, private=False),)}, {(WANTED, "no target for the masters")}),
    "no service": ({"services": ()}, {(TCP, "no service on its port")}),
    "another port": ({"services": (service(listen_port=443),)}, {(TCP, "no service on its port")}),
    "to another port": ({"services": (service(destination_port=80),)}, {(TCP, "tcp 6443 -> 80")}),
    "http": ({"services": (service(protocol="http"),)}, {(TCP, "http 6443 -> 6443")}),
    "proxied": ({"services": (service(proxy_protocol=True),)}, {(TCP, f"{TCP} with PROXY protocol")}),
    "checked by TCP, as 2.x and we before did": (
        {"services": (service(check=HealthCheck(protocol="tcp", port=6443)),)},
        {(f"{TCP}, {CHECKED}", f"{TCP}, checked by tcp 6443")},
    ),
    "to another port, and checked by TCP": (
        {"services": (service(destination_port=80, check=HealthCheck(protocol="tcp", port=80)),)},
        {(f"{TCP}, {CHECKED}", "tcp 6443 -> 80, checked by tcp 80")},
    ),
    "checked by another port": (checked(port=80), otherwise("https 80/readyz (200, 401)")),
    "checked by another path": (checked(path="/ping"), otherwise("https 6443/ping (200, 401)")),
    "checked without TLS": (checked(tls=False), otherwise("http 6443/readyz (200, 401)")),
    "checked for ok alone": (checked(statuses=("200",)), otherwise("https 6443/readyz (200)")),
    "no status": (checked(statuses=()), otherwise("https 6443/readyz ()")),
    "starting masters are well": (checked(statuses=("*",)), otherwise("https 6443/readyz (*)")),
    "failing masters are well": (
        checked(statuses=("2??", "4??", "500")),
        otherwise("https 6443/readyz (2??, 4??, 500)"),
    ),
    "checked for a word": (checked(response="ok"), otherwise('https 6443/readyz (200, 401, "ok")')),
    "all": (
        {"private_ips": {}, "targets": (), "services": ()},
        {("network prod", "no network"), (WANTED, "no target for the masters"), (TCP, "no service on its port")},
    ),
}


@pytest.mark.parametrize("lacking", LACKS)
def test_what_it_lacks_is_a_difference_that_one_step_ends(lacking: str) -> None:
    changes, expected = LACKS[lacking]
    state = changed(**changes)
    found = forecast(state).differences
    assert {(d.wanted, d.seen) for d in found} == expected
    assert {(d.subject, d.field, d.remedy) for d in found} == {(BALANCER.name, FIELD, Remedy.APPLY)}
    assert left_as_it_is(found) == ()
    (planned,) = plan(state).steps
    assert isinstance(planned.step, EnsureLoadBalancer)
    assert (planned.step.existing, planned.reason) == (BALANCER.id, Reason.DIFFERS)
    assert all(seen in planned.because and wanted in planned.because for wanted, seen in expected)
    assert waves(state) == [[f"EnsureLoadBalancer {BALANCER.name}"]]


FINE: dict[str, dict[str, Any]] = {
    "as it was made": {},
    "the selector of 2.x": {"targets": (target(MASTERS),)},
    "in another order": {"targets": (target("role==master, cluster=prod"),)},
    "a target more": {"targets": (target("role=ingress"), *BALANCER.targets)},
    "a service more": {"services": (service(listen_port=443), API_SERVICE)},
    "checked for more statuses": checked(statuses=("2??", "401", "403")),
    "of whose check nothing is told": {"services": (service(check=None),)},
    "being made": {"public_ipv4": None, "private_ips": {}, "targets": (), "services": ()},
    "its public interface switched off": {"public_ipv4": None},
}


@pytest.mark.parametrize("fine", FINE)
def test_what_does_the_same_is_no_difference(fine: str) -> None:
    state = changed(**FINE[fine])
    assert forecast(state).differences == ()
    assert not [p for p in plan(state).steps if isinstance(p.step, EnsureLoadBalancer)]


def test_one_in_another_network_is_named_and_left_there() -> None:
    state = changed(private_ips={NETWORK + 1: "10.9.0.2"}, targets=())
    assert not [p for p in plan(state).steps if isinstance(p.step, EnsureLoadBalancer)]
    assert left_as_it_is(d for d in forecast(state).differences if d.subject == BALANCER.name) == (
        f"{FIELD}: prod-api has another network (id {NETWORK + 1}), the file says network prod; left as it is: Hetzner "
        "has it in one network at most; detach it there and run `create` again",
    )


def test_one_that_is_being_made_is_not_corrected_later_in_the_forecast() -> None:
    making = with_listing(nothing(), load_balancers=(replace(BALANCER, public_ipv4=None, private_ips={}),))
    assert "EnsureLoadBalancer" not in {key.verb for key in in_order(making)}
    assert "JoinControlPlane" in {key.verb for key in in_order(making)}
