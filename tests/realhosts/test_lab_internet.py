"""A program that knows Hetzner and its hosts only as they are finds them so in the lab: links, names, installer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetzner_k3s.lab.realhosts.handle import HostHandle, LabHandle
from hetzner_k3s.lab.realhosts.internet import place

from .lab_servers import Keys, make_keys, make_network, make_server, wait_booted, wait_until

_NODE = "k3s kubectl get node one -o json"
_INSTALL = """\
curl -sfL https://get.k3s.io | INSTALL_K3S_VERSION=v1.36.3+k3s1 K3S_TOKEN=0123456789abcdef INSTALL_K3S_EXEC=server \
    sh -s - --cluster-init --disable-cloud-controller --kubelet-arg=cloud-provider=external --node-name=one \
    --node-ip={private} --advertise-address={private} --node-external-ip={public} --flannel-iface=enp7s0
"""
_MANIFEST = (
    "https://github.com/hetznercloud/hcloud-cloud-controller-manager/releases/download/v1.33.0/ccm-networks.yaml"
)
_SECRET = "k3s kubectl -n kube-system create secret generic hcloud --from-literal=token=t --from-literal=network=n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def host(lab: LabHandle, keys: Keys) -> Iterator[HostHandle]:
    """One server in a private network."""
    lab.reset()
    made = make_server(lab, "one", keys, networks=[make_network(lab)])
    wait_booted(made)
    yield made
    lab.reset()


def shown(host: HostHandle, script: str) -> str:
    return host.exec(script, check=True).stdout.strip()


def test_links_are_named_as_at_hetzner(host: HostHandle) -> None:
    names = shown(host, "ip -o link show | awk -F': ' '{print $2}'").split()
    assert names == ["lo", "eth0", "enp7s0"]
    private = shown(host, "ip -o link show | awk -F': ' '/mtu 1450/ {print $2}'")
    assert host.facts["private"][0] in shown(host, f"ip -4 -o addr show dev {private}")
    assert shown(host, "hostname -I").split() == [host.facts["public_ipv4"], host.facts["private"][0]]


def test_k3s_is_installed_by_its_usual_line(host: HostHandle) -> None:
    """And Hetzner's cloud controller by its usual manifest, after which the Node shows its public address."""
    public, private = host.facts["public_ipv4"], host.facts["private"][0]
    install = _INSTALL.format(public=public, private=private)
    assert "Starting k3s" in host.exec(install, timeout=120, check=True).stdout
    wait_until(lambda: host.exec(_NODE).returncode == 0)
    assert "No change detected" in host.exec(install, timeout=120, check=True).stdout
    assert "ExternalIP" not in addresses(host)
    assert shown(host, f"kubectl apply -f {_MANIFEST}")
    shown(host, _SECRET)
    wait_until(lambda: "ExternalIP" in addresses(host))
    assert addresses(host) == {"InternalIP": private, "Hostname": "one", "ExternalIP": public}


def addresses(host: HostHandle) -> dict[str, str]:
    node = json.loads(shown(host, _NODE))
    return {row["type"]: row["address"] for row in node["status"]["addresses"]}


def test_the_operator_reaches_hetzner_by_its_name(lab: LabHandle, host: HostHandle) -> None:
    folder = lab.running.state.internet
    ask = ["curl", "-sf", "https://api.hetzner.cloud/v1/servers", "-H", f"Authorization: Bearer {lab.token}"]
    done = lab.run(place.entering(folder, ask), env=place.environment(folder))
    assert [server["name"] for server in json.loads(done.stdout)["servers"]] == ["one"]
    assert lab.run(ask, check=False).returncode == 6  # without the names: could not resolve host
    assert "api.hetzner.cloud" not in Path("/etc/hosts").read_text()


def test_the_labs_own_interface_is_not_on_the_internet(lab: LabHandle, host: HostHandle) -> None:
    folder = lab.running.state.internet
    token = lab.running.state.admin_token.read_text()
    ask = ["curl", "-s", "https://api.hetzner.cloud/_lab/requests", "-H", f"Authorization: Bearer {token}"]
    done = lab.run(place.entering(folder, ask), env=place.environment(folder))
    assert json.loads(done.stdout)["error"]["code"] == "forbidden"
