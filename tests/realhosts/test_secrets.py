"""No secret is where somebody could read it who must not: the real values are looked for in every place there is.

A cluster is made and repaired once under observation; the tests look at what that left and showed.
"""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from ruamel.yaml import YAML
from tests.realhosts.argv_watch import Watch, watching
from tests.realhosts.cluster import Cluster
from tests.realhosts.standing import MASTERS, WORKER, lose

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER1, MASTER2, _ = MASTERS
HOSTS = (*MASTERS, WORKER)

_K3S = "/var/lib/rancher/k3s"
_WHERE = "/etc /run /var /root /usr/local /tmp /home /srv /opt /boot"
_NOBODY = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


@dataclass(frozen=True)
class Secret:
    """A secret value in the forms it can be found in, and the files of a host it may lie in (or below)."""

    forms: tuple[str, ...]
    may_lie_in: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Evidence:
    """What a creation and a repair showed: processes, what the commands printed, and the secrets they handled."""

    cluster: Cluster
    watch: Watch
    printed: str
    secrets: Mapping[str, Secret]

    def found_in(self, text: str) -> list[str]:
        """Name the secrets that a text holds."""
        return [name for name, secret in self.secrets.items() if any(form in text for form in secret.forms)]


@pytest.fixture(scope="module")
def evidence(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """Make a cluster, lose a master and have it replaced, all of it watched."""
    lab.reset()
    cluster = Cluster(lab, tmp_path_factory.mktemp("secrets"))
    try:
        with watching(lab.running.record.group.unified) as watch:
            runs = [cluster.create()]
            lose(cluster, MASTER2)
            runs += [cluster.create(), cluster.run("status"), cluster.create(token="w" * 64, expect=5)]
        printed = "".join(run.stdout + run.stderr for run in runs)
        yield Evidence(cluster, watch, printed, dict(_secrets(cluster)))
    finally:
        lab.reset()


def _secrets(cluster: Cluster) -> Iterator[tuple[str, Secret]]:
    yield "the Hetzner token", Secret(_forms(cluster.lab.token), (f"{_K3S}/server/db",))
    token = cluster.sh(MASTER1, f"cat {_K3S}/server/token").rpartition(":")[2]
    yield "the k3s token", Secret(_forms(token), (f"{_K3S}/server", "/etc/rancher/k3s/config.yaml"))
    agent_token = cluster.sh(MASTER1, f"cat {_K3S}/server/agent-token").rpartition(":")[2]
    yield "the k3s agent token", Secret(_forms(agent_token), (f"{_K3S}/server", "/etc/rancher/k3s/config.yaml"))
    # Each master has an admin's key of its own; the kubeconfig may still hold that of the master that was lost.
    on_masters = (cluster.sh(master, "cat /etc/rancher/k3s/k3s.yaml") for master in MASTERS)
    keys = [_admins_key(text) for text in (cluster.kubeconfig.read_text(), *on_masters)]
    forms = tuple(form for pem in keys for form in (_body(pem), _forms(pem)[1]))
    yield "the admin's key", Secret(forms, (f"{_K3S}/server", "/etc/rancher/k3s/k3s.yaml"))
    for name in HOSTS:
        yield f"the host key of {name}", Secret((_body(cluster.sh(name, f"cat {_HOST_KEY}")),), (_HOST_KEY,))


def _admins_key(kubeconfig: str) -> str:
    user = YAML(typ="safe").load(kubeconfig)["users"][0]["user"]
    return base64.b64decode(user["client-key-data"]).decode()


def _forms(value: str) -> tuple[str, ...]:
    """Give a value as it is and in base64."""
    return value, base64.b64encode(value.encode()).decode().rstrip("=")


def _body(pem: str) -> str:
    """Give a line of a PEM file that holds private bits: the last whole one before the end."""
    return [line for line in pem.splitlines() if not line.startswith("-")][-2]


def test_all_secrets_are_known(evidence: Evidence) -> None:
    """The other tests look for these: every one is found where it belongs."""
    assert all(len(form) >= 32 for secret in evidence.secrets.values() for form in secret.forms)
    for name in ("the k3s token", f"the host key of {MASTER1}"):
        assert _lies_in(evidence, MASTER1, evidence.secrets[name])
    for master in MASTERS:
        assert "/etc/rancher/k3s/k3s.yaml" in _lies_in(evidence, master, evidence.secrets["the admin's key"])
    assert "the admin's key" in evidence.found_in(evidence.cluster.kubeconfig.read_text())
    assert "/etc/passwd" in _lies_in(evidence, MASTER1, Secret(("root:x:0:0",), ()), reader=_NOBODY)


def test_no_command_line_holds_a_secret(evidence: Evidence) -> None:
    lines = [line.replace(b"\0", b" ").decode(errors="replace") for line in evidence.watch.command_lines]
    for expected in ("hetzner_k3s create", "/usr/local/bin/k3s server", "write_config", "rotate_host_key"):
        assert any(expected in line for line in lines), f"the watch has missed {expected}"
    assert [(line, found) for line in lines if (found := evidence.found_in(line))] == []


def test_no_environment_of_a_hosts_process_holds_a_secret(evidence: Evidence) -> None:
    environments = [block.decode(errors="replace") for block in evidence.watch.environments_in_hosts]
    assert any("K3S_CLUSTER_INIT=true" in block for block in environments), "the watch has missed the birth"
    assert [block for block in environments if evidence.found_in(block)] == []


@pytest.mark.parametrize("server", HOSTS)
def test_on_a_host_a_secret_lies_only_where_it_belongs_and_only_for_root(server: str, evidence: Evidence) -> None:
    for name, secret in evidence.secrets.items():
        where = _lies_in(evidence, server, secret)
        astray = [path for path in where if not path.startswith(secret.may_lie_in)]
        assert not astray, f"{name} lies in {astray} of {server}"
        assert not _lies_in(evidence, server, secret, reader=_NOBODY)


def test_a_workers_disk_holds_no_server_token(evidence: Evidence) -> None:
    """Root on a worker is not the cluster: only the agents' token lies there."""
    assert _lies_in(evidence, WORKER, evidence.secrets["the k3s token"]) == []
    assert "/etc/rancher/k3s/config.yaml" in _lies_in(evidence, WORKER, evidence.secrets["the k3s agent token"])


@pytest.mark.parametrize("user", ["node", "server"])
@pytest.mark.parametrize("path", ["/v1-k3s/server-bootstrap", "/v1-k3s/encrypt/status", "/v1-k3s/token"])
def test_what_a_worker_holds_opens_nothing_of_the_servers(path: str, user: str, evidence: Evidence) -> None:
    read = "password=$(sed -n 's/^token: *\"K10[0-9a-f]*::node:\\(.*\\)\"$/\\1/p' /etc/rancher/k3s/config.yaml)"
    url = f"$(sed -n 's/^server: *\"\\(.*\\)\"$/\\1/p' /etc/rancher/k3s/config.yaml){path}"
    ask = f"curl -s -k -o /dev/null -w '%{{http_code}}' -u {user}:$password"
    told = evidence.cluster.sh(WORKER, f'{read}; [ -n "$password" ] && {ask} {url}')
    assert told.strip() == ("403" if user == "node" else "401")
    agents = evidence.cluster.sh(WORKER, f"{read}; {ask.replace(user, 'node')} {url.removesuffix(path)}/v1-k3s/readyz")
    assert agents.strip() == "200", "the password is the agents'"


def _lies_in(evidence: Evidence, server: str, secret: Secret, reader: str = "") -> list[str]:
    """List the files of a host that a reader (root, if nobody else is named) can find a secret in."""
    patterns = "\n".join(secret.forms)
    script = (
        f"{reader} grep --recursive --files-with-matches --fixed-strings --devices=skip --file=- {_WHERE} 2>/dev/null"
    )
    return evidence.cluster.lab.host(server).exec(f"{script} <<'END'\n{patterns}\nEND\n").stdout.splitlines()


@pytest.mark.parametrize("server", HOSTS)
def test_what_systemd_and_the_metadata_service_tell_holds_no_secret(server: str, evidence: Evidence) -> None:
    told = evidence.cluster.sh(
        server,
        "journalctl --no-pager --all --output export; systemctl show '*'; systemctl show-environment; "
        "curl -s http://169.254.169.254/hetzner/v1/userdata",
    )
    assert "#cloud-config" in told
    assert "Started k3s" in told
    assert evidence.found_in(told) == []


def test_nothing_at_hetzner_holds_a_secret(evidence: Evidence) -> None:
    state = json.dumps(evidence.cluster.lab.client.lab("GET", "state"))
    assert "hetzner-k3s/host-key" in state
    assert evidence.found_in(state) == []


def test_nothing_that_is_printed_holds_a_secret(evidence: Evidence) -> None:
    assert "is up to date" in evidence.printed
    assert evidence.found_in(evidence.printed) == []


def test_on_the_operators_machine_secrets_lie_in_the_kubeconfig_and_the_kept_tokens_alone(evidence: Evidence) -> None:
    folder = evidence.cluster.folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any("runs" in path.parts for path in files), "no run journal"
    holders = {path: found for path in files if (found := evidence.found_in(path.read_text(errors="replace")))}
    (kept,) = (path for path in files if path.parent.name == "tokens")
    assert holders == {evidence.cluster.kubeconfig: ["the admin's key"], kept: ["the k3s token", "the k3s agent token"]}
    private = [evidence.cluster.kubeconfig, kept, *(folder / "state").rglob("*.jsonl")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_the_hetzner_token_is_in_the_cluster_for_its_controllers_alone(evidence: Evidence) -> None:
    """The cloud controller and the CSI driver read it from the Secret kube-system/hcloud, and from nowhere else."""
    cluster = evidence.cluster
    kept = cluster.kubectl(MASTER1, "get secret -n kube-system hcloud -o jsonpath={.data.token}")
    assert base64.b64decode(kept).decode() == cluster.lab.token
    kinds = "nodes,configmaps,events,deployments,helmcharts.helm.cattle.io"
    assert evidence.found_in(cluster.kubectl(MASTER1, f"get {kinds} --all-namespaces -o json")) == []
