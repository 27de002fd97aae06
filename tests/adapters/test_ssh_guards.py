"""How the SSH adapter logs in, what it verifies anew, and what it says of an operation whose end it did not hear."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests.adapters.test_ssh import HOST_KEY, LABEL, Server, with_server
from tests.hosts.test_operations import LOOK

from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.hosts import operations
from hetzner_k3s.model.errors import Fate, HostUnreachable, SshStage
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget, host_key_label
from hetzner_k3s.model.operations.configuration import RotateHostKey
from hetzner_k3s.model.operations.disaster import FetchDatabase
from hetzner_k3s.model.operations.members import ReadMembers
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import StopK3s
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot
from hetzner_k3s.model.secrets import Secret

NEXT_KEY = asyncssh.generate_private_key("ssh-ed25519")
STOP = StopK3s(role=K3sRole.SERVER, fence=1)


def test_a_key_is_all_that_is_ever_offered_to_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No password, no question of the keyboard, no forwarded agent, nothing of the user's own ssh_config."""
    connect, given = asyncssh.connect, dict[str, Any]()

    def watched(*arguments: Any, **options: Any) -> Any:
        given.update(options)
        return connect(*arguments, **options)

    async def story(_server: Server, target: HostTarget, ssh: SshHosts) -> None:
        monkeypatch.setattr(asyncssh, "connect", watched)
        assert await ssh.perform(target, ReadMembers()) == ()

    with_server(tmp_path, story)
    assert given["preferred_auth"] == "publickey"
    assert (given["config"], given["gss_host"], given["agent_path"]) == (None, None, None)
    assert (given["known_hosts"], given["server_host_key_algs"]) == (([], [], []), ["ssh-ed25519"])
    assert not {"password", "agent_forwarding", "passphrase"} & {name for name, value in given.items() if value}


def _rotation() -> RotateHostKey:
    public = NEXT_KEY.export_public_key().decode().strip()
    return RotateHostKey(private_key=Secret("a private key"), public_key=public, fence=1)


@pytest.mark.parametrize("answer", ['{"result":{}}', '{"error":"failed","message":"sshd does not offer it"}'])
def test_the_next_connection_verifies_the_key_that_was_rotated_in(tmp_path: Path, answer: str) -> None:
    """The open one was made with the old key; kept, it would prove nothing of the host that offers the new one."""

    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.answer, server.received = answer, b""
        await asyncio.gather(ssh.perform(target, _rotation()), return_exceptions=True)
        server.answer = '{"result":{"members":[]}}'
        assert await ssh.perform(target, ReadMembers()) == ()
        assert server.connections == 2
        rotated = replace(target, keys={host_key_label(NEXT_KEY.public_data): HostKeyKind.FINAL})
        with pytest.raises(HostUnreachable) as refused:
            await ssh.perform(rotated, ReadMembers())
        assert refused.value.stage is SshStage.HOST_KEY

    with_server(tmp_path, story)


def test_an_operation_whose_outcome_cannot_be_asked_may_have_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host went on with it as a unit of its own; "did not happen" would have it done twice."""

    async def gone(*_: Any, sock: socket.socket, **__: Any) -> Any:
        sock.close()  # else the server waits for a login, and since Python 3.12 its end for that
        raise asyncssh.ConnectionLost("the host is gone")

    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.hold = asyncio.Event()
        stopping = asyncio.create_task(ssh.perform(target, STOP))
        await server.began.wait()
        monkeypatch.setattr(asyncssh, "connect", gone)
        await ssh.close()
        with pytest.raises(HostUnreachable, match="its outcome could not be asked") as lost:
            await stopping
        assert lost.value.fate is Fate.MAY_HAVE_HAPPENED

    with_server(tmp_path, story)


def test_an_operation_that_outlived_its_connection_is_settled_over_the_next(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.hold, server.answer = asyncio.Event(), '{"result":{}}'
        stopping = asyncio.create_task(ssh.perform(target, STOP))
        await server.began.wait()
        server.hold = None
        await ssh.close()
        await stopping
        assert server.connections == 2
        assert len(server.commands) == 2

    with_server(tmp_path, story)


async def _nothing() -> Any:
    yield b"x"


def _ways(ssh: SshHosts, target: HostTarget) -> dict[str, Callable[[], Awaitable[object]]]:
    async def stream() -> list[bytes]:
        return [piece async for piece in ssh.stream(target, FetchDatabase())]

    receiving = ReceiveSnapshot(name="kept-a", size=1, sha256="ab" * 32)
    return {
        "perform": lambda: ssh.perform(target, ReadMembers()),
        "stream": stream,
        "send": lambda: ssh.send(target, receiving, _nothing()),
    }


@pytest.mark.parametrize("how", ["perform", "stream", "send"])
def test_a_host_that_says_nothing_more_ends_an_operation_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Every wait has a deadline (docs/architecture.md#law-9); the limits are the operations' own."""
    rendered = operations.invocation

    def short(operation: Any, operation_id: str) -> operations.Invocation:
        made = rendered(operation, operation_id)
        assert 0 < made.limit <= 3600
        return replace(made, limit=0.3)

    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        monkeypatch.setattr(operations, "invocation", short)
        server.hold = asyncio.Event()
        with pytest.raises(HostUnreachable) as late:
            await _ways(ssh, target)[how]()
        assert late.value.stage is SshStage.SESSION
        server.hold.set()

    with_server(tmp_path, story)


@pytest.mark.parametrize("named", [{}, {LABEL: HostKeyKind.FINAL}], ids=["anybody", "by its key"])
def test_a_host_introduces_itself_by_the_key_that_answered(tmp_path: Path, named: dict[str, HostKeyKind]) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.answer = json.dumps({"result": LOOK})
        met = await ssh.introduce(replace(target, keys=named))
        assert (met.key, met.facts.key) == (LABEL, HostKeyKind.BOOT)

    with_server(tmp_path, story)


def test_who_answers_by_another_key_than_the_named_one_is_not_introduced(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        with pytest.raises(HostUnreachable) as refused:
            await ssh.introduce(replace(target, keys={host_key_label(NEXT_KEY.public_data): HostKeyKind.FINAL}))
        assert refused.value.stage is SshStage.HOST_KEY
        assert server.commands == []

    with_server(tmp_path, story)


def test_the_key_of_the_test_is_the_one_that_is_named() -> None:
    assert host_key_label(HOST_KEY.public_data) == LABEL
