"""A pytest plugin: collects the suite once, then tries mutants, each in a fork whose functions have the changed code.

Collecting costs seconds a mutant and most die in a few milliseconds. What runs at import is not tried here: the answer
`NOT_HERE` sends it the long way, through a process of its own.

    MUTANTS_SERVE=NUMBER      of the open file that `scripts/sampled-mutants` asks through
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import resource
import select
import signal
import traceback
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final

import pytest
from _pytest.runner import runtestprotocol
from tests.mutants.remembered import forget

import hetzner_k3s

NOT_HERE: Final = "not here"
ENDS_NOT: Final = "does not end"
_MEMORY: Final = 6 * 2**30
"""A loop that a mutant made endless may grow as well."""


@dataclass(frozen=True)
class Request:
    """A file's changed text, the tests that are to notice, in their order, and how long they may take."""

    file: str
    text: str
    tests: tuple[str, ...]
    within: float


class Serving:
    """Answers requests with the test that failed, None where none did."""

    def __init__(self, asker: Connection) -> None:
        self._asker = asker
        self._functions: dict[CodeType, list[FunctionType]] = defaultdict(list)
        self._texts: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Serve instead of running the tests."""
        self._know_the_product()
        items = {item.nodeid: item for item in session.items}
        gc.collect()
        gc.freeze()
        while (request := self._asker.recv()) is not None:
            self._asker.send(self._answer(request, items))
        return True

    def _know_the_product(self) -> None:
        root = Path(hetzner_k3s.__path__[0])
        for module in pkgutil.walk_packages([str(root)], "hetzner_k3s."):
            if not module.name.startswith(("hetzner_k3s.lab", "hetzner_k3s.__main__")):
                importlib.import_module(module.name)
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(str(root)):
                self._functions[thing.__code__].append(thing)
        self._texts = {str(file.relative_to(root)): file.read_text() for file in root.rglob("*.py")}

    def _answer(self, request: Request, items: Mapping[str, pytest.Item]) -> str | None:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (int(request.within), int(request.within)))  # also when we are gone
            try:
                told = self._try(request, [items[test] for test in request.tests if test in items])
            except BaseException:  # noqa: BLE001  whatever a mutant led to is its end
                told = f"a mutant broke pytest itself: {traceback.format_exc(limit=-3)}"
            os.write(writing, told.encode()[:4000])
            os._exit(0)
        os.close(writing)
        ready, _, _ = select.select([reading], [], [], request.within)
        told = os.read(reading, 4000).decode(errors="replace") if ready else ENDS_NOT
        os.close(reading)
        _end(child)
        return told or None

    def _try(self, request: Request, items: list[pytest.Item]) -> str:
        if not self._change(request):
            return NOT_HERE
        forget()
        for item, following in zip(items, [*items[1:], None], strict=True):
            reports = runtestprotocol(item, log=False, nextitem=following)
            if any(report.failed for report in reports):
                item.session._setupstate.teardown_exact(None)
                return item.nodeid
        return ""

    def _change(self, request: Request) -> bool:
        """Give the functions the changed code; tell whether every change of the text was such a one."""
        now, then = (compile(text, request.file, "exec") for text in (self._texts[request.file], request.text))
        changed = [pair for pair in _pairs(now, then) if pair[0] != pair[1]]
        found = [(function, new) for old, new in changed for function in self._functions.get(old, ())]
        for function, new in found:
            if function.__code__.co_freevars != new.co_freevars:
                return False
            function.__code__ = new
        return bool(found)


def _pairs(now: CodeType, then: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Give each function's code beside what it becomes, the outer ones first."""
    inner, changed = ([part for part in code.co_consts if isinstance(part, CodeType)] for code in (now, then))
    if [code.co_qualname for code in inner] == [code.co_qualname for code in changed]:
        for old, new in zip(inner, changed, strict=True):
            yield old, new
            yield from _pairs(old, new)


def _end(child: int) -> None:
    """End a fork with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


def pytest_configure(config: pytest.Config) -> None:
    """Serve where the environment asks for it."""
    if "MUTANTS_SERVE" in os.environ:
        config.pluginmanager.register(Serving(Connection(int(os.environ["MUTANTS_SERVE"]))))
