"""Operations as commands, and what hosts print as results."""

from __future__ import annotations

import json
import shlex

import pytest
from inline_snapshot import snapshot

from hetzner_k3s.hosts import operations
from hetzner_k3s.hosts.units import install_files, unit
from hetzner_k3s.model.errors import Fate, HostBusy, LockLost, OperationFailed, PreconditionChanged
from hetzner_k3s.model.host import EtcdFacts, HostKeyKind, Member, OperationRecord, Snapshot, SupervisorFacts, UnitFacts
from hetzner_k3s.model.hosts.origin import ReadOrigin
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.operations.configuration import (
    Install,
    PointToServer,
    Reconfigure,
    ReconnectAgent,
    RotateHostKey,
    SetToken,
    StageK3s,
    TidyK3s,
    WriteCaPin,
    WriteConfig,
)
from hetzner_k3s.model.operations.disaster import (
    DataPrecondition,
    FenceMember,
    FetchDatabase,
    HoldK3s,
    ReadLog,
    ReadStoredUid,
    ResetCluster,
)
from hetzner_k3s.model.operations.looks import Probe, ReadJournal, ReadSecret, SecretKind
from hetzner_k3s.model.operations.members import (
    MembersPrecondition,
    MoveLeader,
    PromoteLearner,
    ReadMembers,
    RemoveMember,
    RetireMember,
    WipeJoiner,
)
from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation
from hetzner_k3s.model.operations.service import (
    AwaitK3s,
    Milestone,
    RestartBirth,
    StartK3s,
    StartWithAgent,
    StartWithoutAgent,
    StopK3s,
)
from hetzner_k3s.model.operations.snapshots import (
    ReceiveSnapshot,
    RestoreSnapshot,
    SaveSnapshot,
    SendSnapshot,
    TellSnapshots,
)
from hetzner_k3s.model.secrets import Secret

HIDDEN = "the-hidden-value"
ALL: list[Operation[object]] = [
    Probe(),
    RotateHostKey(private_key=Secret(HIDDEN), public_key="ssh-ed25519 AAAA", fence=7),
    Install(role=K3sRole.SERVER, version="v1.36.3+k3s1", registries=HIDDEN, fence=7),
    WriteConfig(config=Secret(HIDDEN), fence=7),
    Reconfigure(
        role=K3sRole.SERVER,
        version="v1.36.4+k3s1",
        config=Secret(HIDDEN),
        registries=Secret(HIDDEN),
        members=("1", "2"),
        fence=7,
    ),
    StageK3s(version="v1.36.4+k3s1", fence=7),
    TidyK3s(fence=7),
    PointToServer(url="https://10.0.0.3:6443", fence=7),
    SetToken(token=Secret(HIDDEN), revive=True, fence=7),
    ReadOrigin(),
    WriteCaPin(before="ab" * 32, ca="cd" * 32, restart=True, fence=7),
    StartK3s(role=K3sRole.AGENT, birth=False, fence=7),
    AwaitK3s(role=K3sRole.SERVER, milestone=Milestone.IDENTITY, deadline=60.0),
    RemoveMember(member_id="1143524885326647474", precondition=MembersPrecondition(ids=("1", "2"), uid="u"), fence=7),
    RetireMember(member_id="1143524885326647474", precondition=MembersPrecondition(ids=("1", "2"), uid="u"), fence=7),
    MoveLeader(heir="1143524885326647474", fence=7),
    StopK3s(role=K3sRole.SERVER, fence=7),
    WipeJoiner(server_url="https://10.0.0.2:6443", address="10.0.0.3", fence=7),
    PromoteLearner(peer_address="10.0.0.3", deadline=60.0),
    SaveSnapshot(name="pre-repair", fence=7),
    ReadSecret(kind=SecretKind.TOKEN),
    ReadMembers(),
    RunCommand(script=HIDDEN, deadline=60.0),
    ReadJournal(role=K3sRole.SERVER, lines=20),
    HoldK3s(precondition=DataPrecondition(ca="ab12", leader=None), fence=7),
    ReadLog(segments=1),
    ReadStoredUid(),
    FetchDatabase(),
    FenceMember(ca="ab12", fence=7),
    RestartBirth(fence=7),
    ResetCluster(ca="ab12", lineage="22", parent="11", fence=7),
    RestoreSnapshot(snapshot="kept-etcd-snapshot-m1-1795468755", sha256=None, lineage="22", parent=None, fence=7),
    StartWithoutAgent(fence=7),
    StartWithAgent(fence=7),
    TellSnapshots(deadline=60.0),
    ReceiveSnapshot(name="kept-backup-m1-1795468755", size=4_700_032, sha256="ab" * 32),
    ReconnectAgent(url="https://10.0.0.2:6443", known=("10.0.0.3:6443",), fence=7),
    SendSnapshot(name="backup-m1-1795468755"),
]

UNITS = (
    "MainPID=361 NRestarts=2 ExecMainStartTimestampMonotonic=60000000 Id=k3s.service LoadState=loaded "
    "ActiveState=active SubState=running  "
    "MainPID=0 NRestarts=0 Id=k3s-agent.service LoadState=not-found ActiveState=inactive SubState=dead  "
    "MainPID=9 NRestarts=0 Id=hetzner-k3s-op.service LoadState=loaded ActiveState=activating SubState=start"
)
DISK = {
    "wal": True,
    "tombstone": False,
    "reset_flag": False,
    "config_present": True,
    "pinned_ca": "f0",
    "server_cas": "",
    "agent_cas": "bm8gY2VydGlmaWNhdGU=",
    "token_hash": "f3c14dc8fcd7",
    "config_token_hash": None,
    "config_token_ca": None,
    "passwd_hash": "f3c14dc8fcd7",
    "agent_token_hash": "0a1b2c3d4e5f",
    "config_agent_hash": "0a1b2c3d4e5f",
    "config_token_agent": False,
    "s3_hash": None,
    "registries": "0123456789ab",
    "config": "a3ViZWxldC1hcmc6CiAgLSAiY2xvdWQtcHJvdmlkZXI9ZXh0ZXJuYWwiCmV0Y2Qtc25hcHNob3QtcmV0ZW50aW9uOiAyNAo=",
    "config_server": "https://10.0.0.3:6443",
    "agent_servers": '"10.0.0.3:6443","10.0.0.4:6443"',
}
MEMBER_LIST = {
    "members": [
        {"ID": "1143524885326647474", "name": "master1-473a3449", "peerURLs": ["https://10.0.0.2:2380"]},
        {"ID": "9054383352403965534", "peerURLs": ["https://10.0.0.4:2380"], "isLearner": True},
    ]
}
ETCD = {
    "health": {"health": "true", "reason": ""},
    "peers": "7da7a1afd43fb65e",
    "status": {
        "header": {"member_id": "1143524885326647474", "revision": "4636"},
        "leader": "1143524885326647474",
        "raftIndex": "6018",
        "raftTerm": "5",
    },
    "members": MEMBER_LIST,
    "bootstrap": {"kvs": [{"key": "L2Jvb3RzdHJhcC9mM2MxNGRjOGZjZDc="}]},
    "kube_system": {"kvs": [{"value": "azhzAAoMIAokNmMyMTcwZjgtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAxEgA="}]},
}
SUPERVISOR = {
    "token_status": "200",
    "api_status": "401",
    "config": {
        "ClusterIPRanges": [{"IP": "10.42.0.0", "Mask": "//8AAA=="}],
        "ClusterDNSs": ["10.43.0.10"],
        "FlannelBackend": "vxlan",
        "DisableCCM": True,
        "EmbeddedRegistry": False,
    },
    "complaint": None,
}
LOOK = {
    "machine_id": "abc",
    "hostname": "m1",
    "clock": "1795468755.123456789",
    "boot_finished": True,
    "uptime": 90.5,
    "interfaces": "eth0 198.51.100.2 enp7s0 10.0.0.2",
    "k3s_version": "v1.36.3+k3s1",
    "units": UNITS,
    "operation": {"id": "ab", "name": "Install", "fence": 7},
    "held": False,
    "restoring": False,
    "failed_commands": "",
    "commands_wait": False,
    "agentless": True,
    "lineage": "22",
    "parent_lineage": "11",
    "disk": DISK,
    "etcd": ETCD,
    "supervisor": SUPERVISOR,
    "snapshots": "2572320 1795468755 pre-repair-m1-1795468755",
}


def member(member_id: str, name: str, address: str, *, learner: bool = False) -> Member:
    return Member(id=member_id, name=name, peer_urls=(f"https://{address}:2380",), learner=learner)


def read(operation: Operation[object], document: object) -> object:
    return operations.read_result(operation, json.dumps(document), HostKeyKind.FINAL, "m1")


@pytest.mark.parametrize("operation", ALL, ids=operations.name)
def test_it_becomes_one_command_without_a_secret(operation: Operation[object]) -> None:
    sent = operations.invocation(operation, "0123")
    assert HIDDEN not in sent.command
    assert HIDDEN not in repr(operation)
    assert len(sent.command.encode()) < 100_000  # one argument of execve holds 128 KiB
    words = shlex.split(sent.command)
    assert words[:3] == ["exec", "/bin/sh", "-c"]
    assert ("systemd-run" in words[3]) == operation.mutating
    assert words[3].count("0123\\n") == 4  # to both streams, first and last
    assert sent.limit > 0


def test_every_operation_is_known() -> None:
    assert {operations.name(operation) for operation in ALL} == {kind.__name__ for kind in Operation.__subclasses__()}


def test_a_mutating_operation_carries_its_fence_and_id() -> None:
    words = shlex.split(operations.invocation(WriteConfig(config=Secret("x"), fence=7), "0123").command)
    assert words[5:8] == ["0123", "WriteConfig", "7"]


def test_a_look_is_read() -> None:
    facts = operations.read_result(Probe(), json.dumps({"result": LOOK}), HostKeyKind.FINAL, "m1")
    assert facts.server_unit == UnitFacts(active="active", sub="running", restarts=2, main_pid=361, running_for=30.5)
    assert facts.server_unit.unsteady
    assert facts.agentless
    assert not facts.agent_unit.installed
    assert facts.operation == OperationRecord(id="ab", name="Install", running=True, fence=7)
    assert facts.snapshots == (Snapshot(name="pre-repair-m1-1795468755", size=2572320, created=1795468755.0),)
    assert facts.interfaces == {"198.51.100.2": "eth0", "10.0.0.2": "enp7s0"}
    assert facts.disk.config_server == "https://10.0.0.3:6443"
    assert facts.disk.agent_servers == ("10.0.0.3:6443", "10.0.0.4:6443")
    assert (facts.held, facts.lineage, facts.parent_lineage) == (False, "22", "11")
    assert not facts.disk.empty
    assert facts.etcd == EtcdFacts(
        healthy=True,
        member_id="1143524885326647474",
        leader="1143524885326647474",
        term=5,
        index=6018,
        revision=4636,
        members=(
            member("1143524885326647474", "master1-473a3449", "10.0.0.2"),
            member("9054383352403965534", "", "10.0.0.4", learner=True),
        ),
        bootstrap_keys=("f3c14dc8fcd7",),
        uid="6c2170f8-0000-4000-8000-000000000001",
        active_peers=("9054383352403965534",),
    )


def test_what_the_supervisor_answers_is_read_in_k3s_words() -> None:
    facts = operations.read_result(Probe(), json.dumps({"result": LOOK}), HostKeyKind.FINAL, "m1")
    assert facts.supervisor == SupervisorFacts(
        token_accepted=True,
        critical={
            "cluster-cidr": "10.42.0.0/16",
            "cluster-dns": "10.43.0.10",
            "flannel-backend": "vxlan",
            "disable-cloud-controller": "true",
            "embedded-registry": "false",
        },
        api_answers=True,
    )


@pytest.mark.parametrize(("status", "accepted"), [("401", False), ("403", False), ("503", None), ("000", None)])
def test_a_supervisor_that_does_not_tell_its_arguments(status: str, accepted: bool | None) -> None:
    answer = {"token_status": status, "api_status": "503", "config": {}, "complaint": "level=fatal oops"}
    facts = operations.read_result(
        Probe(), json.dumps({"result": {**LOOK, "supervisor": answer}}), HostKeyKind.FINAL, "m1"
    )
    assert facts.supervisor == SupervisorFacts(token_accepted=accepted, complaint="level=fatal oops")


def test_a_host_without_a_k3s_server_has_no_supervisor() -> None:
    facts = operations.read_result(
        Probe(), json.dumps({"result": {**LOOK, "supervisor": None}}), HostKeyKind.FINAL, "m1"
    )
    assert facts.supervisor == SupervisorFacts()


def test_an_etcd_without_quorum_has_no_members() -> None:
    silent = {"status": None, "members": None, "bootstrap": None, "kube_system": None}
    etcd = {**ETCD, **silent, "health": {"health": "false", "reason": "RAFT NO LEADER"}}
    facts = operations.read_result(Probe(), json.dumps({"result": {**LOOK, "etcd": etcd}}), HostKeyKind.FINAL, "m1")
    assert (facts.etcd.healthy, facts.etcd.reason, facts.etcd.members) == (False, "RAFT NO LEADER", None)
    assert not facts.etcd.serving_voter


def test_no_etcd_at_all_is_unknown_health() -> None:
    facts = operations.read_result(Probe(), json.dumps({"result": {**LOOK, "etcd": None}}), HostKeyKind.BOOT, "m1")
    assert facts.etcd == EtcdFacts()
    assert facts.key is HostKeyKind.BOOT


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("precondition_changed", PreconditionChanged),
        ("busy", HostBusy),
        ("fenced", LockLost),
        ("failed", OperationFailed),
    ],
)
def test_refusals_are_typed(kind: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"m1: .*because"):
        read(WriteConfig(config=Secret("x"), fence=1), {"error": kind, "message": "because"})


def test_the_fate_of_a_failure() -> None:
    write = WriteConfig(config=Secret("x"), fence=1)
    for operation, kind, fate in [
        (write, "failed", Fate.MAY_HAVE_HAPPENED),
        (write, "never_ran", Fate.DID_NOT_HAPPEN),
        (ReadMembers(), "failed", Fate.DID_NOT_HAPPEN),
    ]:
        with pytest.raises(OperationFailed) as failed:
            read(operation, {"error": kind, "message": "because"})
        assert failed.value.fate is fate


def test_an_unreadable_answer_is_a_failure_not_a_traceback() -> None:
    with pytest.raises(OperationFailed, match="unreadable"):
        operations.read_result(Probe(), "bash: line 1: oops", HostKeyKind.FINAL, "m1")


def test_secrets_and_texts_come_back() -> None:
    assert read(ReadSecret(kind=SecretKind.TOKEN), {"result": {"base64": "SzEwYWI6OnNlcnZlcjpwdw=="}}) == Secret(
        "K10ab::server:pw"
    )
    assert read(StartK3s(role=K3sRole.AGENT, birth=False, fence=1), {"result": {}}) == Done()


def test_only_a_server_has_a_guard_and_takes_the_permit() -> None:
    server, agent = unit(K3sRole.SERVER), unit(K3sRole.AGENT)
    assert "EnvironmentFile=-/run/hetzner-k3s/birth" in server
    assert server.index("start-guard") < server.index("ExecStart=")
    assert "ExecStartPost=-/bin/rm -f /run/hetzner-k3s/birth" in server
    assert "hetzner-k3s" not in agent
    assert agent.rstrip().endswith("ExecStart=/usr/local/bin/k3s agent")
    assert "EnvironmentFile=-/etc/systemd/system/k3s-agent.service.env" in agent


def test_registry_passwords_are_for_root_alone() -> None:
    install = Install(role=K3sRole.AGENT, version="v1.36.3+k3s1", registries=HIDDEN, fence=1)
    files = {file.path: file for file in install_files(install)}
    assert files["/etc/rancher/k3s/registries.yaml"].mode == "0600"
    assert "/usr/local/lib/hetzner-k3s/start-guard" not in files
    without = Install(role=K3sRole.AGENT, version="v1.36.3+k3s1", registries=None, fence=1)
    assert "/etc/rancher/k3s/registries.yaml" not in {file.path for file in install_files(without)}


def test_each_operation_has_its_time() -> None:
    """One that installs or restores takes long; a look that takes half a minute is none."""
    limits = {operations.name(one): operations.invocation(one, "0123").limit for one in ALL}
    assert {
        seconds: [name for name in sorted(limits) if limits[name] == seconds] for seconds in sorted({*limits.values()})
    } == snapshot(
        {
            20.0: ["Probe", "ReadOrigin"],
            30.0: [
                "PointToServer",
                "ReadJournal",
                "ReadMembers",
                "ReadSecret",
                "ReconnectAgent",
                "RotateHostKey",
                "SetToken",
                "StartK3s",
                "StartWithoutAgent",
                "WriteCaPin",
                "WriteConfig",
            ],
            60.0: ["FenceMember", "MoveLeader", "RemoveMember", "RetireMember", "RunCommand"],
            80.0: ["AwaitK3s", "PromoteLearner"],
            120.0: ["StartWithAgent", "StopK3s", "TidyK3s"],
            140.0: ["TellSnapshots"],
            150.0: ["HoldK3s", "Reconfigure", "RestartBirth"],
            180.0: ["SaveSnapshot", "WipeJoiner"],
            300.0: ["ReadLog", "ReadStoredUid"],
            600.0: ["Install", "StageK3s"],
            620.0: ["RestoreSnapshot"],
            700.0: ["ResetCluster"],
            3600.0: ["FetchDatabase", "ReceiveSnapshot", "SendSnapshot"],
        }
    )


def test_the_question_how_an_operation_ended_is_one_command_too() -> None:
    asked = operations.settlement("0123", 5.4)
    words = shlex.split(asked.command)
    assert (words[:3], words[4:]) == (["exec", "/bin/sh", "-c"], ["settle", "0123", "5"])
    assert asked.limit > 5.4
