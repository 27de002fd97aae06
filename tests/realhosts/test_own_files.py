"""What lies on the operator's machine from before: other clusters' contexts, other labs, another project's namesake."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from ruamel.yaml import YAML
from tests.realhosts.cluster import PROGRAM, Cluster, assert_at_rest, tell

from hetzner_k3s.lab.realhosts import lifecycle
from hetzner_k3s.lab.realhosts.handle import LabHandle

ROOT = Path(__file__).parents[2]
OTHER_PROJECT = "p" * 64
OTHERS = """\
# mine, by hand
apiVersion: v1
kind: Config
current-context: work
clusters:
- name: work
  cluster: {server: "https://work.example.com:6443", certificate-authority-data: d29yaw==}
contexts:
- name: work
  context: {cluster: work, user: work, namespace: shop}
- name: demo
  context: {cluster: gone-long-ago, user: nobody}
users:
- name: work
  user: {token: of-work}
"""
"""Another cluster, and a context of our name that leads nowhere."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Give a checkout with a home of its own, in which nothing but an SSH key lies; no lab stays behind."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(tmp_path / "home" / ".ssh" / "id_ed25519"))
    key.write_public_key(str(tmp_path / "home" / ".ssh" / "id_ed25519.pub"))
    (tmp_path / "home" / ".ssh" / "id_ed25519").chmod(0o600)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    yield tmp_path
    lifecycle.down(tmp_path / "home" / ".local" / "state" / "hetzner-k3s" / "lab")


def recipe() -> list[str]:
    """Return the lines of the README that a user types to try it on real hosts."""
    lines = (ROOT / "README.md").read_text().splitlines()
    first = lines.index(".venv/bin/hetzner-k3s lab up")
    return lines[first : lines.index(".venv/bin/hetzner-k3s lab down") + 1]


def typed(place: Path, line: str) -> str:
    """Type a line in a checkout; gives what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "HCLOUD_"))}
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # the hosts' root filesystem, made once
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=place,
        env={**environment, "HOME": str(place / "home"), "XDG_CACHE_HOME": cache},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    tell(line, done.stdout + done.stderr)
    assert done.returncode == 0, f"{line} ended with {done.returncode}: {done.stderr}"
    return done.stderr


@pytest.mark.slow
def test_the_readmes_recipe_works_again_with_a_small_cluster(place: Path) -> None:
    """After `lab down` it was refused: this machine remembered a cluster that was gone with its lab."""
    config = place / "examples" / "cluster-ha.yaml"
    text = config.read_text().replace("instance_count: 3", "instance_count: 1").replace("fsn1, hel1, nbg1", "fsn1")
    config.write_text(text.replace("instance_count: 2", "instance_count: 1"))
    up, create, _, _, down = [line for line in recipe() if line]
    for _ in range(2):
        said = [typed(place, line) for line in (up, create, down)]
        assert "kubeconfig written to" in said[1]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_readmes_recipe_works_any_number_of_times(place: Path) -> None:
    for _ in range(2):
        for line in recipe():
            typed(place, line)


@pytest.fixture
def cluster(fresh_lab: LabHandle, tmp_path: Path) -> Cluster:
    """Give the file of the smallest cluster, whose kubeconfig has others in it and an earlier copy beside it."""
    made = Cluster(fresh_lab, tmp_path, masters=1, workers=0)
    made.kubeconfig.write_text(OTHERS)
    (tmp_path / "kubeconfig.before-demo").write_text("an earlier one\n")
    return made


class Namesake(Cluster):
    """A cluster of the same name in another project, of the same operator: what is remembered lies together."""

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment of the first one's runs."""
        return super().environment | {"XDG_STATE_HOME": str(self.folder.parent / "state")}


def entries(path: Path) -> dict[tuple[str, str], Any]:
    """Read a kubeconfig: what it holds by list and name."""
    read = YAML(typ="safe").load(path)
    return {(key, e["name"]): e for key in ("clusters", "contexts", "users") for e in read[key]}


def test_a_kubeconfig_of_many_and_a_namesake_in_another_project(cluster: Cluster) -> None:
    theirs = {key: entry for key, entry in entries(cluster.kubeconfig).items() if key[1] == "work"}
    said = cluster.create().stderr
    kept = cluster.folder / "kubeconfig.before-demo-2"
    assert f"as it was lies in {kept}" in said
    assert kept.read_text() == OTHERS
    assert (cluster.folder / "kubeconfig.before-demo").read_text() == "an earlier one\n"
    merged = entries(cluster.kubeconfig)
    assert {key: merged[key] for key in theirs} == theirs
    assert {name for key, name in merged if key == "contexts"} == {"work", "demo-master1"}
    assert YAML(typ="safe").load(cluster.kubeconfig)["current-context"] == "work"
    assert_at_rest(cluster)
    a_namesake_comes_and_goes(cluster)
    assert_at_rest(cluster)
    delete = [*PROGRAM, "delete", "--config", str(cluster.config)]
    typing = ["sh", "-c", 'echo demo | exec "$@"', "sh", *delete]
    done = cluster.lab.run(typing, check=False, env=cluster.environment, cwd=cluster.folder)
    assert done.returncode == 0, done.stderr
    assert f"as it was lies in {cluster.folder / 'kubeconfig.before-demo-3'}" in done.stderr
    assert entries(cluster.kubeconfig) == theirs
    assert kept.read_text() == OTHERS


def a_namesake_comes_and_goes(cluster: Cluster) -> None:
    """Make and delete a cluster of that name in another project, from another file with a kubeconfig of its own."""
    cluster.lab.client.lab("POST", "tokens", {"token": OTHER_PROJECT, "project": "other"})
    before = cluster.kubeconfig.read_bytes()
    (cluster.folder / "other").mkdir()
    namesake = Namesake(cluster.lab, cluster.folder / "other", masters=1, workers=0)
    try:
        namesake.create(token=OTHER_PROJECT)
        for one, token in ((cluster, None), (namesake, OTHER_PROJECT)):
            assert one.run("status", token=token).returncode == 0
    finally:
        gone = namesake.run("delete", "--force", token=OTHER_PROJECT)
    assert gone.returncode == 0, gone.stderr
    assert cluster.kubeconfig.read_bytes() == before
