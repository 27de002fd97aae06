"""Where the cluster is: said once a plan, so that no rule asks whether another rule will speak."""

from __future__ import annotations

from hetzner_k3s.decide.adopt import adoption
from hetzner_k3s.decide.disaster import split_brain
from hetzner_k3s.decide.identity import hosts, made_by_2x, project
from hetzner_k3s.decide.lifecycle import external_database
from hetzner_k3s.decide.view import all_lost, situations
from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.identity import Phase


def situation_of(context: DecisionContext) -> situations.Situation:
    """Return the one situation that an observation shows, what misleads the later questions first."""
    if not isinstance(context.state.cloud, Known):
        return situations.Unlisted()
    if _has_other_data(context):
        return situations.OtherData()
    if context.control_plane.record.phase is Phase.DELETING:
        return situations.Deleting()
    if made_by_2x.is_of_2x(context):
        return situations.MadeBy2x()
    if adoption.is_ending(context):
        return situations.Adopted()
    if hosts.was_rotated(context):
        return situations.Rotated()
    if context.control_plane.on_database:
        return _on_database(context)
    if split_brain.is_fencing(context):
        return situations.SplitBrain()
    return _by_record(context)


def _has_other_data(context: DecisionContext) -> bool:
    initialized = context.control_plane.record.phase is Phase.BORN
    renamed = initialized and bool(project.masters_of_other_names(context))
    return renamed or bool(external_database.datastore_agrees(context))


def _on_database(context: DecisionContext) -> situations.Situation:
    if context.control_plane.record.phase is not Phase.BORN:
        return situations.UninitializedOnDatabase()
    return situations.ServingOnDatabase() if isinstance(context, ServingContext) else situations.UnservedOnDatabase()


def _by_record(context: DecisionContext) -> situations.Situation:
    match context.control_plane.record.phase:
        case Phase.BORN:
            return _of_initialized(context)
        case Phase.BOOTSTRAPPING:
            return situations.Bootstrapping()
        case _:
            return situations.Uninitialized()


def _of_initialized(context: DecisionContext) -> situations.Situation:
    if isinstance(context, ServingContext):
        return situations.Serving()
    if all_lost.restored_master(context.control_plane) is not None:
        return situations.Restored()
    return situations.AllLost() if all_lost.all_lost(context.control_plane) else situations.QuorumLost()
