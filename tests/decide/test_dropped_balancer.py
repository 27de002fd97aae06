"""The API's load balancer that the file drops is named, and goes with `--prune` only where nobody needs it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.decide.test_balancer import BALANCER, changed, service, target
from tests.decide.world import (
    CREATE,
    MASTER1,
    MASTER2,
    PRUNE,
    WORKER1,
    a_spec,
    edit_facts,
    forecast,
    healthy,
    lose,
    nothing,
    plan,
    verbs,
    waves,
    with_listing,
)

from hetzner_k3s.decide.status.report import report
from hetzner_k3s.model.consents import Prune
from hetzner_k3s.model.hetzner.load_balancing import API_SERVICE
from hetzner_k3s.model.plan import Reason
from hetzner_k3s.model.state import ClusterState

INSIDE = "10.0.9.40"
WITHOUT = a_spec(load_balancer=False)
DELETION = f"DeleteResource load_balancer {BALANCER.name}"


def beyond(**changes: Any) -> ClusterState:
    """Return a cluster whose kubeconfig follows the file, which asks for no load balancer any more."""
    return changed(healthy(WITHOUT), **changes)


def told(state: ClusterState, *, prune: bool) -> list[str]:
    given = forecast(state, WITHOUT, PRUNE) if prune else forecast(state, WITHOUT)
    return [note.removeprefix("load balancer prod-api is beyond the file and ") for note in given.notes]


def test_without_consent_it_is_named_and_nothing_is_done() -> None:
    assert waves(beyond(), WITHOUT) == []
    assert told(beyond(), prune=False) == ["is left as it is"]
    assert plan(beyond(), WITHOUT).left_alone == ()


def test_with_prune_it_is_deleted() -> None:
    assert waves(beyond(), WITHOUT, PRUNE) == [[DELETION]]
    assert told(beyond(), prune=True) == []
    (planned,) = plan(beyond(), WITHOUT, PRUNE).steps
    assert (planned.consent, planned.reason) == (Prune(), Reason.SHRINK)
    assert BALANCER.public_ipv4 is not None
    assert BALANCER.public_ipv4 in planned.because


def test_without_the_label_it_is_not_ours() -> None:
    assert [r.code for r in plan(beyond(labels={}), WITHOUT, PRUNE).refusals] == ["resource.foreign"]


def test_prune_does_not_touch_one_that_the_file_asks_for() -> None:
    assert plan(healthy(), intent=PRUNE).settled


KEPT: dict[str, tuple[dict[str, Any], str]] = {
    "protected": ({"protected": True}, "it is protected against deletion at Hetzner"),
    "another service": (
        {"services": (API_SERVICE, service(listen_port=443, destination_port=30443))},
        "somebody else uses it: service tcp 443 -> 30443",
    ),
    "a server": ({"targets": (target("7", kind="server"),)}, "somebody else uses it: target server 7"),
    "an address": ({"targets": (target("192.0.2.1", kind="ip"),)}, "somebody else uses it: target ip 192.0.2.1"),
    "another selector": (
        {"targets": (*BALANCER.targets, target("role=ingress"))},
        "somebody else uses it: target label_selector role=ingress",
    ),
}


@pytest.mark.parametrize("kept", KEPT)
def test_what_is_protected_or_used_otherwise_stays_and_says_so(kept: str) -> None:
    changes, why = KEPT[kept]
    assert told(beyond(**changes), prune=False) == [f"is left as it is, with --prune too: {why}"]
    assert told(beyond(**changes), prune=True) == [f"stays all the same: {why}"]
    assert waves(beyond(**changes), WITHOUT, PRUNE) == []


def naming_it(address: str) -> ClusterState:
    """Return a cluster whose kubeconfig has a context that leads to an address."""
    local = beyond().local
    return replace(beyond(), local=replace(local, kubeconfig_servers={**local.kubeconfig_servers, "x": address}))


@pytest.mark.parametrize("address", [f"https://{BALANCER.public_ipv4}:6443", f"https://{INSIDE}:6443"])
def test_the_kubeconfig_is_written_anew_before_it_goes(address: str) -> None:
    state = naming_it(address)
    assert waves(state, WITHOUT, PRUNE) == [[f"WriteKubeconfig {WITHOUT.kubeconfig_path}"], [DELETION]]
    assert told(state, prune=True) == [f"stays as long as its address is named by {WITHOUT.kubeconfig_path}"]


@pytest.mark.parametrize("prune", [True, False])
def test_a_worker_that_names_it_is_pointed_to_a_master_first(prune: bool) -> None:
    url = f"https://{INSIDE}:6443"
    known = ("10.0.0.2:6443", "10.0.0.3:6443")
    state = edit_facts(
        beyond(), WORKER1, lambda f: replace(f, disk=replace(f.disk, config_server=url, agent_servers=known))
    )
    assert waves(state, WITHOUT, *([PRUNE] if prune else [])) == (
        [[f"PointWorker {WORKER1}"], [DELETION]] if prune else []
    )


def test_an_agent_that_knows_nothing_else_keeps_it() -> None:
    state = edit_facts(beyond(), WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_servers=(f"{INSIDE}:6443",))))
    assert waves(state, WITHOUT, PRUNE) == []
    assert told(state, prune=True) == [f"stays as long as its address is named by {WORKER1}"]


def test_a_master_that_names_it_is_pointed_to_another_first() -> None:
    url = f"https://{INSIDE}:6443"
    state = edit_facts(beyond(), MASTER1, lambda f: replace(f, disk=replace(f.disk, config_server=url)))
    assert waves(state, WITHOUT, PRUNE) == [[f"MarkMember {MASTER1}"], [DELETION]]
    assert waves(state, WITHOUT) == []


def test_while_a_master_is_lost_it_stays() -> None:
    assert DELETION not in verbs(plan(lose(beyond(), MASTER2), WITHOUT, PRUNE).steps)


def test_before_the_cluster_is_initialized_nothing_is_beyond_the_file() -> None:
    state = with_listing(nothing(), load_balancers=(BALANCER,))
    assert told(state, prune=False) == told(state, prune=True) == []
    assert DELETION not in verbs(plan(state, WITHOUT, PRUNE).steps)


def test_the_only_master_names_it_no_more_when_it_goes() -> None:
    one = a_spec(1)
    state = edit_facts(
        changed(healthy(one)),
        MASTER1,
        lambda f: replace(f, disk=replace(f.disk, config_server=f"https://{INSIDE}:6443")),
    )
    assert waves(state, one, PRUNE) == [[f"MarkMember {MASTER1}"], [DELETION]]
    assert waves(state, one) == []


def test_no_worker_is_pointed_away_from_one_that_stays() -> None:
    url = f"https://{INSIDE}:6443"
    state = edit_facts(
        beyond(protected=True),
        WORKER1,
        lambda f: replace(f, disk=replace(f.disk, config_server=url, agent_servers=("10.0.0.2:6443",))),
    )
    assert waves(state, WITHOUT, PRUNE) == []


def test_status_names_it_as_beyond_the_file() -> None:
    ahead = forecast(beyond(), WITHOUT)
    assert report(WITHOUT, beyond(), CREATE, ahead).beyond_file == ("load balancer prod-api",)
