"""Debian's `hcloud` command against the lab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .running_lab import PUBLIC_KEY, TOKEN, Lab

_SECONDS = 30


class Command:
    """The command with its endpoint, token and an empty home."""

    def __init__(self, program: str, lab: Lab, home: Path) -> None:
        self._program = program
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "HCLOUD_ENDPOINT": lab.api,
            "HCLOUD_TOKEN": TOKEN,
        }

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command line (no quoting: arguments hold no spaces)."""
        arguments = [self._program, *line.split()]
        return subprocess.run(
            arguments, env=self._environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )

    def __call__(self, line: str) -> str:
        """Run a command line that must succeed, and give what it printed."""
        done = self.run(line)
        assert done.returncode == 0, f"{line}: {done.stderr}{done.stdout}"
        return done.stdout

    def describe(self, what: str) -> Any:
        """Give the JSON that `describe` prints."""
        kind, _, name = what.rpartition(" ")
        return json.loads(self(f"{kind} describe -o json {name}"))

    def column(self, kind: str, column: str, more: str = "") -> list[str]:
        """Give one column of `list`."""
        return self(f"{kind} list -o noheader -o columns={column} {more}").split()


@pytest.fixture
def hcloud(lab: Lab, tmp_path: Path) -> Command:
    """Give the command; where it is missing the test is left out, in CI it fails."""
    program = shutil.which("hcloud")
    if program is None:
        reason = "the `hcloud` command is missing (Debian package hcloud-cli)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return Command(program, lab, tmp_path)


def test_a_server_from_order_to_deletion(hcloud: Command, tmp_path: Path) -> None:
    key_file = tmp_path / "key.pub"
    key_file.write_text(PUBLIC_KEY)
    hcloud(f"ssh-key create --name operator --public-key-from-file {key_file}")
    hcloud("network create --name cluster --ip-range 10.0.0.0/16")
    hcloud("network add-subnet cluster --type cloud --network-zone eu-central --ip-range 10.0.0.0/16")
    hcloud("placement-group create --name masters --type spread")
    made = hcloud(
        "server create --name demo-master1 --type cpx22 --image ubuntu-24.04 --location nbg1 --ssh-key operator "
        "--network cluster --placement-group masters --label cluster=demo --label hetzner-k3s/phase=born"
    )
    assert "IPv4: 198.51.100.10" in made
    assert hcloud.column("server", "name", "-l hetzner-k3s/phase=born") == ["demo-master1"]
    assert hcloud.column("server", "name", "-l cluster!=demo") == []
    server = hcloud.describe("server demo-master1")
    assert (server["status"], server["private_net"][0]["ip"]) == ("running", "10.0.0.2")
    assert "Ubuntu 24.04" in hcloud("server describe demo-master1")
    hcloud("server add-label demo-master1 extra=yes")
    assert hcloud.describe("server demo-master1")["labels"]["extra"] == "yes"
    for action in ("poweroff", "poweron", "reboot", "reset"):
        hcloud(f"server {action} demo-master1")
    hcloud("server rebuild --image debian-13 demo-master1")
    assert hcloud.describe("server demo-master1")["image"]["name"] == "debian-13"
    hcloud("server detach-from-network --network cluster demo-master1")
    hcloud("server attach-to-network --network cluster --ip 10.0.0.9 demo-master1")
    assert hcloud.describe("server demo-master1")["private_net"][0]["ip"] == "10.0.0.9"
    hcloud("server delete demo-master1")
    assert hcloud.column("server", "name") == []
    for what in ("placement-group masters", "network cluster", "ssh-key operator"):
        kind, name = what.split()
        hcloud(f"{kind} describe {name}")
        hcloud(f"{kind} delete {name}")
        assert hcloud.column(kind, "name") == []


def test_firewalls(hcloud: Command, tmp_path: Path) -> None:
    rules = [{"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"]}]
    rules_file = tmp_path / "rules.json"
    rules_file.write_text(json.dumps(rules))
    hcloud("server create --name demo --type cpx22 --image debian-12 --location hel1")
    hcloud(f"firewall create --name edge --rules-file {rules_file}")
    hcloud("firewall apply-to-resource --type server --server demo edge")
    hcloud("firewall add-rule --direction in --protocol tcp --port 6443 --source-ips 10.0.0.0/8 edge")
    firewall = hcloud.describe("firewall edge")
    assert [rule["port"] for rule in firewall["rules"]] == ["22", "6443"]
    assert firewall["applied_to"][0]["type"] == "server"
    hcloud("firewall remove-from-resource --type server --server demo edge")
    hcloud("firewall delete edge")
    assert hcloud.column("firewall", "name") == []


def test_load_balancers(hcloud: Command) -> None:
    hcloud("network create --name cluster --ip-range 10.0.0.0/16")
    hcloud("network add-subnet cluster --type cloud --network-zone eu-central --ip-range 10.0.0.0/16")
    hcloud("server create --name demo --type cpx22 --image debian-12 --location hel1 --network cluster --label role=m")
    hcloud("load-balancer create --name api --type lb11 --location hel1")
    hcloud("load-balancer attach-to-network --network cluster api")
    hcloud("load-balancer add-service --protocol tcp --listen-port 6443 --destination-port 6443 api")
    hcloud("load-balancer add-target --label-selector role=m --use-private-ip api")
    balancer = hcloud.describe("load-balancer api")
    assert balancer["services"][0]["listen_port"] == 6443
    assert balancer["targets"][0]["label_selector"]["selector"] == "role=m"
    assert "198.51.100" in hcloud("load-balancer describe api")
    hcloud("load-balancer delete api")
    assert hcloud.column("load-balancer", "name") == []


def test_catalogue(hcloud: Command) -> None:
    assert hcloud.column("location", "name") == ["fsn1", "nbg1", "hel1", "ash", "hil", "sin"]
    assert "cpx22" in hcloud.column("server-type", "name")
    assert "debian-13" in hcloud("image list -o noheader -o columns=name")
    assert hcloud.column("load-balancer-type", "name") == ["lb11", "lb21", "lb31"]
    assert "4.0 GB" in hcloud("server-type describe cpx22")


def test_refusals_reach_the_user(hcloud: Command) -> None:
    hcloud("placement-group create --name group --type spread")
    refused = hcloud.run("placement-group create --name group --type spread")
    assert refused.returncode == 1
    assert "(uniqueness_error)" in refused.stderr
    assert "server not found" in hcloud.run("server describe nobody").stderr.lower()
