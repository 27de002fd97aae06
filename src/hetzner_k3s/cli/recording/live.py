"""What `-v` and `-vv` show of a run while it goes on: the lines of its transcript, for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hetzner_k3s.model.text.wording import listed

_CALLS: Final = frozenset({"api", "ssh", "kube", "s3"})
_NAMED: Final = 5


def live_line(event: Mapping[str, Any], verbosity: int) -> str | None:
    """Return an event as a line, None where it is not to be shown."""
    kind = event["event"]
    if kind in _CALLS and verbosity < 2:
        return None
    words = _words(kind, event)
    return f"{event['at']:7.1f}s [{kind}] {words}" if words else None


def _words(kind: str, event: Mapping[str, Any]) -> str:
    match kind:
        case "api":
            status = event.get("status") or event.get("error")
            return f"{event['method']} {event['path']}: {status} in {event['seconds']:.2f} s"
        case "ssh" | "kube" | "s3":
            named = " ".join(filter(None, (event.get("server"), event["call"], event.get("subject"))))
            return f"{named}: {event['outcome']} in {event['seconds']:.2f} s"
        case "foreseen" | "decided":
            return _decision(event)
        case "started" | "finished" | "failed":
            more = event.get("because") or event.get("message") or ""
            return f"{event['step']} {event['target']}" + (f": {more}" if more else "")
        case "remark":
            return str(event["what"])
        case "phase":
            return str(event["phase"])
        case "end":
            return f"exit code {event['code']}"
    return ""


def _decision(event: Mapping[str, Any]) -> str:
    parts = [
        *_part("do", (f"{step} {target}" for step, target, _ in event["planned"])),
        *_part("wait for", (what for what, _ in event["waits"])),
        *_part("refuse", event["refused"]),
    ]
    return f"{'; '.join(parts) or 'nothing to do'} (inputs {event['inputs']['all']})"


def _part(verb: str, things: Iterable[str]) -> list[str]:
    named = list(things)
    return [f"{verb} {listed(named, _NAMED)}"] if named else []
