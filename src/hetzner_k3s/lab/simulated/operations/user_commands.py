"""What a simulated host knows of a shell: a few words, so that `run` and `ssh` can be tried without a host.

Everything else is "command not found", as in a shell without that program.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator

from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.model.operations.commands import RunCommand, Stream

Heard = Callable[[Stream, bytes], None]

_NOT_FOUND = 127


async def run(host: Host, command: RunCommand, heard: Heard) -> int:
    """Run a text line by line: `echo`, `hostname`, `sleep`, `true`, `false`, `exit`; returns its exit status."""
    status = 0
    for number, words in _commands(command.script):
        stream = Stream.ERR if words[-1] == ">&2" else Stream.OUT
        name, arguments = words[0], [word for word in words[1:] if word != ">&2"]
        match name:
            case "exit":
                return int(arguments[0]) if arguments else status
            case "true" | "false":
                status = 0 if name == "true" else 1
            case "echo":
                status = _say(heard, stream, " ".join(arguments))
            case "hostname":
                status = _say(heard, stream, host.name)
            case "sleep":
                await asyncio.sleep(float(arguments[0]))
                status = 0
            case _:
                _say(heard, Stream.ERR, f"bash: line {number}: {name}: command not found")
                status = _NOT_FOUND
    return status


def _say(heard: Heard, stream: Stream, text: str) -> int:
    heard(stream, f"{text}\n".encode())
    return 0


def _commands(script: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(script.splitlines(), 1):
        for part in line.split(";"):
            if words := shlex.split(part, comments=True):
                yield number, words
