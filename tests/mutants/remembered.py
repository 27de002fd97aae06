"""What functions of the product remember of earlier calls, which a test must not find: it would run fewer lines."""

from __future__ import annotations

import functools
import sys
from typing import Final

_PACKAGE: Final = "hetzner_k3s."
_LAB: Final = "hetzner_k3s.lab."
"""Is not changed by any mutant, and remembers what takes long to make."""


def forget() -> None:
    """Clear what the functions of the modules remember that are loaded by now."""
    for name, module in list(sys.modules.items()):
        if name.startswith(_PACKAGE) and not name.startswith(_LAB):
            for thing in vars(module).values():
                if isinstance(thing, functools._lru_cache_wrapper):
                    thing.cache_clear()
