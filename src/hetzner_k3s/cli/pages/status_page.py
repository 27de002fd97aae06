"""The page of a cluster as it is: what `status` shows, to be looked at or sent to somebody."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version
from typing import Final

from hetzner_k3s.cli.pages.page import render
from hetzner_k3s.cli.render.plan import forecast_lines
from hetzner_k3s.cli.render.status import identity_line, remarks
from hetzner_k3s.cli.render.tables import age
from hetzner_k3s.model.report import Health, MemberReport, MemberState, Report, ServerReport
from hetzner_k3s.model.text.wording import size

_TONES: Final = {Health.HEALTHY: "good", Health.DEGRADED: "warn"}
_WELL: Final = frozenset({MemberState.LEADER, MemberState.VOTER})
_NONE: Final = "-"


def status_page(report: Report) -> str:
    """Return the page of a report."""
    quorum = report.quorum
    return render(
        "status.html",
        (),
        {
            "report": report,
            "version": version("hetzner-k3s"),
            "when": f"{datetime.fromtimestamp(report.observed_at).astimezone():%Y-%m-%d %H:%M:%S %Z}",
            "tone": _TONES.get(report.health, "bad"),
            "identity": identity_line(report),
            "quorum": f"{quorum.healthy} of {quorum.voters} healthy, {quorum.needed} needed" if quorum else _NONE,
            "running": "; ".join(f"{name} on {len(on)}" for name, on in report.versions.items()) or "none",
            "steps": sum(map(len, report.forecast.waves)),
            "servers": [_server_row(server) for server in report.servers],
            "members": [_member_row(member) for member in report.members],
            "snapshots": [
                {"name": s.name, "where": s.where, "age": age(s.age), "size": size(s.size)} for s in report.snapshots
            ],
            "remarks": list(remarks(report)),
            "ahead": list(forecast_lines(report.cluster, report.forecast)),
        },
    )


def _server_row(server: ServerReport) -> dict[str, object]:
    unit = f"{server.version or ''} {server.unit or ''}".strip()
    cells = {
        "id": "" if server.id is None else str(server.id),
        "hetzner": server.hetzner,
        "address": server.address,
        "host": server.host,
        "k3s": unit,
        "etcd": server.etcd,
        "node": server.node,
    }
    return {
        "name": server.name,
        "role": server.role if server.in_file else f"{server.role}, not in the file",
        "tone": "" if _is_well(server) else "bad",
        "detail": server.detail,
        **{name: cell or _NONE for name, cell in cells.items()},
    }


def _is_well(server: ServerReport) -> bool:
    seen = (server.hetzner, server.host, server.node, server.detail)
    return seen == ("running", "answers", "Ready", "")


def _member_row(member: MemberReport) -> dict[str, str]:
    return {
        "name": member.name or _NONE,
        "address": member.address,
        "state": member.state.value,
        "tone": "" if member.state in _WELL else "bad",
        "connected": ", ".join(member.connected) or _NONE,
    }
