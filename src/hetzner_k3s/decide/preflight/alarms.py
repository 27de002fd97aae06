"""etcd's alarms: a full datastore takes no writes, so nothing joins it.

See docs/facts/recovery.md#full-datastore.

A member whose data is corrupt is no voter to us (`control_plane`): never gateway, and the masters' gates speak of it.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.pending_joins import something_due
from hetzner_k3s.model.host import NOSPACE
from hetzner_k3s.model.plan import Refusal, Way

_WAY_OUT = (
    "free space on its disk or delete objects that are not needed, then restart k3s there (`systemctl restart k3s`): "
    "at its start it defragments its datastore and clears the alarm"
)


def datastore_takes_writes(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to let anything join while etcd refuses writes for want of space."""
    full = _full(context)
    if not full or not something_due(context):
        return ()
    return (
        Refusal(
            code="etcd.no-space",
            saw=f"etcd has raised the alarm NOSPACE for {', '.join(full)}, and a server has yet to join.",
            why="A datastore that is full takes no writes, so nothing can register in it.",
            you_can=f"On {full[0]}, {_WAY_OUT}. Then run `create` again.",
            ways=(Way(starts=frozenset(full[:1])),),
        ),
    )


def alarm_notes(context: DecisionContext) -> tuple[str, ...]:
    """Tell of a full datastore where nothing has to join."""
    return tuple(f"etcd has raised the alarm NOSPACE for {name}: {_WAY_OUT}" for name in _full(context))


def _full(context: DecisionContext) -> tuple[str, ...]:
    """Name the masters (or give the ids of the members) whose datastore is full, as every healthy etcd tells."""
    alarms = {alarm for m in context.control_plane.all_masters if m.facts for alarm in m.facts.etcd.alarms}
    names = {m.facts.etcd.member_id: m.name for m in context.control_plane.all_masters if m.facts}
    return tuple(sorted(names.get(member, f"member {member}") for member, alarm in alarms if alarm == NOSPACE))
