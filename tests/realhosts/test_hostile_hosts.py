"""Hosts of one cluster send what they like: nobody else is taken for it, nothing of ours moves, no secret is shown.

Root's login shell talks on every host from its first boot on; that alone must break nothing.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.adapters.test_hostile_archives import archive, entry, link
from tests.realhosts.cluster import PROGRAM, Cluster, assert_at_rest, assert_whole
from tests.realhosts.hostile_host import TALKING, answering, login_shell, written
from tests.realhosts.standing import MASTERS, WORKER, lose, standing, told, until, untouched

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER1, MASTER2, MASTER3 = MASTERS
HOSTS = (*MASTERS, WORKER)
MEMORY = 1_000_000_000
"""Bytes of address space that a command may have: twice what it needs, a second of what a host can send."""
ANSWERS = {
    "endless": "exec yes",
    "a number": "echo 5",
    "nothing in it": "echo '{}'",
    "an error without a reason": 'echo \'{"error": "failed"}\'',
    "deep": "head -c 200000 /dev/zero | tr '\\0' '['",
}


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Make a cluster whose hosts' login shells talk; that it stands is the first thing that is seen."""
    talk = f'additional_pre_k3s_commands: ["{written("/root/.bashrc", TALKING.encode())}"]\n'
    with standing(lab, tmp_path_factory.mktemp("hostile"), more=talk) as made:
        yield made


def look(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that may use no more than `MEMORY`."""
    line = ["prlimit", f"--as={MEMORY}", *PROGRAM, *words, "--config", str(cluster.config)]
    return cluster.lab.run(line, check=False, env=cluster.environment, cwd=cluster.folder)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_hosts_that_answer_nonsense_are_named_and_others_seen(cluster: Cluster, answer: str) -> None:
    with login_shell(cluster, (MASTER3, WORKER), answering(answer)), untouched(cluster):
        status, plan = look(cluster, "status", "--json"), look(cluster, "plan")
    report = json.loads(status.stdout)
    servers = {server["name"]: server for server in report["servers"]}
    assert (status.returncode, report["health"], plan.returncode) == (3, "degraded", 4), plan.stdout
    for name in (MASTER1, MASTER2):
        assert (servers[name]["host"], servers[name]["unit"], servers[name]["node"]) == ("answers", "active", "Ready")
    for name in (MASTER3, WORKER):
        assert (servers[name]["host"], servers[name]["unit"]) == ("unreadable answer", None)
        assert "it lets this machine in, but Probe failed: " in servers[name]["detail"]
    assert f"Worker {WORKER}" in plan.stdout, plan.stdout
    assert "it lets this machine in, but Probe failed: " in plan.stdout


def test_a_master_that_answers_nonsense_is_left_alone(cluster: Cluster) -> None:
    with login_shell(cluster, (MASTER3,), answering(ANSWERS["endless"])), untouched(cluster):
        plan, check = look(cluster, "plan"), look(cluster, "plan", "--check")
    assert (plan.returncode, check.returncode) == (0, 3), plan.stdout
    assert f"{MASTER3} " in plan.stdout
    assert "Probe failed: it sent more than 4 MiB" in plan.stdout
    assert "so it is left alone" in plan.stdout


@pytest.fixture
def secrets(cluster: Cluster) -> dict[str, str]:
    """Read the secrets of the cluster, and have its masters' login shells say the token all the time."""
    found = {"the Hetzner token": cluster.lab.token}
    for kind in ("token", "agent-token"):
        text = cluster.sh(MASTER1, f"cat /var/lib/rancher/k3s/server/{kind}")
        found[f"the password of the {kind}"] = text.rpartition(":")[2]
    users = YAML(typ="safe").load(cluster.kubeconfig)["users"]
    key = base64.b64decode(users[0]["user"]["client-key-data"]).decode()
    found["the admin's key"] = next(line for line in key.splitlines() if not line.startswith("-"))
    for server in MASTERS:
        cluster.sh(server, "cp /var/lib/rancher/k3s/server/token /root/.talk")
    return found


def leaks(cluster: Cluster, runs: list[subprocess.CompletedProcess[str]], secrets: dict[str, str]) -> list[str]:
    """Name what was shown, or lies where it should not: in a run's output, its journal or a report."""
    rightful = ("/tokens/", "/kubeconfig", "/backup")
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    texts = {str(path): path.read_text(errors="replace") for path in files if not any(r in str(path) for r in rightful)}
    assert any("runs" in path for path in texts), "no journal was looked at"
    texts |= {" ".join(run.args[-4:]): run.stdout + run.stderr for run in runs}
    return [f"{what} in {where}" for where, text in texts.items() for what, value in secrets.items() if value in text]


def forget(cluster: Cluster) -> None:
    """Take from the operator's machine what it keeps of the cluster's secrets, so that they are read again."""
    cluster.kubeconfig.unlink(missing_ok=True)
    for path in (cluster.folder / "state").rglob("tokens/*"):
        path.unlink()


def test_a_login_shell_that_says_the_token_breaks_nothing(cluster: Cluster, secrets: dict[str, str]) -> None:
    forget(cluster)
    lose(cluster, WORKER)
    runs = [cluster.run("status"), cluster.create(), cluster.run("snapshots"), cluster.run("status", "--json")]
    runs += [cluster.run("backup", "--to", str(cluster.folder / "backup"))]
    assert [run.returncode for run in runs[1:]] == [0, 0, 0, 0]
    assert leaks(cluster, runs, secrets) == []
    assert_whole(cluster)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "servers"), [("read_secret token", MASTERS), ("probe", (MASTER1,))], ids=["asked for", "unasked"]
)
def test_a_token_inside_an_answer_is_not_shown(
    cluster: Cluster, secrets: dict[str, str], operation: str, servers: tuple[str, ...]
) -> None:
    forget(cluster)
    for server in servers:
        cluster.sh(server, f"echo {operation} >/root/.inside")
    runs = [cluster.run("create"), cluster.run("backup", "--to", str(cluster.folder / f"backup-{len(servers)}"))]
    runs += [cluster.run("status"), cluster.run("plan", "--json")]
    for server in servers:
        cluster.sh(server, "rm /root/.inside")
    assert any("unreadable answer" in run.stderr for run in runs)
    assert leaks(cluster, runs, secrets) == []
    cluster.create()
    assert_at_rest(cluster)


def hostile_tars(folder: Path) -> dict[str, str]:
    """Return the shell scripts that stand for `tar`, by what they send."""
    planted = str(folder / "planted")
    upwards = "/".join([".."] * 12)
    archives = {
        "a chain of links": archive(
            link("db/etcd/a", "../../.."), link("db/etcd/b", "a/.."), entry("db/etcd/b/planted", b"evil")
        ),
        "an absolute name": archive(entry(planted, b"evil")),
        "a name that leads upwards": archive(entry(f"tls/{upwards}{planted}", b"evil")),
    }
    sends = {what: f"echo {base64.b64encode(content).decode()} | base64 -d" for what, content in archives.items()}
    whole = f"echo {base64.b64encode(archive()).decode()} | base64 -d"
    return sends | {"what never ends": f"{whole}; exec cat /dev/zero"}


_OF_RUNS = frozenset({"runs", "transcripts"})


def everything(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder but what runs write of themselves: their journals and transcripts."""
    files = [path for path in folder.rglob("*") if path.is_file() and not _OF_RUNS & {*path.parts}]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_fake_tar_writes_nothing_here_and_the_reset_goes_on_without_it(cluster: Cluster) -> None:
    """Seen: `--reset-quorum-from` overwrote the operator's ~/.bashrc."""
    identity, worker = cluster.identity(MASTER3), cluster.process(WORKER, "k3s-agent")
    for name in (MASTER1, MASTER2):
        lose(cluster, name)
    until(lambda: "NO LEADER" in told(cluster, MASTER3, "curl -s -m 1 http://127.0.0.1:2381/health"), "quorum is lost")
    before = everything(cluster.folder)
    for what, script in hostile_tars(cluster.folder).items():
        cluster.sh(MASTER3, written("/usr/local/sbin/tar", f"#!/bin/sh\n{script}\n".encode()))
        cluster.sh(MASTER3, "chmod +x /usr/local/sbin/tar")
        done = look(cluster, "create", "--reset-quorum-from", MASTER3)
        assert done.returncode == 1, f"{what}: {done.stderr}"
        assert f"error: {MASTER3}: the copy of its data is not whole: " in done.stderr, f"{what}: {done.stderr}"
        assert everything(cluster.folder) == before, what
        assert cluster.masters() == [MASTER3]
    assert cluster.process(WORKER, "k3s-agent") == worker
    cluster.sh(MASTER3, "rm /usr/local/sbin/tar")
    cluster.create("--reset-quorum-from", MASTER3)
    assert_whole(cluster)
    assert cluster.identity(MASTER1) == identity
