"""What stands around the servers: made where it is missing, set right where it differs, otherwise left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    ADDONS,
    CREATE,
    SPEC,
    a_spec,
    codes,
    edit_kube,
    healthy,
    in_order,
    nothing,
    plan,
    verbs,
    waves,
    with_listing,
)

from hetzner_k3s.decide.desired.firewall import firewall_rules
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.plan import Reason, StepKey
from hetzner_k3s.model.spec import FirewallRuleSpec, FirewallSpec, NetworkSpec
from hetzner_k3s.model.steps import EnsureFirewall, EnsureLoadBalancer


@pytest.mark.parametrize(
    ("missing", "made"),
    [
        ({"ssh_keys": ()}, "EnsureSshKey prod"),
        ({"firewalls": ()}, "EnsureFirewall prod"),
        ({"load_balancers": ()}, "EnsureLoadBalancer prod-api"),
        ({"placement_groups": healthy().view.placement_groups[:1]}, "EnsurePlacementGroup prod-pool-small-workers-pg1"),
    ],
)
def test_what_is_missing_beside_a_healthy_cluster_is_made(missing: dict[str, object], made: str) -> None:
    assert made in verbs(plan(with_listing(healthy(), **missing)).steps)


def test_a_key_that_is_registered_under_another_name_is_used() -> None:
    view = healthy().view
    assert plan(with_listing(healthy(), ssh_keys=(replace(view.ssh_keys[0], name="laptop"),))).settled


def test_firewall_rules_that_differ_are_set_and_other_words_for_the_same_are_not() -> None:
    firewall = healthy().view.firewalls[0]
    same = replace(firewall, rules=tuple(replace(r, description="said otherwise") for r in reversed(firewall.rules)))
    assert plan(with_listing(healthy(), firewalls=(same,))).settled
    (planned,) = plan(with_listing(healthy(), firewalls=(replace(firewall, rules=firewall.rules[1:]),))).steps
    assert isinstance(planned.step, EnsureFirewall)
    assert (planned.step.existing, planned.reason) == (30, Reason.DIFFERS)


def test_which_rules_differ_and_whom_it_is_on_is_said() -> None:
    firewall = healthy().view.firewalls[0]
    (ssh, *others) = firewall.rules
    own = replace(ssh, port="8080", networks=("192.0.2.0/24", "198.51.100.0/24"))
    state = with_listing(healthy(), firewalls=(replace(firewall, rules=(*others, own), selectors=("role=x",)),))
    missing, extra = "in tcp 22 from 0.0.0.0/0", "in tcp 8080 from 192.0.2.0/24, 198.51.100.0/24"
    (planned,) = plan(state).steps
    assert planned.because == (
        f"its rules differ from the file's (missing: {missing}; not in the file: {extra}) and it is not applied to the "
        "cluster's servers"
    )


def test_of_many_rules_three_are_named() -> None:
    firewall = replace(healthy().view.firewalls[0], rules=())
    (planned,) = plan(with_listing(healthy(), firewalls=(firewall,))).steps
    assert planned.because.endswith(" and 4 more; not in the file: none)")


def test_a_firewall_that_was_set_right_has_the_wanted_rules() -> None:
    firewall = healthy().view.firewalls[0]
    assert waves(with_listing(healthy(), firewalls=(replace(firewall, rules=()),))) == [["EnsureFirewall prod"]]


def test_the_rules_are_those_of_2_6_and_the_users_come_last() -> None:
    own = FirewallRuleSpec(description="Web", protocol="tcp", direction="in", port="80", addresses=("192.0.2.0/24",))
    spec = replace(SPEC, firewall=FirewallSpec(node_ports=None, custom_rules=(own,)))
    rules = firewall_rules(spec)
    assert [(r.protocol, r.port, r.networks) for r in rules] == [
        ("tcp", "22", ("0.0.0.0/0",)),
        ("icmp", None, ("0.0.0.0/0", "::/0")),
        ("tcp", "6443", ("0.0.0.0/0",)),
        ("tcp", "any", ("10.0.0.0/16",)),
        ("udp", "any", ("10.0.0.0/16",)),
        ("tcp", "80", ("192.0.2.0/24",)),
    ]
    assert rules[-1] == FirewallRule(
        direction="in", protocol="tcp", port="80", networks=("192.0.2.0/24",), description="Web"
    )


def test_node_ports_are_open_for_tcp_and_udp() -> None:
    assert [r.protocol for r in firewall_rules(SPEC) if r.port == "30000-32767"] == ["tcp", "udp"]


def test_an_existing_network_is_used_and_not_made() -> None:
    spec = replace(SPEC, network=NetworkSpec(existing_network_name="prod"))
    assert codes(healthy(), spec) == []
    assert plan(healthy(), spec).settled


def test_the_balancer_takes_joined_masters_only() -> None:
    keys = in_order(nothing())
    assert StepKey(EnsureLoadBalancer, "prod-api") in keys
    (step,) = [
        p.step for p in plan(with_listing(healthy(), load_balancers=())).steps if isinstance(p.step, EnsureLoadBalancer)
    ]
    assert step.selector == "cluster=prod,role=master,hetzner-k3s/state=member"


def test_one_master_gets_no_balancer() -> None:
    spec = a_spec(1, 0)
    assert not [key.verb for key in in_order(nothing(), spec) if key.verb == "EnsureLoadBalancer"]


def test_addons_are_applied_when_one_is_missing_or_made_from_another_file() -> None:
    missing = edit_kube(healthy(), lambda v: replace(v, addons={}))
    assert [(p.key.verb, p.reason) for p in plan(missing).steps] == [("ApplyAddons", Reason.MISSING)]
    changed = replace(CREATE, addons={**ADDONS, "hcloud-ccm": "digest-2"})
    assert [(p.key.verb, p.reason) for p in plan(healthy(), intent=changed).steps] == [("ApplyAddons", Reason.DIFFERS)]
    assert waves(healthy(), intent=changed) == [["ApplyAddons prod"]]
