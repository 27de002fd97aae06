"""The lab's one background process: the cloud's API, metadata service, the sites of the internet and all hosts.

Started by `lab up` with Settings; says `ready` on the pipe it was given when the API answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from hetzner_k3s.lab.cloud.cloud import Cloud
from hetzner_k3s.lab.http.app import build_app
from hetzner_k3s.lab.http.channels import channel_routes
from hetzner_k3s.lab.http.guard import LOOPBACK
from hetzner_k3s.lab.http.listening import listen
from hetzner_k3s.lab.realhosts import storage
from hetzner_k3s.lab.realhosts.hosts.admin import hosts_routes
from hetzner_k3s.lab.realhosts.hosts.machines import Plant, RealMachines
from hetzner_k3s.lab.realhosts.internet import place
from hetzner_k3s.lab.realhosts.internet.sites import NAMES, build_sites
from hetzner_k3s.lab.realhosts.network.fabric import Fabric
from hetzner_k3s.lab.realhosts.network.isolation import enter_own_world
from hetzner_k3s.lab.realhosts.network.links import GATEWAY, METADATA, OPERATOR
from hetzner_k3s.lab.realhosts.network.metadata import build_metadata_app
from hetzner_k3s.lab.realhosts.settings import PROJECT, Settings
from hetzner_k3s.lab.realhosts.state import StateFolder
from hetzner_k3s.lab.realhosts.system import SystemClock, SystemRng
from hetzner_k3s.lab.realhosts.trust import write_server_credentials, write_trust_layer

_INSTANT_CHECK_SECONDS = 1.0


class _Server(uvicorn.Server):
    """A uvicorn that leaves signals to the daemon: several of them share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> None:
    """Run the daemon until SIGTERM."""
    settings = Settings.parse(sys.argv[1])
    state = StateFolder(Path(settings.folder))
    enter_own_world(record=state.write_daemon)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(_serve(settings, state))


async def _serve(settings: Settings, state: StateFolder) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    fabric = Fabric()
    await fabric.open()
    _prepare_layer(settings, state)
    machines = RealMachines(_plant(settings, state), fabric)
    cloud = Cloud(SystemClock(), SystemRng(), machines, settings.latency, {state.token.read_text(): PROJECT})
    more = [*hosts_routes(machines, fabric), *channel_routes()]
    api = build_app(cloud, state.admin_token.read_text(), hosts={*LOOPBACK, OPERATOR}, more=more)
    tasks = [
        asyncio.create_task(cloud.run()),
        asyncio.create_task(_http(api, socket.socket(fileno=settings.listener), listen(OPERATOR, 80))),
        asyncio.create_task(_http(build_metadata_app(lambda: machines.specs), listen(METADATA, 80))),
        asyncio.create_task(_https(build_sites(_program(settings), api), state.credentials, listen(GATEWAY, 443))),
    ]
    await asyncio.to_thread(storage.serve)
    os.write(settings.ready, b"ready")
    os.close(settings.ready)
    await _until_stopped(stop, tasks)


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for SIGTERM; a part that ends by itself ends the daemon, with its error."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopping}:
        task.result()


def _prepare_layer(settings: Settings, state: StateFolder) -> None:
    """Make what all hosts of this lab share on top of the root filesystem: trust in its authority, its latency."""
    state.credentials.mkdir()
    authority = write_server_credentials(state.credentials, NAMES)
    write_trust_layer(state.layer, Path(settings.rootfs), authority)
    place.prepare(state.internet, authority)
    latency = state.layer / "etc/hetzner-k3s-lab/latency"
    latency.parent.mkdir(parents=True)
    latency.write_text(f"{settings.latency}\n")


def _plant(settings: Settings, state: StateFolder) -> Plant:
    record = state.read_record()
    if record is None:
        raise RuntimeError("started without a record")
    instant = settings.latency == "instant"
    return Plant(
        folder=state.hosts,
        layers=(state.layer, Path(settings.rootfs)),
        group=record.group,
        native_disks=settings.k3s_binary is not None,
        check_pace=(lambda seconds: min(seconds, _INSTANT_CHECK_SECONDS)) if instant else (lambda seconds: seconds),
    )


def _program(settings: Settings) -> Callable[[str], bytes]:
    if settings.k3s_binary is not None:
        binary = Path(settings.k3s_binary)
        return lambda _version: binary.read_bytes()

    def build_model(version: str) -> bytes:
        from hetzner_k3s.lab.k3s.program import build

        return build(version)

    return build_model


async def _http(app: Starlette, *sockets: socket.socket) -> None:
    await _Server(uvicorn.Config(app, lifespan="off", log_level="warning")).serve(list(sockets))


async def _https(app: Starlette, credentials: Path, *sockets: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        ssl_certfile=str(credentials / "server.crt"),
        ssl_keyfile=str(credentials / "server.key"),
    )
    await _Server(config).serve(list(sockets))


if __name__ == "__main__":
    main()
