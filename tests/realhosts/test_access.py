"""The operator's own way in: nobody is shut out by mistake, and what lets us in again is not held back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.realhosts.cluster import Cluster, assert_at_rest
from tests.realhosts.standing import refused, standing

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER = "demo-master1"
_ELSEWHERE = "10.0.0.0/8"


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Make the smallest cluster there is: the firewall does not care how many masters it guards."""
    with standing(lab, tmp_path_factory.mktemp("access"), masters=1, workers=0) as made:
        yield made


def _let_in(cluster: Cluster, network: str | None) -> None:
    cluster.write_config(masters=1, workers=0)
    if network is not None:
        text = cluster.config.read_text()
        allowed = f"networking:\n  allowed_networks:\n    ssh: [{network}]\n"
        cluster.config.write_text(text.replace("networking:\n", allowed, 1))


def _rules(cluster: Cluster) -> list[str]:
    (firewall,) = cluster.lab.resources("firewalls")
    return [source for rule in firewall["rules"] if rule["port"] == "22" for source in rule["source_ips"]]


def test_a_file_that_would_shut_us_out_is_refused(cluster: Cluster) -> None:
    before = _rules(cluster)
    _let_in(cluster, _ELSEWHERE)
    refused(cluster, "firewall.shuts-out", f"lets SSH in only from {_ELSEWHERE}", "this machine is seen as")
    assert _rules(cluster) == before


def test_the_firewall_that_lets_us_in_again_is_set_while_every_host_is_silent(cluster: Cluster) -> None:
    """Shared case 01: nothing but the console helped before."""
    before = cluster.process(MASTER)
    _let_in(cluster, _ELSEWHERE)
    cluster.create("--skip-current-ip-validation")
    assert _rules(cluster) == [_ELSEWHERE]
    refused(cluster, "masters.none-healthy", f"lets SSH in only from {_ELSEWHERE}", "networking.allowed_networks.ssh")
    _let_in(cluster, None)
    cluster.create()
    assert _ELSEWHERE not in _rules(cluster)
    assert cluster.process(MASTER) == before
    assert_at_rest(cluster)
