"""The command line of the lab's `k3s`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.setup import paths

_BEGAN = time.monotonic()
_COMMIT = "66a14f0e"
_USAGE = (
    "usage: k3s server | agent | kubectl | etcd-snapshot save|ls|delete | token rotate | certificate rotate-ca | "
    "--version\n"
)


def main(version: str, arguments: list[str]) -> int:
    """Run one command.

    Args:
        version: the release this program was built as, `v1.36.3+k3s1`.
        arguments: the command line without the program's name.

    Returns:
        The exit code.
    """
    command = arguments[0] if arguments else ""
    if command in ("--version", "-v"):
        sys.stdout.write(f"k3s version {version} ({_COMMIT})\ngo version go1.26.8\n")
        return 0
    if command == "kubectl":
        _kubectl(arguments[1:])
    if command in ("server", "agent"):
        return asyncio.run(_run(command, version, arguments[1:]))
    if command in ("etcd-snapshot", "token", "certificate"):
        from hetzner_k3s.lab.k3s import tools

        return asyncio.run(tools.run(command, arguments[1:]))
    sys.stderr.write(_USAGE)
    return 1


def _kubectl(arguments: list[str]) -> NoReturn:
    os.environ.setdefault("KUBECONFIG", str(paths.KUBECONFIG))
    os.execv("/usr/bin/kubectl", ["kubectl", *arguments])


async def _run(command: str, version: str, arguments: list[str]) -> int:
    from hetzner_k3s.lab.k3s.api.status import ApiError
    from hetzner_k3s.lab.k3s.etcd.port import EtcdError

    try:
        await _start(command, version, arguments)
    except (logfmt.Fatal, EtcdError, ApiError) as problem:
        logfmt.fatal(str(problem))
        return 1
    except logfmt.ShutdownRequested as problem:
        logfmt.error(f'Shutdown request received: "{problem}"')
    return 0


async def _start(command: str, version: str, arguments: list[str]) -> None:
    from hetzner_k3s.lab.k3s.setup import flags, timing
    from hetzner_k3s.lab.k3s.setup.invocation import Invocation

    try:
        settings = flags.merge(command, flags.read_document(), os.environ, arguments)
    except (flags.UnknownFlag, OSError) as problem:
        raise logfmt.Fatal(str(problem)) from problem
    layout = paths.Layout(Path(settings.text("data-dir", str(paths.DEFAULT_DATA_DIR))))
    invocation = Invocation(settings, layout, timing.load(), version, _BEGAN)
    if command == "agent":
        from hetzner_k3s.lab.k3s.node.agent import Agent

        await Agent(invocation).run()
        return
    logfmt.info(f"Starting k3s {version} ({_COMMIT})")
    if settings.on("cluster-reset"):
        from hetzner_k3s.lab.k3s.serving.reset import Reset

        await Reset(settings, layout, invocation.timing).run()
        return
    from hetzner_k3s.lab.k3s.serving.server import Server

    await Server(invocation).run()
