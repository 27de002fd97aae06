"""A second `create` on a healthy cluster reads a little and changes nothing, anywhere."""

from __future__ import annotations

from pathlib import Path

from tests.realhosts.cluster import Cluster, assert_at_rest, assert_whole
from tests.realhosts.standing import standing, untouched

from hetzner_k3s.lab.realhosts.handle import LabHandle

_APPLIED = (
    "get helmcharts,configmaps,secrets -n kube-system "
    "-o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}'"
)


def test_a_second_create_changes_nothing(lab: LabHandle, tmp_path: Path) -> None:
    with standing(lab, tmp_path) as cluster:
        assert_whole(cluster)
        before = objects_and_kubeconfig(cluster)
        with untouched(cluster):
            assert_at_rest(cluster)
        assert objects_and_kubeconfig(cluster) == before


def objects_and_kubeconfig(cluster: Cluster) -> tuple[str, int]:
    """Read the versions of what was applied, and when the kubeconfig was written."""
    return cluster.kubectl(cluster.masters()[0], _APPLIED), cluster.kubeconfig.stat().st_mtime_ns
