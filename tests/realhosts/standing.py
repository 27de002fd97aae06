"""A cluster that stands for all tests of a module, what is broken at it, and the proof that a run left it alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.realhosts.cluster import Cluster

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.hosts.inside import HostOffError

MASTERS = ("demo-master1", "demo-master2", "demo-master3")
WORKER = "demo-pool-small-worker1"

_UNITS = (
    "systemctl show k3s k3s-agent hetzner-k3s-op -p Id -p MainPID -p ExecMainStartTimestampMonotonic -p NRestarts\n"
)
_FILES = (
    "find /etc/rancher /etc/systemd/system /etc/ssh /root /usr/local /var/lib/hetzner-k3s /run/hetzner-k3s "
    "/var/lib/rancher/k3s/server/db/snapshots -type f -printf '%p %m %s %T@\\n' 2>/dev/null | sort\n"
)
_FILES_AT_REST = _FILES.replace("-type f", "-type f ! -path /etc/rancher/k3s/k3s.yaml")
_HEALS_WITHIN = 60.0


@contextmanager
def standing(
    lab: LabHandle, folder: Path, *, masters: int = 3, workers: int = 1, more: str = "", networking: str = ""
) -> Iterator[Cluster]:
    """Make a cluster in an empty project, and empty the project afterwards."""
    lab.reset()
    cluster = Cluster(lab, folder, masters=masters, workers=workers, more=more, networking=networking)
    try:
        cluster.create()
        yield cluster
    finally:
        lab.reset()


def lose(cluster: Cluster, server: str) -> None:
    """Delete a server at Hetzner, as an accident would."""
    number = cluster.lab.servers()[server]["id"]
    cluster.lab.finish(cluster.lab.client.api("DELETE", f"/servers/{number}")["action"])


@contextmanager
def broken_api(lab: LabHandle, effect: str, **rule: Any) -> Iterator[Callable[[], int]]:
    """Have the API do what `lab.cloud.faults.Fault` describes for the length of a block.

    Gives a function that tells how many requests it has hit.
    """
    number = lab.client.lab("POST", "faults", {"effect": effect, **rule})["fault"]["id"]

    def hits() -> int:
        return next(int(f["acted"]) for f in lab.client.lab("GET", "faults")["faults"] if f["id"] == number)

    try:
        yield hits
    finally:
        lab.client.lab("DELETE", f"faults/{number}")


def until(seen: Callable[[], bool], what: str, within: float = _HEALS_WITHIN) -> None:
    """Wait until something is seen."""
    deadline = time.monotonic() + within
    while not seen():
        assert time.monotonic() < deadline, f"not in {within:.0f} s: {what}"
        time.sleep(0.1)


def told(cluster: Cluster, server: str, script: str) -> str:
    """Give what a shell script prints on a host, nothing while the host is off (as in a reboot)."""
    try:
        return cluster.lab.host(server).exec(script).stdout
    except HostOffError:
        return ""


def healed(cluster: Cluster) -> None:
    """Wait until `create` finds the cluster healthy again, without having done anything about it."""
    number = last_request(cluster.lab)
    until(lambda: cluster.run("create").returncode == 0, "create is content")
    assert not writes(cluster.lab, number)


def last_request(lab: LabHandle) -> int:
    """Give the number of the last request that the API has seen."""
    return max((r["number"] for r in lab.requests()), default=0)


def writes(lab: LabHandle, after: int) -> list[tuple[str, str]]:
    """List the writing requests after that number."""
    return [(r["method"], r["path"]) for r in lab.requests(after, writing=True)]


@contextmanager
def untouched(cluster: Cluster, restless: tuple[str, ...] = ()) -> Iterator[None]:
    """Assert that a block changes nothing: no writing request, no host touched, the operator's files the same.

    Of hosts in `restless` only the files are compared, without the one that k3s writes at each start: systemd itself
    keeps restarting their k3s.
    """
    number, before = last_request(cluster.lab), _picture(cluster, restless)
    yield
    assert writes(cluster.lab, number) == []
    after = _picture(cluster, restless)
    changed = [part for part in before | after if before.get(part) != after.get(part)]
    assert not changed, "\n".join(f"{part}:\n  {before.get(part)}\n  {after.get(part)}" for part in changed)


def refused(cluster: Cluster, *said: str, restless: tuple[str, ...] = (), token: str | None = None) -> str:
    """Run `create`, which must refuse with these words and change nothing; gives what it said on stderr."""
    with untouched(cluster, restless):
        done = cluster.create(expect=4, token=token)
    _assert_readable(done)
    missing = [words for words in said if words not in done.stderr]
    assert not missing, f"not said: {missing}\n{done.stderr}"
    return done.stderr


def _assert_readable(done: subprocess.CompletedProcess[str]) -> None:
    """Assert that it says what was seen, why nothing is done and what can be done; stdout is for data."""
    starts = [line.partition(":")[0].strip() for line in done.stderr.splitlines()]
    count = starts.count("refused")
    assert count > 0, done.stderr
    assert starts.count("why") == starts.count("you can") == starts.count("code") == count, done.stderr
    assert done.stdout == ""


def _picture(cluster: Cluster, restless: tuple[str, ...]) -> dict[str, Any]:
    """Look at all that a run could change, but for its transcript; a server that is off has no host to look into."""
    servers = cluster.lab.servers()
    picture: dict[str, Any] = {
        f"server {name}": (server["id"], server["labels"], server["status"]) for name, server in servers.items()
    }
    for name, server in servers.items():
        if server["status"] == "running":
            script = _FILES_AT_REST if name in restless else _UNITS + _FILES
            picture[f"host {name}"] = cluster.lab.host(name).exec(script).stdout.splitlines()
    files = (path for path in cluster.folder.rglob("*") if path.is_file() and "transcripts" not in path.parts)
    picture["operator"] = {str(path): path.read_bytes() for path in sorted(files)}
    return picture
