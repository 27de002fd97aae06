"""Runs a command of the user's on hosts, so many at a time, and tells a sink what they print and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from hetzner_k3s.cli.render.command_output import Result, Sink
from hetzner_k3s.cli.targets import Target
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.ports import Ports


async def run_on(
    ports: Ports, command: RunCommand, hosts: Sequence[Target], parallel: int, sink: Sink
) -> tuple[Result, ...]:
    """Run a command on these hosts, `parallel` of them at a time; one that cannot be asked harms no other."""
    places = asyncio.Semaphore(parallel)

    async def one(target: Target) -> Result:
        async with places:
            result = await _run(ports, command, target, sink)
        sink.ended(result)
        return result

    return tuple(await asyncio.gather(*map(one, hosts)))


async def _run(ports: Ports, command: RunCommand, target: Target, sink: Sink) -> Result:
    if target.host is None or target.why:
        return Result(target.name, None, f"not run: {target.why or 'it has no address'}", 0.0)
    began = ports.clock.monotonic()
    try:
        status = await ports.hosts.run(target.host, command, partial(sink.heard, target.name))
    except ProductError as failure:
        return Result(target.name, None, str(failure), ports.clock.monotonic() - began)
    return Result(target.name, status, "", ports.clock.monotonic() - began)
