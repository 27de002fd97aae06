"""Rule sets say what Hetzner's firewalls do; that nft and the kernel agree is shown on real hosts."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.effects.machines import FirewallRule
from hetzner_k3s.lab.realhosts.network.packet_filter import Faults, private_rules, router_rules


def rule(protocol: str, port: str | None, *sources: str) -> FirewallRule:
    return FirewallRule("in", protocol, port, sources, ())


def chain(rules: str, name: str) -> list[str]:
    """Give the lines of a chain."""
    lines = rules.splitlines()
    start = lines.index(f"chain {name} {{") + 1
    return lines[start : lines.index("}", start)]


def test_a_firewall_without_inbound_rules_lets_nothing_in() -> None:
    assert chain(router_rules({7: ()}, Faults()), "in7") == ["drop"]


def test_a_firewall_without_outbound_rules_lets_everything_out() -> None:
    assert chain(router_rules({7: ()}, Faults()), "out7") == []


def test_outbound_rules_close_the_rest() -> None:
    web = FirewallRule("out", "tcp", "443", (), ("192.0.2.0/24",))
    expected = ["ip daddr { 192.0.2.0/24 } tcp dport 443 return", "drop"]
    assert chain(router_rules({7: (web,)}, Faults()), "out7") == expected


def test_ports_and_protocols() -> None:
    rules = (
        rule("tcp", "22", "0.0.0.0/0", "::/0"),
        rule("udp", "30000-32767", "192.0.2.1/32"),
        rule("tcp", "any", "192.0.2.1/32"),
        rule("icmp", None, "0.0.0.0/0"),
    )
    assert chain(router_rules({7: rules}, Faults()), "in7") == [
        "ip saddr { 0.0.0.0/0 } tcp dport 22 return",
        "ip saddr { 192.0.2.1/32 } udp dport 30000-32767 return",
        "ip saddr { 192.0.2.1/32 } meta l4proto tcp return",
        "ip saddr { 0.0.0.0/0 } meta l4proto icmp return",
        "drop",
    ]


def test_overlapping_sources_are_merged() -> None:
    overlapping = rule("tcp", "22", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.1/32")
    inbound = chain(router_rules({7: (overlapping,)}, Faults()), "in7")
    assert inbound[0] == "ip saddr { 10.0.0.0/8, 192.0.2.1/32 } tcp dport 22 return"


def test_a_rule_for_ipv6_alone_opens_nothing() -> None:
    assert chain(router_rules({7: (rule("tcp", "22", "::/0"),)}, Faults()), "in7") == ["drop"]


def test_cuts_come_before_established_connections() -> None:
    forward = chain(router_rules({7: ()}, Faults(ssh_cut={7}, public_cut={8})), "forward")
    tracked = forward.index("ct state established,related accept")
    assert forward.index('oifname "e7" tcp dport 22 drop') < tracked
    assert forward.index('iifname "e8" drop') < tracked


def test_a_private_pair_is_cut_both_ways_and_nobody_else() -> None:
    forward = chain(private_rules(Faults(private_pairs_cut={frozenset((8, 7))})), "forward")
    assert forward[1:] == ['iifname "e7" oifname "e8" drop', 'iifname "e8" oifname "e7" drop']


def test_healing_forgets_every_cut_of_a_server() -> None:
    faults = Faults({7, 8}, {7}, {7}, {frozenset((7, 8)), frozenset((8, 9))})
    faults.heal(7)
    assert faults == Faults({8}, set(), set(), {frozenset((8, 9))})
