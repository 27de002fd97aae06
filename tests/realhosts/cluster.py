"""A cluster made by the product on the lab, looked at with other eyes than the product's: inside the hosts, by curl."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import asyncssh

from hetzner_k3s.lab.realhosts.handle import LabHandle

NAME = "demo"
PROGRAM = [sys.executable, "-m", "hetzner_k3s"]
BIRTH_LINE = "Starting etcd for new cluster, cluster-reset=false"

_CONFIG = """\
cluster_name: {name}
kubeconfig_path: {folder}/kubeconfig
k3s_version: v1.36.3+k3s1
image: debian-12
networking:
  ssh:
    private_key_path: {folder}/key
    public_key_path: {folder}/key.pub
{networking}masters_pool:
  instance_type: cpx22
  instance_count: {masters}
  locations: [{locations}]
worker_node_pools:
  - name: small
    instance_type: cpx22
    instance_count: {workers}
    location: fsn1
protect_against_deletion: false
schedule_workloads_on_masters: {schedule}
{more}"""

IN_THE_INTERNET = """\
  private_network: {enabled: false}
  cni: {encryption: true}
  allowed_networks: {api: [192.0.2.0/24]}
"""
"""Keys for a cluster without a private network, whose API is for nobody in the lab but its own nodes."""

# A call of etcd's JSON gateway on a master, as a shell script.
GATEWAY = (
    "cd /var/lib/rancher/k3s/server/tls/etcd && curl -s -m 3 --cacert server-ca.crt --cert client.crt "
    "--key client.key https://127.0.0.1:2382/v3/{call} -d '{body}'"
)


@dataclass(frozen=True, slots=True)
class Member:
    """An etcd member as a master's gateway lists it."""

    id: str
    name: str
    learner: bool
    address: str


class Cluster:
    """One cluster of the lab: its file, the commands that are run on it, and what its hosts say."""

    def __init__(
        self,
        lab: LabHandle,
        folder: Path,
        *,
        masters: int = 3,
        workers: int = 1,
        more: str = "",
        networking: str = "",
    ) -> None:
        self.lab = lab
        self.networking = networking
        self.folder = folder
        self.config = folder / "cluster.yaml"
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(folder / "key"))
        (folder / "key").chmod(0o600)
        key.write_public_key(str(folder / "key.pub"))
        self.write_config(masters=masters, workers=workers, more=more)

    @property
    def kubeconfig(self) -> Path:
        """Give where `create` puts the kubeconfig."""
        return self.folder / "kubeconfig"

    def write_config(self, *, masters: int = 3, workers: int = 1, more: str = "") -> None:
        """Write the cluster's file."""
        text = _CONFIG.format(
            name=NAME,
            folder=self.folder,
            masters=masters,
            locations=", ".join(["fsn1", "hel1", "nbg1", "fsn1", "hel1"][:masters]),
            workers=workers,
            schedule=str(workers == 0).lower(),
            networking=self.networking,
            more=more,
        )
        if workers == 0:
            head, _, rest = text.partition("worker_node_pools:\n")
            text = head + "".join(line for line in rest.splitlines(True) if not line.startswith((" ", "-")))
        self.config.write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        """Give what the product's runs have in their environment beside the lab's endpoint and token."""
        return {"XDG_STATE_HOME": str(self.folder / "state"), "PYTHONUNBUFFERED": "1"}

    def run(self, *words: str, timeout: float = 600.0, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `hetzner-k3s` and keep what it says."""
        environment = self.environment | ({"HCLOUD_TOKEN": token} if token else {})
        line = [*PROGRAM, *words, "--config", str(self.config)]
        done = self.lab.run(line, check=False, timeout=timeout, env=environment, cwd=self.folder)
        tell(" ".join(words), done.stdout + done.stderr)
        return done

    def create(self, *words: str, expect: int = 0, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `create`, with these options, and hold its exit code against the expected one."""
        done = self.run("create", *words, token=token)
        assert done.returncode == expect, f"create ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str, stderr: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start `hetzner-k3s` and leave it running; its stderr is a pipe, or goes to an open file."""
        line = [*PROGRAM, *words, "--config", str(self.config)]
        return self.lab.popen(line, env=self.environment, cwd=self.folder, stderr=stderr, stdin=subprocess.DEVNULL)

    def delete(self) -> None:
        """Delete the cluster."""
        done = self.run("delete", "--force")
        assert done.returncode == 0, done.stderr

    def sh(self, server: str, script: str) -> str:
        """Run a shell script inside a host and give what it printed."""
        done = self.lab.host(server).exec(script)
        assert done.returncode == 0, f"{server}: {script}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def masters(self) -> list[str]:
        """Name the masters that exist now."""
        return sorted(s["name"] for s in self.lab.servers().values() if s["labels"].get("role") == "master")

    def members(self, server: str) -> list[Member]:
        """Read the member list from one master's gateway."""
        answer = json.loads(self.sh(server, GATEWAY.format(call="cluster/member/list", body='{"linearizable":true}')))
        return [
            Member(m["ID"], m.get("name", ""), bool(m.get("isLearner")), m["peerURLs"][0].split("//")[1].split(":")[0])
            for m in answer["members"]
        ]

    def leader(self) -> str:
        """Name the master whose etcd leads."""
        for server in self.masters():
            status = json.loads(self.sh(server, GATEWAY.format(call="maintenance/status", body="{}")))
            if status["leader"] == status["header"]["member_id"]:
                return server
        raise LookupError("no leader")

    def identity(self, server: str) -> tuple[str, str]:
        """Read CA hash and kube-system UID on one master."""
        ca = self.sh(server, "sha256sum /var/lib/rancher/k3s/server/tls/server-ca.crt").split()[0]
        return ca, self.kubectl(server, "get namespace kube-system -o jsonpath={.metadata.uid}")

    def kubectl(self, server: str, words: str) -> str:
        """Run kubectl on a master."""
        return self.sh(server, f"k3s kubectl {words}")

    def nodes(self, server: str) -> dict[str, dict[str, Any]]:
        """Read the Nodes through one master, by name."""
        found = json.loads(self.kubectl(server, "get nodes -o json"))["items"]
        return {node["metadata"]["name"]: node for node in found}

    def process(self, server: str, unit: str = "k3s") -> str:
        """Give process id and start time of a host's k3s: equal values mean that it was not restarted."""
        return self.sh(server, f"systemctl show {unit} -p MainPID -p ExecMainStartTimestampMonotonic")

    def births(self) -> int:
        """Count the births in the journals of the hosts that exist and run."""
        counts = [
            self.lab.host(server).exec(f"journalctl -u k3s -o cat --no-pager | grep -c '{BIRTH_LINE}'").stdout
            for server in self.masters()
        ]
        return sum(int(count or 0) for count in counts)

    def write_objects(self, server: str, count: int = 25) -> None:
        """Write objects of several kinds."""
        items: list[dict[str, Any]] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"kept-{n}"}, "data": {"n": str(n)}}
            for n in range(count)
        ]
        items.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kept"}, "stringData": {"a": "b"}})
        text = "".join(json.dumps(item) + "\n" for item in items)
        self.sh(server, f"printf %s '{text}' | k3s kubectl apply -f - >/dev/null")

    def objects(self, server: str) -> dict[str, Any]:
        """Read every object that `write_objects` wrote: uid and content by kind and name."""
        found = json.loads(self.kubectl(server, "get configmaps,secrets -n default -o json"))["items"]
        return {
            f"{o['kind']}/{o['metadata']['name']}": (o["metadata"]["uid"], o["data"])
            for o in found
            if o["metadata"]["name"].startswith("kept")
        }


def tell(what: str, talk: str) -> None:
    """Keep what a run said for the report of a failing test."""
    sys.stderr.write(f"--- {what}\n{talk}\n")


def assert_whole(cluster: Cluster, masters: int = 3) -> None:
    """Assert that the control plane is what the file says on every master: voters, nodes, no leftovers."""
    names = cluster.masters()
    assert len(names) == masters
    live = {s["name"]: _internal_ip(s) for s in cluster.lab.servers().values()}
    for server in names:
        members = cluster.members(server)
        assert {m.name.rpartition("-")[0]: m.address for m in members} == {n: live[n] for n in names}
        assert not any(m.learner for m in members)
    nodes = cluster.nodes(names[0])
    assert set(nodes) == set(cluster.lab.servers())
    assert all(_ready(node) for node in nodes.values())
    ids = {server["name"]: str(server["id"]) for server in cluster.lab.servers().values()}
    assert {name: node["metadata"]["annotations"]["hetzner-k3s/server-id"] for name, node in nodes.items()} == ids
    secrets = cluster.kubectl(names[0], "get secrets -n kube-system -o name").split()
    passwords = {s.split("/")[1].removesuffix(".node-password.k3s") for s in secrets if "node-password" in s}
    assert passwords == set(nodes)
    assert not [g for g in cluster.lab.resources("placement_groups") if g["name"].endswith("operator-lock")]


def _internal_ip(server: dict[str, Any]) -> str:
    places: list[dict[str, str]] = server["private_net"] or [server["public_net"]["ipv4"]]
    return places[0]["ip"]


def assert_at_rest(cluster: Cluster) -> None:
    """Assert that another `create` finds nothing to do: at most ten requests, none of them writing."""
    cluster.lab.client.lab("DELETE", "requests")
    cluster.create()
    requests = cluster.lab.requests()
    assert not [request for request in requests if request["writing"]]
    assert 0 < len(requests) <= 10


def _ready(node: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


_PROBE = r"""
mkdir -p /run/probe && cd /run/probe && rm -f log stop
for part in certificate-authority client-certificate client-key; do
    sed -n "s/^ *$part-data: //p" /etc/rancher/k3s/k3s.yaml | base64 -d >$part
done
n=0
first=$(date +%s)
while [ ! -e stop ]; do
    n=$((n + 1)); began=$(date +%s.%N); name=acked-$(hostname)-$first-$n
    code=$(curl -s -m 1 -o /dev/null -w '%{http_code}' --cacert certificate-authority --cert client-certificate \
        --key client-key -H "Content-Type: application/json" \
        https://127.0.0.1:6443/api/v1/namespaces/default/configmaps \
        -d "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"$name\"}}")
    echo "$began $code $name" >>log
    sleep 0.5
done
touch stopped
"""


@contextmanager
def probing(cluster: Cluster, servers: list[str]) -> Iterator[None]:
    """Write to each server's own API every half second, with a time-out of a second, for the length of a block."""
    for server in servers:
        cluster.lab.host(server).exec("rm -rf /run/probe; mkdir -p /run/probe", check=True)
        script = _PROBE.replace("'", "'\\''")
        cluster.sh(server, f"systemd-run --quiet --collect --unit=probe sh -c '{script}'")
    try:
        yield
    finally:
        for server in servers:
            cluster.lab.host(server).exec("touch /run/probe/stop; systemctl stop probe")


def longest_gap(cluster: Cluster, server: str) -> float:
    """Give the longest time in seconds between two acknowledged writes of a probe."""
    lines = [line.split() for line in cluster.sh(server, "cat /run/probe/log").splitlines()]
    acked = [float(began) for began, code, _ in lines if code == "201"]
    assert len(acked) > 3, f"the probe on {server} wrote hardly anything: {lines[-5:]}"
    edges = [float(lines[0][0]), *acked, float(lines[-1][0])]
    return max(after - before for before, after in itertools.pairwise(edges))


def lost_writes(cluster: Cluster, server: str, reader: str) -> set[str]:
    """Name the writes that were acknowledged on `server` and are not found through `reader`."""
    lines = [line.split() for line in cluster.sh(server, "cat /run/probe/log").splitlines()]
    acked = {name for _, code, name in lines if code == "201"}
    found = cluster.kubectl(reader, "get configmaps -n default -o name").split()
    return acked - {name.split("/")[1] for name in found}
