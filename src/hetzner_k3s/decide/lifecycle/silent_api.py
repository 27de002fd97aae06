"""A silent Kubernetes API over a healthy etcd: waited for, then told; never a reason to replace or to reset anything.

docs/facts/recovery.md#api-down. Nodes left by lost machines must be seen before anything joins or is removed.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import ControlPlane
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.plan import Refusal, Wait

PATIENCE = 120.0
"""Seconds given to an API: at a birth it comes 20 s after its etcd, after a leader's loss as long as k3s restarts."""


def await_api(context: ServingContext) -> Proposal | None:
    """Wait for the API of a born cluster that has a healthy voter; no proposal where it was read."""
    if context.control_plane.kube is not None:
        return None
    wait = Wait(
        what="the Kubernetes API",
        because=_AT_BIRTH
        if _nobody_joined_yet(context.control_plane)
        else "Nodes left by lost machines must be seen first",
        deadline=PATIENCE,
        otherwise=_silent(context),
    )
    return Proposal(waits=(wait,))


_AT_BIRTH = "the first master has just started, and its API comes some seconds after its etcd"


def _nobody_joined_yet(control_plane: ControlPlane) -> bool:
    return not any(labelled_member(master.server) for master in control_plane.all_masters if master.server)


def _silent(context: DecisionContext) -> Refusal:
    voters = [m for m in context.control_plane.all_masters if m.facts and m.facts.serves]
    serving = [m.name for m in voters if m.facts and m.facts.supervisor.api_answers]
    names = ", ".join(m.name for m in voters)
    how = f"it serves on {', '.join(serving)}, but was not read ({_why(context)})" if serving else "on none it serves"
    healthy, place = _WHERE[context.control_plane.on_database]
    return Refusal(
        code="api.down",
        saw=f"{healthy} on {names}, but the Kubernetes API could not be read: {how}.{_complaints(context)}",
        why=f"The data is safe in {place}; a silent API is no reason to replace a master or to reset anything.",
        you_can="Look at `journalctl -u k3s` there; `systemctl restart k3s` on one master after the other, each when "
        "the one before is Ready, may help. Then run `create` again.",
    )


_WHERE = {True: ("The external database is read", "the database"), False: ("etcd is healthy", "etcd")}


def _why(context: DecisionContext) -> str:
    readings = (reading for _, reading in sorted(context.state.kube.items()))
    return next((reading.why for reading in readings if isinstance(reading, Unknown)), "not asked yet")


def _complaints(context: DecisionContext) -> str:
    told = ((m.name, m.facts.supervisor.complaint) for m in context.control_plane.all_masters if m.facts)
    first = next(((name, complaint) for name, complaint in told if complaint), None)
    return f" The last complaint of k3s on {first[0]}: {first[1].rstrip('.')}." if first else ""
