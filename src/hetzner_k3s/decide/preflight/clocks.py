"""Clocks of hosts held against that of the master that everything is done through.

See docs/facts/recovery.md#clocks.

k3s judges by time: a file that is three seconds newer than the datastore's copy ends its start, and so does a
certificate that is not valid yet.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.pending_joins import masters_due
from hetzner_k3s.model import lookup
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.text.dates import date_of

WORTH_A_WORD = 5.0
"""Seconds of difference that are told."""

UNUSABLE = 300.0
"""Seconds by which this machine's clock may be wrong: S3 refuses signatures that are 900 s old."""

TOO_FAR = 30.0
"""Seconds of difference with which nothing joins."""


def clocks_agree(context: ServingContext) -> tuple[Refusal, ...]:
    """Refuse to let a master join whose clock is far from the gateway's; a first boot may yet set it right."""
    ready = [m for m in masters_due(context) if m.may_join_now]
    return tuple(_apart(context, m, ahead) for m in ready if abs(ahead := _ahead_of_gateway(context, m)) > TOO_FAR)


def _ahead_of_gateway(context: ServingContext, master: MasterView) -> float:
    return (master.facts.ahead if master.facts else 0.0) - context.gateway.facts.ahead


def _gateway_ahead(context: DecisionContext) -> float:
    gateway = context.control_plane.gateway
    return gateway.facts.ahead if gateway else 0.0


def _apart(context: ServingContext, master: MasterView, ahead: float) -> Refusal:
    return Refusal(
        code="clock.skew",
        saw=f"The clock of {master.name} is {_apart_by(ahead)} that of "
        f"{context.gateway.name}, through which it would join.",
        why=f"k3s judges certificates and files by their time; with more than {TOO_FAR:.0f} s between two masters "
        "nothing is joined.",
        you_can="Set the wrong one of the two right (`timedatectl` shows whether time is synchronised), and run "
        "`create` again.",
        transient=True,
    )


def own_clock_right(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to change anything while this machine's clock is so wrong that what it makes is not valid elsewhere.

    Hetzner's clock is the judge, where it told; else the cluster's.
    """
    ahead = context.state.own_clock_behind
    if abs(ahead) <= UNUSABLE:
        return ()
    here, there = _time(context.state.observed_at), _time(context.state.observed_at + ahead)
    return (
        Refusal(
            code="clock.own",
            saw=f"This machine's clock says {here}, {_judge(context)} says {there}.",
            why=f"With more than {UNUSABLE / 60:.0f} minutes between them certificates count as not yet valid or "
            "expired, and S3 refuses what is signed here.",
            you_can="Set this machine's clock right (`timedatectl set-ntp true`), and run the command again.",
        ),
    )


def _time(seconds: float) -> str:
    date = date_of(seconds)
    return f"{date:%Y-%m-%d %H:%M:%S} UTC" if date is not None else "a time that is no date"


def _apart_by(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"


def clock_notes(context: DecisionContext) -> tuple[str, ...]:
    """Tell of clocks that are some seconds off: each host's against the gateway's, the gateway's against Hetzner's."""
    gateway = context.control_plane.gateway
    if gateway is None:
        return ()
    hosts = ((s.name, context.state.facts(s.id)) for s in lookup.owned_servers(context.spec.name, context.view))
    apart = [(name, facts.ahead - _gateway_ahead(context)) for name, facts in hosts if facts]
    wrong = _gateway_ahead(context) - (context.view.ahead or 0.0) if context.view.ahead is not None else 0.0
    return (
        *((f"the clock of {gateway.name} is {_apart_by(wrong)} Hetzner's",) if abs(wrong) > WORTH_A_WORD else ()),
        *(
            f"the clock of {name} is {_apart_by(ahead)} that of {gateway.name}"
            for name, ahead in apart
            if abs(ahead) > WORTH_A_WORD
        ),
    )


def own_clock_told(context: DecisionContext) -> tuple[str, ...]:
    """Tell that this machine's clock is some seconds off."""
    ahead = context.state.own_clock_behind
    return (f"its clock is {_apart_by(-ahead)} {_judge(context)}",) if abs(ahead) > WORTH_A_WORD else ()


def _judge(context: DecisionContext) -> str:
    return "Hetzner's clock" if context.view.ahead is not None else "the cluster's clock"


def own_clock_note(context: DecisionContext) -> tuple[str, ...]:
    """Tell the same among the notes of a plan."""
    return tuple(f"this machine: {told}" for told in own_clock_told(context))
