"""Hosts that were broken into, or whose login shell merely talks: what root's shell does with each SSH command.

sshd runs a command through root's bash, which reads `.bashrc` first; that one learns the command from its own command
line, and with it the mark that an answer has to stand between.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from tests.realhosts.cluster import Cluster

_BEGIN = """\
mapfile -d '' -t words <"/proc/$$/cmdline"
command=${words[2]}
mark=$(grep -o '[0-9a-f]\\{16\\}' <<<"$command" | head -n 1)
"""

TALKING = f"""{_BEGIN}
talk() {{ echo "welcome to $(hostname)"; cat /root/.talk 2>/dev/null; }}
talk; talk >&2
if [ -s /root/.inside ] && [[ $command == *"$(cat /root/.inside)"* ]]; then
    bash -c "$command" | sed 'r /root/.talk'
    status=${{PIPESTATUS[0]}}
else
    bash -c "$command"
    status=$?
fi
talk; talk >&2
exit $status
"""
"""Talks before and after each command, on both channels: a line of its own and what lies in `/root/.talk`.

That also stands inside the answer of commands that hold the text in `/root/.inside`.
"""


def answering(script: str) -> str:
    """Return a `.bashrc` that answers every command with what a script prints, rightly framed."""
    return f"{_BEGIN}\nprintf '\\n%s\\n' \"$mark\"\n{script}\nprintf '\\n%s\\n' \"$mark\"\nexit 0\n"


def written(path: str, content: bytes) -> str:
    """Return the shell command that writes a file of the lab's host."""
    return f"echo {base64.b64encode(content).decode()} | base64 -d >{shlex.quote(path)}"


@contextmanager
def login_shell(cluster: Cluster, servers: tuple[str, ...], bashrc: str) -> Iterator[None]:
    """Give root of these hosts another `.bashrc` for the length of a block."""
    for server in servers:
        cluster.sh(server, f"mv /root/.bashrc /root/.bashrc.old; {written('/root/.bashrc', bashrc.encode())}")
    try:
        yield
    finally:
        for server in servers:
            cluster.sh(server, "mv /root/.bashrc.old /root/.bashrc")
