"""When k3s becomes active under `cloud-provider=external`: fixtures second/15 and 16, driven anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hetzner_k3s.lab.k3s.logfmt import ShutdownRequested
from hetzner_k3s.lab.k3s.node.initialization import PATIENCE, until_initialized
from hetzner_k3s.lab.k3s.node.node_object import UNINITIALIZED
from hetzner_k3s.lab.simulated.virtual_time import run

from .clusters import birth, token_of, work
from .recording import messages
from .rig import Rig, eventually

TAINTED: dict[str, Any] = {"spec": {"taints": [{"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"}]}}


@pytest.mark.realhosts
def test_agent_is_active_only_when_its_node_is_initialized(new_rig: Callable[..., Rig], recordings: Path) -> None:
    recorded = (recordings / "second" / "15-f3-agent.txt").read_text()
    waiting = next(text for _, text in messages(recorded) if "waiting for removal" in text)
    rig = new_rig()
    first = birth(rig)
    worker = work(rig, "worker1", first)
    eventually("waits", lambda: waiting in worker.log, 20, worker.tail)
    assert _shown(first.kubectl("get", "node", "worker1", "-o", "json")) == _shown(recorded_node(recorded))
    assert not worker.is_ready()
    first.kubectl("taint", "node", "worker1", f"{UNINITIALIZED}-")
    assert worker.wait_ready() > 2
    plain = rig.host("worker2")
    server = f"https://{first.address}:6443"
    plain.configure(server=server, token=token_of(first), node_name="worker2", node_ip=plain.address)
    plain.start(command="agent").wait_ready()  # without the argument it waits for nobody


def recorded_node(recorded: str) -> str:
    """Return what the recording shows of the Node: its Ready and its taint."""
    return recorded.partition("-- Node as seen from a master")[2]


def _shown(text: str) -> tuple[bool, bool]:
    return re.search(r'"type": "Ready"|\bTrue\b', text) is not None, UNINITIALIZED in text


def test_k3s_ends_when_nobody_initializes_its_node(recordings: Path) -> None:
    said: list[str] = []

    async def find() -> dict[str, Any]:
        return TAINTED

    async def wait() -> str:
        with pytest.raises(ShutdownRequested) as ended:
            await until_initialized(find, "ag1", lambda text, _level: said.append(text))
        return str(ended.value)

    last = run(wait())
    assert PATIENCE == 15 * 60
    recorded = (recordings / "second" / "16-f3-15min.txt").read_text()
    assert f'Shutdown request received: \\"{last}\\"' in recorded
    assert len(said) > 400


def test_a_node_that_is_not_read_is_not_taken_for_an_initialized_one() -> None:
    answers: list[Any] = [None, TAINTED, {"spec": {}}]

    async def find() -> Any:
        return answers.pop(0)

    run(until_initialized(find, "ag1", lambda _text, _level: None))
    assert not answers
