"""Whoever answers is asked who it is: nothing is sent to a machine, nothing done in a project, that is not ours.

One cluster of masters stands for all of it, beside it a server of somebody else that would let our key in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.realhosts.cluster import Cluster, assert_whole
from tests.realhosts.standing import MASTERS, healed, last_request, lose, refused, standing, told, until, untouched

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER1, MASTER2, MASTER3 = MASTERS
STRANGER = "stranger"
EMPTY_PROJECT, NO_PROJECT = "e" * 64, "n" * 64

_OPERATOR = "198.51.100.1"
_NEW_KEY = """
cd /etc/ssh && mkdir /root/old && mv ssh_host_ed25519_key* /root/old
ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key && systemctl restart ssh
"""
_OLD_KEY = "mv /root/old/* /etc/ssh/ && rmdir /root/old && systemctl restart ssh"
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: demo
clusters:
- name: demo
  cluster: {server: "https://192.0.2.1:6443", certificate-authority-data: b3RoZXI=}
contexts:
- name: demo
  context: {cluster: demo, user: demo}
users:
- name: demo
  user: {token: other}
"""


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give the cluster that all tests of this file share, without workers."""
    with standing(lab, tmp_path_factory.mktemp("trust"), workers=0) as made:
        yield made


@pytest.fixture(scope="module")
def stranger(cluster: Cluster) -> str:
    """Make a server in the same project that is not the cluster's and that our own key opens; gives its name."""
    order = {
        "name": STRANGER,
        "server_type": "cpx22",
        "image": "debian-12",
        "location": "fsn1",
        "ssh_keys": [key["id"] for key in cluster.lab.resources("ssh_keys")],
    }
    cluster.lab.finish(cluster.lab.client.api("POST", "/servers", order)["action"])
    until(lambda: told(cluster, STRANGER, "cat /root/.ssh/authorized_keys") != "", "it lets our key in")
    return STRANGER


def logins(cluster: Cluster, server: str) -> int:
    """Count the SSH sessions that a host has begun."""
    return told(cluster, server, "journalctl --identifier sshd --identifier sshd-session -o cat").count("Accepted ")


@contextmanager
def nobody_logs_in(cluster: Cluster, server: str) -> Iterator[None]:
    """Assert that a block leads to no SSH session on a host."""
    before = logins(cluster, server)
    yield
    assert logins(cluster, server) == before


def test_a_host_whose_key_has_changed_is_sent_nothing(cluster: Cluster) -> None:
    seen = logins(cluster, MASTER2)
    assert seen > 0
    cluster.sh(MASTER2, _NEW_KEY)
    with nobody_logs_in(cluster, MASTER2):
        refused(cluster, "host.key-changed", f"Master {MASTER2}", "its host key is none of those that its labels name")
    cluster.sh(MASTER2, _OLD_KEY)
    healed(cluster)
    assert logins(cluster, MASTER2) > seen


@contextmanager
def rerouted(cluster: Cluster, address: str, old: str, new: str) -> Iterator[None]:
    """Let another machine answer at a public address, as when Hetzner gave it away again."""
    ids = {name: server["id"] for name, server in cluster.lab.servers().items()}

    def route(server: str) -> None:
        cluster.lab.run(["ip", "route", "replace", f"{address}/32", "dev", f"e{ids[server]}", "src", _OPERATOR])

    cluster.sh(new, f"ip address add {address}/32 dev eth0")
    route(new)
    try:
        yield
    finally:
        route(old)
        cluster.sh(new, f"ip address del {address}/32 dev eth0")


def test_another_machine_at_a_masters_public_address_is_sent_nothing(cluster: Cluster, stranger: str) -> None:
    address = cluster.lab.servers()[MASTER2]["public_net"]["ipv4"]["ip"]
    with rerouted(cluster, address, MASTER2, stranger), nobody_logs_in(cluster, stranger):
        refused(cluster, "host.key-changed", f"Master {MASTER2}", address, "Another machine may answer at that address")
    healed(cluster)


def test_another_machine_at_a_lost_masters_private_address_is_left_alone(cluster: Cluster, stranger: str) -> None:
    address = cluster.lab.servers()[MASTER3]["private_net"][0]["ip"]
    network = cluster.lab.resources("networks")[0]["id"]
    member = next(int(m.id) for m in cluster.members(MASTER1) if m.name.startswith(f"{MASTER3}-"))
    lose(cluster, MASTER3)  # which may lead: in the election that follows nobody lists members
    cluster.lab.act(stranger, "attach_to_network", {"network": network, "ip": address})
    until(lambda: connections(cluster, member) == 0, "etcd has given the lost member up")
    with nobody_logs_in(cluster, stranger):
        cluster.create()  # the dead one is known by its server's id; who has its address now is no matter
    assert cluster.lab.servers()[MASTER3]["private_net"][0]["ip"] != address
    lose(cluster, stranger)
    assert_whole(cluster)


def connections(cluster: Cluster, member: int) -> int:
    """Count the connections that master1's etcd has to a member."""
    metric = told(cluster, MASTER1, "curl -s http://127.0.0.1:2381/metrics | grep ^etcd_network_active_peers")
    return sum(f'Remote="{member:x}"' in line and line.endswith(" 1") for line in metric.splitlines())


def test_a_host_that_does_not_let_us_in_is_not_replaced(cluster: Cluster) -> None:
    cluster.sh(MASTER2, "mv /root/.ssh/authorized_keys /root/.ssh/away")
    refused(cluster, "host.denied", f"Master {MASTER2}", "permission denied for root", "networking.ssh")
    cluster.sh(MASTER2, "mv /root/.ssh/away /root/.ssh/authorized_keys")
    healed(cluster)


def test_a_wrong_token_ends_at_once(cluster: Cluster) -> None:
    with untouched(cluster):
        done = cluster.create(expect=5, token=NO_PROJECT)
    assert "Check the Hetzner token: hetzner_token in the file, or HCLOUD_TOKEN." in done.stderr
    assert NO_PROJECT not in done.stderr


@contextmanager
def moved_away(cluster: Cluster) -> Iterator[None]:
    """Have no kubeconfig for the length of a block."""
    aside = cluster.kubeconfig.rename(cluster.folder / "aside")
    yield
    aside.rename(cluster.kubeconfig)


def _with_kubeconfig(cluster: Cluster) -> None:
    said = refused(cluster, "birth.kubeconfig", "birth.journal", "Check the Hetzner token", token=EMPTY_PROJECT)
    assert EMPTY_PROJECT not in said


def _with_journal_alone(cluster: Cluster) -> None:
    with moved_away(cluster):
        said = refused(cluster, "birth.journal", "Check the Hetzner token", token=EMPTY_PROJECT)
    assert "birth.kubeconfig" not in said


def _with_kubeconfig_alone(cluster: Cluster) -> None:
    births = cluster.folder / "state" / "hetzner-k3s" / "demo" / "births.jsonl"
    aside = births.rename(cluster.folder / "aside")
    said = refused(cluster, "birth.kubeconfig", "Check the Hetzner token", token=EMPTY_PROJECT)
    aside.rename(births)
    assert "birth.journal" not in said


@pytest.mark.parametrize("evidence", [_with_kubeconfig, _with_journal_alone, _with_kubeconfig_alone])
def test_a_token_of_another_empty_project_makes_no_second_cluster(
    evidence: Callable[[Cluster], None], cluster: Cluster
) -> None:
    cluster.lab.client.lab("POST", "tokens", {"token": EMPTY_PROJECT, "project": "empty"})
    number = last_request(cluster.lab)
    evidence(cluster)
    assert {request["project"] for request in cluster.lab.requests(number)} == {"empty"}


def test_the_kubeconfig_of_another_cluster_is_not_overwritten(cluster: Cluster) -> None:
    with moved_away(cluster):
        cluster.kubeconfig.write_text(_KUBECONFIG)
        refused(cluster, "kubeconfig.other-cluster", str(cluster.kubeconfig), "take away the access to the other")
        assert cluster.kubeconfig.read_text() == _KUBECONFIG
