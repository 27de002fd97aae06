"""nftables rule sets of the router and of private networks, from what should hold now. Pure.

A whole table is replaced in one transaction: no packet sees half a change.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hetzner_k3s.lab.cloud.effects.machines import FirewallRule
from hetzner_k3s.lab.realhosts.network.links import METADATA, host_link

_TABLE = "table inet lab"
_TRACKED = "ct state established,related accept"


@dataclass(slots=True)
class Faults:
    """What tests broke: ids of servers (or pairs of them)."""

    ssh_cut: set[int] = field(default_factory=set)
    public_cut: set[int] = field(default_factory=set)
    private_cut: set[int] = field(default_factory=set)
    private_pairs_cut: set[frozenset[int]] = field(default_factory=set)

    def heal(self, server_id: int) -> None:
        """Undo every fault that touches a server."""
        for ids in (self.ssh_cut, self.public_cut, self.private_cut):
            ids.discard(server_id)
        self.private_pairs_cut = {pair for pair in self.private_pairs_cut if server_id not in pair}


def router_rules(firewalls: Mapping[int, tuple[FirewallRule, ...]], faults: Faults) -> str:
    """Render the router's rules: firewalls on public interfaces, and faults, which cut established connections too.

    The metadata service is out of a firewall's reach, as at Hetzner.
    """
    chains = [_server_chains(server_id, rules) for server_id, rules in sorted(firewalls.items())]
    inbound = [f'oifname "{host_link(server_id)}" jump in{server_id}' for server_id in sorted(firewalls)]
    outbound = [f'iifname "{host_link(server_id)}" jump out{server_id}' for server_id in sorted(firewalls)]
    broken = [f'{way} "{host_link(i)}" tcp dport 22 drop' for i in sorted(faults.ssh_cut) for way in ("oifname",)]
    broken += [f'{way} "{host_link(i)}" drop' for i in sorted(faults.public_cut) for way in ("oifname", "iifname")]
    allowed = [_TRACKED, f"ip daddr {METADATA} accept"]
    return _table(
        *chains,
        _hook("forward", [*broken, *allowed, *inbound, *outbound]),
        _hook("output", [*broken, *allowed, *inbound]),
        _hook("input", [*broken, *allowed, *outbound]),
    )


def private_rules(faults: Faults) -> str:
    """Render the rules of a private network: nothing but faults (Hetzner's firewalls do not act there)."""
    cut = [f'{way} "{host_link(i)}" drop' for i in sorted(faults.private_cut) for way in ("oifname", "iifname")]
    for pair in sorted(map(sorted, faults.private_pairs_cut)):
        one, other = map(host_link, pair)
        cut += [f'iifname "{a}" oifname "{b}" drop' for a, b in ((one, other), (other, one))]
    return _table(*(_hook(name, cut) for name in ("forward", "output", "input")))


def _server_chains(server_id: int, rules: tuple[FirewallRule, ...]) -> str:
    inbound = list(_matches(rules, "in"))
    outbound = list(_matches(rules, "out"))
    # No inbound rule: nothing gets in. No outbound rule: everything gets out (docs/facts/hetzner-api.md#firewalls).
    has_outbound = any(rule.direction == "out" for rule in rules)
    return "\n".join(
        (
            _chain(f"in{server_id}", [*inbound, "drop"]),
            _chain(f"out{server_id}", [*outbound, "drop"] if has_outbound else []),
        )
    )


def _matches(rules: Iterable[FirewallRule], direction: str) -> Iterator[str]:
    for rule in rules:
        if rule.direction == direction:
            networks = _ipv4(rule.source_ips if direction == "in" else rule.destination_ips)
            side = "saddr" if direction == "in" else "daddr"
            if networks:
                yield f"ip {side} {{ {', '.join(networks)} }} {_service(rule)} return"


def _service(rule: FirewallRule) -> str:
    if rule.protocol in ("tcp", "udp") and rule.port not in (None, "any"):
        return f"{rule.protocol} dport {rule.port}"
    return f"meta l4proto {rule.protocol}"


def _ipv4(addresses: Iterable[str]) -> list[str]:
    """Keep the IPv4 networks, merged: nft refuses overlapping elements in a set."""
    networks = [ipaddress.ip_network(address, strict=False) for address in addresses]
    return [str(net) for net in ipaddress.collapse_addresses(n for n in networks if n.version == 4)]


def _hook(name: str, rules: list[str]) -> str:
    return _chain(name, [f"type filter hook {name} priority 0; policy accept;", *rules])


def _chain(name: str, rules: list[str]) -> str:
    return "\n".join((f"chain {name} {{", *rules, "}"))


def _table(*chains: str) -> str:
    # Adding the table first makes the deletion succeed when there is none yet.
    return "\n".join((_TABLE, f"delete {_TABLE}", f"{_TABLE} {{", *chains, "}", ""))
