"""A simulated world that outlives the commands run in it: for the same command line, on a machine without hosts."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.virtual_time import VirtualTimeLoop
from hetzner_k3s.lab.simulated.world import OTHER_TOKEN, TOKEN, World, world

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that can happen to a server: what it is called, and what strikes."""

    what: str
    fault: Callable[[str], faults.Fault]


MISHAPS: Final[Mapping[str, Mishap]] = {
    "lose": Mishap("its server is deleted at Hetzner", faults.ServerDeleted),
    "off": Mishap("its power is cut; `heal` gives it back", faults.PoweredOff),
    "reboot": Mishap("its power is cut and given back", faults.Rebooted),
    "rebuild": Mishap("it gets a fresh disk in place", faults.Rebuilt),
    "wipe": Mishap("its database directory is deleted, its TLS files stay", faults.DatabaseDeleted),
    "silence": Mishap("it answers no SSH; `heal` lets it answer again", faults.SshSilent),
    "isolate": Mishap("it reaches no other host, but answers SSH; `heal` connects it again", faults.CutOff),
    "freeze": Mishap("everything on it stands still; `heal` thaws it", faults.Frozen),
}
"""The words by which a user makes things happen."""


class Place:
    """One world on one virtual clock, which goes on only while something is run in it.

    Args:
        seed: decides every draw.
        latency: profile of the emulated cloud, `instant` or `typical`.
    """

    def __init__(self, seed: int, latency: str) -> None:
        self._seed, self._latency = seed, latency
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self._stack = AsyncExitStack()
        self._struck: list[faults.Fault] = []
        self.world: World

    def __enter__(self) -> Self:
        """Make the world."""
        self.world = self.run(self._stack.enter_async_context(world(self._seed, self._latency)))
        return self

    def __exit__(self, *_error: object) -> None:
        """End everything in it."""
        self.run(self._stack.aclose())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, letting virtual time pass as it needs."""
        return self._runner.run(work, context=contextvars.copy_context())

    def seconds(self) -> float:
        """Return the virtual seconds since the world began."""
        return self._runner.get_loop().time()

    def token(self, given: str) -> str:
        """Return the token by which a command gets in: here every token that is not another project's opens the one."""
        return OTHER_TOKEN if given == OTHER_TOKEN else TOKEN

    def happen(self, word: str, name: str) -> None:
        """Let a mishap happen to a server, and wait until it has.

        Raises:
            LookupError: there is no such mishap, or no such server that runs.
        """
        fault = MISHAPS[word].fault(name)
        if not fault.possible(self.world):
            raise LookupError(f"there is no running server {name}")
        self.run(fault.strike(self.world))
        self._struck.append(fault)

    def heal(self) -> None:
        """Undo every mishap that can be undone."""
        for fault in self._struck:
            if not isinstance(fault, faults.Rebuilt | faults.DatabaseDeleted):
                self.run(fault.heal(self.world))
        self._struck.clear()

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.run(asyncio.sleep(seconds))
