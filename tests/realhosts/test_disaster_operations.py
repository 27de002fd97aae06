"""The scripts of a reset and of the way down, on real hosts: hold, read, copy, reset, fence; hand over, retire."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hetzner_k3s.adapters.system import rescues
from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.model.errors import HostUnreachable, OperationFailed, PreconditionChanged
from hetzner_k3s.model.host import HostFacts, LogPosition, UnitFacts
from hetzner_k3s.model.operations.configuration import SetToken
from hetzner_k3s.model.operations.disaster import (
    DataPrecondition,
    FenceMember,
    FetchDatabase,
    HoldK3s,
    ReadLog,
    ReadStoredUid,
    ResetCluster,
)
from hetzner_k3s.model.operations.looks import Probe, ReadSecret, SecretKind
from hetzner_k3s.model.operations.members import MembersPrecondition, MoveLeader, PromoteLearner, RetireMember
from hetzner_k3s.model.operations.operation import K3sRole, Operation
from hetzner_k3s.model.operations.service import AwaitK3s, Milestone, StartK3s, StopK3s
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.state import Rescue

from .lab_servers import wait_until
from .workbench import Bench, Workbench

pytestmark = pytest.mark.slow

SERVER = K3sRole.SERVER


@pytest.fixture
def bench(fresh_lab: LabHandle, tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(fresh_lab, tmp_path)
    yield made
    made.close()


def birth(bench: Workbench) -> tuple[Bench, HostFacts]:
    """Give the first master of a new cluster."""
    host = bench.make_ready(1)
    bench.configure(host, Secret("a0b1c2d3e4f5"), None)
    bench.perform(host, StartK3s(role=SERVER, birth=True, fence=1))
    return host, bench.perform(host, AwaitK3s(role=SERVER, milestone=Milestone.ACTIVE, deadline=60))


def join(bench: Workbench, via: Bench, number: int) -> Bench:
    """Give another master that joined."""
    host = bench.make_ready(number)
    token = bench.perform(via, ReadSecret(kind=SecretKind.TOKEN))
    bench.configure(host, token, f"https://{bench.private(via)}:6443")
    bench.perform(host, StartK3s(role=SERVER, birth=False, fence=1))

    async def both() -> None:
        await asyncio.gather(
            bench.hosts.perform(via.target, PromoteLearner(peer_address=bench.private(host), deadline=60)),
            bench.hosts.perform(host.target, AwaitK3s(role=SERVER, milestone=Milestone.ACTIVE, deadline=60)),
        )

    bench.place.run(both())
    return host


def refuses(bench: Workbench, host: Bench, said: str, *operations: Operation[object]) -> None:
    """Demand that each of these is refused with words, and changes nothing about k3s."""
    before = _unit(bench, host)
    for operation in operations:
        with pytest.raises(PreconditionChanged, match=said):
            bench.perform(host, operation)
    assert _unit(bench, host) == before


def _unit(bench: Workbench, host: Bench) -> UnitFacts:
    """Look at k3s' unit; for how long it has run is another number at every look."""
    return replace(bench.perform(host, Probe()).server_unit, running_for=None)


def test_a_master_is_held_copied_and_becomes_the_only_member(bench: Workbench, tmp_path: Path) -> None:
    host, facts = birth(bench)
    machine = bench.lab.host("demo-master1")
    ca, uid = facts.disk.server_ca or "", facts.etcd.uid
    reset = ResetCluster(ca=ca, lineage="2222", parent=None, fence=1)
    hold = HoldK3s(precondition=DataPrecondition(ca=ca, leader=facts.etcd.leader), fence=1)
    refuses(bench, host, "not stopped and masked", ReadLog(3), ReadStoredUid(), reset, FenceMember(ca=ca, fence=1))
    refuses(bench, host, "its disk holds CA", replace(hold, precondition=replace(hold.precondition, ca="ab" * 32)))
    refuses(
        bench, host, "leader that its etcd follows", replace(hold, precondition=replace(hold.precondition, leader=None))
    )

    bench.perform(host, hold)
    bench.perform(host, hold)
    assert machine.exec("systemctl start k3s; systemctl is-active k3s").stdout.strip() != "active"
    assert "stopped and masked here" in machine.exec("journalctl -u k3s -o cat --no-pager | tail -20").stdout
    machine.exec("systemctl stop k3s; systemctl reset-failed k3s; sync")
    machine.power_off()
    machine.power_on()
    wait_until(lambda: _held_after_boot(bench, host))
    log = bench.perform(host, ReadLog(3))
    assert log is not None
    assert log >= LogPosition(facts.etcd.term, facts.etcd.index)
    assert bench.perform(host, ReadStoredUid()) == uid
    rescue = Rescue(server_id=host.server.id, server="demo-master1", log=log)
    place = bench.place.run(rescues.keep(tmp_path, rescue, bench.hosts.stream(host.target, FetchDatabase()), 0.0))
    wal = machine.exec("cd /var/lib/rancher/k3s/server; sha256sum db/etcd/member/wal/*.wal").stdout.split()
    assert hashlib.sha256((place / wal[1]).read_bytes()).hexdigest() == wal[0]
    assert (place / "token").read_text().strip().startswith(f"K10{ca}")
    refuses(bench, host, "its disk holds CA", replace(reset, ca="ab" * 32))

    bench.perform(host, reset)
    after = bench.perform(host, AwaitK3s(role=SERVER, milestone=Milestone.ACTIVE, deadline=60))
    assert (after.etcd.uid, after.disk.server_ca, after.lineage, after.parent_lineage) == (uid, ca, "2222", None)
    assert len(after.etcd.members or ()) == 1
    assert after.etcd.revision >= facts.etcd.revision
    assert not after.held
    pid = after.server_unit.main_pid
    bench.perform(host, replace(reset, lineage="3333"))
    again = bench.perform(host, Probe())
    assert (again.lineage, again.server_unit.main_pid) == ("2222", pid)
    _is_fenced(bench, host, HoldK3s(precondition=DataPrecondition(ca=ca, leader=again.etcd.leader), fence=1))


def _held_after_boot(bench: Workbench, host: Bench) -> bool:
    try:
        facts = bench.perform(host, Probe())
    except HostUnreachable:
        return False  # on its way down, or not up yet
    return facts.boot_finished and facts.held and facts.server_unit.active in {"inactive", "failed"}


def _is_fenced(bench: Workbench, host: Bench, hold: HoldK3s) -> None:
    """Hold it once more and move its data aside: it is like an empty host, and nothing is deleted."""
    bench.perform(host, hold)
    refuses(bench, host, "its disk holds CA", FenceMember(ca="ab" * 32, fence=1))
    bench.perform(host, FenceMember(ca=hold.precondition.ca, fence=1))
    facts = bench.perform(host, Probe())
    assert facts.disk.empty
    assert (facts.held, facts.lineage) == (False, None)
    kept = bench.lab.host("demo-master1").exec("ls /var/lib/rancher/k3s/server-fenced-*/db/etcd/member/wal").stdout
    assert ".wal" in kept


def test_a_living_member_is_led_out_and_the_token_of_a_file_is_set(bench: Workbench) -> None:
    first, facts = birth(bench)
    second = join(bench, first, 2)
    facts = bench.perform(first, Probe())
    members = facts.etcd.members or ()
    own = facts.etcd.member_id or ""
    other = next(m.id for m in members if m.id != own)
    precondition = MembersPrecondition(ids=tuple(m.id for m in members), uid=facts.etcd.uid or "")
    token = bench.perform(first, ReadSecret(kind=SecretKind.TOKEN))
    _the_token_line_is_set(bench, first, token)

    retire = RetireMember(member_id=own, precondition=precondition, fence=1)
    refuses(bench, second, "leads the cluster", retire)
    refuses(bench, second, "UID", replace(retire, precondition=replace(precondition, uid="another")))
    refuses(bench, second, "other members", replace(retire, precondition=replace(precondition, ids=(own,))))
    refuses(bench, first, "follows the leader", StopK3s(role=SERVER, fence=1))
    refuses(bench, first, "not in the list", MoveLeader(heir="17", fence=1))
    bench.perform(first, MoveLeader(heir=other, fence=1))
    assert bench.perform(second, Probe()).etcd.leader == other
    bench.perform(first, MoveLeader(heir=other, fence=1))
    bench.perform(second, retire)
    bench.perform(second, retire)
    assert [m.id for m in bench.perform(second, Probe()).etcd.members or ()] == [other]
    bench.perform(first, StopK3s(role=SERVER, fence=1))
    stopped = bench.perform(first, Probe()).server_unit
    assert stopped.active in {"inactive", "failed"}
    assert bench.perform(second, Probe()).etcd.serving_voter


def _the_token_line_is_set(bench: Workbench, host: Bench, token: Secret) -> None:
    machine = bench.lab.host("demo-master1")
    config = "grep -v '^token:' /etc/rancher/k3s/config.yaml | sort"
    before = machine.exec(config).stdout
    bench.perform(host, SetToken(token=Secret("a-stale-one"), revive=False, fence=1))
    facts = bench.perform(host, Probe())
    assert facts.disk.config_token_hash not in facts.etcd.bootstrap_keys
    with pytest.raises((PreconditionChanged, OperationFailed), match=r"k3s runs here|healthy here"):
        bench.perform(host, SetToken(token=token, revive=True, fence=1))
    bench.perform(host, SetToken(token=token, revive=False, fence=1))
    now = bench.perform(host, Probe())
    assert (now.disk.config_token_hash,) == now.etcd.bootstrap_keys
    assert replace(now.server_unit, running_for=None) == replace(facts.server_unit, running_for=None)
    assert machine.exec(config).stdout == before
    assert machine.exec("stat -c %a /etc/rancher/k3s/config.yaml").stdout.strip() == "600"
