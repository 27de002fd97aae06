"""Component arguments that k3s takes, and that end it once it has told that it is ready."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.k3s.logfmt import ShutdownRequested
from hetzner_k3s.lab.k3s.setup.flags import Flags

_ENDS_AFTER = 2.0
"""Seconds from READY=1 to the end (recording second/24)."""
_COMPONENTS = ("kube-apiserver-arg", "kube-scheduler-arg", "kube-controller-manager-arg")


async def end_on_conflict(flags: Flags) -> None:
    """End a k3s of which a component is to log otherwise than the rest: one process has one log.

    Raises:
        ShutdownRequested: with k3s' own words, a moment after it was ready.
    """
    asked = (value for component in _COMPONENTS for value in flags.many(component))
    if any(value.startswith("v=") and value != "v=0" for value in asked):
        await asyncio.sleep(_ENDS_AFTER)
        raise ShutdownRequested("the logging configuration should not be changed after setting it once")
