"""What all tests share: which of them run one after another, and figures that are told at the end of a run."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

Tell = Callable[[str], None]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell gives what it starts in the background Ctrl-C as ignored, and every child inherits that."""

settings.register_profile("steady", derandomize=True)
settings.register_profile("roaming")
settings.load_profile("roaming" if os.environ.get("HETZNER_K3S_EVERY_MOMENT") else "steady")
"""`make test` asks the properties about the same worlds each time; `make test-all` about new ones.

A world that nobody has seen before is worth a report, and no reason why a change that did not touch it cannot land.
"""

_TOGETHER = (
    tuple(f"tests/realhosts/test_{letter}" for letter in "abcdefghijk"),
    ("tests/realhosts/",),
    ("tests/k3s/",),
    ("tests/sim/test_scenarios.py", "tests/sim/test_situations.py"),
)
"""What one worker runs: tests that share hosts, and stories that are played once a process (`sim/seen.py`).

Each group has a lab of its own. Those on real hosts wait most of the time, so there are two groups of them. Of all
other tests those of a file stay together, for their fixtures' sake.
"""

_LONGEST_FIRST = ("tests/realhosts/", "tests/k3s/", "tests/sim/")
"""What begins first: left to the end, one worker would go on with it alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that take longest first; the others keep their order."""

    def rank(item: pytest.Item) -> int:
        return next(
            (n for n, folder in enumerate(_LONGEST_FIRST) if item.nodeid.startswith(folder)), len(_LONGEST_FIRST)
        )

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what is there by now: a million objects, half a second of each look."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Give what belongs together to one worker, and each other file.

    pytest-xdist 3.8 has groups for this (`--dist loadgroup`), which pytest 9.2 silently ignores.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            together = next((group for group in _TOGETHER if nodeid.startswith(group)), None)
            return together[0] if together else nodeid.split("::", maxsplit=1)[0]

    config.option.loadscopereorder = False  # it would put files of many quick tests first
    return Together(config, log)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Collect no garbage during a test that reads deep documents, or what is logged.

    A finalizer that runs at the limit of recursion fails, and pytest would tell it as that test's failure; one of a
    failed task logs.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def no_collection_at_the_recursion_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the garbage collector still where documents are nested to the limit.

    Hypothesis listens to it, and a collection that falls into such a document ends that listener with a RecursionError:
    pytest then fails whichever test runs, once in a few hundred runs.
    """
    hostile = request.path.name.startswith("test_hostile")
    if hostile:
        gc.disable()
    yield
    gc.enable()


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Give a function whose words are printed at the end of the run, wherever the test ran."""
    return lambda words: record_property("told", words)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have told."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        if report.when == "call":
            for name, words in report.user_properties:
                if name == "told":
                    terminalreporter.write_line(str(words))
