"""Starting k3s as shell, on the make-believe host of the reset's tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hosts.test_disaster_scripts import MakeBelieve


@pytest.fixture
def host(tmp_path: Path) -> MakeBelieve:
    """Give a host on which k3s is installed, and nothing more."""
    (tmp_path / "bin").mkdir()
    return MakeBelieve(tmp_path)


def _unit(host: MakeBelieve, active: str, sub: str) -> None:
    shown = f"printf 'ActiveState={active}\\nSubState={sub}\\n'"
    host.stub("systemctl", f'case "$*" in *"-p ActiveState -p SubState"*) {shown} ;; esac\n')


@pytest.mark.parametrize("sub", ["start-pre", "auto-restart"])
def test_a_k3s_that_the_guard_ends_again_and_again_gets_the_permit(host: MakeBelieve, sub: str) -> None:
    """Somebody started it by hand before the birth: it takes the permit at its next turn."""
    _unit(host, "activating", sub)
    assert host.answer("start_k3s", "k3s", "yes") == {"result": {}}
    assert (host.root / "run/birth").read_text() == "K3S_CLUSTER_INIT=true\n"


def test_a_k3s_that_runs_is_left_alone_and_gets_no_permit(host: MakeBelieve) -> None:
    _unit(host, "active", "running")
    assert host.answer("start_k3s", "k3s", "yes") == {"result": {}}
    assert not (host.root / "run/birth").exists()
    assert not [call for call in host.calls if " start " in call]


NO_INDEX = "failed to create temporary datastore client: failed to read consistent index"
NO_DATA = "no bootstrap data found in datastore - check server token value and verify datastore integrity"
RECONCILE = "Error: preparing server: failed to bootstrap cluster data: failed to reconcile with local datastore: "


def _cut_off(host: MakeBelieve, words: str, *, active: str = "activating", sub: str = "auto-restart") -> None:
    """Let k3s have ended with these words in its first start; its log, its authorities and its token are there."""
    for folder in ("k3s/server/db/etcd/member/wal", "k3s/server/tls", "run"):
        (host.root / folder).mkdir(parents=True, exist_ok=True)
    (host.data / "server/db/etcd/member/wal/0000000000000000-0000000000000000.wal").write_text("")
    (host.data / "server/tls/server-ca.crt").write_text("the CA")
    (host.data / "server/token").write_text("K10ab::server:x\n")
    host.config.write_text("token: x\n")
    lines = f'level=info msg="starting"\nlevel=fatal msg="{words}"\nsystemd[1]: exited'
    host.stub("journalctl", f"printf '%s\\n' '{lines}'\n")
    answers = f"*is-active*) [ {active} = active ] ;; *SubState*value*) echo {sub} ;;"
    host.stub("systemctl", f'case "$*" in {answers} esac\n')


@pytest.mark.parametrize("words", [NO_INDEX, NO_DATA])
def test_a_birth_that_was_cut_off_begins_anew_beside_its_log(host: MakeBelieve, words: str) -> None:
    _cut_off(host, RECONCILE + words)
    assert host.answer("restart_birth") == {"result": {}}
    aside = list((host.data / "server").glob("db-cut-off-*/etcd/member/wal/*.wal"))
    assert len(aside) == 1
    assert not (host.data / "server/db").exists()
    assert (host.data / "server/tls/server-ca.crt").read_text() == "the CA"
    assert (host.root / "run/birth").read_text() == "K3S_CLUSTER_INIT=true\n"
    stopped, started = (next(n for n, c in enumerate(host.calls) if f" {verb} " in c) for verb in ("stop", "start"))
    assert stopped < started
    since = next(call for call in host.calls if call.startswith("journalctl"))
    assert "--since @" in since


def _joins(host: MakeBelieve) -> None:
    host.config.write_text("token: x\nserver: https://10.0.0.3:6443\n")


def _on_database(host: MakeBelieve) -> None:
    host.config.write_text("token: x\ndatastore-endpoint: mysql://u:p@tcp(h)/d\n")


def _saved(host: MakeBelieve) -> None:
    (host.data / "server/db/snapshots").mkdir()
    (host.data / "server/db/snapshots/etcd-snapshot-1").write_text("what lived here")


def _held(host: MakeBelieve) -> None:
    host.state.mkdir()
    (host.state / "held").touch()


def _without_log(host: MakeBelieve) -> None:
    shutil.rmtree(host.data / "server/db/etcd")


def _running(host: MakeBelieve) -> None:
    _cut_off(host, RECONCILE + NO_DATA, active="active", sub="running")


def _other_words(host: MakeBelieve) -> None:
    _cut_off(host, RECONCILE + "bootstrap data already found and encrypted with different token")


@pytest.mark.parametrize("change", [_joins, _on_database, _saved, _held, _without_log, _running, _other_words])
def test_a_host_that_may_hold_a_cluster_is_left_as_it_is(
    host: MakeBelieve, change: Callable[[MakeBelieve], None]
) -> None:
    _cut_off(host, RECONCILE + NO_DATA)
    change(host)
    assert host.answer("restart_birth")["error"] == "precondition_changed"
    assert not list((host.data / "server").glob("db-cut-off-*"))
    assert not [call for call in host.calls if " stop " in call or " start " in call]
    assert not (host.root / "run/birth").exists()


def test_a_snapshot_is_tried_again_while_k3s_is_not_ready_yet(host: MakeBelieve) -> None:
    folder = host.data / "server/db/snapshots"
    folder.mkdir(parents=True)
    (host.root / "run").mkdir()
    early = f'[ -e "{host.root}/asked" ] || {{ : >"{host.root}/asked"; echo "storage is (re)initializing"; exit 1; }}'
    host.stub("k3s", f'{early}\necho saved >"{folder}/pre-repair-1-m1-1800000000"\n')
    assert "pre-repair-1-m1" in str(host.answer("save_snapshot", "pre-repair-1"))
    host.stub("k3s", "echo 'not authorized'; exit 1\n")
    refused = host.answer("save_snapshot", "pre-repair-2")
    assert "not authorized" in str(refused["message"])
