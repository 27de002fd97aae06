"""Measures looking at many hosts by SSH: the shipped adapter against a plain loop over asyncssh, on loopback.

The hosts are asyncssh servers, each with a port and a host key of its own, all in one process; each client runs in
another one, so its CPU and memory are told by themselves. Prints figures; nothing is asserted (budget: 500 hosts in
8 s on two cores and 400 MB, docs/performance.md). On a busy machine compare the CPU seconds: with two cores free the
time is about that of the busier side.

Usage: python bench/ssh_scale.py [HOSTS] [SILENT] [LOGIN]: so many hosts, so many more that never answer (the shipped
adapter alone is sent there), and the seconds that a login takes beside its CPU (far hosts).
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import asyncssh

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.adapters import silence
from tests.hosts.test_operations import LOOK

from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.adapters.system import SystemClock, SystemRng, allow_open_files
from hetzner_k3s.hosts import operations
from hetzner_k3s.model.errors import HostUnreachable
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget, host_key_label
from hetzner_k3s.model.operations.looks import Probe

_SECONDS: Final = 8.0
_MEGABYTES: Final = 400
_NOBODYS: Final = "nobody's"
"""The host key of the silent hosts."""
_MARK: Final = re.compile(r"printf '\\n([0-9a-f]{16})\\n'")

Figures = dict[str, float]


def main() -> None:
    """Measure and print, or be one of the processes that are measured."""
    match sys.argv[1:]:
        case ["serve", hosts, silent, login, folder]:
            asyncio.run(_serve(int(hosts), int(silent), float(login), Path(folder)))
        case ["client", name, folder]:
            asyncio.run(_client(_CLIENTS[name], Path(folder)))
        case given:
            hosts, silent, login = [*given, *("500", "0", "0")[len(given) :]]
            _compare(int(hosts), int(silent), float(login))


def _compare(hosts: int, silent: int, login: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(f"{name}/key")
        key.write_public_key(f"{name}/key.pub")
        plain = _measured("plain", Path(name), hosts, 0, login)
        shipped = _measured("shipped", Path(name), hosts, silent, login)
    _tell("plain loop", plain, hosts)
    _tell("shipped adapter", shipped, hosts, silent)
    sys.stdout.write(
        f"ratio: {shipped['seconds'] / plain['seconds']:.2f} of the time, {shipped['cpu'] / plain['cpu']:.2f} of the "
        f"CPU; {shipped['seconds'] / _SECONDS:.0%} of {_SECONDS:.0f} s, {shipped['rss'] / _MEGABYTES:.0%} of "
        f"{_MEGABYTES} MB\n"
    )


def _tell(what: str, figures: Figures, hosts: int, silent: int = 0) -> None:
    others = f" and {silent} silent" if silent else ""
    sys.stdout.write(
        f"{what:16} {hosts} hosts{others} in {figures['seconds']:5.2f} s; CPU {figures['cpu']:5.2f} s here, "
        f"{figures['served']:5.2f} s of all hosts; peak RSS {figures['rss']:.0f} MB\n"
    )


def _measured(client: str, folder: Path, hosts: int, silent: int, login: float) -> Figures:
    """Run hosts and a client, each in a process; return what the client measured, and the CPU seconds of the hosts."""
    line = [sys.executable, __file__]
    with subprocess.Popen(
        [*line, "serve", str(hosts), str(silent), str(login), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        serving.stdout.readline()
        ran = subprocess.run([*line, "client", client, str(folder)], check=False, stdout=subprocess.PIPE, text=True)
        served, _ = serving.communicate("\n")
    ran.check_returncode()
    return {**json.loads(ran.stdout), "served": float(served)}


async def _serve(hosts: int, silent: int, login: float, folder: Path) -> None:
    """Serve until a line comes; then say how much CPU it took."""
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(hosts)]
    authorized = asyncssh.read_authorized_keys(str(folder / "key.pub"))
    listeners = [
        await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[key],
            authorized_client_keys=authorized,
            server_factory=lambda: _Host(login),
            process_factory=_answer,
        )
        for key in keys
    ]
    labels = [host_key_label(key.public_data) for key in keys]
    places = [(listener.get_port(), label) for listener, label in zip(listeners, labels, strict=True)]
    with ExitStack() as stack:
        quiet = [(stack.enter_context(silence.silent()), _NOBODYS) for _ in range(silent)]
        (folder / "places").write_text(json.dumps([*places, *quiet]))
        began = time.process_time()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        sys.stdout.write(f"{time.process_time() - began}\n")
        sys.stdout.flush()


class _Host(asyncssh.SSHServer):
    """A host whose login takes a while."""

    def __init__(self, login: float) -> None:
        self._login = login

    async def begin_auth(self, _username: str) -> bool:
        await asyncio.sleep(self._login)
        return True


async def _answer(process: asyncssh.SSHServerProcess[str]) -> None:
    found = _MARK.search((process.command or "").replace("'\"'\"'", "'"))
    mark = found[1] if found else ""
    process.stdout.write(f"\n{mark}\n{json.dumps({'result': LOOK})}\n{mark}\n")
    process.exit(0)


async def _client(look: Callable[[list[HostTarget], Path], Awaitable[None]], folder: Path) -> None:
    """Look at all hosts and print what it took."""
    allow_open_files()
    targets = [
        HostTarget(server_id=n, name=f"host{n}", address="127.0.0.1", port=port, keys={label: HostKeyKind.FINAL})
        for n, (port, label) in enumerate(json.loads((folder / "places").read_text()))
    ]
    began, cpu = time.perf_counter(), time.process_time()
    await look(targets, folder)
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(figures))


async def _plain(targets: list[HostTarget], folder: Path) -> None:
    """Connect to all at once, with what asyncssh does by itself, and read the answer to the same command."""

    async def look(target: HostTarget) -> None:
        mark = f"{target.server_id:016x}"
        async with asyncssh.connect(
            target.address, target.port, username="root", client_keys=[str(folder / "key")], known_hosts=None
        ) as connection:
            answer = await connection.run(operations.invocation(Probe(), mark).command, encoding=None)
        printed = answer.stdout
        assert isinstance(printed, bytes)
        operations.read_answer(Probe(), printed, mark, HostKeyKind.FINAL, target.name)

    await asyncio.gather(*map(look, targets))


async def _shipped(targets: list[HostTarget], folder: Path) -> None:
    public = (folder / "key.pub").read_text()
    hosts = SshHosts(clock=SystemClock(), rng=SystemRng(), private_key_path=str(folder / "key"), public_key=public)
    seen = await asyncio.gather(*(hosts.perform(target, Probe()) for target in targets), return_exceptions=True)
    await hosts.close()
    wrong = [one for one in seen if isinstance(one, BaseException) and not isinstance(one, HostUnreachable)]
    lost = [str(one) for one in seen if isinstance(one, HostUnreachable)]
    assert not wrong, wrong[0]
    assert len(lost) == sum(_NOBODYS in target.keys for target in targets), lost


_CLIENTS: Final[dict[str, Any]] = {"plain": _plain, "shipped": _shipped}


if __name__ == "__main__":
    main()
