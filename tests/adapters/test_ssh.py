"""The SSH adapter against a real SSH server on loopback whose commands run in a shell of this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.adapters.system import SystemClock, SystemRng
from hetzner_k3s.model.errors import (
    Fate,
    HostBusy,
    HostUnreachable,
    OperationFailed,
    PreconditionChanged,
    SshStage,
    UnusableKey,
)
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget, host_key_label
from hetzner_k3s.model.operations.disaster import FetchDatabase
from hetzner_k3s.model.operations.looks import Probe, ReadJournal
from hetzner_k3s.model.operations.members import ReadMembers
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
LABEL = host_key_label(HOST_KEY.public_data)
ENCRYPTED_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAwHKsC2W
SEar7DIEMGS5TxAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIFZwvbWz9jsliYSE
XAlQHnfnvk6XfqM+RQV4aHefm0u3AAAAkKWqpbDpi2300eJQs9/2fvR0aJQXZUqzhL27KE
5pdKWmAL25qYEIpOtyT4dOZVbkW810ha9TKo77U6B/3UEG42R0WLvJMnIP867lppYk4u05
zCjeRCrzRsKvrz5GtsG9vVRpvVdmrGAs5Y0yazJRsFoRc7cvI5mhk7kvzfwKOnnwujfOuz
G4pkJxNRekbGWPiA==
-----END OPENSSH PRIVATE KEY-----
"""  # made for this test by ssh-keygen
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")


class Server:
    """What the test server saw: logins, commands."""

    def __init__(self) -> None:
        self.connections = 0
        self.commands: list[str] = []
        self.answer = '{"result":{"members":[]}}'
        self.complaint = ""
        self.busy = 0
        """How often another operation is said to run there."""
        self.noise = ""
        """What the login shell prints by itself."""
        self.marks = 2
        self.hold: asyncio.Event | None = None
        self.began = asyncio.Event()
        self.received: bytes | None = None
        """What came in, where the command waits for it."""

    def connected(self) -> asyncssh.SSHServer:
        self.connections += 1
        return asyncssh.SSHServer()

    async def run(self, process: asyncssh.SSHServerProcess[str]) -> None:
        self.commands.append(process.command or "")
        self.began.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.received is not None:
            self.received = (await process.stdin.read()).encode("utf-8", "surrogateescape")
        mark = _mark(process.command or "")
        end = f"\n{mark}\n" if self.marks > 1 else ""
        answer = '{"error":"busy","message":"x"}' if self.busy else self.answer
        self.busy = max(0, self.busy - 1)
        process.stdout.write(f"{self.noise}\n{mark}\n{answer}{end}{self.noise}")
        process.stderr.write(f"{self.noise}\n{mark}\n{self.complaint}\n{mark}\n")
        process.exit(3 if self.complaint else 0)


def _mark(command: str) -> str:
    """Give the line that is to stand before and after the answer."""
    found = re.search(r"printf '\\n([0-9a-f]{16})\\n'", command.replace("'\"'\"'", "'"))
    assert found is not None, command[:200]
    return found[1]


@asynccontextmanager
async def serving(tmp_path: Path, host_key: asyncssh.SSHKey = HOST_KEY) -> AsyncIterator[tuple[Server, HostTarget]]:
    server = Server()
    authorized = tmp_path / "authorized_keys"
    CLIENT_KEY.write_public_key(str(authorized))
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=str(authorized),
        server_factory=server.connected,
        process_factory=server.run,
    )
    target = HostTarget(
        server_id=1, name="m1", address="127.0.0.1", port=listener.get_port(), keys={LABEL: HostKeyKind.FINAL}
    )
    try:
        yield server, target
    finally:
        listener.close()
        await listener.wait_closed()


def hosts(tmp_path: Path, key: asyncssh.SSHKey = CLIENT_KEY) -> SshHosts:
    path = tmp_path / "key"
    key.write_private_key(str(path))
    return with_key(str(path))


def with_key(path: str | None) -> SshHosts:
    public_key = CLIENT_KEY.export_public_key().decode()
    return SshHosts(clock=SystemClock(), rng=SystemRng(), private_key_path=path, public_key=public_key)


def with_server(tmp_path: Path, story: Callable[[Server, HostTarget, SshHosts], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, target):
            ssh = hosts(tmp_path)
            try:
                await asyncio.wait_for(story(server, target, ssh), 30)
            finally:
                await ssh.close()

    asyncio.run(run())


async def refusal(ssh: SshHosts, target: HostTarget) -> HostUnreachable:
    with pytest.raises(HostUnreachable) as refused:
        await ssh.perform(target, ReadMembers())
    assert refused.value.fate is Fate.DID_NOT_HAPPEN
    return refused.value


def test_one_connection_serves_all_operations(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        assert await asyncio.gather(*(ssh.perform(target, ReadMembers()) for _ in range(20))) == [()] * 20
        assert server.connections == 1
        assert len(server.commands) == 20

    with_server(tmp_path, story)


async def _in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1000):
        yield content[at : at + 1000]


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.received, server.answer = b"", '{"result":{}}'
        content = b"a snapshot\n" * 5000
        operation = ReceiveSnapshot(name="kept-a", size=len(content), sha256="ab" * 32)
        await ssh.send(target, operation, _in_pieces(content))
        assert server.received == content
        server.answer, server.complaint = '{"error":"precondition_changed","message":"it holds data"}', "x"
        with pytest.raises(PreconditionChanged, match="it holds data"):
            await ssh.send(target, operation, _in_pieces(content))

    with_server(tmp_path, story)


def test_another_host_key_ends_it_before_anything_is_sent(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        failure = await refusal(ssh, replace(target, keys={"another": HostKeyKind.FINAL}))
        assert failure.stage is SshStage.HOST_KEY
        assert failure.hint
        assert not server.commands

    with_server(tmp_path, story)


def test_a_key_that_is_no_longer_named_ends_a_connection_that_is_open(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        await ssh.perform(target, ReadMembers())
        assert (await refusal(ssh, replace(target, keys={"next": HostKeyKind.FINAL}))).stage is SshStage.HOST_KEY
        await ssh.perform(target, ReadMembers())
        assert len(server.commands) == 2

    with_server(tmp_path, story)


def test_the_boot_key_suffices_for_few_operations(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        booting = replace(target, keys={LABEL: HostKeyKind.BOOT})
        assert "boot host key" in str(await refusal(ssh, booting))
        with pytest.raises(HostUnreachable):
            await ssh.forward(booting, 6443)
        assert not server.commands
        server.answer = '{"error":"failed","message":"looked"}'
        with pytest.raises(OperationFailed, match="looked"):
            await ssh.perform(booting, Probe())

    with_server(tmp_path, story)


def test_a_host_that_offers_no_ed25519_key_is_not_spoken_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, asyncssh.generate_private_key("ecdsa-sha2-nistp256")) as (_, target):
            assert (await refusal(hosts(tmp_path), target)).stage is SshStage.HOST_KEY

    asyncio.run(run())


def test_a_refused_login_is_told_apart(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (_, target):
            stranger = hosts(tmp_path, asyncssh.generate_private_key("ssh-ed25519"))
            assert (await refusal(stranger, target)).stage is SshStage.AUTH

    asyncio.run(run())


def test_nobody_listens(tmp_path: Path) -> None:
    target = HostTarget(server_id=1, name="m1", address="127.0.0.1", port=9, keys={LABEL: HostKeyKind.FINAL})
    failure = asyncio.run(refusal(hosts(tmp_path), target))
    assert failure.stage is SshStage.TCP
    assert "m1 (127.0.0.1:9)" in str(failure)


def test_an_encrypted_key_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(ENCRYPTED_KEY)
    ssh = with_key(str(path))
    target = HostTarget(server_id=1, name="m1", address="127.0.0.1", port=9, keys={LABEL: HostKeyKind.FINAL})
    with pytest.raises(UnusableKey, match="is encrypted") as refused:
        asyncio.run(ssh.perform(target, ReadMembers()))
    assert "ssh-add" in refused.value.hint


def test_a_connection_that_breaks_during_a_read_did_nothing(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.hold = asyncio.Event()
        reading = asyncio.create_task(ssh.perform(target, ReadJournal(role=K3sRole.SERVER, lines=1)))
        await server.began.wait()
        await ssh.close()
        with pytest.raises(HostUnreachable) as lost:
            await reading
        assert lost.value.stage is SshStage.SESSION
        assert lost.value.fate is Fate.DID_NOT_HAPPEN

    with_server(tmp_path, story)


def test_the_agent_logs_in_with_the_one_key_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serving(tmp_path) as (server, target), agent(tmp_path / "agent.sock") as socket:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            ssh = with_key(None)
            assert await ssh.perform(target, ReadMembers()) == ()
            assert server.connections == 1
            await ssh.close()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_no_agent_is_said_before_anything_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    target = HostTarget(server_id=1, name="m1", address="127.0.0.1", port=9, keys={LABEL: HostKeyKind.FINAL})
    with pytest.raises(UnusableKey, match="SSH_AUTH_SOCK"):
        asyncio.run(with_key(None).perform(target, ReadMembers()))


@asynccontextmanager
async def agent(socket: Path) -> AsyncIterator[Path]:
    """Run an ssh-agent that holds two other keys and the client's."""
    process = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", str(socket), stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        async with asyncssh.connect_agent(str(socket)) as client:
            await client.add_keys([asyncssh.generate_private_key("ssh-ed25519") for _ in range(2)])
            await client.add_keys([CLIENT_KEY])
        yield socket
    finally:
        process.terminate()
        await process.wait()


def test_a_stream_is_given_as_it_comes_and_its_complaint_is_an_error(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.answer = "archive" * 100_000
        got = b"".join([piece async for piece in ssh.stream(target, FetchDatabase())])
        assert got.decode() == server.answer
        server.complaint = '{"error":"precondition_changed","message":"k3s runs on this host"}'
        with pytest.raises(PreconditionChanged, match="m1: k3s runs on this host"):
            [piece async for piece in ssh.stream(target, FetchDatabase())]
        server.complaint = "tar: write error"
        with pytest.raises(OperationFailed, match="tar: write error"):
            [piece async for piece in ssh.stream(target, FetchDatabase())]

    with_server(tmp_path, story)


MOTD = '{"result":"no"}\nWelcome, root! Your token is on the fridge.\n'


def test_a_login_shell_that_talks_breaks_neither_answers_nor_streams(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.noise = MOTD
        assert await ssh.perform(target, ReadMembers()) == ()
        server.answer = "archive" * 100_000
        got = b"".join([piece async for piece in ssh.stream(target, FetchDatabase())])
        assert got.decode() == server.answer
        server.complaint = '{"error":"failed","message":"this host holds no data"}'
        with pytest.raises(OperationFailed, match="this host holds no data"):
            [piece async for piece in ssh.stream(target, FetchDatabase())]

    with_server(tmp_path, story)


def test_an_answer_without_an_end_is_that_hosts_failure(tmp_path: Path) -> None:
    """Seen: endless output of one host took 3.25 GB of memory."""

    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.answer = "x" * (5 << 20)
        with pytest.raises(OperationFailed, match="m1: ReadMembers failed: it sent more than 4 MiB"):
            await ssh.perform(target, ReadMembers())
        server.answer, server.received = "y" * (5 << 20), b""
        receiving = ReceiveSnapshot(name="kept-a", size=1, sha256="ab" * 32)
        with pytest.raises(OperationFailed, match="more than 4 MiB"):
            await ssh.send(target, receiving, _in_pieces(b"x"))
        server.answer, server.received = '{"result":{"members":[]}}', None
        assert await ssh.perform(target, ReadMembers()) == ()

    with_server(tmp_path, story)


def test_a_stream_whose_end_did_not_come_is_an_error(tmp_path: Path) -> None:
    async def story(server: Server, target: HostTarget, ssh: SshHosts) -> None:
        server.marks = 1
        with pytest.raises(OperationFailed, match="between the marks"):
            [piece async for piece in ssh.stream(target, FetchDatabase())]

    with_server(tmp_path, story)


class Patient(SystemClock):
    """A clock on which nothing is waited for, and each wait takes a quarter of a minute."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return 15.0 * len(self.waits)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.mark.parametrize(("busy", "ends"), [(2, True), (99, False)])
def test_a_host_that_is_busy_is_asked_again_for_a_minute(tmp_path: Path, busy: int, ends: bool) -> None:
    clock = Patient()

    async def run() -> None:
        async with serving(tmp_path) as (server, target):
            CLIENT_KEY.write_private_key(str(tmp_path / "key"))
            public = CLIENT_KEY.export_public_key().decode()
            ssh = SshHosts(clock=clock, rng=SystemRng(), private_key_path=str(tmp_path / "key"), public_key=public)
            server.busy = busy
            try:
                if ends:
                    await ssh.perform(target, ReadMembers())
                else:
                    with pytest.raises(HostBusy):
                        await ssh.perform(target, ReadMembers())
            finally:
                await ssh.close()
            assert len(server.commands) == len(clock.waits) + 1

    asyncio.run(asyncio.wait_for(run(), 30))
    assert clock.waits == [0.2] * (2 if ends else 4)
