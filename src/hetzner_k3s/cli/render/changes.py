"""What became another between two reports of a cluster, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from hetzner_k3s.cli.render.status import remarks
from hetzner_k3s.model.report import Report
from hetzner_k3s.model.text.wording import listed

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Change:
    """`what` of a `subject` is `after` and was `before`; without a `what` it is a remark that came or went."""

    at: float
    subject: str
    what: str
    before: str
    after: str


def changes(before: Report, after: Report) -> tuple[Change, ...]:
    """Return what changed; ages and the time of the look are no changes."""
    at, cluster = after.observed_at, after.cluster
    old, new = dict(_facts(before)), dict(_facts(after))
    keys = [key for key in {**old, **new} if old.get(key, "") != new.get(key, "")]
    said, says = _remarks(before), _remarks(after)
    return (
        *(Change(at, *key, old.get(key, ""), new.get(key, "")) for key in keys),
        *(Change(at, cluster, "", remark, "") for remark in said if remark not in says),
        *(Change(at, cluster, "", "", remark) for remark in says if remark not in said),
    )


def change_line(change: Change) -> str:
    """Render a change."""
    when = f"{datetime.fromtimestamp(change.at).astimezone():%H:%M:%S}"
    if not change.what:  # a remark, which is there or not
        return f"{when} {change.subject}: {'now' if change.after else 'no longer'}: {change.after or change.before}"
    return f"{when} {change.subject}: {change.what} {change.before or '-'} -> {change.after or '-'}"


def _facts(report: Report) -> Iterator[tuple[tuple[str, str], str]]:
    """Return every fact as (subject, what) and its value."""
    yield (report.cluster, "health"), report.health.value
    for server in report.servers:
        unit = f"{server.version or ''} {server.unit or ''}".strip()
        told = {"Hetzner": server.hetzner, "address": server.address, "host": server.host, "stage": server.stage}
        for what, value in {**told, "k3s": unit, "etcd": server.etcd, "Node": server.node}.items():
            yield (server.name, what), value or ""
    for member in report.members:
        yield (member.name, "member"), member.state.value
    yield (report.cluster, "newest snapshot"), report.snapshots[0].name if report.snapshots else ""
    yield (report.cluster, "would do"), _pending(report)
    yield (report.cluster, "refuses"), ", ".join(refusal.code for refusal in report.forecast.refusals)


def _remarks(report: Report) -> tuple[str, ...]:
    return (*report.because, *remarks(report))


def _pending(report: Report) -> str:
    steps: Sequence[str] = [str(planned.key) for wave in report.forecast.waves for planned in wave]
    return listed(steps, _NAMED)
