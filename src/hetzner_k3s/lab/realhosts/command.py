"""External commands, run without blocking the event loop."""

from __future__ import annotations

import asyncio
import subprocess


class CommandError(Exception):
    """A command ended with an error; the text holds the command and what it said."""


async def run(*command: str, stdin: str = "") -> str:
    """Run a command to its end and give its standard output. Raises CommandError on a non-zero exit."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate(stdin.encode())
    if process.returncode:
        raise CommandError(f"{' '.join(command)}: exit {process.returncode}: {errors.decode().strip()}")
    return output.decode()
