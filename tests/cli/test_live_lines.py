"""What `-v` and `-vv` show of a run while it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from hetzner_k3s.cli.recording.live import live_line


def decided(**more: Any) -> dict[str, Any]:
    """Return a decision that does nothing, unless more is said."""
    return {"event": "decided", "planned": [], "waits": [], "refused": [], "inputs": {"all": "ab12"}, **more}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "phase", "phase": "look"}, "[phase] look"),
        ({"event": "end", "code": 4}, "[end] exit code 4"),
        ({"event": "remark", "what": "not noted"}, "[remark] not noted"),
        (
            {"event": "started", "step": "PowerOn", "target": "a", "because": "it is off"},
            "[started] PowerOn a: it is off",
        ),
        (
            {"event": "failed", "step": "PowerOn", "target": "a", "message": "no answer"},
            "[failed] PowerOn a: no answer",
        ),
        ({"event": "finished", "step": "PowerOn", "target": "a"}, "[finished] PowerOn a"),
        (decided(), "[decided] nothing to do (inputs ab12)"),
        (
            decided(planned=[["PowerOn", "a", "worker"], ["PowerOn", "b", "worker"]], waits=[["a learner", "why"]]),
            "[decided] do PowerOn a, PowerOn b; wait for a learner (inputs ab12)",
        ),
        (decided(refused=["quorum.lost"]), "[decided] refuse quorum.lost (inputs ab12)"),
        (
            decided(planned=[["PowerOn", str(number), "worker"] for number in range(7)]) | {"event": "foreseen"},
            "[foreseen] do PowerOn 0, PowerOn 1, PowerOn 2, PowerOn 3, PowerOn 4 and 2 more (inputs ab12)",
        ),
    ],
)
def test_what_a_run_does_is_shown_at_once(event: dict[str, Any], words: str) -> None:
    assert live_line({"at": 12.345, **event}, 1) == f"   12.3s {words}"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "api", "method": "GET", "path": "/servers", "status": 200}, "[api] GET /servers: 200 in 0.25 s"),
        (
            {"event": "api", "method": "GET", "path": "/servers", "error": "ReadTimeout"},
            "[api] GET /servers: ReadTimeout in 0.25 s",
        ),
        (
            {"event": "ssh", "server": "a", "call": "Probe", "outcome": "done"},
            "[ssh] a Probe: done in 0.25 s",
        ),
        (
            {"event": "kube", "server": "a", "call": "drop_node", "subject": "b", "outcome": "done"},
            "[kube] a drop_node b: done in 0.25 s",
        ),
        ({"event": "s3", "call": "list", "outcome": "failed"}, "[s3] list: failed in 0.25 s"),
    ],
)
def test_calls_are_shown_to_who_asks_for_more(event: dict[str, Any], words: str) -> None:
    called = {"at": 1.0, "seconds": 0.251, **event}
    assert live_line(called, 1) is None
    assert live_line(called, 2) == f"    1.0s {words}"


def test_what_is_nobodys_line_is_not_shown() -> None:
    assert live_line({"at": 1.0, "event": "journal", "what": "run began"}, 2) is None
