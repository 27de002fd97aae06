"""Hosts are what Hetzner's servers are: booted by cloud-init, pinned, addressed, routed, described by metadata."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

import asyncssh
import pytest
import yaml
from tests.realhosts.lab_servers import (
    Keys,
    fetch,
    make_keys,
    make_network,
    make_server,
    public_line,
    reaches,
    ssh,
    wait_booted,
)

from hetzner_k3s.lab.realhosts.handle import HostHandle, LabHandle

METADATA = "http://169.254.169.254/hetzner/v1"


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two hosts in one private network."""

    lab: LabHandle
    keys: Keys
    network: int
    one: HostHandle
    other: HostHandle


@pytest.fixture(scope="module")
def pair(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    lab.reset()
    keys = make_keys(tmp_path_factory.mktemp("keys"))
    network = make_network(lab)
    one, other = (make_server(lab, name, keys, networks=[network]) for name in ("one", "other"))
    wait_booted(one, other)
    yield Pair(lab, keys, network, one, other)
    lab.reset()


def test_boots_real_systemd_without_a_failed_unit(pair: Pair) -> None:
    assert pair.one.exec("systemctl is-system-running --wait").stdout.strip() == "running"


def test_ssh_works_with_the_key_pinned_in_user_data(pair: Pair) -> None:
    assert ssh(pair.lab, pair.one, pair.keys, "hostname").stdout.strip() == "one"
    assert pair.one.exec("ls /etc/ssh/ssh_host_*_key").stdout.split() == ["/etc/ssh/ssh_host_ed25519_key"]


def test_another_host_key_is_not_accepted(pair: Pair) -> None:
    strangers = dataclasses.replace(pair.keys, host_line=public_line(asyncssh.generate_private_key("ssh-ed25519")))
    assert ssh(pair.lab, pair.one, strangers, "hostname").returncode == 3


def test_metadata_describes_the_server(pair: Pair) -> None:
    server = pair.lab.servers()["one"]
    document = yaml.safe_load(pair.one.exec(fetch(f"{METADATA}/metadata")).stdout)
    assert document["instance-id"] == server["id"]
    assert document["hostname"] == "one"
    assert document["public-ipv4"] == server["public_net"]["ipv4"]["ip"]
    assert document["public-keys"] == [pair.keys.authorized]
    assert document["region"] == "eu-central"
    assert pair.one.exec(fetch(f"{METADATA}/metadata/instance-id")).stdout == str(server["id"])
    assert pair.one.exec(fetch(f"{METADATA}/userdata")).stdout == pair.keys.user_data


def test_metadata_describes_private_networks(pair: Pair) -> None:
    nic = pair.lab.servers()["one"]["private_net"][0]
    text = pair.one.exec(fetch(f"{METADATA}/metadata/private-networks")).stdout
    assert f"network_id: {pair.network}\n" in text
    described = yaml.safe_load(text)[0]
    assert (described["ip"], described["mac_address"], described["gateway"]) == (
        nic["ip"],
        nic["mac_address"],
        "10.0.0.1",
    )


def test_interfaces_and_routes_are_as_at_hetzner(pair: Pair) -> None:
    server = pair.lab.servers()["one"]
    public, private = server["public_net"]["ipv4"]["ip"], server["private_net"][0]["ip"]
    addresses = pair.one.exec("ip -brief -4 address").stdout
    assert f"{public}/32" in addresses
    assert f"{private}/32" in addresses
    routes = {line.strip() for line in pair.one.exec("ip route").stdout.splitlines()}
    assert f"default via 172.31.1.1 dev eth0 src {public}" in routes
    assert f"10.0.0.0/16 via 10.0.0.1 dev enp7s0 src {private}" in routes
    assert pair.one.exec("cat /sys/class/net/enp7s0/mtu").stdout.strip() == "1450"
    assert pair.one.exec("cat /sys/class/net/enp7s0/address").stdout.strip() == server["private_net"][0]["mac_address"]


def test_private_network_carries_1450_bytes_and_no_more(pair: Pair) -> None:
    address = pair.lab.servers()["other"]["private_net"][0]["ip"]
    assert pair.one.exec(f"ping -c1 -W2 -M do -s 1422 {address}").returncode == 0
    assert pair.one.exec(f"ping -c1 -W2 -M do -s 1423 {address}").returncode != 0


def test_private_addresses_are_not_reached_from_outside(pair: Pair) -> None:
    assert reaches(pair.lab, pair.one.facts["public_ipv4"])
    assert not reaches(pair.lab, pair.one.facts["private"][0])


def test_nothing_leads_out_of_the_lab(pair: Pair) -> None:
    assert pair.one.exec("ip route get 192.0.2.1").returncode == 0
    assert pair.one.exec("ping -c1 -W1 192.0.2.1").returncode == 1
    assert "unreachable" in pair.lab.run(["ip", "route", "get", "192.0.2.1"], check=False).stderr


def test_k3s_release_is_downloaded_over_tls_under_its_own_address(pair: Pair) -> None:
    base = "https://github.com/k3s-io/k3s/releases/download/v1.36.3+k3s1"
    checksum = pair.one.exec(f"curl --fail --silent {base}/sha256sum-amd64.txt", check=True).stdout.split()
    downloaded = pair.one.exec(f"curl --fail --silent --output /tmp/k3s {base}/k3s && sha256sum /tmp/k3s", check=True)
    assert checksum == [downloaded.stdout.split()[0], "k3s"]
    assert checksum[0] != hashlib.sha256(b"").hexdigest()


def test_hosts_know_the_latency_profile(pair: Pair) -> None:
    assert pair.one.exec("cat /etc/hetzner-k3s-lab/latency").stdout.strip() == "instant"
