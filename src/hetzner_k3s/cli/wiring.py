"""Where a command's ports are opened, to the world outside or to a simulated one, and closed whatever happens."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hetzner_k3s.act.backup import Bundle
from hetzner_k3s.act.lock import LockRequest
from hetzner_k3s.adapters.hetzner import DEFAULT_ENDPOINT, HetznerCloud
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.adapters.s3 import S3Objects
from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.adapters.system import (
    DEFAULT_CHANNELS,
    BackupBundle,
    Ed25519HostKeys,
    GivenSnapshot,
    K3sChannels,
    OperatorMachine,
    SystemClock,
    SystemRng,
    allow_open_files,
    public_address,
    read_given,
)
from hetzner_k3s.adapters.system.births import Project, project_key
from hetzner_k3s.adapters.system.operator import state_directory
from hetzner_k3s.adapters.system.places import demand_writable
from hetzner_k3s.adapters.system.shell import open_shell as open_shell  # noqa: PLC0414  re-exported: for `ssh`
from hetzner_k3s.cli import library_log
from hetzner_k3s.cli.output import say
from hetzner_k3s.cli.recording import Recorder
from hetzner_k3s.cli.recording.opening import command_for_others, note_exchange, recording
from hetzner_k3s.cli.recording.wrapped import RecordedHosts, recorded
from hetzner_k3s.model.consents import Restore
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, S3Spec
from hetzner_k3s.model.tokens import parse
from hetzner_k3s.ports import Objects, Ports, Releases

if TYPE_CHECKING:
    from hetzner_k3s.lab.simulated.place import Place

T = TypeVar("T")

_RUN_ID_BYTES = 6
_PLACE: ContextVar[Place | None] = ContextVar("_PLACE", default=None)
"""The simulation that commands of this process work in; None: the world outside."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with: the ports, in whose name it would take the operator lock, and what it is for others.

    Args:
        command: with its options, without what is this machine's alone.
    """

    ports: Ports
    lock_request: LockRequest
    command: str


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end: every command ends in this one call."""
    place = _PLACE.get()
    return asyncio.run(work) if place is None else place.run(work)


@contextmanager
def simulation(seed: int, latency: str) -> Iterator[Place]:
    """Let the commands of a block work in a simulated world: same commands, same files, other ports.

    Args:
        seed: decides every draw, so the same commands tell the same story.
        latency: profile of the emulated cloud, `instant` or `typical`.
    """
    from hetzner_k3s.lab.simulated.place import Place

    with Place(seed, latency) as place:
        before = _PLACE.set(place)
        try:
            yield place
        finally:
            _PLACE.reset(before)


def is_simulated() -> bool:
    """Check whether commands of this process work in a simulation, where nothing of the user's is changed."""
    return _PLACE.get() is not None


@asynccontextmanager
async def open_session(
    spec: ClusterSpec, restore: Restore | None = None, *, kept: bool = True
) -> AsyncIterator[Session]:
    """Open the ports to a cluster's world for the length of a block.

    Args:
        spec: of the cluster.
        restore: may name a file on this machine.
        kept: whether a transcript is left here.
    """
    library_log.take_over()
    place, given = _PLACE.get(), read_given(restore)
    opened = _open_outside(spec, given, kept) if place is None else _open_simulated(spec, place, given, kept)
    async with opened as session:
        yield session


@asynccontextmanager
async def _open_simulated(
    spec: ClusterSpec, place: Place, given: GivenSnapshot | None, kept: bool
) -> AsyncIterator[Session]:
    from hetzner_k3s.cli import simulated

    session = place.world.session(spec.name, token=place.token(spec.hetzner_token.reveal()))
    laptop = session.machine
    laptop.snapshot = (given.file, given.path.read_bytes()) if given else None
    laptop.tokens = [*(given.tokens if given else ()), *_tokens()]
    holder = _holder()
    try:
        with recording(spec, session.clock, session.run, holder, simulated=True, kept=kept) as recorder:
            ports = simulated.ports(session, recorder)
            request = LockRequest(cluster=spec.name, holder=holder, run=session.run)
            yield Session(ports, request, command_for_others())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        session.end()
        place.world.check()


@asynccontextmanager
async def _open_outside(spec: ClusterSpec, given: GivenSnapshot | None, kept: bool) -> AsyncIterator[Session]:
    """Open the ports to Hetzner; `HCLOUD_ENDPOINT` takes its place, as for the official command (the lab sets it)."""
    clock, rng = SystemClock(), SystemRng()
    run, holder = rng.token_hex(_RUN_ID_BYTES), _holder()
    _end_orderly_on_sigterm()
    try:
        with recording(spec, clock, run, holder, simulated=False, kept=kept) as recorder:
            async with _outside(spec, given, run, recorder) as ports:
                yield Session(ports, LockRequest(cluster=spec.name, holder=holder, run=run), command_for_others())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@asynccontextmanager
async def _outside(
    spec: ClusterSpec, given: GivenSnapshot | None, run: str, recorder: Recorder
) -> AsyncIterator[Ports]:
    clock, rng, ssh = SystemClock(), SystemRng(), spec.ssh
    endpoint = os.environ.get("HCLOUD_ENDPOINT") or DEFAULT_ENDPOINT
    heard = partial(note_exchange, recorder)
    cloud = HetznerCloud(spec.hetzner_token, clock=clock, rng=rng, endpoint=endpoint, heard=heard)
    allow_open_files()
    connections = SshHosts(clock=clock, rng=rng, private_key_path=ssh.private_key_path, public_key=ssh.public_key)
    hosts = RecordedHosts(connections, recorder, clock)
    kube = K3sApi(hosts=hosts, forwarder=connections, clock=clock)
    ports = Ports(
        cloud=cloud,
        hosts=hosts,
        kube=kube,
        local=OperatorMachine(
            cluster=spec.name,
            kubeconfig=Path(spec.kubeconfig_path),
            run=run,
            clock=clock,
            tokens=_tokens(),
            project=_project(spec, endpoint),
            given=given,
            address=public_address() if endpoint == DEFAULT_ENDPOINT else None,
        ),
        host_keys=Ed25519HostKeys(),
        clock=clock,
        rng=rng,
        objects=_objects(spec.etcd.s3),
        releases=_releases(endpoint),
    )
    try:
        yield recorded(ports, recorder)
    finally:
        await kube.close()
        await cloud.close()
        await hosts.close()


def demand_places(spec: ClusterSpec) -> None:
    """Check that this machine lets a run write its journal and the kubeconfig, before anything is bought.

    Raises:
        LocalTrouble: it does not.
    """
    demand_writable(Path(spec.kubeconfig_path), state_directory(spec.name) / "births.jsonl")


def _project(spec: ClusterSpec, endpoint: str) -> Project:
    return Project(
        key=project_key(endpoint, spec.hetzner_token.reveal()),
        lab="" if endpoint == DEFAULT_ENDPOINT else os.environ.get("HETZNER_K3S_LAB", endpoint),
        config=spec.file,
        kubeconfig=spec.kubeconfig_path,
    )


def _releases(endpoint: str) -> Releases | None:
    """Open k3s' channels, at the URL that k3s' own installer takes: `lab run` names the lab's own."""
    url = os.environ.get("INSTALL_K3S_CHANNEL_URL") or (DEFAULT_CHANNELS if endpoint == DEFAULT_ENDPOINT else "")
    return K3sChannels(url) if url else None


def releases() -> Releases | None:
    """Open k3s' channels for a command that has no cluster; None where the lab that is used names none."""
    return _releases(os.environ.get("HCLOUD_ENDPOINT") or DEFAULT_ENDPOINT)


def _tokens() -> list[Secret]:
    """Read the k3s tokens that the user hands over for a restore: one itself, or a file of them, one a line."""
    given = [os.environ.get(name, "") for name in ("HETZNER_K3S_TOKEN", "K3S_TOKEN")]
    if path := os.environ.get("HETZNER_K3S_TOKEN_FILE"):
        try:
            given.append(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            told = f"HETZNER_K3S_TOKEN_FILE: cannot read {path} ({type(error).__name__})"
            raise ProductError(told, hint="Set it to a file of tokens, one a line, or leave it out.") from None
    return [token for text in given for token in parse(text)]


def _objects(s3: S3Spec | None) -> Objects | None:
    """Open the bucket that the file names; its library is loaded by the first call only."""
    return None if s3 is None else S3Objects(s3)


@contextmanager
def new_bundle(folder: Path) -> Iterator[Bundle]:
    """Write a backup for the length of a block: it appears when the block ends well, and leaves nothing otherwise."""
    bundle = BackupBundle(folder)
    try:
        yield bundle
        bundle.finish()
    except BaseException:
        bundle.give_up()
        raise


def _end_orderly_on_sigterm() -> None:
    """Treat SIGTERM as Ctrl-C: the operator lock is given back before the process ends."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _holder() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def to_stderr(line: str) -> None:
    """Write a line of talk."""
    say(line)
