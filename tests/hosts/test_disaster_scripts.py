"""The scripts of a reset as shell, on a make-believe host: temporary folders; systemctl, curl and k3s are stubs.

What a real k3s does: docs/facts/k3s.md#reset; here it is held that the scripts do what they say, in that order.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hetzner_k3s.adapters.system import rescues
from hetzner_k3s.hosts import operations
from hetzner_k3s.hosts.shell import operation_script, script
from hetzner_k3s.model.host import HostFacts, HostKeyKind, LogPosition
from hetzner_k3s.model.operations.disaster import ReadLog
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.state import Rescue

RECORDED = Path(__file__).parent / "recorded" / "etcd-3.5.16-five-puts.wal"
RECORDED_NAME = "0000000000000000-0000000000000000.wal"
CA = "ab12" * 16
TOKEN = f"K10{CA}::server:secret"
SUCCESS = (
    "echo 'level=info msg=\"Starting etcd for new cluster, cluster-reset=true\"'\n"
    "echo 'level=error msg=\"Shutdown request received: Managed etcd cluster membership has been reset, restart\"'\n"
)
FAILURE = "echo 'level=error msg=\"Shutdown request received: encrypted with different token\"'\n"


@dataclass
class MakeBelieve:
    """A host below a temporary folder."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "k3s"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def held(self) -> bool:
        return (self.state / "held").exists()

    @property
    def calls(self) -> list[str]:
        log = self.root / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def stub(self, tool: str, body: str) -> None:
        path = self.root / "bin" / tool
        path.write_text(f'#!/bin/sh\necho "{tool} $*" >>"{self.root}/calls"\n{body}')
        path.chmod(0o755)

    def text(self, text: str) -> str:
        places = {
            "/var/lib/rancher/k3s": str(self.data),
            "/etc/rancher/k3s/config.yaml": str(self.config),
            "/var/lib/hetzner-k3s": str(self.state),
            "/run/hetzner-k3s": str(self.root / "run"),
            "/usr/local/bin/k3s": str(self.root / "bin" / "k3s"),
            "PATH=/usr/local/sbin": f"PATH={self.root}/bin:/usr/local/sbin",
        }
        for place, here in places.items():
            text = text.replace(place, here)
        return text

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["sh", "-c", self.text(operation_script(name)), name, *arguments]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)

    def answer(self, name: str, *arguments: str) -> dict[str, object]:
        ended = self.run(name, *arguments)
        found: dict[str, object] = json.loads(ended.stdout)
        assert (ended.returncode == 0) == ("result" in found), ended
        return found

    def health(self, healthy: bool, leader: str = "0") -> None:
        told = f'\'{{"health":"{str(healthy).lower()}"}}\''
        status = f'{{"leader":"{leader}"}}\\n200'
        ask = f"*2381/health*) echo {told} ;; *maintenance/status*) printf '{status}' ;; *) exit 7 ;;"
        body = f'case "$*" in {ask} esac\n'
        self.stub("curl", body)


@pytest.fixture
def host(tmp_path: Path) -> MakeBelieve:
    made = MakeBelieve(tmp_path)
    for folder in ("bin", "run", "state", "k3s/server/db/etcd/member/wal", "k3s/server/tls/etcd", "k3s/agent"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(RECORDED, made.data / "server/db/etcd/member/wal" / RECORDED_NAME)
    (made.data / "server/token").write_text(f"{TOKEN}\n")
    (made.data / "server/tls/server-ca.crt").write_text("the CA")
    (made.data / "agent/server-ca.crt").write_text("the CA")
    (made.data / "agent/other-file").write_text("stays")
    made.config.write_text(f"server: https://10.0.0.3:6443\ntoken: {TOKEN}\nnode-name: m1\n")
    made.stub("systemctl", 'case "$*" in *"ActiveState --value"*) echo inactive ;; esac\n')
    made.stub("k3s", SUCCESS)
    made.health(healthy=False)
    return made


def hold(host: MakeBelieve) -> None:
    assert host.answer("hold_k3s", CA, "-", "0") == {"result": {}}


def test_k3s_is_stopped_disabled_and_marked(host: MakeBelieve) -> None:
    hold(host)
    assert host.held
    assert "systemctl -q disable --now k3s.service" in host.calls
    hold(host)


@pytest.mark.parametrize(
    ("ca", "leader", "healthy"), [("cd34", "-", False), (CA, "-", True), (CA, "78", True), (CA, "77", False)]
)
def test_a_host_that_is_not_as_decided_on_is_left_alone(host: MakeBelieve, ca: str, leader: str, healthy: bool) -> None:
    host.health(healthy, leader="77")
    assert host.answer("hold_k3s", ca, leader, "0")["error"] == "precondition_changed"
    assert not host.held
    assert not [call for call in host.calls if "disable" in call]


def test_a_side_of_a_split_is_stopped_under_the_leader_that_was_seen(host: MakeBelieve) -> None:
    host.health(healthy=True, leader="77")
    assert host.answer("hold_k3s", CA, "77", "0") == {"result": {}}


def test_an_etcd_whose_leader_cannot_be_read_is_not_one_without(host: MakeBelieve) -> None:
    host.stub("curl", 'case "$*" in *2381/health*) echo \'{"health":"true"}\' ;; *) exit 28 ;; esac\n')
    assert host.answer("hold_k3s", CA, "-", "0")["error"] == "failed"
    assert not host.held


def test_a_master_that_finds_a_leader_while_it_is_watched_is_left_alone(host: MakeBelieve) -> None:
    """Its etcd says "no leader" once, as in any election, and then follows one."""
    once = f'[ -e "{host.root}/asked" ] && h=true || h=false; : >"{host.root}/asked"'
    told = '*2381/health*) echo "{\\"health\\":\\"$h\\"}" ;; *) printf \'{"leader":"77"}\\n200\' ;;'
    host.stub("curl", f'{once}\ncase "$*" in {told} esac\n')
    assert host.answer("hold_k3s", CA, "-", "5")["error"] == "precondition_changed"
    assert not host.held


def test_a_master_that_stays_without_a_leader_is_held_after_it_was_watched(host: MakeBelieve) -> None:
    assert host.answer("hold_k3s", CA, "-", "1") == {"result": {}}
    assert sum("2381/health" in call for call in host.calls) > 1
    assert host.held


def test_a_busy_host_looks_once_more_when_the_time_is_over(host: MakeBelieve) -> None:
    """Seen under load: a second went by during the first look, and one look was all that the watch had."""
    host.stub("date", f"wc -l <'{host.root}/seconds'; echo >>'{host.root}/seconds'\n")
    (host.root / "seconds").touch()
    assert host.answer("hold_k3s", CA, "-", "1") == {"result": {}}
    assert sum("2381/health" in call for call in host.calls) > 1


def test_the_guard_and_the_start_refuse_while_it_is_held(host: MakeBelieve) -> None:
    guard = ["sh", "-c", host.text(script("start_guard"))]
    assert subprocess.run(guard, check=False, capture_output=True).returncode == 0
    hold(host)
    refused = subprocess.run(guard, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "stopped and masked" in refused.stderr
    assert host.answer("start_k3s", "k3s", "no")["error"] == "precondition_changed"


def test_the_log_of_a_held_host_is_read(host: MakeBelieve) -> None:
    assert host.answer("read_log", "1")["error"] == "precondition_changed"
    hold(host)
    printed = host.run("read_log", "2").stdout.decode()
    assert operations.read_result(ReadLog(2), printed, HostKeyKind.FINAL, "m1") == LogPosition(2, 9)
    shutil.rmtree(host.data / "server/db")
    printed = host.run("read_log", "1").stdout.decode()
    assert operations.read_result(ReadLog(1), printed, HostKeyKind.FINAL, "m1") is None


KUBE_SYSTEM = (
    b"\x0a\x1e/registry/namespaces/kube-system\x10\x08\x2a\xd2k8s\x00\x0a\x0f\x0a\x02v1\x12\x09Namespace"
    b'\x0a\x0bkube-system\x12\x00\x1a\x00"\x00*$6c2170f8-5f2b-4d3a-9c1e-0a1b2c3d4e5f2\x008\x00B'
)
"""As etcd's file holds it: a key, and the protobuf that the API server wrote (k8s.io/apimachinery, runtime.Unknown)."""


def test_whose_data_a_held_host_has_is_read_out_of_etcds_file(host: MakeBelieve) -> None:
    assert host.answer("read_stored_uid")["error"] == "precondition_changed"
    hold(host)
    assert host.answer("read_stored_uid") == {"result": None}
    database = host.data / "server/db/etcd/member/snap/db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"\x00" * 4096 + KUBE_SYSTEM + b"\x00" * 512)
    assert host.answer("read_stored_uid") == {"result": "6c2170f8-5f2b-4d3a-9c1e-0a1b2c3d4e5f"}
    database.write_bytes(b"\x00" * 4096)
    assert host.answer("read_stored_uid") == {"result": None}


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


def test_what_is_fetched_is_kept_whole(host: MakeBelieve, tmp_path: Path) -> None:
    refused = host.run("fetch_database")
    assert refused.returncode == 3
    assert json.loads(refused.stderr)["error"] == "precondition_changed"
    hold(host)
    fetched = host.run("fetch_database")
    assert fetched.returncode == 0, fetched.stderr
    rescue = Rescue(server_id=1, server="m1", log=LogPosition(2, 9))
    place = asyncio.run(rescues.keep(tmp_path / "rescue", rescue, _pieces(fetched.stdout), 1.0))
    assert (place / "token").read_text() == f"{TOKEN}\n"
    assert (place / "tls/server-ca.crt").exists()
    wal = "db/etcd/member/wal/0000000000000000-0000000000000000.wal"
    assert (place / wal).read_bytes() == RECORDED.read_bytes()


def test_a_fenced_host_is_like_an_empty_one_and_nothing_is_deleted(host: MakeBelieve) -> None:
    assert host.answer("fence_member", CA)["error"] == "precondition_changed"
    hold(host)
    assert host.answer("fence_member", "cd34")["error"] == "precondition_changed"
    assert host.answer("fence_member", CA) == {"result": {}}
    assert not host.held
    assert not (host.data / "server").exists()
    aside = next(host.data.glob("server-fenced-*"))
    assert (aside / "token").read_text() == f"{TOKEN}\n"
    assert (aside / "agent/server-ca.crt").exists()
    assert (host.data / "agent/other-file").exists()
    facts = _facts(host)
    assert facts.disk.empty
    assert not facts.held


def _facts(host: MakeBelieve) -> HostFacts:
    lines = ("MainPID=0", "NRestarts=0", "Id=k3s.service", "LoadState=loaded", "ActiveState=inactive", "SubState=dead")
    host.stub("systemctl", "printf '%s\\n' " + " ".join(lines) + "\n")
    host.stub("curl", "exit 7\n")
    printed = host.run("probe").stdout.decode()
    return operations.read_result(Probe(), printed, HostKeyKind.FINAL, "m1")


def test_a_reset_writes_the_lineage_first_and_starts_what_was_reset(host: MakeBelieve) -> None:
    assert host.answer("reset_cluster", CA, "2222", "1111")["error"] == "precondition_changed"
    hold(host)
    look = f'cat "{host.state}/lineage" >"{host.root}/seen"; cat "{host.config}" >>"{host.root}/seen"\n'
    host.stub("k3s", look + SUCCESS)
    before = (host.data / "server/db/etcd/member/wal" / RECORDED_NAME).read_bytes()
    assert host.answer("reset_cluster", CA, "2222", "1111") == {"result": {}}
    assert (host.data / "server/db/etcd/member/wal" / RECORDED_NAME).read_bytes() == before
    seen = (host.root / "seen").read_text()
    assert seen.startswith("2222 1111\n")
    assert "server: https" not in seen
    assert "node-name: m1" in seen
    assert not host.held
    assert host.calls[-1] == "systemctl start --no-block k3s.service"
    facts = _facts(host)
    assert (facts.lineage, facts.parent_lineage) == ("2222", "1111")


def test_what_a_reset_says_goes_beside_the_data_and_never_into_it(host: MakeBelieve) -> None:
    wal = host.data / "server/db/etcd/member/wal/0000000000000000-0000000000000000.wal"
    hold(host)
    assert host.answer("reset_cluster", CA, "2222", "1111") == {"result": {}}
    assert wal.read_bytes() == RECORDED.read_bytes()
    assert "has been reset" in (host.root / "run/cluster-reset.log").read_text()


def test_an_exit_code_of_zero_proves_no_reset(host: MakeBelieve) -> None:
    hold(host)
    host.stub("k3s", FAILURE)
    refused = host.answer("reset_cluster", CA, "2222", "1111")
    assert refused["error"] == "failed"
    assert "encrypted with different token" in str(refused["message"])
    assert host.held
    host.stub("k3s", SUCCESS)
    assert host.answer("reset_cluster", CA, "3333", "1111") == {"result": {}}
    assert (host.state / "lineage").read_text() == "3333 1111\n"


def test_a_reset_that_was_cut_off_before_its_start_is_not_done_twice(host: MakeBelieve) -> None:
    hold(host)
    assert host.answer("reset_cluster", CA, "2222", "-") == {"result": {}}
    host.stub("k3s", "echo 'it must not be called' >&2; exit 1\n")
    assert host.answer("reset_cluster", CA, "3333", "-") == {"result": {}}
    (host.state / "held").touch()
    assert host.answer("reset_cluster", CA, "3333", "-") == {"result": {}}
    assert (host.state / "lineage").read_text() == "2222 -\n"
    assert not host.held


def test_a_host_without_data_is_never_reset(host: MakeBelieve) -> None:
    hold(host)
    shutil.rmtree(host.data / "server/db")
    assert host.answer("reset_cluster", CA, "2222", "1111")["error"] == "precondition_changed"
    assert not [call for call in host.calls if call.startswith("k3s")]


DROP_IN = "config.yaml.d/hetzner-k3s-restore.yaml"


def units(host: MakeBelieve, state: str) -> None:
    """Let systemd say that of k3s."""
    host.stub("systemctl", f'case "$*" in *"ActiveState --value"*) echo {state} ;; esac\n')


def test_restored_data_is_first_started_without_an_agent(host: MakeBelieve) -> None:
    (host.state / "lineage").write_text("2222 1111\n")
    assert host.answer("start_without_agent") == {"result": {}}
    assert (host.root / DROP_IN).read_text() == "disable-agent: true\n"
    assert host.calls[-1] == "systemctl start --no-block k3s.service"
    assert not [call for call in host.calls if "enable" in call], "after a reboot it must not start by itself"
    assert _facts(host).agentless
    units(host, "active")
    assert host.answer("start_without_agent") == {"result": {}}, "a run that was killed goes on"


@pytest.mark.parametrize("wrong", ["runs", "held", "restoring", "no lineage", "no data"])
def test_no_other_k3s_loses_its_agent(host: MakeBelieve, wrong: str) -> None:
    (host.state / "lineage").write_text("2222 1111\n")
    match wrong:
        case "runs":
            units(host, "active")
        case "no lineage":
            (host.state / "lineage").unlink()
        case "no data":
            shutil.rmtree(host.data / "server/db")
        case _:
            (host.state / wrong).touch()
    assert host.answer("start_without_agent")["error"] == "precondition_changed"
    assert not (host.root / DROP_IN).exists()
    assert not [call for call in host.calls if " start " in call]


def test_the_agent_comes_back_with_one_restart_and_a_k3s_that_has_it_is_left_alone(host: MakeBelieve) -> None:
    (host.state / "lineage").write_text("2222 1111\n")
    host.answer("start_without_agent")
    before = len(host.calls)
    assert host.answer("start_with_agent") == {"result": {}}
    assert not (host.root / DROP_IN).exists()
    done = [call for call in host.calls[before:] if " show " not in call]
    assert done == [
        "systemctl stop k3s.service",
        "systemctl -q enable k3s.service",
        "systemctl start --no-block k3s.service",
    ]
    units(host, "active")
    before = len(host.calls)
    assert host.answer("start_with_agent") == {"result": {}}
    assert "systemctl stop k3s.service" not in host.calls[before:]


def test_the_agent_does_not_come_back_while_k3s_still_runs_without_it(host: MakeBelieve) -> None:
    (host.state / "lineage").write_text("2222 1111\n")
    host.answer("start_without_agent")
    units(host, "active")
    assert host.answer("start_with_agent")["error"] == "failed"
    assert (host.root / DROP_IN).exists()


def test_a_whole_configuration_ends_what_a_restore_had_put_beside_it(host: MakeBelieve) -> None:
    (host.root / "config.yaml.d").mkdir()
    (host.root / DROP_IN).write_text("disable-agent: true\n")
    assert host.answer("write_config") == {"result": {}}
    assert not (host.root / DROP_IN).exists()
