"""A birth that something came between: k3s started by hand before it, k3s killed in it; and the file's own commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.realhosts.cluster import NAME, Cluster, assert_at_rest, assert_whole
from tests.realhosts.killing import kill_once, peek

from hetzner_k3s.lab.realhosts.handle import LabHandle

pytestmark = pytest.mark.slow

MASTER, WORKER = f"{NAME}-master1", f"{NAME}-pool-small-worker1"
_INSTALLED = "test -x /usr/local/bin/k3s && test -e /etc/systemd/system/k3s.service && echo yes"
_SERVER = "/var/lib/rancher/k3s/server"
_KILLER = (
    "systemd-run --quiet --unit=killer sh -c "
    f"'until ls {_SERVER}/db/etcd/member/wal/*.wal; do sleep 0.01; done; systemctl kill -s KILL k3s'"
)


def test_a_birth_survives_a_start_by_hand_and_a_kill_of_its_first_start(fresh_lab: LabHandle, tmp_path: Path) -> None:
    """Exit 0 once meant that there was no cluster; and k3s never starts again with what such a kill leaves."""
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=1)
    kill_once(cluster, lambda _: peek(cluster, MASTER, _INSTALLED) == "yes", "create")
    peek(cluster, MASTER, "systemctl start --no-block k3s")
    restarts = peek(cluster, MASTER, "sleep 8; systemctl show -p NRestarts --value k3s")
    assert int(restarts) > 0, "the start guard let it pass"
    peek(cluster, MASTER, _KILLER)
    cluster.create()
    assert_whole(cluster, masters=1)
    assert peek(cluster, MASTER, f"ls -d {_SERVER}/db-cut-off-*").count("db-cut-off") == 1
    assert_at_rest(cluster)


def test_commands_run_after_k3s_and_what_failed_is_told(fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=1)
    commands = (
        "additional_packages: [no-such-package]\n"
        'additional_pre_k3s_commands: ["echo no such disk >&2; false"]\n'
        'additional_post_k3s_commands: ["systemctl show -p ActiveState --value k3s k3s-agent >/root/after"]\n'
    )
    cluster.write_config(masters=1, workers=1, more=commands)
    told = cluster.create(expect=3)
    assert "additional_pre_k3s_commands 1 of 1 failed (exit 1): no such disk" in told.stdout + told.stderr
    for said in (told.stderr, cluster.run("status").stdout):
        assert re.search(r"additional_packages failed: .*no-such-package", said), said
    assert "active" in peek(cluster, MASTER, "cat /root/after")
    assert "activ" in peek(cluster, WORKER, "cat /root/after")
    for server in (MASTER, WORKER):
        peek(cluster, server, "touch /var/lib/hetzner-k3s/commands/put-right")
    assert_at_rest(cluster)
