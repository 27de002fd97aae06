"""States that are not ours to repair, and what must be said about each: the names are sentences."""

from __future__ import annotations

from tests.decide.cases import case
from tests.decide.disasters import DISASTERS
from tests.decide.refused_access import OUR_ACCESS
from tests.decide.refused_database import ON_DATABASE
from tests.decide.refused_joins import BEFORE_A_JOIN, CONSENTS, UPGRADES
from tests.decide.refused_masters import KEYS, MASTERS, MEMBERS, WORKERS
from tests.decide.refused_project import BIRTH, DELETION, IDENTITY, LISTING, OWN_CLOCK
from tests.decide.refused_restore import LOST

ALL_LOST = {
    name: case(state, *codes, spec=spec, intent=intent)
    for name, (state, codes, spec, intent) in {**LOST, **ON_DATABASE}.items()
}

CASES = {
    **DISASTERS,
    **MASTERS,
    **ALL_LOST,
    **KEYS,
    **IDENTITY,
    **LISTING,
    **OUR_ACCESS,
    **OWN_CLOCK,
    **BIRTH,
    **MEMBERS,
    **WORKERS,
    **BEFORE_A_JOIN,
    **CONSENTS,
    **UPGRADES,
    **DELETION,
}
