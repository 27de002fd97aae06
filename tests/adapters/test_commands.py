"""Commands of the user's over a real SSH server on loopback, run there as a host would, by a shell of this machine."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import asyncssh
import pytest

from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.adapters.system import SystemClock, SystemRng
from hetzner_k3s.model.errors import Fate, HostUnreachable, OperationFailed, SshStage
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget, host_key_label
from hetzner_k3s.model.operations.commands import RunCommand, Stream

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")


class Server:
    """A host whose login shell is noisy; `commands` are what it was sent."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.cut: Callable[[], None] = lambda: None

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.commands.append(process.command or "")
        self.cut = process.channel.get_connection().abort
        noisy = f"echo noise; echo noise >&2; {process.command}"
        shell = subprocess.Popen(["bash", "-c", noisy], stdin=PIPE, stdout=PIPE, stderr=PIPE)  # noqa: ASYNC220
        await process.redirect(stdin=shell.stdin, stdout=shell.stdout, stderr=shell.stderr)
        process.exit(await asyncio.to_thread(shell.wait))


Story = Callable[[SshHosts, HostTarget, Server], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Story], None]:
    """Play a story with a host."""
    CLIENT_KEY.write_private_key(str(tmp_path / "key"))
    CLIENT_KEY.write_public_key(str(tmp_path / "authorized_keys"))

    async def run(story: Story) -> None:
        server = Server()
        listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[HOST_KEY],
            authorized_client_keys=str(tmp_path / "authorized_keys"),
            process_factory=server.run,
            encoding=None,
        )
        keys = {host_key_label(HOST_KEY.public_data): HostKeyKind.FINAL}
        target = HostTarget(server_id=1, name="m1", address="127.0.0.1", port=listener.get_port(), keys=keys)
        public = CLIENT_KEY.export_public_key().decode()
        ssh = SshHosts(clock=SystemClock(), rng=SystemRng(), private_key_path=str(tmp_path / "key"), public_key=public)
        try:
            await asyncio.wait_for(story(ssh, target, server), 60)
        finally:
            await ssh.close()
            listener.close()
            await listener.wait_closed()

    return lambda story: asyncio.run(run(story))


class Heard:
    """What was printed, a stream each; `line` is set when a whole line is there."""

    def __init__(self) -> None:
        self.printed = dict.fromkeys(Stream, b"")
        self.line = asyncio.Event()

    def __call__(self, stream: Stream, piece: bytes) -> None:
        self.printed[stream] += piece
        if piece.endswith(b"\n"):
            self.line.set()

    @property
    def out(self) -> bytes:
        return self.printed[Stream.OUT]

    @property
    def err(self) -> bytes:
        return self.printed[Stream.ERR]


def command(script: str, deadline: float = 30.0) -> RunCommand:
    return RunCommand(script=script, deadline=deadline)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False


async def until_ended(pids: list[int]) -> None:
    ends = time.monotonic() + 15
    while any(map(is_running, pids)):
        assert time.monotonic() < ends, f"{pids} go on"
        await asyncio.sleep(0.1)


def test_both_streams_come_apart_and_whole_with_the_exit_status(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, _server: Server) -> None:
        heard = Heard()
        script = "printf 'a\\n\\xff\\0b'; echo oops >&2; [[ -e / ]] && exit 7"
        assert await ssh.run(target, command(script), heard) == 7
        assert (heard.out, heard.err) == (b"a\n\xff\0b", b"oops\n")

    play(story)


def test_what_is_printed_comes_while_the_command_goes_on(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, _server: Server) -> None:
        heard = Heard()
        work = asyncio.create_task(ssh.run(target, command("echo a; sleep 30"), heard))
        await asyncio.wait_for(heard.line.wait(), 10)
        assert heard.out == b"a\n"
        work.cancel()

    play(story)


def test_the_first_line_names_who_reads_a_script(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, _server: Server) -> None:
        heard = Heard()
        script = "#!/usr/bin/env -S perl -w\r\nprint 'in perl'; exit 3;\n"
        assert await ssh.run(target, command(script), heard) == 3
        assert heard.out == b"in perl"
        assert await ssh.run(target, command("#!/no/such/thing\n"), heard) == 127

    play(story)


def test_it_is_given_a_usual_environment_and_stands_in_no_argument(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, server: Server) -> None:
        heard = Heard()
        script = "umask; echo \"${LC_ALL-none}\"; cat; ps -eo args | grep -c '[t]he-word-that-nobody-sees'"
        assert await ssh.run(target, command(script), heard) == 1
        assert heard.out.split() == [b"0022", b"none", b"0"]
        assert "that-nobody-sees" not in server.commands[0]

    play(story)


def test_whoever_stops_listening_ends_it_with_all_that_it_started(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, _server: Server) -> None:
        heard = Heard()
        script = "sleep 300 & echo $$ $!; trap '' TERM; sleep 300 & wait"
        work = asyncio.create_task(ssh.run(target, command(script), heard))
        await asyncio.wait_for(heard.line.wait(), 10)
        pids = [int(number) for number in re.findall(rb"\d+", heard.out)]
        assert all(map(is_running, pids))
        work.cancel()
        await until_ended(pids)

    play(story)


def test_one_that_takes_too_long_is_ended_and_that_is_said(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, _server: Server) -> None:
        heard = Heard()
        with pytest.raises(OperationFailed, match="m1: the command did not end within 1 s, and was ended") as told:
            await ssh.run(target, command("echo $$; sleep 300", 1.0), heard)
        assert told.value.fate is Fate.MAY_HAVE_HAPPENED
        await until_ended([int(heard.out.split()[0])])
        assert await ssh.run(target, command("true"), heard) == 0, "the connection is as good as before"

    play(story)


def test_what_it_leaves_running_holds_nobody_up(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, _server: Server) -> None:
        began = time.monotonic()
        assert await ssh.run(target, command("sleep 20 & exit 4"), Heard()) == 4
        assert time.monotonic() - began < 10

    play(story)


def test_a_connection_that_breaks_says_that_it_may_have_run(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, server: Server) -> None:
        heard = Heard()
        work = asyncio.create_task(ssh.run(target, command("echo $$; sleep 300"), heard))
        await asyncio.wait_for(heard.line.wait(), 10)
        server.cut()
        with pytest.raises(HostUnreachable, match="connection lost") as told:
            await work
        assert told.value.fate is Fate.MAY_HAVE_HAPPENED

    play(story)


@pytest.mark.parametrize("keys", [{}, {"another": HostKeyKind.FINAL}])
def test_nothing_is_sent_to_a_host_whose_own_key_is_not_proven(
    play: Callable[[Story], None], keys: dict[str, HostKeyKind]
) -> None:
    async def story(ssh: SshHosts, target: HostTarget, server: Server) -> None:
        boot = {host_key_label(HOST_KEY.public_data): HostKeyKind.BOOT}
        for known in (keys, boot):
            with pytest.raises(HostUnreachable) as told:
                await ssh.run(replace(target, keys=known), command("true"), Heard())
            assert told.value.stage is SshStage.HOST_KEY
            with pytest.raises(HostUnreachable):
                await ssh.host_key(replace(target, keys=known))
        assert server.commands == []

    play(story)


def test_the_key_that_a_host_proved_is_told_for_other_clients(play: Callable[[Story], None]) -> None:
    async def story(ssh: SshHosts, target: HostTarget, _server: Server) -> None:
        assert (await ssh.host_key(target)).split()[:2] == HOST_KEY.export_public_key().decode().split()[:2]

    play(story)
