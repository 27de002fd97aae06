"""Many hosts are reached at once: so many handshakes as are bounded, and no host waits for a silent one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from tests.adapters.silence import silent
from tests.adapters.test_ssh import CLIENT_KEY, HOST_KEY, LABEL, Server, hosts, with_server

from hetzner_k3s.adapters import ssh_dial
from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.model.errors import HostUnreachable, SshStage
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.operations.members import ReadMembers

_AT_ONCE = 2
_HOSTS = 6


def test_a_silent_host_keeps_no_other_one_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that cuts SSH off would have each lot of hosts given up after 5 s, one lot after another."""
    monkeypatch.setattr(ssh_dial, "HANDSHAKES_AT_ONCE", 1)
    monkeypatch.setattr(ssh_dial, "CONNECT_SECONDS", 2.0)

    async def story(_server: Server, target: HostTarget, ssh: SshHosts) -> None:
        with silent() as port:
            gone = [replace(target, server_id=number, port=port) for number in range(2, 6)]
            waiting = [asyncio.create_task(ssh.perform(one, ReadMembers())) for one in gone]
            await asyncio.sleep(0.1)
            assert await ssh.perform(target, ReadMembers()) == ()
            assert not any(task.done() for task in waiting), "they were not silent"
            ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(one).partition(": ")[2] for one in ended] == ["no answer by SSH within 2 s"] * len(gone)
        assert {one.stage for one in ended if isinstance(one, HostUnreachable)} == {SshStage.TCP}

    with_server(tmp_path, story)


class Counted(asyncssh.SSHServer):
    """Counts the logins that are under way at once; each takes a while."""

    now = most = done = 0

    async def begin_auth(self, _username: str) -> bool:
        Counted.now += 1
        Counted.most = max(Counted.most, Counted.now)
        await asyncio.sleep(0.1)
        return True

    def auth_completed(self) -> None:
        Counted.now -= 1
        Counted.done += 1


def _answer(process: asyncssh.SSHServerProcess[str]) -> None:
    process.exit(1)


def test_handshakes_at_once_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_dial, "HANDSHAKES_AT_ONCE", _AT_ONCE)
    CLIENT_KEY.write_public_key(str(tmp_path / "authorized_keys"))

    async def story() -> None:
        listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[HOST_KEY],
            authorized_client_keys=str(tmp_path / "authorized_keys"),
            server_factory=Counted,
            process_factory=_answer,
        )
        ssh, port = hosts(tmp_path), listener.get_port()
        targets = [
            HostTarget(server_id=n, name=f"m{n}", address="127.0.0.1", port=port, keys={LABEL: HostKeyKind.FINAL})
            for n in range(_HOSTS)
        ]
        async with asyncio.timeout(30):
            await asyncio.gather(*(ssh.perform(one, ReadMembers()) for one in targets), return_exceptions=True)
            await ssh.close()
        listener.close()

    asyncio.run(story())
    assert (Counted.done, Counted.most) == (_HOSTS, _AT_ONCE)


_MANY = """
import resource, socket
from hetzner_k3s.adapters.system import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
allow_open_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("hard", "soft"), [(10_000, 4096), (200, 200)])
def test_this_process_may_have_as_many_connections_as_the_system_allows(hard: int, soft: int) -> None:
    ran = subprocess.run([sys.executable, "-c", _MANY.format(hard=hard)], check=True, capture_output=True, text=True)
    assert int(ran.stdout) == soft
