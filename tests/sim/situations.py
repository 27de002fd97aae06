"""All situations there are."""

from __future__ import annotations

from .situations_access import ACCESS
from .situations_addons import ADDONS
from .situations_advice import ADVICE
from .situations_birth import BIRTH
from .situations_claims import CLAIMS
from .situations_deletion import DELETION
from .situations_disaster import DISASTER
from .situations_identity import IDENTITY
from .situations_joining import JOINING
from .situations_lines import LINES
from .situations_masters import MASTERS
from .situations_older import OLDER
from .situations_operators import OPERATORS
from .situations_project import PROJECT
from .situations_restore import RESTORE_FILES
from .situations_rollout import ROLLOUT
from .situations_rotation import ROTATION
from .situations_scale import SCALE
from .situations_stock import STOCK
from .situations_tokens import TOKENS
from .situations_workers import WORKERS

_TOPICS = (
    BIRTH,
    PROJECT,
    IDENTITY,
    ROTATION,
    MASTERS,
    JOINING,
    WORKERS,
    CLAIMS,
    SCALE,
    ROLLOUT,
    ADDONS,
    LINES,
    STOCK,
    TOKENS,
    DISASTER,
    RESTORE_FILES,
    DELETION,
    ACCESS,
    OPERATORS,
    OLDER,
    ADVICE,
)
SITUATIONS = [situation for topic in _TOPICS for situation in topic.scenarios]
