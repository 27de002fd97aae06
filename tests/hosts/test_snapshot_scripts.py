"""The scripts that look at, receive and restore snapshot files, on a make-believe host: nothing is taken away."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from tests.hosts.test_disaster_scripts import FAILURE, SUCCESS, MakeBelieve

from hetzner_k3s.adapters.system.given import read_given
from hetzner_k3s.hosts.host_facts import hosted_snapshots
from hetzner_k3s.hosts.shell import operation_script
from hetzner_k3s.model.consents import Restore

UID = "6c2170f8-1111-2222-3333-444455556666"
NAME = "etcd-snapshot-m1-1700000000"


def a_snapshot(uid: str = UID, token_hash: str = "0123456789ab") -> bytes:
    """Make what k3s saves, as far as anybody but etcd reads it: keys, values in protobuf, a checksum at the end."""
    namespace = b'k8s\0\n\x0f\n\x02v1\x12\tNamespace\n\x0bkube-system\x12\0\x1a\0"\0*$' + uid.encode() + b"2\0"
    pages = bytes(range(256)) * 20
    content = (
        pages
        + b"\n\x17/bootstrap/"
        + token_hash.encode()
        + b"\x10\x02"
        + pages
        + b"\n\x20/registry/namespaces/kube-system\x10\x05*"
        + namespace
        + pages
    )
    return content + hashlib.sha256(content).digest()


@pytest.fixture
def host(tmp_path: Path) -> MakeBelieve:
    """Give a master without a database whose keys and snapshots are left."""
    made = MakeBelieve(tmp_path)
    for folder in ("bin", "run", "state", "k3s/server/db/snapshots", "k3s/server/tls"):
        (tmp_path / folder).mkdir(parents=True)
    (made.data / "server/tls/server-ca.crt").write_text("the CA")
    (made.data / "server/db/snapshots" / NAME).write_bytes(a_snapshot())
    made.config.write_text("token: x\nnode-name: m1\netcd-s3: true\n")
    made.stub("systemctl", 'case "$*" in *"ActiveState --value"*) echo inactive ;; esac\n')
    wal = made.data / "server/db/etcd/member/wal"
    made.stub("k3s", f'mkdir -p "{wal}" && : >"{wal}/0.wal"\n{SUCCESS}')
    return made


def snapshots(host: MakeBelieve) -> set[str]:
    """Name the snapshots that lie there."""
    return {path.name for path in (host.data / "server/db/snapshots").iterdir()}


def sum_of(content: bytes) -> str:
    """Give the checksum of a file."""
    return hashlib.sha256(content).hexdigest()


def send(host: MakeBelieve, name: str, content: bytes, sent: bytes) -> dict[str, object]:
    """Send a file of that content; `sent` is what arrives."""
    text = host.text(operation_script("receive_snapshot"))
    command = ["sh", "-c", text, "x", name, str(len(content)), sum_of(content)]
    ended = subprocess.run(command, input=sent, capture_output=True, check=False)
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def restore(host: MakeBelieve, name: str = NAME, checksum: str | None = None) -> dict[str, object]:
    """Restore a file."""
    return host.answer("restore_snapshot", name, "2222", "1111", checksum or sum_of(a_snapshot()))


def test_a_file_is_restored_under_a_name_that_no_retention_takes(host: MakeBelieve) -> None:
    assert restore(host) == {"result": {}}
    assert snapshots(host) == {NAME, f"kept-{NAME}"}
    (call,) = (line for line in host.calls if line.startswith("k3s "))
    assert call.endswith(f"--cluster-reset-restore-path={host.data}/server/db/snapshots/kept-{NAME} --etcd-s3=false")
    (aside,) = host.data.glob("server-replaced-*")
    assert (aside / "tls/server-ca.crt").read_text() == "the CA"


def test_a_restore_from_s3_keeps_the_snapshots_of_the_disk_too(host: MakeBelieve) -> None:
    assert host.answer("restore_snapshot", "kept-x", "2222", "1111", "-") == {"result": {}}
    assert snapshots(host) == {NAME}
    assert not any("--etcd-s3" in line for line in host.calls)


def test_another_file_than_the_one_that_was_looked_at_is_not_restored(host: MakeBelieve) -> None:
    for name, checksum in ((NAME, "00" * 32), ("etcd-snapshot-of-nobody", None)):
        assert restore(host, name, checksum)["error"] == "precondition_changed"
    assert not host.calls
    assert (host.data / "server/tls/server-ca.crt").exists()
    assert not (host.state / "restoring").exists()


def test_a_failed_restore_is_begun_again_and_takes_away_only_its_own_half(host: MakeBelieve) -> None:
    wal = host.data / "server/db/etcd/member/wal"
    host.stub("k3s", f'mkdir -p "{wal}" && : >"{wal}/0.wal"\n{FAILURE}')
    assert restore(host)["error"] == "failed"
    assert (host.state / "restoring").exists()
    host.stub("k3s", f'mkdir -p "{wal}" && : >"{wal}/1.wal"\n{SUCCESS}')
    assert restore(host) == {"result": {}}
    assert {path.name for path in wal.iterdir()} == {"1.wal"}
    assert snapshots(host) == {NAME, f"kept-{NAME}"}
    assert len(list(host.data.glob("server-replaced-*"))) == 1


@pytest.mark.parametrize("moved", ["snapshots", "server"])
def test_snapshots_on_their_way_when_the_host_died_are_found(host: MakeBelieve, moved: str) -> None:
    fresh = host.data / "server-fresh/db"
    fresh.mkdir(parents=True)
    (host.data / "server/db/snapshots").rename(fresh / "snapshots")
    if moved == "server":
        (host.data / "server").rename(host.data / "server-replaced-1")
    (host.state / "restoring").write_text(f"{NAME}\n")
    assert restore(host) == {"result": {}}
    assert snapshots(host) == {NAME, f"kept-{NAME}"}
    assert not (host.data / "server-fresh").exists()


def test_a_fresh_host_has_nothing_to_move_aside(host: MakeBelieve) -> None:
    (host.data / "server/tls/server-ca.crt").unlink()
    (host.data / "server/tls").rmdir()
    assert restore(host) == {"result": {}}
    assert not list(host.data.glob("server-replaced-*"))


def test_a_snapshot_arrives_whole_or_not_at_all(host: MakeBelieve) -> None:
    content = a_snapshot(token_hash="ffffffffffff")
    for sent in (content[:-1], content[:-1] + b"x"):
        assert send(host, "kept-a", content, sent)["error"] == "failed"
        assert snapshots(host) == {NAME}
    assert send(host, "kept-a", content, content) == {"result": {}}
    assert snapshots(host) == {NAME, "kept-a"}
    assert (host.data / "server/db/snapshots/kept-a").read_bytes() == content
    assert (host.data / "server/db/snapshots/kept-a").stat().st_mode & 0o777 == 0o600


def test_another_file_of_that_name_is_put_aside_and_the_same_is_left(host: MakeBelieve) -> None:
    content = a_snapshot()
    assert send(host, NAME, content, content) == {"result": {}}
    assert snapshots(host) == {NAME}
    newer = a_snapshot(token_hash="ffffffffffff")
    assert send(host, NAME, newer, newer) == {"result": {}}
    (before,) = snapshots(host) - {NAME}
    assert (host.data / "server/db/snapshots" / before).read_bytes() == content


ODD = 'my snap\'shöt "x" $HOME *.db'


def test_a_file_of_any_name_is_received_told_of_and_restored(host: MakeBelieve) -> None:
    content = a_snapshot(token_hash="ffffffffffff")
    assert send(host, ODD, content, content) == {"result": {}}
    assert snapshots(host) == {NAME, ODD}
    told = {found.name: found for found in hosted_snapshots(host.answer("tell_snapshots", "30")["result"])}
    assert told[ODD].sha256 == sum_of(content)
    assert restore(host, ODD, sum_of(content)) == {"result": {}}
    assert snapshots(host) == {NAME, ODD, f"kept-{ODD}"}


@pytest.mark.parametrize("name", ["", "../x", ".x"])
def test_a_file_goes_nowhere_else(host: MakeBelieve, name: str) -> None:
    assert send(host, name, b"x", b"x")["error"] == "failed"


def test_a_host_with_data_receives_nothing(host: MakeBelieve) -> None:
    wal = host.data / "server/db/etcd/member/wal"
    wal.mkdir(parents=True)
    (wal / "0.wal").write_text("data")
    assert send(host, "kept-a", b"x", b"x")["error"] == "precondition_changed"


def zipped(path: Path, content: bytes) -> None:
    """Pack a snapshot as k3s does with --etcd-snapshot-compress."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME, content)


def test_whose_a_snapshot_is_it_says_itself_on_a_host_and_here_alike(host: MakeBelieve) -> None:
    folder = host.data / "server/db/snapshots"
    zipped(folder / f"{NAME}.zip", a_snapshot())
    (folder / "torn").write_bytes(a_snapshot()[:-40])
    (folder / "empty").write_bytes(b"")
    told = {found.name: found for found in hosted_snapshots(host.answer("tell_snapshots", "30")["result"])}
    assert told.keys() == {NAME, f"{NAME}.zip", "torn"}
    for name, found in told.items():
        given = read_given(Restore(str(folder / name)))
        assert given is not None
        assert (found.cluster_uid, found.token_hashes) == (given.file.cluster_uid, given.file.token_hashes)
        assert (found.sha256, found.size) == (given.file.sha256, given.file.size)
        assert found.cluster_uid == (None if name == "torn" else UID)
        assert found.token_hashes == (() if name == "torn" else ("0123456789ab",))


def test_the_time_for_telling_is_kept(host: MakeBelieve) -> None:
    assert host.answer("tell_snapshots", "0") == {"result": []}
    (host.data / "server/db/snapshots" / NAME).unlink()
    (host.data / "server/db/snapshots").rmdir()
    assert host.answer("tell_snapshots", "30") == {"result": []}


def test_k3s_that_takes_no_command_since_a_rotation_is_said_so(tmp_path: Path) -> None:
    """Recorded in second/20: the command reads `server/token`, the process takes the one that it was started with."""
    k3s = tmp_path / "k3s"
    k3s.write_text("#!/bin/sh\necho 'level=fatal msg=\"Error: see server log for details: not authorized\"'\nexit 1\n")
    k3s.chmod(0o755)
    text = operation_script("save_snapshot").replace("/usr/local/bin/k3s", str(k3s))
    text = text.replace("/run/hetzner-k3s", str(tmp_path)).replace("/var/lib/rancher/k3s", str(tmp_path))
    done = subprocess.run(
        ["/bin/sh", "-c", text, "save", "t5"], capture_output=True, text=True, timeout=20, check=False
    )
    assert "as after `k3s token rotate`: restart k3s here, or save it through another master" in done.stdout
