"""The host operations' scripts on real hosts, through the SSH adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hetzner_k3s.hosts import operations
from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.model.errors import (
    HostUnreachable,
    LockLost,
    OperationFailed,
    PreconditionChanged,
    SshStage,
)
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.identity import token_ca, token_hash
from hetzner_k3s.model.operations.configuration import Install, PointToServer, WriteConfig
from hetzner_k3s.model.operations.looks import Probe, ReadJournal, ReadSecret, SecretKind
from hetzner_k3s.model.operations.members import MembersPrecondition, PromoteLearner, ReadMembers, RemoveMember
from hetzner_k3s.model.operations.operation import Done, K3sRole
from hetzner_k3s.model.operations.service import AwaitK3s, Milestone, StartK3s
from hetzner_k3s.model.operations.snapshots import SaveSnapshot
from hetzner_k3s.model.secrets import Secret

from .lab_servers import wait_until
from .workbench import VERSION, Bench, Workbench, manifest

SERVER = K3sRole.SERVER
FULL = f"K10{'ab' * 32}"


@pytest.fixture
def bench(fresh_lab: LabHandle, tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(fresh_lab, tmp_path)
    yield made
    made.close()


def birth(bench: Workbench, host: Bench) -> None:
    bench.configure(host, Secret("a0b1c2d3e4f5"), None)
    bench.perform(host, StartK3s(role=SERVER, birth=True, fence=1))
    bench.perform(host, AwaitK3s(role=SERVER, milestone=Milestone.ACTIVE, deadline=60))


def test_the_boot_key_is_replaced_before_anything_else_may_be_asked(bench: Workbench) -> None:
    host = bench.make(1)
    assert bench.perform(host, Probe()).key is HostKeyKind.BOOT
    with pytest.raises(HostUnreachable, match="boot host key") as refused:
        bench.perform(host, WriteConfig(config=Secret("token: x\n"), fence=1))
    assert refused.value.stage is SshStage.HOST_KEY
    booted_with = host.target
    bench.rotate(host)
    assert bench.perform(host, Probe()).key is HostKeyKind.FINAL
    with pytest.raises(HostUnreachable, match="none of those that its labels name"):
        bench.place.run(bench.hosts.perform(booted_with, Probe()))
    assert "config.yaml" not in bench.lab.host("demo-master1").exec("ls /etc/rancher/k3s 2>&1").stdout


def test_a_host_without_named_keys_is_not_spoken_to(bench: Workbench) -> None:
    host = bench.make(1)
    with pytest.raises(HostUnreachable, match="name no host key"):
        bench.place.run(bench.hosts.perform(replace(host.target, keys={}), Probe()))
    with pytest.raises(HostUnreachable) as refused:
        bench.place.run(bench.hosts.perform(replace(host.target, port=4), Probe()))
    assert refused.value.stage is SshStage.TCP


def test_an_older_lock_is_refused_and_secrets_are_in_no_argument_list(bench: Workbench) -> None:
    host = bench.make(1)
    bench.rotate(host, fence=7)
    secret = f"token: {FULL}::server:verysecret\nserver: https://10.0.0.9:6443\n"
    bench.perform(host, WriteConfig(config=Secret(secret), fence=7))
    with pytest.raises(LockLost, match="lock 7"):
        bench.perform(host, WriteConfig(config=Secret("token: other\n"), fence=6))
    machine = bench.lab.host("demo-master1")
    assert machine.exec("stat -c '%a %U' /etc/rancher/k3s/config.yaml").stdout.strip() == "600 root"
    assert machine.exec("cat /etc/rancher/k3s/config.yaml").stdout == secret
    left = machine.exec("grep -rls 'verysecre[t]' /run /var/lib/hetzner-k3s /var/log /etc/systemd /proc/*/cmdline")
    assert not left.stdout
    facts = bench.perform(host, Probe())
    assert facts.operation is not None
    assert (facts.operation.name, facts.operation.running, facts.operation.fence) == ("WriteConfig", False, 7)
    assert facts.disk.config_token_hash == token_hash(f"{FULL}::server:verysecret")
    assert facts.disk.config_server == "https://10.0.0.9:6443"
    assert facts.disk.empty
    bench.perform(host, PointToServer(url="https://10.0.0.3:6443", fence=7))
    kept = secret.replace("server: https://10.0.0.9:6443", 'server: "https://10.0.0.3:6443"')
    assert machine.exec("cat /etc/rancher/k3s/config.yaml").stdout == kept
    assert bench.perform(host, Probe()).disk.config_server == "https://10.0.0.3:6443"


def test_operations_on_one_host_wait_for_one_another(bench: Workbench) -> None:
    host = bench.make(1)
    bench.rotate(host)

    async def three() -> list[Done]:
        writes = (WriteConfig(config=Secret(f"token: t{n}\n"), fence=1) for n in range(3))
        return await asyncio.gather(*(bench.hosts.perform(host.target, write) for write in writes))

    assert bench.place.run(three()) == [Done()] * 3


def test_an_operation_outlives_its_connection_and_its_outcome_is_asked_for(bench: Workbench) -> None:
    host = bench.make(1)
    bench.rotate(host)
    machine = bench.lab.host("demo-master1")
    # An Install that hangs in its download until the lock is let go of; its connection is cut meanwhile.
    machine.exec(
        "mkdir -p /run/hetzner-k3s; (flock 9; exec sleep 3) 9>/run/hetzner-k3s/download.lock >/dev/null 2>&1 &"
    )

    install = Install(role=SERVER, version=VERSION, registries="mirrors: {}\n", fence=1)
    installing = bench.place.start(bench.hosts.perform(host.target, install))
    other_connection = replace(host, target=replace(host.target, server_id=-1))
    wait_until(lambda: _runs(bench.perform(other_connection, Probe()), "Install"))
    machine.exec("pkill -KILL -o -f '^sshd(-session)?: root@notty'", check=True)
    assert installing.result() == Done()
    facts = bench.perform(host, Probe())
    assert facts.k3s_version == VERSION
    assert facts.operation is not None
    assert not facts.operation.running


def _runs(facts: HostFacts, name: str) -> bool:
    return facts.operation is not None and facts.operation.running and facts.operation.name == name


def test_an_input_that_was_cut_short_changes_nothing(bench: Workbench) -> None:
    host = bench.make(1)
    machine = bench.lab.host("demo-master1")
    sent = operations.invocation(
        WriteConfig(config=Secret("token: abcdef\nserver: https://10.0.0.9\n"), fence=1), "cut"
    )
    said = machine.exec(f"printf 'token: abc' | ({sent.command})").stdout
    assert "never_ran" in said
    assert machine.exec("ls /etc/rancher/k3s/config.yaml /run/hetzner-k3s/ops/cut").stdout == ""
    asked = machine.exec(operations.settlement("cut", 5).command).stdout
    assert "never_ran" in asked
    assert not bench.perform(host, Probe()).disk.config_present


def test_a_wait_ends_on_the_host_when_nobody_waits_for_it_any_more(bench: Workbench) -> None:
    host = bench.make(1)
    bench.rotate(host)
    machine = bench.lab.host("demo-master1")
    waiting = bench.place.start(
        bench.hosts.perform(host.target, PromoteLearner(peer_address="10.0.0.99", deadline=600))
    )
    wait_until(lambda: machine.exec("pgrep -f '^/bin/sh -c .*10.0.0.99'").returncode == 0)
    waiting.cancel()
    wait_until(lambda: machine.exec("pgrep -f '^/bin/sh -c .*10.0.0.99'").returncode != 0)
    assert bench.perform(host, Probe()).disk.empty


def test_the_guard_holds_until_there_is_a_permit_or_a_server_to_join(bench: Workbench) -> None:
    host = bench.make_ready(1)
    bench.configure(host, Secret("a0b1c2d3e4f5"), None)
    bench.perform(host, StartK3s(role=SERVER, birth=False, fence=1))
    with pytest.raises(OperationFailed, match="start guard"):
        bench.perform(host, AwaitK3s(role=SERVER, milestone=Milestone.ACTIVE, deadline=30))
    assert bench.perform(host, Probe()).disk.empty
    birth(bench, host)
    machine = bench.lab.host("demo-master1")
    assert machine.exec("ls /run/hetzner-k3s/birth").returncode != 0
    assert "cluster-init" not in machine.exec("cat /etc/rancher/k3s/config.yaml").stdout
    machine.exec("systemctl stop k3s; rm -rf /var/lib/rancher/k3s/server/db", check=True)
    with pytest.raises(PreconditionChanged):
        bench.perform(host, StartK3s(role=SERVER, birth=True, fence=1))
    machine.exec("systemctl start k3s --no-block", check=True)
    with pytest.raises(OperationFailed, match="start guard"):
        bench.perform(host, AwaitK3s(role=SERVER, milestone=Milestone.ACTIVE, deadline=30))
    assert machine.exec("ls /var/lib/rancher/k3s/server/db").returncode != 0


def test_a_cluster_is_born_joined_backed_up_and_loses_a_dead_member(bench: Workbench) -> None:
    first = bench.make_ready(1)
    birth(bench, first)
    facts = bench.perform(first, Probe())
    token = bench.perform(first, ReadSecret(kind=SecretKind.TOKEN)).reveal()
    assert facts.etcd.serving_voter
    assert facts.etcd.uid
    assert facts.disk.wal
    assert facts.disk.server_ca == token_ca(token)
    assert facts.etcd.bootstrap_keys == (facts.disk.token_hash,) == (token_hash(token),)
    assert facts.server_unit.active == "active"
    assert facts.k3s_version == VERSION
    assert facts.boot_finished
    restarts, pid = facts.server_unit.restarts, facts.server_unit.main_pid
    bench.perform(first, StartK3s(role=SERVER, birth=False, fence=1))

    second, third = bench.make_ready(2), bench.make_ready(3)
    for joiner in (second, third):
        _join(bench, first, joiner, token)
    facts = bench.perform(first, Probe())
    assert {m.address for m in facts.etcd.members or ()} == {bench.private(b) for b in (first, second, third)}
    assert not any(m.learner for m in facts.etcd.members or ())
    assert len(facts.etcd.active_peers) == 2
    assert bench.perform(second, Probe()).etcd.uid == facts.etcd.uid
    assert (facts.server_unit.restarts, facts.server_unit.main_pid) == (restarts, pid)

    snapshot = bench.perform(first, SaveSnapshot(name="pre-repair", fence=2))
    assert snapshot.name.startswith("pre-repair-demo-master1-")
    assert snapshot.size > 0
    assert snapshot in bench.perform(first, Probe()).snapshots

    _lose(bench, first, third)
    assert "k3s" in bench.perform(first, ReadJournal(role=SERVER, lines=5))
    _the_api_through_the_forward(bench, first)


def _join(bench: Workbench, via: Bench, joiner: Bench, token: str) -> None:
    bench.configure(joiner, Secret(token), f"https://{bench.private(via)}:6443")
    bench.perform(joiner, StartK3s(role=SERVER, birth=False, fence=1))

    async def both() -> None:
        await asyncio.gather(
            bench.hosts.perform(via.target, PromoteLearner(peer_address=bench.private(joiner), deadline=60)),
            bench.hosts.perform(joiner.target, AwaitK3s(role=SERVER, milestone=Milestone.ACTIVE, deadline=60)),
        )

    bench.place.run(both())


def _lose(bench: Workbench, survivor: Bench, lost: Bench) -> None:
    facts = bench.perform(survivor, Probe())
    members = facts.etcd.members or ()
    victim = next(m.id for m in members if m.address == bench.private(lost))
    precondition = MembersPrecondition(ids=tuple(m.id for m in members), uid=facts.etcd.uid or "")

    def removal(**changes: Any) -> RemoveMember:
        return replace(RemoveMember(member_id=victim, precondition=precondition, fence=2), **changes)

    with pytest.raises(PreconditionChanged, match="not dead"):
        bench.perform(survivor, removal())
    bench.lab.host(lost.server.name).kill()
    with pytest.raises(PreconditionChanged, match="UID"):
        bench.perform(survivor, removal(precondition=replace(precondition, uid="another")))
    with pytest.raises(PreconditionChanged, match="other members"):
        bench.perform(survivor, removal(precondition=replace(precondition, ids=precondition.ids[:2])))
    ends = bench.clock.monotonic() + 60
    while True:
        try:
            bench.perform(survivor, removal())
            break
        except PreconditionChanged:  # etcd notices a death only when its connection breaks
            assert bench.clock.monotonic() < ends
    assert victim not in {m.id for m in bench.perform(survivor, ReadMembers())}
    bench.perform(survivor, removal())


def _the_api_through_the_forward(bench: Workbench, master: Bench) -> None:
    async def story() -> None:
        kube, target = bench.kube, master.target
        await kube.wait_node_ready(target, "demo-master1", 60)
        await kube.apply(target, [manifest("ConfigMap", "hetzner-k3s", data={"lineage": "abc"})])
        await kube.annotate_node(target, "demo-master1", {"hetzner-k3s/server-id": str(master.server.id)}, {})
        view = await kube.view(target)
        node = view.node("demo-master1")
        assert node is not None
        assert (node.server_id, node.control_plane, node.voter) == (master.server.id, True, True)
        assert view.lineage == "abc"
        assert set(view.node_passwords) >= {"demo-master1", "demo-master2"}
        gone = view.node("demo-master3")
        assert gone is not None
        await kube.delete_node(target, "demo-master3", "another-uid")
        kept = (await kube.view(target)).node("demo-master3")
        assert kept is not None
        assert kept.uid == gone.uid  # its labels change meanwhile: k3s saw that it is no member any more
        await kube.delete_node(target, "demo-master3", gone.uid)
        await kube.delete_node_password(target, "demo-master3")
        await kube.delete_node_password(target, "demo-master3")
        view = await kube.view(target)
        assert view.node("demo-master3") is None
        assert "demo-master3" not in view.node_passwords

    bench.place.run(story())
