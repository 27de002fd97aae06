"""All that is sent to a host and all that is read of it, field by field: what one of them means is tested elsewhere."""

from __future__ import annotations

import base64
import json
import re
import shlex
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from tests.fields import plain
from tests.hosts.test_cloud_init import KEY, MASTER, SPEC
from tests.hosts.test_operations import ALL, DISK, ETCD, LOOK, SUPERVISOR, read

from hetzner_k3s import hosts
from hetzner_k3s.hosts import operations
from hetzner_k3s.hosts.cloud_init import USER_DATA_LIMIT, UserDataTooLong, user_data
from hetzner_k3s.hosts.units import configuration_files, install_files
from hetzner_k3s.model.errors import OperationFailed
from hetzner_k3s.model.hosts.origin import ReadOrigin
from hetzner_k3s.model.operations.configuration import Install, Reconfigure, WriteCaPin
from hetzner_k3s.model.operations.disaster import ReadStoredUid, ResetCluster
from hetzner_k3s.model.operations.looks import Probe, ReadJournal, ReadSecret, SecretKind
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import AwaitK3s, Milestone
from hetzner_k3s.model.operations.snapshots import RestoreSnapshot, SaveSnapshot, TellSnapshots
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import BootSpec


@cache
def _scripts() -> dict[str, str]:
    folder = files(hosts).joinpath("scripts")
    return {file.read_text(): file.name for file in folder.iterdir() if file.name.endswith(".sh")}


def _short(text: str) -> str:
    """Name a script by its file, and what is made of several by the last of them."""
    ends = (name for script, name in _scripts().items() if text.endswith(script))
    return next(ends, text)


def _words(command: str) -> list[str]:
    """Part a command whose words `shlex.quote` wrote: `shlex.split` takes a second for scripts as long as ours."""
    return [
        "".join(map("".join, re.findall(r"""'([^']*)'|"([^"]*)"|([^\s'"]+)""", word)))
        for word in re.findall(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""", command)
    ]


def _sent(operation: Any) -> str:
    """Return a host operation's script, what follows it, and how it is run."""
    sent = operations.invocation(operation, "0123")
    script, *words = _words(sent.command)[4:]
    if operation.mutating:
        assert words[3] == str(len(sent.stdin.reveal().encode()))
        script = f"{_short(words[5])} {' '.join(words[:3])} {_short(words[4])}"
        words = words[6:]
    how = f"{sent.limit:.1f} s, {sent.most >> 20} MiB{', tied' if sent.tied else ''}"
    return f"{' '.join([script, *words])} ({how})".replace("ab" * 32, "<ab>").replace("cd" * 32, "<cd>")


def test_each_operation_is_sent_with_its_arguments_and_its_limit() -> None:
    assert [_sent(operation) for operation in ALL] == snapshot(
        [
            "probe (20.0 s, 4 MiB)",
            "unit.sh 0123 RotateHostKey 7 rotate_host_key.sh ssh-ed25519 AAAA (30.0 s, 4 MiB)",
            "unit.sh 0123 Install 7 install.sh v1.36.3+k3s1 (600.0 s, 4 MiB)",
            "unit.sh 0123 WriteConfig 7 write_config.sh (30.0 s, 4 MiB)",
            "unit.sh 0123 Reconfigure 7 reconfigure.sh k3s v1.36.4+k3s1 1 2 (150.0 s, 4 MiB)",
            "unit.sh 0123 StageK3s 7 stage_k3s.sh v1.36.4+k3s1 (600.0 s, 4 MiB)",
            "unit.sh 0123 TidyK3s 7 tidy_k3s.sh (120.0 s, 4 MiB)",
            "unit.sh 0123 PointToServer 7 point_to_server.sh https://10.0.0.3:6443 (30.0 s, 4 MiB)",
            "unit.sh 0123 SetToken 7 set_token.sh yes (30.0 s, 4 MiB)",
            "read_origin (20.0 s, 4 MiB)",
            "unit.sh 0123 WriteCaPin 7 write_ca_pin.sh <ab> <cd> yes (30.0 s, 4 MiB)",
            "unit.sh 0123 StartK3s 7 start_k3s.sh k3s-agent no (30.0 s, 4 MiB)",
            "await_k3s k3s identity 60 (80.0 s, 4 MiB, tied)",
            "unit.sh 0123 RemoveMember 7 remove_member.sh 1143524885326647474 fde9dd315b6d0b2 u 1 2 (60.0 s, 4 MiB)",
            "unit.sh 0123 RetireMember 7 retire_member.sh 1143524885326647474 fde9dd315b6d0b2 u 1 2 (60.0 s, 4 MiB)",
            "unit.sh 0123 MoveLeader 7 move_leader.sh 1143524885326647474 fde9dd315b6d0b2 (60.0 s, 4 MiB)",
            "unit.sh 0123 StopK3s 7 stop_k3s.sh k3s (120.0 s, 4 MiB)",
            "unit.sh 0123 WipeJoiner 7 wipe_joiner.sh https://10.0.0.2:6443 10.0.0.3 (180.0 s, 4 MiB)",
            "promote_learner 10.0.0.3 60 (80.0 s, 4 MiB, tied)",
            "unit.sh 0123 SaveSnapshot 7 save_snapshot.sh pre-repair (180.0 s, 4 MiB)",
            "read_secret token (30.0 s, 4 MiB)",
            "read_members (30.0 s, 4 MiB)",
            "run_command 16 (60.0 s, 64 MiB, tied)",
            "read_journal k3s 20 (30.0 s, 4 MiB)",
            "unit.sh 0123 HoldK3s 7 hold_k3s.sh ab12 - 0 (150.0 s, 4 MiB)",
            "read_log 1 (300.0 s, 256 MiB)",
            "read_stored_uid (300.0 s, 4 MiB)",
            "fetch_database (3600.0 s, 16384 MiB)",
            "unit.sh 0123 FenceMember 7 fence_member.sh ab12 (60.0 s, 4 MiB)",
            "unit.sh 0123 RestartBirth 7 restart_birth.sh (150.0 s, 4 MiB)",
            "unit.sh 0123 ResetCluster 7 reset_cluster.sh ab12 22 11 (700.0 s, 4 MiB)",
            "unit.sh 0123 RestoreSnapshot 7 restore_snapshot.sh "
            "kept-etcd-snapshot-m1-1795468755 22 - - (620.0 s, 4 MiB)",
            "unit.sh 0123 StartWithoutAgent 7 start_without_agent.sh (30.0 s, 4 MiB)",
            "unit.sh 0123 StartWithAgent 7 start_with_agent.sh (120.0 s, 4 MiB)",
            "tell_snapshots 60 (140.0 s, 4 MiB)",
            "receive_snapshot kept-backup-m1-1795468755 4700032 <ab> (3600.0 s, 4 MiB)",
            "unit.sh 0123 ReconnectAgent 7 reconnect_agent.sh https://10.0.0.2:6443 10.0.0.3:6443 (30.0 s, 4 MiB)",
            "send_snapshot backup-m1-1795468755 (3600.0 s, 16384 MiB)",
        ]
    )


def test_what_has_no_value_is_sent_as_a_dash() -> None:
    reset = ResetCluster(ca="ab12", lineage="22", parent=None, fence=7)
    restore = RestoreSnapshot(snapshot="s", sha256="cdcd", lineage="22", parent="11", fence=7)
    assert [_sent(operation) for operation in (reset, restore)] == snapshot(
        [
            "unit.sh 0123 ResetCluster 7 reset_cluster.sh ab12 22 - (700.0 s, 4 MiB)",
            "unit.sh 0123 RestoreSnapshot 7 restore_snapshot.sh s 22 11 cdcd (620.0 s, 4 MiB)",
        ]
    )


def test_a_deadline_is_at_least_a_second() -> None:
    waits = (AwaitK3s(role=K3sRole.AGENT, milestone=Milestone.ACTIVE, deadline=d) for d in (0.2, 1.6, 90.0))
    assert [_sent(wait) for wait in waits] == snapshot(
        [
            "await_k3s k3s-agent active 1 (20.2 s, 4 MiB, tied)",
            "await_k3s k3s-agent active 2 (21.6 s, 4 MiB, tied)",
            "await_k3s k3s-agent active 90 (110.0 s, 4 MiB, tied)",
        ]
    )


_STATUS: Any = ETCD["status"]
_FULL = {
    **LOOK,
    "boot_finished": False,
    "seen_from": "2001:db8:0::9",
    "held": True,
    "staged": "v1.36.4+k3s1",
    "restoring": True,
    "failed_commands": "one failed ;; two failed ;; ",
    "commands_wait": True,
    "cut_off": "ab",
    "disk": {
        **DISK,
        "wal": False,
        "tombstone": True,
        "reset_flag": True,
        "config_token_hash": "111111111111",
        "config_token_ca": "222222222222",
        "passwd_hash": "333333333333",
        "agent_token_hash": "444444444444",
        "config_agent_hash": "555555555555",
        "config_token_agent": True,
        "s3_hash": "666666666666",
        "config_database": "777777777777",
        "unit_flag": "--server",
        "environment_token_hash": "cd",
    },
    "etcd": {
        **ETCD,
        "health": {"health": "true", "reason": "slow"},
        "status": {**_STATUS, "isLearner": True, "errors": ["NOSPACE"]},
    },
    "supervisor": {**SUPERVISOR, "complaint": "oops", "uid": "6c2170f8-0000-4000-8000-000000000002"},
}


def test_every_field_of_a_look_is_read() -> None:
    assert plain(read(Probe(), {"result": _FULL})) == snapshot(
        {
            "key": "FINAL",
            "machine_id": "abc",
            "hostname": "m1",
            "clock": 1795468755.1234567,
            "ahead": 0.0,
            "boot_finished": False,
            "interfaces": {"198.51.100.2": "eth0", "10.0.0.2": "enp7s0"},
            "k3s_version": "v1.36.3+k3s1",
            "staged": "v1.36.4+k3s1",
            "server_unit": {"active": "active", "sub": "running", "restarts": 2, "main_pid": 361, "running_for": 30.5},
            "agent_unit": {"active": "absent", "sub": "", "restarts": 0, "main_pid": 0, "running_for": None},
            "disk": {
                "wal": False,
                "tombstone": True,
                "reset_flag": True,
                "server_ca": "f0",
                "former_cas": [],
                "agent_ca": "de826f9e5acba22f80b95e447f9a1a29db2441d3f8dee9d83dfbb0e52370dfc0",
                "agent_former_cas": [],
                "token_hash": "f3c14dc8fcd7",
                "config_token_hash": "111111111111",
                "config_token_ca": "222222222222",
                "passwd_hash": "333333333333",
                "agent_token_hash": "444444444444",
                "config_agent_hash": "555555555555",
                "config_token_agent": True,
                "config_server": "https://10.0.0.3:6443",
                "config_database": "777777777777",
                "config_present": True,
                "unit_flag": "--server",
                "environment_token_hash": "cd",
                "config": {"kubelet-arg": ("cloud-provider=external",), "etcd-snapshot-retention": ("24",)},
                "registries": "0123456789ab",
                "s3_hash": "666666666666",
                "agent_servers": ["10.0.0.3:6443", "10.0.0.4:6443"],
            },
            "etcd": {
                "healthy": True,
                "reason": "slow",
                "member_id": "1143524885326647474",
                "leader": "1143524885326647474",
                "learner": True,
                "term": 5,
                "index": 6018,
                "revision": 4636,
                "errors": ["NOSPACE"],
                "members": [
                    {
                        "id": "1143524885326647474",
                        "name": "master1-473a3449",
                        "peer_urls": ["https://10.0.0.2:2380"],
                        "learner": False,
                    },
                    {"id": "9054383352403965534", "name": "", "peer_urls": ["https://10.0.0.4:2380"], "learner": True},
                ],
                "bootstrap_keys": ["f3c14dc8fcd7"],
                "uid": "6c2170f8-0000-4000-8000-000000000001",
                "active_peers": ["9054383352403965534"],
            },
            "supervisor": {
                "token_accepted": True,
                "critical": {
                    "cluster-cidr": "10.42.0.0/16",
                    "cluster-dns": "10.43.0.10",
                    "flannel-backend": "vxlan",
                    "disable-cloud-controller": "true",
                    "embedded-registry": "false",
                },
                "api_answers": True,
                "complaint": "oops",
                "uid": "6c2170f8-0000-4000-8000-000000000002",
            },
            "snapshots": [{"name": "pre-repair-m1-1795468755", "size": 2572320, "created": 1795468755.0}],
            "operation": {"id": "ab", "name": "Install", "running": True, "fence": 7},
            "lineage": "22",
            "parent_lineage": "11",
            "failed_commands": ["one failed", "two failed"],
            "commands_wait": True,
            "cut_off": "ab",
            "held": True,
            "restoring": True,
            "agentless": True,
            "seen_from": "2001:db8::9",
            "log": None,
            "stored_uid": None,
        }
    )


def test_every_field_of_the_other_answers_is_read() -> None:
    journal = base64.b64encode(b"first\n\nsecond").decode()
    told = {"name": "s", "size": 5, "created": 7.5, "sha256": "ab", "uid": "u", "tokens": "11 22"}
    answers = [
        read(ReadOrigin(), {"result": {"flag": "server", "bare_token": True, "configured": False, "runs": True}}),
        read(ReadJournal(role=K3sRole.SERVER, lines=2), {"result": {"base64": journal}}),
        read(SaveSnapshot(name="s", fence=1), {"result": {"name": "s", "size": 5, "created": 7.5}}),
        read(TellSnapshots(deadline=1), {"result": [told]}),
        read(ReadStoredUid(), {"result": "6c2170f8-0000-4000-8000-000000000001"}),
        read(ReadStoredUid(), {"result": None}),
    ]
    assert [plain(answer) for answer in answers] == snapshot(
        [
            {"flag": "server", "bare_token": True, "configured": False, "runs": True},
            """\
first
second
""",
            {"name": "s", "size": 5, "created": 7.5},
            [
                {
                    "name": "s",
                    "size": 5,
                    "created": 7.5,
                    "sha256": "ab",
                    "cluster_uid": "u",
                    "token_hashes": ["11", "22"],
                }
            ],
            "6c2170f8-0000-4000-8000-000000000001",
            None,
        ]
    )


@pytest.mark.parametrize(
    ("operation", "answer", "words"),
    [
        (ReadSecret(kind=SecretKind.TOKEN), {"base64": "/w=="}, "it is no text"),
        (ReadSecret(kind=SecretKind.TOKEN), {"base64": "?"}, "base64 is no base64"),
        (ReadSecret(kind=SecretKind.TOKEN), {"base64": "ä"}, "base64 is no base64"),
        (Probe(), {**LOOK, "seen_from": "nowhere"}, "seen_from is no address"),
        (Probe(), {**LOOK, "snapshots": "5 6/"}, "snapshots is no list of sizes, times and names"),
        (Probe(), {**LOOK, "etcd": {**ETCD, "peers": "xyz"}}, "etcd.peers holds what is no id of a member"),
    ],
)
def test_what_cannot_be_read_is_named(operation: Any, answer: object, words: str) -> None:
    with pytest.raises(OperationFailed, match=words):
        read(operation, {"result": answer})


def test_a_network_that_is_none_is_named() -> None:
    for network in ({"IP": "10.42.0.0", "Mask": "?"}, {"IP": "10.42", "Mask": "//8AAA=="}):
        config = {**SUPERVISOR["config"], "ClusterIPRanges": [network]}  # type: ignore[dict-item]
        with pytest.raises(OperationFailed, match="is no network"):
            read(Probe(), {"result": {**LOOK, "supervisor": {**SUPERVISOR, "config": config}}})


def test_all_that_a_first_boot_does() -> None:
    boot = BootSpec(
        packages=("htop",), pre_k3s_commands=("before",), post_k3s_commands=("after",), grow_root_partition=False
    )
    spec = replace(SPEC, ssh=replace(SPEC.ssh, port=2222))
    text = user_data(spec, replace(MASTER, boot=boot), KEY)
    for script, name in sorted(_scripts().items(), key=lambda pair: -len(pair[0])):
        text = text.replace(json.dumps(script, ensure_ascii=False)[1:-1], f"<{name}>")
    assert text == (Path(__file__).parent / "recorded" / "first-boot.txt").read_text()


def test_user_data_is_as_long_as_hetzner_takes() -> None:
    fixed = len(user_data(SPEC, replace(MASTER, boot=BootSpec(packages=("",))), KEY).encode())
    room = 32_768 - fixed
    assert USER_DATA_LIMIT == 32_768
    assert len(user_data(SPEC, replace(MASTER, boot=BootSpec(packages=("x" * room,))), KEY).encode()) == 32_768
    with pytest.raises(UserDataTooLong):
        user_data(SPEC, replace(MASTER, boot=BootSpec(packages=("x" * (room + 1),))), KEY)


def test_the_words_of_a_command_are_those_of_a_shell() -> None:
    command = operations.invocation(WriteCaPin(before="a'b", ca='c "d"', restart=True, fence=7), "0123").command
    assert _words(command) == shlex.split(command)


def test_all_that_another_configuration_writes() -> None:
    """What may hold a password is for root alone, and the unit comes before the configuration."""
    listed = [
        f"{file.mode} {file.path} {_short(file.content).splitlines()[0]}"
        for role in K3sRole
        for file in configuration_files(
            Reconfigure(
                role=role, version=None, config=Secret("token: x"), registries=Secret("mirrors"), members=(), fence=7
            )
        )
    ]
    assert listed == snapshot(
        [
            "0755 /usr/local/lib/hetzner-k3s/start-guard start_guard.sh",
            "0644 /etc/systemd/system/k3s.service [Unit]",
            "0600 /etc/rancher/k3s/registries.yaml mirrors",
            "0600 /etc/rancher/k3s/config.yaml token: x",
            "0644 /etc/systemd/system/k3s-agent.service [Unit]",
            "0600 /etc/rancher/k3s/registries.yaml mirrors",
            "0600 /etc/rancher/k3s/config.yaml token: x",
        ]
    )


def test_all_that_an_installation_writes() -> None:
    listed = [
        f"{file.mode} {file.path} {_short(file.content).splitlines()[0]}"
        for role in K3sRole
        for file in install_files(Install(role=role, version="v1.36.3+k3s1", registries="mirrors", fence=7))
    ]
    assert listed == snapshot(
        [
            "0755 /usr/local/lib/hetzner-k3s/download-k3s download_k3s.sh",
            "0644 /etc/k8s-resolv.conf nameserver 8.8.8.8",
            "0644 /etc/systemd/system/k3s.service [Unit]",
            "0755 /usr/local/lib/hetzner-k3s/start-guard start_guard.sh",
            "0600 /etc/rancher/k3s/registries.yaml mirrors",
            "0755 /usr/local/lib/hetzner-k3s/download-k3s download_k3s.sh",
            "0644 /etc/k8s-resolv.conf nameserver 8.8.8.8",
            "0644 /etc/systemd/system/k3s-agent.service [Unit]",
            "0600 /etc/rancher/k3s/registries.yaml mirrors",
        ]
    )
