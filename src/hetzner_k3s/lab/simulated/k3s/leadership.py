"""Leader election by a lease in the datastore, decided by the code of the lab's k3s."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hetzner_k3s.lab.k3s.control.election import Move, Seen, decide, is_lost, observe
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.setup.timing import LeaseTiming
from hetzner_k3s.lab.simulated.hosts.server import Server

_PREFIX = "/registry/leases/kube-system/"
_PERIOD = 5.0
"""Seconds between two looks. client-go looks every 2 s; what counts here is when a lease is lost or taken over."""

Controller = Callable[[], Coroutine[Any, Any, None]]


async def lead(
    server: Server, etcd: ModelEtcd, name: str, timing: LeaseTiming, controllers: Sequence[Controller]
) -> None:
    """Run for a lease, and run the controllers as long as it is held.

    Raises:
        Fatal: leadership was lost; k3s then exits and is started again.
    """
    memory, renewed = Seen(), 0.0
    leading: list[asyncio.Task[None]] = []
    try:
        while True:
            move, memory = await _attempt(server, etcd, name, timing, memory)
            now = server.site.now()
            if move in (Move.CREATE, Move.RENEW, Move.TAKE):
                renewed = now
                leading = leading or [server.host.spawn(controller()) for controller in controllers]
            elif leading and (move is Move.WAIT or is_lost(renewed, timing.renew_deadline, now)):
                raise Fatal(f"leaderelection lost for {name}")
            await asyncio.sleep(_PERIOD)
    finally:
        for task in leading:
            task.cancel()


async def _attempt(
    server: Server, etcd: ModelEtcd, name: str, timing: LeaseTiming, memory: Seen
) -> tuple[Move | None, Seen]:
    """Try once; None where the datastore did not answer or somebody else was faster."""
    now = server.site.now()
    try:
        found = await etcd.get(_PREFIX + name)
        entry = found.entries[0] if found.entries else None
        lease = json.loads(entry.value) if entry else None
        memory = observe(memory, lease, now)
        move = decide(lease, server.name, memory, timing.duration, now)
        if move is Move.WAIT:
            return move, memory
        spec = {"holderIdentity": server.name, "renewTime": repr(server.site.clock.now())}
        written = await etcd.put(
            _PREFIX + name, json.dumps({"spec": spec}).encode(), entry.mod_revision if entry else 0
        )
    except EtcdError:
        return None, memory
    return (move if written is not None else None), memory
