"""The operator's machine: kubeconfig evidence, the run journal and its lock, host keys."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest

from hetzner_k3s.adapters.system import Ed25519HostKeys, OperatorMachine, SystemClock, SystemRng
from hetzner_k3s.model.contact import host_key_label
from hetzner_k3s.model.secrets import Secret

CA = b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
CA_HASH = hashlib.sha256(CA).hexdigest()

HOLD_A_RUN = """
import sys
from pathlib import Path
from hetzner_k3s.adapters.system import OperatorMachine, SystemClock
machine = OperatorMachine(cluster="demo", kubeconfig=Path("/nowhere"), run=sys.argv[1], clock=SystemClock())
machine.record("started", {})
print("recorded", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "hetzner-k3s" / "demo"


def machine(tmp_path: Path, run: str = "run1") -> OperatorMachine:
    return OperatorMachine(cluster="demo", kubeconfig=tmp_path / "kubeconfig", run=run, clock=SystemClock())


def kubeconfig(*contexts: str, ca: bytes = CA) -> str:
    data = base64.b64encode(ca).decode()
    clusters = [
        {"name": c, "cluster": {"server": f"https://{c}:6443", "certificate-authority-data": data}} for c in contexts
    ]
    return json.dumps(
        {"clusters": clusters, "contexts": [{"name": c, "context": {"cluster": c, "user": "u"}} for c in contexts]}
    )


def test_nothing_is_remembered_of_a_new_cluster(tmp_path: Path, state: Path) -> None:
    evidence = machine(tmp_path).evidence()
    assert evidence.kubeconfig_ca is None
    assert not evidence.open_birth
    assert not state.exists()


def test_the_contexts_of_the_cluster_are_evidence(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig("demo", "demo-master1", "other"))
    evidence = machine(tmp_path).evidence()
    assert evidence.kubeconfig_ca == CA_HASH
    assert evidence.kubeconfig_servers == {"demo": "https://demo:6443", "demo-master1": "https://demo-master1:6443"}


def test_contexts_of_others_are_none(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig("other", "demo2", "other-master1"))
    assert machine(tmp_path).evidence().kubeconfig_ca is None


@pytest.mark.parametrize("text", ["a: [", "\x00", "- list", "clusters: 7", "contexts: [{name: demo}]", "[" * 3000])
def test_a_file_that_cannot_be_read_is_evidence_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    assert machine(tmp_path).evidence().kubeconfig_ca == "unreadable"


def test_a_directory_in_its_place_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").mkdir()
    assert machine(tmp_path).evidence().kubeconfig_ca == "unreadable"


def test_the_kubeconfig_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo")))
    assert path.read_text() == kubeconfig("demo")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["kubeconfig"]
    machine(tmp_path).remove_kubeconfig()
    assert not path.exists()


def test_contexts_of_other_clusters_are_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("other"))
    machine(tmp_path).remove_kubeconfig()
    assert path.exists()
    machine(tmp_path).write_kubeconfig(Secret(kubeconfig("demo")))
    kept = tmp_path / "kubeconfig.before-demo"
    assert kept.read_text() == kubeconfig("other")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_birth_is_open_until_a_deletion_closes_it(tmp_path: Path) -> None:
    first = machine(tmp_path)
    first.record("birth opened", {"cluster": "demo"})
    assert machine(tmp_path, "run2").evidence().open_birth
    first.record("birth closed", {"cluster": "demo"})
    assert not machine(tmp_path, "run3").evidence().open_birth


def test_the_journal_is_lines_for_its_owner_alone(tmp_path: Path, state: Path) -> None:
    writer = machine(tmp_path)
    writer.record("started", {"step": "CreateServer", "target": "demo-master1"})
    writer.record("finished", {"step": "CreateServer", "target": "demo-master1"})
    path = state / "runs" / "run1.jsonl"
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["started", "finished"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_run_is_dead_only_when_its_journal_is_here_and_nobody_holds_it(tmp_path: Path) -> None:
    watcher = machine(tmp_path, "watcher")
    assert not watcher.run_is_dead("never-seen")
    assert not watcher.run_is_dead("../../etc/passwd")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_RUN, "other"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "recorded\n"
        assert not watcher.run_is_dead("other")
    finally:
        other.kill()
        other.communicate()
    assert watcher.run_is_dead("other")


def test_a_host_key_is_what_ssh_reads_and_its_label_is_of_its_blob() -> None:
    first, second = Ed25519HostKeys().generate(), Ed25519HostKeys().generate()
    private = asyncssh.import_private_key(first.private_key.reveal())
    assert private.algorithm == b"ssh-ed25519"
    assert private.export_public_key().decode().split()[:2] == first.public_key.split()
    assert first.label == host_key_label(private.public_data)
    assert first.label != second.label
    assert len(first.label) == 52
    assert first.label.isalnum()


def test_random_values_are_as_long_as_asked_for() -> None:
    assert len(SystemRng().token_hex(8)) == 16
    assert 2 <= SystemRng().uniform(2, 3) <= 3
    assert SystemClock().monotonic() <= SystemClock().monotonic()


def test_the_kubeconfig_of_a_cluster_that_was_deleted_from_here_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig("demo"))
    machine(tmp_path).record("birth closed", {"cluster": "demo", "ca": CA_HASH})
    assert machine(tmp_path, "run2").evidence().kubeconfig_ca is None
    (tmp_path / "kubeconfig").write_text(kubeconfig("demo", ca=b"another"))
    assert machine(tmp_path, "run3").evidence().kubeconfig_ca is not None
