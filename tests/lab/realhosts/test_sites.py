"""What the lab serves under the names of the internet."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import httpx2
import pytest
import yaml
from starlette.responses import PlainTextResponse

from hetzner_k3s.lab.realhosts.internet import sites
from hetzner_k3s.lab.realhosts.internet.sites import NAMES, build_sites

FILES = Path(sites.__file__).parent / "files"
GITHUB, UPGRADES = "https://github.com", "rancher/system-upgrade-controller/releases/download/v0.19.2"
SERVED = {
    f"{GITHUB}/k3s-io/k3s/releases/download/v1.36.3+k3s1/sha256sum-amd64.txt": "  k3s\n",
    f"{GITHUB}/hetznercloud/hcloud-cloud-controller-manager/releases/download/v1.33.0/ccm-networks.yaml": "Deployment",
    f"{GITHUB}/hetznercloud/hcloud-cloud-controller-manager/releases/download/v1.33.0/ccm.yaml": "Deployment",
    f"{GITHUB}/{UPGRADES}/crd.yaml": "plans.upgrade.cattle.io",
    f"{GITHUB}/{UPGRADES}/system-upgrade-controller.yaml": "Deployment",
    "https://raw.githubusercontent.com/hetznercloud/csi-driver/v2.21.2/deploy/kubernetes/hcloud-csi.yml": "CSIDriver",
    "https://api.github.com/repos/k3s-io/k3s/tags?per_page=100": '"v1.36.3+k3s1"',
    "https://get.k3s.io": "INSTALL_K3S_VERSION",
    "https://get.k3s.io/": "INSTALL_K3S_VERSION",
    "https://update.k3s.io/v1-release/channels": "v1.36.3+k3s1",
    "https://ipinfo.io/ip": "127.0.0.1",
    "https://api.hetzner.cloud/v1/locations": "the API",
}


def fetch(url: str) -> httpx2.Response:
    """Ask as a host does that found the name in its /etc/hosts."""

    async def ask() -> httpx2.Response:
        app = build_sites(str.encode, PlainTextResponse("the API"))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as client:
            return await client.get(url)

    return asyncio.run(ask())


@pytest.mark.parametrize("url", SERVED)
def test_it_is_served_under_its_own_name(url: str) -> None:
    answer = fetch(url)
    assert answer.status_code == 200
    assert SERVED[url] in answer.text


def test_tags_go_back_to_the_release_that_brought_native_wireguard() -> None:
    names = [tag["name"] for tag in fetch("https://api.github.com/repos/k3s-io/k3s/tags").json()]
    assert names.index("v1.36.3+k3s1") < names.index("v1.23.6+k3s1")


def test_every_name_that_hosts_know_is_served() -> None:
    assert {httpx2.URL(url).host for url in SERVED} == set(NAMES)


@pytest.mark.parametrize("url", ["https://github.com/", "https://example.com/v1/locations", "https://get.k3s.io/other"])
def test_anything_else_is_not_there(url: str) -> None:
    assert fetch(url).status_code == 404


@pytest.mark.parametrize("file", sorted(FILES.glob("*.y*ml")), ids=lambda file: file.name)
def test_every_manifest_can_be_applied(file: Path) -> None:
    objects = list(yaml.safe_load_all(file.read_text()))
    assert objects
    assert all({"apiVersion", "kind", "metadata"} <= set(found) for found in objects)


def test_the_installer_is_a_script_that_a_plain_shell_reads() -> None:
    subprocess.run(["sh", "-n", str(FILES / "get.k3s.io.sh")], check=True)
