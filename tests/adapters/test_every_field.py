"""All that is read of what Hetzner tells, field by field: what one of them means is tested elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
from inline_snapshot import snapshot
from tests.fields import plain

from hetzner_k3s.adapters.hetzner import belongings, translate
from hetzner_k3s.adapters.hetzner.connection import Refused, Unaskable, Unreadable
from hetzner_k3s.adapters.hetzner.failures import cloud_error
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.text.documents import Document

_LABELS = {"cluster": "prod", "role": "master"}
_PUBLIC = {"ipv4": {"ip": "198.51.100.7"}, "ipv6": None}
_BY_LABEL = {"type": "label_selector", "label_selector": {"selector": "role=master"}}
_SERVER: dict[str, Any] = {
    "id": 7,
    "name": "prod-master1",
    "status": "running",
    "location": {"name": "fsn1"},
    "server_type": {"name": "cpx22"},
    "image": {"id": 5, "name": "debian-13"},
    "labels": _LABELS,
    "public_net": _PUBLIC,
    "private_net": [{"network": 3, "ip": "10.0.0.2"}],
    "placement_group": {"id": 9},
    "protection": {"delete": True},
    "created": "2026-11-29T12:00:00Z",
}
_BALANCER: dict[str, Any] = {
    "id": 4,
    "name": "prod-api",
    "public_net": _PUBLIC,
    "private_net": [{"network": 3, "ip": "10.0.0.9"}],
    "services": [
        {
            "protocol": "tcp",
            "listen_port": 6443,
            "destination_port": 6444,
            "proxyprotocol": True,
            "health_check": {
                "protocol": "http",
                "port": 80,
                "interval": 15,
                "http": {
                    "domain": None,
                    "path": "/readyz",
                    "response": "",
                    "status_codes": ["2??", "401"],
                    "tls": True,
                },
            },
        },
        {"protocol": "tcp", "listen_port": 1, "destination_port": 2, "proxyprotocol": False, "health_check": None},
    ],
    "targets": [
        {**_BY_LABEL, "use_private_ip": True, "targets": [{"type": "server", "server": {"id": 7}}]},
        {"type": "server", "server": {"id": 8}},
        {"type": "ip", "ip": {"ip": "203.0.113.5"}},
        {"type": "new kind"},
    ],
    "labels": _LABELS,
    "protection": {"delete": True},
}


def test_a_server() -> None:
    assert plain(translate.server(Document(_SERVER))) == snapshot(
        {
            "id": 7,
            "name": "prod-master1",
            "status": "RUNNING",
            "location": "fsn1",
            "server_type": "cpx22",
            "disk": 0,
            "image": ["debian-13", "5"],
            "labels": {"cluster": "prod", "role": "master"},
            "public_ipv4": "198.51.100.7",
            "public": ["ipv4"],
            "private_ips": {3: "10.0.0.2"},
            "placement_group": 9,
            "protected": True,
            "created": 1795953600.0,
        }
    )


def test_a_server_of_which_little_is_told() -> None:
    least = {key: _SERVER[key] for key in ("id", "name", "server_type", "labels")}
    image = {"id": 5, "name": None}
    told = {**least, "status": "dancing", "datacenter": {"location": {"name": "hel1"}}, "image": image}
    assert plain(translate.server(Document(told))) == snapshot(
        {
            "id": 7,
            "name": "prod-master1",
            "status": "OTHER",
            "location": "hel1",
            "server_type": "cpx22",
            "disk": 0,
            "image": ["5"],
            "labels": {"cluster": "prod", "role": "master"},
            "public_ipv4": None,
            "public": None,
            "private_ips": {},
            "placement_group": None,
            "protected": False,
            "created": None,
        }
    )
    assert [translate.server(Document({**told, "created": made})).created for made in ("soon", "", "9" * 99)] == [
        *(None, None, None)
    ]


def test_a_network_a_group_a_key_and_a_firewall() -> None:
    firewall = {
        "id": 2,
        "name": "prod",
        "labels": _LABELS,
        "rules": [
            {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"], "description": "ssh"},
            {"direction": "out", "protocol": "icmp", "port": None, "destination_ips": ["::/0"], "description": None},
        ],
        "applied_to": [
            {**_BY_LABEL, "applied_to_resources": [{"type": "server", "server": {"id": 7}}]},
            {"type": "server", "server": {"id": 8}},
        ],
        "protection": {"delete": True},
    }
    network = {
        "id": 3,
        "name": "prod",
        "ip_range": "10.0.0.0/16",
        "subnets": [{"ip_range": "10.0.0.0/24", "network_zone": "eu-central"}],
        "labels": _LABELS,
        "protection": {"delete": True},
        "servers": [7],
    }
    group = {"id": 9, "name": "prod-masters-pg1", "labels": _LABELS, "servers": [7], "type": "spread"}
    key = {"id": 1, "name": "prod", "fingerprint": "aa:bb"}
    read = (translate.firewall, firewall), (translate.network, network), (translate.placement_group, group)
    assert [plain(one(Document(raw))) for one, raw in (*read, (translate.ssh_key, key))] == snapshot(
        [
            {
                "id": 2,
                "name": "prod",
                "rules": [
                    {
                        "direction": "in",
                        "protocol": "tcp",
                        "port": "22",
                        "networks": ["0.0.0.0/0"],
                        "description": "ssh",
                    },
                    {"direction": "out", "protocol": "icmp", "port": None, "networks": ["::/0"], "description": ""},
                ],
                "selectors": ["role=master"],
                "labels": {"cluster": "prod", "role": "master"},
                "servers": ["7", "8"],
            },
            {
                "id": 3,
                "name": "prod",
                "ip_range": "10.0.0.0/16",
                "subnets": ["10.0.0.0/24"],
                "labels": {"cluster": "prod", "role": "master"},
                "protected": True,
            },
            {"id": 9, "name": "prod-masters-pg1", "labels": {"cluster": "prod", "role": "master"}, "servers": [7]},
            {"id": 1, "name": "prod", "fingerprint": "aa:bb"},
        ]
    )


def test_a_firewall_rule_is_written_for_its_direction() -> None:
    rule = FirewallRule(direction="in", protocol="tcp", port="22", networks=("0.0.0.0/0",), description="ssh")
    written = [translate.firewall_rule(one) for one in (rule, replace(rule, direction="out", description=""))]
    assert written == snapshot(
        [
            {
                "direction": "in",
                "protocol": "tcp",
                "port": "22",
                "source_ips": ["0.0.0.0/0"],
                "destination_ips": [],
                "description": "ssh",
            },
            {
                "direction": "out",
                "protocol": "tcp",
                "port": "22",
                "source_ips": [],
                "destination_ips": ["0.0.0.0/0"],
                "description": None,
            },
        ]
    )


def test_a_load_balancer() -> None:
    assert plain(translate.load_balancer(Document(_BALANCER))) == snapshot(
        {
            "id": 4,
            "name": "prod-api",
            "public_ipv4": "198.51.100.7",
            "private_ips": {3: "10.0.0.9"},
            "services": [
                {
                    "protocol": "tcp",
                    "listen_port": 6443,
                    "destination_port": 6444,
                    "proxy_protocol": True,
                    "check": {
                        "protocol": "http",
                        "port": 80,
                        "path": "/readyz",
                        "tls": True,
                        "statuses": ["2??", "401"],
                        "response": "",
                    },
                },
                {"protocol": "tcp", "listen_port": 1, "destination_port": 2, "proxy_protocol": False, "check": None},
            ],
            "targets": [
                {"kind": "label_selector", "name": "role=master", "private": True},
                {"kind": "server", "name": "8", "private": False},
                {"kind": "ip", "name": "203.0.113.5", "private": False},
                {"kind": "new kind", "name": "", "private": False},
            ],
            "labels": {"cluster": "prod", "role": "master"},
            "servers": ["7", "8"],
            "protected": True,
        }
    )
    assert sorted(translate.balanced(Document(_BALANCER))) == [7]


def test_a_volume() -> None:
    told: dict[str, Any] = {
        "id": 71,
        "name": "pvc-1",
        "size": 10,
        "server": 7,
        "labels": {"managed-by": "csi-driver"},
        "protection": {"delete": True},
    }
    assert plain(belongings.volume(Document(told))) == snapshot(
        {"id": 71, "name": "pvc-1", "size": 10, "server": 7, "labels": {"managed-by": "csi-driver"}, "protected": True}
    )
    detached = belongings.volume(Document({**told, "server": None, "protection": {"delete": False}}))
    assert (detached.server, detached.protected) == (None, False)


def test_addresses_of_their_own() -> None:
    told: dict[str, Any] = {"id": 81, "name": "mail", "ip": "192.0.2.81", "labels": {"of": "mail"}}
    assert plain(belongings.floating_ip(Document({**told, "server": 7}))) == snapshot(
        {
            "kind": "floating_ip",
            "id": 81,
            "name": "mail",
            "ip": "192.0.2.81",
            "server": 7,
            "labels": {"of": "mail"},
            "goes_with_server": False,
        }
    )
    assert plain(belongings.primary_ip(Document({**told, "assignee_id": 7, "auto_delete": True}))) == snapshot(
        {
            "kind": "primary_ip",
            "id": 81,
            "name": "mail",
            "ip": "192.0.2.81",
            "server": 7,
            "labels": {"of": "mail"},
            "goes_with_server": True,
        }
    )
    assert belongings.floating_ip(Document({**told, "server": None})).server is None
    assert belongings.primary_ip(Document({**told, "assignee_id": None, "auto_delete": False})).server is None


def test_what_is_on_offer() -> None:
    def price(location: str, net: object) -> dict[str, object]:
        return {"location": location, "price_hourly": {"net": "0.01"}, "price_monthly": {"net": net}}

    prices = [price("fsn1", "5.49"), price("hel1", "nan"), price("nbg1", "dear")]
    sold = [
        {"name": "fsn1", "deprecation": None},
        {"name": "hel1", "available": False, "deprecation": {"unavailable_after": "2027-01-01T00:00:00Z"}},
    ]
    types = [
        {"id": 1, "name": "cpx22", "architecture": "x86", "prices": prices, "locations": sold},
        {"id": 2, "name": "cax11", "architecture": "arm", "prices": prices},
    ]
    locations = [{"name": "fsn1", "network_zone": "eu-central"}]
    images = {"debian-13": [Document({"architecture": "x86"}), Document({"architecture": "arm"})], "gone": []}
    read = translate.assortment([Document(one) for one in types], [Document(one) for one in locations], images)
    assert plain(read) == snapshot(
        {
            "server_types": [
                {
                    "id": 1,
                    "name": "cpx22",
                    "architecture": "x86",
                    "disk": 0,
                    "offers": [
                        {"location": "fsn1", "available": True, "ends": None, "monthly": 5.49},
                        {"location": "hel1", "available": False, "ends": "2027-01-01T00:00:00Z", "monthly": None},
                    ],
                },
                {
                    "id": 2,
                    "name": "cax11",
                    "architecture": "arm",
                    "disk": 0,
                    "offers": [
                        {"location": "fsn1", "available": True, "ends": None, "monthly": 5.49},
                        {"location": "hel1", "available": True, "ends": None, "monthly": None},
                        {"location": "nbg1", "available": True, "ends": None, "monthly": None},
                    ],
                },
            ],
            "locations": {"fsn1": "eu-central"},
            "images": {"debian-13": frozenset({"arm", "x86"}), "gone": frozenset()},
        }
    )


def _told(failure: Exception, *, effect: bool) -> list[str]:
    error = cloud_error(failure, what="POST /x", effect=effect)
    kind = f"{type(error).__name__} {error.code} {error.correlation_id or '-'} {error.fate.name}"
    return [kind, str(error), error.hint]


def test_a_failure_is_told_with_its_fate() -> None:
    def refused(code: str, limits: tuple[str, ...] = ()) -> Refused:
        return Refused(code, "no", "c1", limits)

    failures = [
        refused("uniqueness_error"),
        refused("rate_limit_exceeded"),
        refused("server_error"),
        refused("502"),
        refused("404"),
        refused("resource_unavailable"),
        refused("resource_limit_exceeded", ("servers", "cores")),
        Unaskable("no URL"),
        Unreadable("half"),
        OSError("torn"),
        OSError(),
        httpx2.ConnectError("nobody"),
    ]
    assert [_told(failure, effect=True) for failure in failures] == snapshot(
        [
            ["CloudConflict uniqueness_error c1 DID_NOT_HAPPEN", "Hetzner refused POST /x: no (uniqueness_error)", ""],
            [
                "CloudUnavailable rate_limit_exceeded c1 DID_NOT_HAPPEN",
                "Hetzner refused POST /x: no (rate_limit_exceeded)",
                "",
            ],
            ["CloudUnavailable server_error c1 MAY_HAVE_HAPPENED", "Hetzner failed at POST /x: no (server_error)", ""],
            ["CloudUnavailable 502 c1 MAY_HAVE_HAPPENED", "Hetzner failed at POST /x: no (502)", ""],
            ["CloudRefused 404 c1 DID_NOT_HAPPEN", "Hetzner refused POST /x: no (404)", ""],
            [
                "CloudUnavailable resource_unavailable c1 DID_NOT_HAPPEN",
                "Hetzner refused POST /x: no (resource_unavailable)",
                "Hetzner has none of this server type there now; try later, another type or location.",
            ],
            [
                "CloudRefused resource_limit_exceeded c1 DID_NOT_HAPPEN",
                "Hetzner refused POST /x: no [servers, cores] (resource_limit_exceeded)",
                "Ask Hetzner to raise this limit of the project, or free some of it.",
            ],
            [
                "CloudRefused invalid_endpoint - DID_NOT_HAPPEN",
                "the Hetzner API cannot be asked: no URL",
                "Check HCLOUD_ENDPOINT, the proxy variables and REQUESTS_CA_BUNDLE.",
            ],
            [
                "CloudUnavailable bad_answer - MAY_HAVE_HAPPENED",
                "Hetzner answered POST /x with what cannot be read: half",
                "Run the command again.",
            ],
            [
                "CloudUnavailable no_answer - MAY_HAVE_HAPPENED",
                "no answer from Hetzner to POST /x: torn",
                "Run the command again.",
            ],
            [
                "CloudUnavailable no_answer - MAY_HAVE_HAPPENED",
                "no answer from Hetzner to POST /x: OSError",
                "Run the command again.",
            ],
            [
                "CloudUnavailable no_answer - DID_NOT_HAPPEN",
                "no answer from Hetzner to POST /x: nobody",
                "Run the command again.",
            ],
        ]
    )
    assert {_told(failure, effect=False)[0].split()[-1] for failure in failures} == {"DID_NOT_HAPPEN"}
