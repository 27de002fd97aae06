"""Transcripts written by hand, as runs of a cluster `prod` would leave them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"

Event = dict[str, Any]


def step(name: str, target: str, start: float, end: float, *, failed: str = "", because: str = "why") -> list[Event]:
    """Return the two events of a step."""
    named = {"step": name, "target": target}
    last = {"event": "failed", "message": failed} if failed else {"event": "finished"}
    return [{"at": start, "event": "started", "because": because, **named}, {"at": end, **last, **named}]


def decided(at: float, *planned: str, after: tuple[str, ...] = (), waits: tuple[str, ...] = ()) -> Event:
    """Return a decision; steps are written `Name target`, those of masters and workers by their scope."""
    pairs = [one.split(" ", 1) for one in planned]
    return {
        "at": at,
        "event": "decided",
        "inputs": {"all": "aa"},
        "planned": [[name, target, "worker" if "worker" in target else "control plane"] for name, target in pairs],
        "waits": [[what, "because"] for what in waits],
        "refused": [],
        "after": [one.split(" ", 1) for one in after],
    }


def a_run() -> list[Event]:
    """Return a run of 60 s whose way leads over the slower of two servers.

    0 look, 2 lock, 3 both servers; worker1 at 10, master1 at 40; its k3s from 41 to 50; it is waited for up to 58.
    """
    return [
        {"at": 0.0, "event": "run", "run": "abc123", "cluster": "prod", "command": "create", "who": "me@here"}
        | {"began": 1.8e9, "simulated": False},
        {"at": 0.0, "event": "phase", "phase": "look"},
        {"at": 0.5, "event": "api", "method": "GET", "path": "/servers", "seconds": 0.4, "status": 200},
        {"at": 2.0, "event": "phase", "phase": "lock"},
        decided(3.0, "CreateServer prod-master1", "CreateServer prod-worker1"),
        *step("CreateServer", "prod-worker1", 3.0, 10.0),
        *step("CreateServer", "prod-master1", 3.0, 40.0),
        {"at": 41.0, "event": "ssh", "server": "prod-master1", "call": "Probe", "seconds": 1.0, "outcome": "done"},
        decided(41.0, "InstallK3s prod-master1", after=("CreateServer prod-master1",)),
        *step("InstallK3s", "prod-master1", 41.0, 50.0),
        decided(50.5, after=("InstallK3s prod-master1",), waits=("the API",)),
        {"at": 58.0, "event": "kube", "server": "prod-master1", "call": "view", "seconds": 0.1, "outcome": "done"},
        decided(58.0, "MarkMember prod-master1"),
        *step("MarkMember", "prod-master1", 58.0, 59.0),
        {"at": 60.0, "event": "end", "code": 0},
    ]


def a_hostile_run() -> list[Event]:
    """Return a run in which whatever comes from outside is markup."""
    return [
        {
            "at": 0.0,
            "event": "run",
            "run": "bad",
            "cluster": HOSTILE,
            "command": HOSTILE,
            "who": HOSTILE,
            "began": 1.8e9,
        },
        {"at": 1.0, "event": "ssh", "server": HOSTILE, "call": HOSTILE, "seconds": 1.0, "outcome": HOSTILE},
        {"at": 1.0, "event": "api", "method": HOSTILE, "path": HOSTILE, "seconds": 0.5, "error": HOSTILE},
        decided(1.0, f"CreateServer {HOSTILE}", waits=(HOSTILE,)) | {"refused": [HOSTILE]},
        *step("CreateServer", HOSTILE, 1.0, 5.0, failed=HOSTILE, because=HOSTILE),
        *step(HOSTILE, "x", 5.0, 6.0),
        {"at": 7.0, "event": "error", "error": HOSTILE, "message": HOSTILE},
        {"at": 7.0, "event": "end", "code": 1},
    ]


def a_large_run(servers: int) -> Iterator[Event]:
    """Return a run with many servers."""
    yield {"at": 0.0, "event": "run", "run": "big", "cluster": "prod", "command": "create", "who": "me", "began": 1.8e9}
    for number in range(servers):
        yield from step("CreateServer", f"prod-worker{number}", 1.0, 10.0 + number / 10)
        yield from step("JoinWorker", f"prod-worker{number}", 11.0 + number / 10, 15.0 + number / 10)
    yield {"at": 200.0, "event": "end", "code": 0}


def write(path: Path, events: list[Event]) -> Path:
    """Write a transcript."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path
