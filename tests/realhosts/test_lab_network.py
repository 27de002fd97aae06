"""Firewalls, load balancers and cuts act on real packets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.realhosts.lab_servers import Keys, fetch, make_keys, make_network, make_server, ssh, wait_booted, wait_until

from hetzner_k3s.lab.realhosts.handle import HostHandle, LabHandle

_WEB = """\
mkdir -p /srv/{0} && echo {0} >/srv/{0}/index.html && systemd-run --unit=web python3 -m http.server -d /srv/{0} 8000
"""
_READINESS = """\
cat >/srv/readiness.py <<'END'
import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(pathlib.Path("/srv/status").read_text()) if self.path == "/readyz" else 404
        self.send_response(status)
        self.end_headers()
http.server.HTTPServer(("", 8001), Handler).serve_forever()
END
systemd-run --unit=readiness python3 /srv/readiness.py
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def hosts(lab: LabHandle, keys: Keys) -> Iterator[list[HostHandle]]:
    """Two web servers in one private network."""
    lab.reset()
    network = make_network(lab)
    made = [make_server(lab, name, keys, networks=[network]) for name in ("one", "other")]
    wait_booted(*made)
    for host in made:
        serve(host)
    yield made
    lab.reset()


@pytest.fixture
def firewall(lab: LabHandle, hosts: list[HostHandle]) -> Iterator[dict[str, Any]]:
    """Let SSH and ping into the first host, nothing else."""
    everywhere = ["0.0.0.0/0", "::/0"]
    rules = [
        {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": everywhere},
        {"direction": "in", "protocol": "icmp", "source_ips": everywhere},
    ]
    target = [{"type": "server", "server": {"id": hosts[0].facts["id"]}}]
    answer = lab.client.api("POST", "/firewalls", {"name": "fw", "rules": rules, "apply_to": target})
    for action in answer["actions"]:
        lab.finish(action)
    yield answer["firewall"]
    removal = lab.client.api(
        "POST", f"/firewalls/{answer['firewall']['id']}/actions/remove_from_resources", {"remove_from": target}
    )
    for action in removal["actions"]:
        lab.finish(action)
    lab.client.api("DELETE", f"/firewalls/{answer['firewall']['id']}")


@pytest.fixture
def healed(hosts: list[HostHandle]) -> Iterator[None]:
    yield
    for host in hosts:
        host.thaw()
        host.heal()


def serve(host: HostHandle) -> None:
    """Start the host's web server, which says the host's name."""
    host.exec(_WEB.format(host.name), check=True)
    wait_until(lambda: host.exec(web("127.0.0.1")).stdout.strip() == host.name)


def web(address: str, port: int = 8000) -> str:
    return fetch(f"http://{address}:{port}/")


def at_operator(lab: LabHandle, script: str) -> str:
    return lab.run(["sh", "-c", script], check=False).stdout.strip()


def test_without_a_firewall_everything_gets_in(lab: LabHandle, hosts: list[HostHandle]) -> None:
    assert at_operator(lab, web(hosts[0].facts["public_ipv4"])) == "one"


@pytest.mark.usefixtures("firewall")
def test_firewall_guards_the_public_interface(lab: LabHandle, hosts: list[HostHandle], keys: Keys) -> None:
    one, other = hosts
    public, private = one.facts["public_ipv4"], one.facts["private"][0]
    assert at_operator(lab, web(public)) == ""
    assert other.exec(web(public)).stdout == ""
    assert ssh(lab, one, keys, "true").returncode == 0
    assert other.exec(f"ping -c1 -W2 {public}").returncode == 0
    assert other.exec(web(private)).stdout.strip() == "one", "firewalls do not act on private networks"
    assert one.exec(web(other.facts["public_ipv4"])).stdout.strip() == "other", "answers of connections get in"
    assert one.exec(fetch("http://169.254.169.254/hetzner/v1/metadata/hostname")).stdout == "one"


def test_firewall_is_gone_when_removed(lab: LabHandle, hosts: list[HostHandle]) -> None:
    assert at_operator(lab, web(hosts[0].facts["public_ipv4"])) == "one"


def make_balancer(lab: LabHandle, hosts: list[HostHandle], check: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Balance the web servers on port 80; return what shows the load balancer as it is then."""
    body = {
        "name": "lb",
        "load_balancer_type": "lb11",
        "location": "fsn1",
        "network": lab.resources("networks")[0]["id"],
        "services": [{"protocol": "tcp", "listen_port": 80, "destination_port": 8000, "health_check": check}],
        "targets": [{"type": "server", "server": {"id": host.facts["id"]}, "use_private_ip": True} for host in hosts],
    }
    answer = lab.client.api("POST", "/load_balancers", body)
    lab.finish(answer["action"])
    return lambda: lab.resources("load_balancers")[0]


@pytest.fixture
def unbalanced(lab: LabHandle) -> Iterator[None]:
    """Leave no load balancer behind."""
    yield
    for left in lab.resources("load_balancers"):
        lab.finish(lab.client.api("DELETE", f"/load_balancers/{left['id']}")["action"])


def healths(balancer: dict[str, Any]) -> dict[int, str]:
    """Return by server id what the load balancer found."""
    return {target["server"]["id"]: target["health_status"][0]["status"] for target in balancer["targets"]}


@pytest.mark.usefixtures("unbalanced")
def test_load_balancer_spreads_and_drops_a_dead_target(lab: LabHandle, hosts: list[HostHandle]) -> None:
    balancer = make_balancer(lab, hosts, {"protocol": "tcp", "port": 8000, "interval": 3, "timeout": 1, "retries": 1})
    public, private = balancer()["public_net"]["ipv4"]["ip"], balancer()["private_net"][0]["ip"]
    names = {host.name for host in hosts}
    wait_until(lambda: {at_operator(lab, web(public, 80)) for _ in range(2)} == names)
    assert hosts[0].exec(web(private, 80)).stdout.strip() in names
    hosts[1].exec("systemctl stop web", check=True)
    wait_until(lambda: {at_operator(lab, web(public, 80)) for _ in range(4)} == {"one"})
    assert set(healths(balancer()).values()) == {"healthy", "unhealthy"}
    serve(hosts[1])
    wait_until(lambda: {at_operator(lab, web(public, 80)) for _ in range(2)} == names)


@pytest.mark.usefixtures("unbalanced")
def test_a_target_that_says_it_only_starts_gets_no_traffic(lab: LabHandle, hosts: list[HostHandle]) -> None:
    one, other = hosts
    for host, status in ((one, 401), (other, 503)):
        host.exec(f"echo {status} >/srv/status && {_READINESS}", check=True)
    asking = {"path": "/readyz", "status_codes": ["200", "401"]}
    check = {"protocol": "http", "port": 8001, "interval": 3, "timeout": 1, "retries": 2, "http": asking}
    balancer = make_balancer(lab, hosts, check)
    public = balancer()["public_net"]["ipv4"]["ip"]
    expected = {one.facts["id"]: "healthy", other.facts["id"]: "unhealthy"}
    wait_until(lambda: healths(balancer()) == expected)
    assert {at_operator(lab, web(public, 80)) for _ in range(4)} == {"one"}
    other.exec("echo 401 >/srv/status", check=True)
    wait_until(lambda: {at_operator(lab, web(public, 80)) for _ in range(2)} == {"one", "other"})
    one.exec("echo 503 >/srv/status", check=True)
    wait_until(lambda: {at_operator(lab, web(public, 80)) for _ in range(4)} == {"other"})
    assert healths(balancer()) == {one.facts["id"]: "unhealthy", other.facts["id"]: "healthy"}


@pytest.mark.usefixtures("healed")
def test_cut_ssh_leaves_the_rest(lab: LabHandle, hosts: list[HostHandle], keys: Keys) -> None:
    one = hosts[0]
    one.cut_ssh()
    assert ssh(lab, one, keys, "true").returncode == 4
    assert at_operator(lab, web(one.facts["public_ipv4"])) == "one"
    one.heal()
    assert ssh(lab, one, keys, "true").returncode == 0


@pytest.mark.usefixtures("healed")
def test_partition_of_the_private_network(hosts: list[HostHandle]) -> None:
    one, other = hosts
    one.cut_private(to="other")
    assert other.exec(web(one.facts["private"][0])).stdout == ""
    assert other.exec(web(one.facts["public_ipv4"])).stdout.strip() == "one"
    one.heal()
    assert other.exec(web(one.facts["private"][0])).stdout.strip() == "one"


@pytest.mark.usefixtures("healed")
def test_frozen_host_answers_ping_and_nothing_else(lab: LabHandle, hosts: list[HostHandle]) -> None:
    address = hosts[0].facts["public_ipv4"]
    hosts[0].freeze()
    assert at_operator(lab, web(address)) == ""
    assert hosts[1].exec(f"ping -c1 -W1 {address}").returncode == 0
    hosts[0].thaw()
    assert at_operator(lab, web(address)) == "one"


def test_two_networks_may_share_a_range(fresh_lab: LabHandle, keys: Keys) -> None:
    made = []
    for name in ("left", "right"):
        network = make_network(fresh_lab, name)
        made.append(make_server(fresh_lab, name, keys, networks=[network]))
    wait_booted(*made)
    assert made[0].facts["private"] == made[1].facts["private"] == ["10.0.0.2"]
    for host in made:
        serve(host)
        assert host.exec(web("10.0.0.2")).stdout.strip() == host.name
