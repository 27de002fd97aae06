"""Run a command over SSH with strict host key checking; started by tests at the lab's operator.

Arguments: address, private key file, the expected host key (OpenSSH line), command. Prints the command's output; exit
code 3 when the host key is another one, 4 when nothing answers.
"""

from __future__ import annotations

import asyncio
import sys

import asyncssh


async def main(address: str, key: str, host_key: str, command: str) -> int:
    known = asyncssh.import_known_hosts(f"{address} {host_key}\n")
    try:
        async with asyncssh.connect(
            address, username="root", client_keys=[key], known_hosts=known, connect_timeout=5
        ) as connection:
            done = await connection.run(command)
    except asyncssh.HostKeyNotVerifiable:
        return 3
    except (OSError, TimeoutError):
        return 4
    sys.stdout.write(str(done.stdout))
    return done.exit_status or 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
