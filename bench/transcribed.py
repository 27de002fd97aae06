"""The critical path of a run on real hosts: from our transcript of it, and from what hosts and the lab remember."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.critical_path import ORDER, Step, boots, length

from hetzner_k3s.lab.realhosts.handle import LabHandle

_BOOTED = "stat --format=%.Y /var/lib/cloud/instance/boot-finished"
"""Cloud-init's last act, in UNIX seconds."""


def of_create(lab: LabHandle, transcript: Path) -> float:
    """Return the seconds of the critical path of a create or a recovery whose servers are all there still."""
    events = [json.loads(line) for line in transcript.read_text().splitlines()]
    began = float(next(event["began"] for event in events if event["event"] == "run"))
    begun, took = steps(events)
    ordered = {step: began + at for step, at in begun.items()}
    servers = [name for verb, name in ordered if verb == ORDER]
    ready = {name: float(lab.host(name).exec(_BOOTED, check=True).stdout) for name in servers}
    return length(boots(ordered, ready), took)


def of_delete(lab: LabHandle) -> float:
    """Return how long Hetzner took for the slowest server of those that were just deleted, in whole seconds."""
    found = lab.client.api("GET", "/servers/actions?per_page=50&sort=id:desc")["actions"]
    gone = [action for action in found if action["command"] == "delete_server" and action["finished"]]
    read = datetime.fromisoformat
    return max((read(action["finished"]) - read(action["started"])).total_seconds() for action in gone)


def steps(events: Iterable[dict[str, Any]]) -> tuple[dict[Step, float], dict[Step, float]]:
    """Return when each step first began, in seconds of the run, and how long the try that succeeded took."""
    first: dict[Step, float] = {}
    last: dict[Step, float] = {}
    took: dict[Step, float] = {}
    for event in events:
        step = (event.get("step", ""), event.get("target", ""))
        if event["event"] == "started":
            first.setdefault(step, event["at"])
            last[step] = event["at"]
        elif event["event"] == "finished":
            took[step] = event["at"] - last[step]
    return first, took
