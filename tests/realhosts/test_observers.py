"""The verdict is the cluster's: the same from another machine, with another token, key or kubeconfig (real hosts)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.realhosts.cluster import PROGRAM, Cluster
from tests.realhosts.standing import MASTERS, lose, standing, untouched

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.settings import PROJECT

COLLEAGUES, READING = "c" * 64, "r" * 64


def look(cluster: Cluster, config: Path, environment: Mapping[str, str]) -> tuple[int, int, dict[str, Any]]:
    """Run `status --json` and `plan --check` somewhere else; give both exit codes and the document."""
    ended = [
        cluster.lab.run(
            [*PROGRAM, *words, "--config", str(config)], check=False, env=dict(environment), cwd=config.parent
        )
        for words in (("status", "--json"), ("plan", "--check"))
    ]
    assert ended[0].stdout, ended[0].stderr
    return ended[0].returncode, ended[1].returncode, json.loads(ended[0].stdout)


def places(cluster: Cluster, folder: Path) -> dict[str, tuple[Path, dict[str, str]]]:
    """Give the configuration and environment of other machines and people."""
    found: dict[str, tuple[Path, dict[str, str]]] = {}
    for name, token in (("elsewhere", None), ("reading", READING), ("colleague", COLLEAGUES), ("admin", None)):
        place = folder / name
        place.mkdir()
        text = cluster.config.read_text().replace(f"{cluster.folder}/kubeconfig", "./kubeconfig")
        (place / "cluster.yaml").write_text(text)
        environment = {"XDG_STATE_HOME": str(place / "state"), "SSH_AUTH_SOCK": str(place / "dead-agent")}
        found[name] = place / "cluster.yaml", environment | ({"HCLOUD_TOKEN": token} if token else {})
    vpn = cluster.kubeconfig.read_text().replace("https://", "https://vpn-")
    (folder / "admin" / "kubeconfig").write_text(vpn)
    return found


def test_everybody_sees_the_same_cluster(lab: LabHandle, tmp_path: Path) -> None:
    """Without the kubeconfig, or with another token, `status` said degraded, and `plan --check` ended with 3."""
    with standing(lab, tmp_path, workers=0) as cluster:
        for token, reading in ((COLLEAGUES, False), (READING, True)):
            lab.client.lab("POST", "tokens", {"token": token, "project": PROJECT, "read_only": reading})
        where = places(cluster, tmp_path)
        with untouched(cluster):
            for name, (config, environment) in where.items():
                code, check, report = look(cluster, config, environment)
                assert (name, code, check, report["health"], report["because"]) == (name, 0, 0, "healthy", [])
                assert report["this_machine"] or name == "reading"
        lose(cluster, MASTERS[2])
        ours = look(cluster, cluster.config, cluster.environment)
        assert ours[:2] == (3, 3)
        for name, (config, environment) in where.items():
            code, check, report = look(cluster, config, environment)
            assert (name, code, check, report["because"]) == (name, *ours[:2], ours[2]["because"])


def test_an_agent_without_the_key_claims_nothing(lab: LabHandle, tmp_path: Path) -> None:
    """It claimed that no quorum was there, exit 4."""
    with standing(lab, tmp_path, masters=1, workers=0) as cluster:
        config = tmp_path / "agent.yaml"
        key = f"    private_key_path: {cluster.folder}/key\n"
        assert key in cluster.config.read_text()
        config.write_text(cluster.config.read_text().replace(key, "    use_agent: true\n"))
        for dead in (str(tmp_path / "dead-agent"), ""):
            code, _, report = look(cluster, config, {**cluster.environment, "SSH_AUTH_SOCK": dead})
            assert (code, report["health"]) == (1, "unknown")
            assert "SSH_AUTH_SOCK" in " ".join(report["not_seen"])
        with subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL) as agent:
            try:
                socket = {"SSH_AUTH_SOCK": str(tmp_path / "agent")}
                add = ["ssh-add", "-q", f"{cluster.folder}/key"]
                while subprocess.run(add, env={**os.environ, **socket}, check=False).returncode:
                    assert agent.poll() is None
                code, check, _ = look(cluster, config, {**cluster.environment, **socket})
                assert (code, check) == (0, 0)
            finally:
                agent.terminate()


def test_two_operators_leave_each_others_token(lab: LabHandle, tmp_path: Path) -> None:
    """Each `create` wrote its own Hetzner token into the cluster, for ever."""
    secret = "get secret hcloud -n kube-system -o jsonpath={.metadata.resourceVersion}"
    with standing(lab, tmp_path, masters=1, workers=0) as cluster:
        lab.client.lab("POST", "tokens", {"token": COLLEAGUES, "project": PROJECT})
        before = cluster.kubectl(MASTERS[0], secret)
        said = cluster.create(token=COLLEAGUES)
        assert "is another one than this file's, applied by" in said.stderr
        cluster.create()
        assert cluster.kubectl(MASTERS[0], secret) == before
