"""Steps about the cloud resources around the servers. Each creates or adopts by name and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hetzner_k3s.model.cloud import FirewallRule


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureSshKey:
    """Register the operator's public key under `target`."""

    target: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureNetwork:
    """Make the private network `target` with one cloud subnet of the same range."""

    target: str
    ip_range: str
    zone: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsurePlacementGroup:
    """Make the spread placement group `target`."""

    target: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureFirewall:
    """Make the firewall `target`, or set its rules; it applies to `selector`. `existing` is the id of one to change."""

    target: str
    rules: tuple[FirewallRule, ...]
    selector: str
    labels: Mapping[str, str]
    existing: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureLoadBalancer:
    """Make the API load balancer `target` on `network` (a name), sending port 6443 to servers that match `selector`.

    Without a network it sends to their public addresses.
    `existing` is the id of one to correct: what it lacks of that is added.
    """

    target: str
    location: str
    network: str | None
    selector: str
    labels: Mapping[str, str]
    existing: int | None = None
