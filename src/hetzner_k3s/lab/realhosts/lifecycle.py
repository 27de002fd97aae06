"""`lab up`, `down`, `status` and `run`."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import socket
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from hetzner_k3s.lab.http.channels import CHANNELS_PATH
from hetzner_k3s.lab.realhosts.apt_source import NoAptSourceError
from hetzner_k3s.lab.realhosts.client import LabClient
from hetzner_k3s.lab.realhosts.debian import RootfsBuildError
from hetzner_k3s.lab.realhosts.hosts.cgroups import lab_group
from hetzner_k3s.lab.realhosts.hosts.inotify import raise_limit, restore_limit
from hetzner_k3s.lab.realhosts.network.links import OPERATOR
from hetzner_k3s.lab.realhosts.requirements import advice, missing
from hetzner_k3s.lab.realhosts.rootfs import ensure_rootfs
from hetzner_k3s.lab.realhosts.settings import Settings
from hetzner_k3s.lab.realhosts.state import Record, StateFolder
from hetzner_k3s.model.errors import ExitCode, ProductError

OPERATOR_ENDPOINT = f"http://{OPERATOR}/v1"
OPERATOR_CHANNELS = f"http://{OPERATOR}{CHANNELS_PATH}"

_DAEMON = "daemon"
_OPERATORS = "operators"
_TERM_SECONDS = 10.0
_KILL_SECONDS = 30.0
_ALPHABET = string.ascii_letters + string.digits
_TOKEN_LENGTH = 64  # as at Hetzner (docs/facts/hetzner-api.md#tokens)


class LabError(ProductError):
    """The lab cannot do what was asked."""


class LabUnsupported(LabError):
    """This machine cannot run hosts, or the arguments make no sense here."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Running:
    """A lab that runs: where its API answers on this machine, and the process whose namespaces are its router's."""

    state: StateFolder
    record: Record
    daemon: int

    @property
    def endpoint(self) -> str:
        """Return the API's address on this machine's loopback."""
        return f"http://127.0.0.1:{self.record.port}/v1"

    @property
    def token(self) -> str:
        """Read the API token."""
        return self.state.token.read_text()

    def client(self) -> LabClient:
        """Give access to the lab's API and its own interface."""
        return LabClient(self.endpoint, self.token, self.state.admin_token.read_text())


def up(folder: Path, latency: str, k3s_binary: Path | None, say: Callable[[str], object]) -> Running:
    """Start a lab in the background; returns when its API answers.

    `say` takes lines for the user. Raises LabUnsupported, LabError; whatever interrupts it, nothing stays behind.
    """
    _require_support(folder)
    state = StateFolder(folder)
    try:
        with state.locked(wait=False), _usual_modes():
            return _up_locked(state, latency, k3s_binary, say)
    except BlockingIOError:
        raise LabError(f"another `lab up` or `lab down` is at work on {state.folder}") from None


def down(folder: Path) -> bool:
    """End a lab and remove all of it, crashed ones too; gives False when there was none."""
    state = StateFolder(folder)
    if not state.folder.exists():
        return False
    with state.locked(wait=True):
        record = state.read_record()
        if record is None:
            _leave_foreign(state)
            return False
        _end(state, record)
        state.remove()
    return True


def find_running(folder: Path) -> Running:
    """Return the lab that runs with this state directory. Raises LabError when none does."""
    state = StateFolder(folder)
    record, daemon = state.read_record(), state.daemon()
    if record is None or daemon is None or not record.port:
        raise LabError("no lab is running", hint="start one: hetzner-k3s lab up")
    return Running(state, record, daemon)


def operator_command(lab: Running, command: list[str]) -> list[str]:
    """Return the command line that runs `command` where the lab's operator sits, outside of all hosts.

    It enters a control group first, by which `down` finds it.
    """
    group = lab.record.group.child(_OPERATORS)
    return group.entering(["nsenter", f"--net=/proc/{lab.daemon}/ns/net", "--", *command])


def operator_environment(lab: Running) -> dict[str, str]:
    """Return this process's environment with the lab as the Hetzner API, and as the list of k3s' releases."""
    # What is remembered of a cluster in this lab goes with it: the next one has another name.
    name = hashlib.sha256(lab.token.encode()).hexdigest()[:12]
    endpoint = {
        "HCLOUD_ENDPOINT": OPERATOR_ENDPOINT,
        "HCLOUD_TOKEN": lab.token,
        "INSTALL_K3S_CHANNEL_URL": OPERATOR_CHANNELS,
    }
    return {**os.environ, **endpoint, "HETZNER_K3S_LAB": name}


def become_operator(lab: Running, command: list[str]) -> NoReturn:
    """Replace this process by a command at the operator's place: exit code and signals are the command's own."""
    line = operator_command(lab, command)
    os.execvpe(line[0], line, operator_environment(lab))


def _require_support(folder: Path) -> None:
    if lacking := missing():
        raise LabUnsupported(f"real hosts cannot run here, missing: {', '.join(lacking)}", hint=advice(lacking))
    if _filesystem(folder) == "overlayfs":
        raise LabUnsupported(f"{folder} lies on an overlay, and overlays do not stack", hint="choose another --state")
    if folder.resolve().is_relative_to("/run"):
        raise LabUnsupported("the state directory must not lie below /run: each lab has a /run of its own")


def _filesystem(folder: Path) -> str:
    """Name the kind of filesystem a folder lies on, or will."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    command = ["stat", "--file-system", "--format=%T", str(existing)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def _usual_modes() -> Iterator[None]:
    """Make files with the modes that a system expects, whatever the user's umask: a host's root folder is one of them.

    Others are kept out by the lab's own folders, which are closed.
    """
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _up_locked(state: StateFolder, latency: str, k3s_binary: Path | None, say: Callable[[str], object]) -> Running:
    if state.is_foreign:
        raise LabUnsupported(f"{state.folder} is not empty and holds no lab", hint="choose another --state")
    state.close()
    if state.daemon() is not None:
        raise LabError(f"a lab is running already (state in {state.folder})", hint="end it: hetzner-k3s lab down")
    if crashed := state.read_record():
        say("removing what a crashed lab left")
        _end(state, crashed)
    record = Record(state.name, lab_group(state.name), latency, port=0)
    state.write_record(record)
    try:
        return _start(state, record, k3s_binary, say)
    except BaseException:
        _end(state, record)
        state.remove()
        raise


def _start(state: StateFolder, record: Record, k3s_binary: Path | None, say: Callable[[str], object]) -> Running:
    rootfs = _rootfs(say)
    for path in (state.token, state.admin_token):
        state.write_secret(path, "".join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_LENGTH)))
    raise_limit(state.name)
    record.group.create()
    for part in (_DAEMON, _OPERATORS):
        record.group.child(part).create()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        record = replace(record, port=listener.getsockname()[1])
        _run_daemon(state, record, rootfs, k3s_binary, listener)
    state.write_record(record)
    return find_running(state.folder)


def _rootfs(say: Callable[[str], object]) -> Path:
    try:
        return ensure_rootfs(lambda: say("making the hosts' root filesystem (once, about a minute)"))
    except (RootfsBuildError, NoAptSourceError) as error:
        raise LabError(f"the hosts' root filesystem cannot be made: {error}") from error


def _run_daemon(
    state: StateFolder, record: Record, rootfs: Path, k3s_binary: Path | None, listener: socket.socket
) -> None:
    """Start the daemon and wait until it is ready. Raises LabError with the end of its log when it ends before."""
    wait, ready = os.pipe()
    binary = str(k3s_binary.resolve()) if k3s_binary else None
    settings = Settings(str(state.folder), str(rootfs), record.latency, binary, listener.fileno(), ready)
    command = [sys.executable, "-m", "hetzner_k3s.lab.realhosts.daemon", settings.dump()]
    try:
        with state.log.open("wb") as log:
            subprocess.run(
                record.group.child(_DAEMON).entering(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listener.fileno(), ready),
                start_new_session=True,
                check=False,
                cwd="/",
            )
        os.close(ready)
        if os.read(wait, 5) != b"ready":
            raise LabError(f"the lab did not start:\n{state.log.read_text()[-2000:]}")
    finally:
        os.close(wait)


def _leave_foreign(state: StateFolder) -> None:
    """Undo what taking the lock did to a folder that holds no lab."""
    foreign = state.is_foreign
    (state.folder / "lock").unlink()
    if not foreign:
        state.folder.rmdir()


def _end(state: StateFolder, record: Record) -> None:
    """End every process, and remove everything but the folder and its lock."""
    if os.getpid() in record.group.processes():
        raise LabError("`lab down` inside `lab run` would end itself", hint="run it outside")
    _end_daemon(state)
    record.group.kill()  # operators' processes, too: they hold the router's namespace
    record.group.remove()
    restore_limit(state.name)
    state.empty()


def _end_daemon(state: StateFolder) -> None:
    for number, seconds in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        daemon = state.daemon()
        if daemon is None:
            return
        os.kill(daemon, number)
        deadline = time.monotonic() + seconds
        while state.daemon() is not None and time.monotonic() < deadline:
            time.sleep(0.02)
    raise LabError("the lab's process does not end")
