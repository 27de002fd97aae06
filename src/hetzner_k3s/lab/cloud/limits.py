"""What a project may have (docs/facts/hetzner-api.md#limits)."""

from __future__ import annotations

from dataclasses import dataclass

USER_DATA_BYTES = 32_768
MEMBERS_PER_PLACEMENT_GROUP = 10
ATTACHMENTS_PER_NETWORK = 100
SUBNETS_PER_NETWORK = 50
ROUTES_PER_NETWORK = 100
NETWORKS_PER_SERVER = 3
ALIAS_IPS_PER_NETWORK = 5
RULES_PER_FIREWALL = 50
CIDRS_PER_RULE = 100
EFFECTIVE_RULES = 500
FIREWALLS_PER_SERVER = 5
VOLUMES_PER_SERVER = 16
LEAST_VOLUME_GB = 10
MOST_VOLUME_GB = 10_240
PER_PAGE = 50
DEFAULT_PER_PAGE = 25
REQUESTS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Quotas:
    """Numbers of resources per project; servers and addresses are raised by the vendor on request."""

    servers: int = 1000
    primary_ips: int = 2000
    floating_ips: int = 100
    networks: int = 100
    firewalls: int = 50
    placement_groups: int = 50
    load_balancers: int = 50
    volumes: int = 1000
    ssh_keys: int = 1000
