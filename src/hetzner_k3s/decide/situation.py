"""Where the cluster is: said once a plan, so that no rule asks whether another rule will speak."""

from __future__ import annotations

from hetzner_k3s.decide.disaster import split_brain
from hetzner_k3s.decide.identity import hosts, made_by_2x, project
from hetzner_k3s.decide.lifecycle import external_database
from hetzner_k3s.decide.view import all_lost, situations
from hetzner_k3s.decide.view.context import Basis
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.identity import Phase


def situation_of(basis: Basis) -> situations.Situation:
    """Return the one situation that an observation shows, what misleads the later questions first."""
    if not isinstance(basis.state.cloud, Known):
        return situations.Unlisted()
    if _has_other_data(basis):
        return situations.OtherData()
    if basis.plane.record.phase is Phase.DELETING:
        return situations.Deleting()
    if made_by_2x.is_of_2x(basis):
        return situations.MadeBy2x()
    if hosts.was_rotated(basis):
        return situations.Rotated()
    if basis.plane.on_database:
        return situations.OnDatabase()
    if split_brain.is_fencing(basis):
        return situations.SplitBrain()
    return _by_record(basis)


def _has_other_data(basis: Basis) -> bool:
    initialized = basis.plane.record.phase is Phase.BORN
    renamed = initialized and bool(project.masters_of_other_names(basis))
    return renamed or bool(external_database.datastore_agrees(basis))


def _by_record(basis: Basis) -> situations.Situation:
    match basis.plane.record.phase:
        case Phase.BORN:
            return _of_initialized(basis)
        case Phase.BOOTSTRAPPING:
            return situations.Bootstrapping()
        case _:
            return situations.Uninitialized()


def _of_initialized(basis: Basis) -> situations.Situation:
    if basis.plane.seed is not None:
        return situations.Serving(basis.plane.seed)
    if (restored := all_lost.restored_master(basis.plane)) is not None:
        return situations.Restored(restored)
    return situations.AllLost() if all_lost.all_lost(basis.plane) else situations.QuorumLost()
