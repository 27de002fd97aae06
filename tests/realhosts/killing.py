"""Kills a run of the product at a point that is hit exactly: while an API call hangs, or when a fact is seen."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.realhosts.cluster import NAME, Cluster, tell

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.hosts.inside import HostOffError

Seen = Callable[[str], bool]
"""Tells by what a run has written to stderr, or by other facts, that the point is reached where it is killed."""

_HANGS = 25.0
"""Seconds that a pinned call hangs: below the product's time-out for an answer, far above what a kill takes."""


@dataclass(frozen=True, slots=True)
class Call:
    """An API call to stop a run at.

    Args:
        method, path: as in the request log; `path` is a regular expression for the whole path.
        carried_out: whether its effect happens before the answer hangs.
        skip: how many such calls pass before.
    """

    method: str
    path: str
    carried_out: bool
    skip: int = 0


@contextmanager
def hanging(lab: LabHandle, call: Call) -> Iterator[Callable[[], bool]]:
    """Let a call, and all later ones of its kind, hang; gives a function that tells whether it was made."""
    rule = {"method": call.method, "path": call.path, "skip": call.skip, "always": True}
    effects: list[dict[str, Any]] = [{"effect": "delay", "seconds": _HANGS}]
    if not call.carried_out:
        effects.append({"effect": "error"})
    numbers = [lab.client.lab("POST", "faults", {**rule, **effect})["fault"]["id"] for effect in effects]

    def made() -> bool:
        rules = lab.client.lab("GET", "faults")["faults"]
        return any(r["id"] == numbers[0] and r["acted"] for r in rules)

    try:
        yield made
    finally:
        for number in numbers:
            lab.client.lab("DELETE", f"faults/{number}")


def kill_once(cluster: Cluster, seen: Seen, *words: str, within: float = 90.0) -> str:
    """Run a command and SIGKILL it as soon as something is seen; gives what it wrote to stderr until then."""
    path = cluster.folder / "talk"
    with path.open("w") as stderr:
        process = cluster.start(*words, stderr=stderr)
    try:
        _until(process, lambda: seen(path.read_text()), within)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        process.kill()
        process.wait(timeout=30)
        tell(f"{' '.join(words)}, killed", path.read_text())
    return path.read_text()


def kill_at(cluster: Cluster, call: Call, *words: str, also: Seen = lambda _: True) -> str:
    """Run a command and SIGKILL it while an API call hangs (and something else is seen)."""
    with hanging(cluster.lab, call) as made:
        return kill_once(cluster, lambda talk: made() and also(talk), *words)


def kill_after(cluster: Cluster, seconds: float, *words: str) -> None:
    """Run a command and SIGKILL it after some time; one that has ended by then must have done its work."""
    path = cluster.folder / "talk"
    with path.open("w") as stderr:
        process = cluster.start(*words, stderr=stderr)
    try:
        assert process.wait(timeout=seconds) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=30)
    finally:
        tell(f"{' '.join(words)}, killed after {seconds:.1f} s", path.read_text())


def peek(cluster: Cluster, server: str, script: str) -> str:
    """Run a script inside a host that may not be there yet; gives what it printed."""
    try:
        return cluster.lab.host(server).exec(script).stdout.strip()
    except (LookupError, HostOffError):
        return ""


def said(talk: str, server: str, what: str) -> bool:
    """Tell whether a run has told that of a server."""
    short = server.removeprefix(f"{NAME}-")
    return any(line.split(maxsplit=2)[1:2] == [short] and what in line for line in talk.splitlines())


def _until(process: subprocess.Popen[str], seen: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while not seen():
        assert process.poll() is None, f"the run ended with {process.returncode} before the point was reached"
        assert time.monotonic() < deadline, f"the point was not reached in {within:.0f} s"
        time.sleep(0.02)
