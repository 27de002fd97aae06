"""The start guard on a disk of a test's own: k3s never starts as a server where that would make a new cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hetzner_k3s.hosts.shell import script


def _write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _wal(root: Path) -> None:
    _write(root / "var/lib/rancher/k3s/server/db/etcd/member/wal/0000000000000000-0000000000000000.wal")


def _server(root: Path) -> None:
    _write(root / "etc/rancher/k3s/config.yaml", 'token: x\nserver: "https://10.0.0.3:6443"\n')


def _config(root: Path) -> None:
    _write(root / "etc/rancher/k3s/config.yaml", "token: x\ntls-san:\n- server.example\n")


def _on_database(root: Path) -> None:
    _write(root / "etc/rancher/k3s/config.yaml", 'token: "x"\ndatastore-endpoint: "mysql://u:p@tcp(h)/d"\n')


def _on_database_of(root: Path) -> None:
    _write(
        root / "etc/rancher/k3s/config.yaml", 'token: "K10ab::server:x"\ndatastore-endpoint: "mysql://u:p@tcp(h)/d"\n'
    )


def _authority(root: Path) -> None:
    _write(root / "var/lib/rancher/k3s/server/tls/server-ca.crt")


def _permit(root: Path) -> None:
    _write(root / "run/hetzner-k3s/birth", "K3S_CLUSTER_INIT=true\n")


def _tombstone(root: Path) -> None:
    _write(root / "var/lib/rancher/k3s/server/db/etcd/tombstone")


Disk = tuple[Callable[[Path], None], ...]

STARTS: dict[str, Disk] = {
    "it has data": (_config, _wal),
    "it has a master to join": (_server,),
    "it was removed and has a master to join": (_server, _wal, _tombstone),
    "a birth is permitted": (_config, _permit),
    "a birth in a database is permitted": (_on_database, _permit),
    "its token pins the cluster in the database": (_on_database_of,),
    "it has the files of the cluster in the database": (_on_database, _authority),
}

REFUSES: dict[str, Disk] = {
    "the disk is empty": (),
    "there is a configuration without a master to join": (_config,),
    "there is a database, and nothing says whose": (_on_database,),
    "it was removed, and has no master to join": (_config, _wal, _tombstone),
    "it was removed, and a birth is permitted": (_config, _tombstone, _permit),
}


NOTES = ("lineage", "reset-done")


def _noted(root: Path) -> None:
    for name in NOTES:
        _write(root / "var/lib/hetzner-k3s" / name, "1111 0000\n")


def _guard(root: Path, disk: Disk) -> subprocess.CompletedProcess[str]:
    for write in disk:
        write(root)
    text = script("start_guard")
    for place in ("/var/lib/rancher", "/etc/rancher", "/run/hetzner-k3s", "/var/lib/hetzner-k3s"):
        text = text.replace(place, f"{root}{place}")
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", STARTS)
def test_it_lets_k3s_start_when(case: str, tmp_path: Path) -> None:
    assert _guard(tmp_path, STARTS[case]).returncode == 0


@pytest.mark.parametrize("case", REFUSES)
def test_it_refuses_when(case: str, tmp_path: Path) -> None:
    done = _guard(tmp_path, REFUSES[case])
    assert done.returncode == 1
    assert "would make a new, empty cluster" in done.stderr


@pytest.mark.parametrize("case", STARTS)
def test_a_note_of_a_lineage_outlives_only_the_start_of_its_own_data(case: str, tmp_path: Path) -> None:
    """Who starts without data, or was removed, joins the data of others, which may be of a later lineage."""
    _guard(tmp_path, (*STARTS[case], _noted))
    left = {name for name in NOTES if (tmp_path / "var/lib/hetzner-k3s" / name).exists()}
    assert left == (set(NOTES) if case == "it has data" else set())


@pytest.mark.parametrize("mark", ["held", "restoring"])
def test_a_host_that_is_held_or_half_restored_keeps_its_note(mark: str, tmp_path: Path) -> None:
    def marked(root: Path) -> None:
        _write(root / "var/lib/hetzner-k3s" / mark)

    assert _guard(tmp_path, (_server, _noted, marked)).returncode == 1
    assert (tmp_path / "var/lib/hetzner-k3s/lineage").exists()
