"""When a run of the tool can be killed: before and after every effect, and while a host works on one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


class Killed(BaseException):
    """The tool was ended by SIGKILL: nothing of it runs any more, its `finally` blocks included."""


@dataclass(slots=True)
class Moments:
    """Counts the moments of one run, and ends it at one of them.

    `kill_at` is the number (from 1) or the name of the moment at which the run dies, or its name but for the host (the
    first such moment then); `passed` names those passed.
    """

    kill_at: int | str | None = None
    passed: list[str] = field(default_factory=list)
    dead: bool = False
    task: asyncio.Task[object] | None = None

    def check(self) -> None:
        """Let nothing of a dead run through; every port calls it first."""
        if self.dead:
            raise Killed

    def pass_by(self, moment: str) -> None:
        """Pass a moment, or die there."""
        self.check()
        self.passed.append(moment)
        if self.kill_at in (len(self.passed), moment, moment.partition(" on ")[0]):
            self.kill()
            raise Killed

    def kill(self) -> None:
        """End the run: its tasks are cancelled, and what they do while they end has no effect."""
        self.dead = True
        if self.task is not None:
            self.task.cancel()
