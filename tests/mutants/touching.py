"""A pytest plugin in two halves: notes which test runs which line, and runs chosen tests (`scripts/sampled-mutants`).

MUTANTS_NOTE=FOLDER       writes what the tests of this process ran, and how long each took, into the folder
MUTANTS_CHOSEN=FILE       runs only the tests that this JSON list names, in its order
"""

from __future__ import annotations

import json
import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from coverage import Coverage
from tests.mutants.remembered import forget

_MEMORY: Final = 6 * 2**30
"""A loop that a mutant made endless may grow as well."""

Lines = dict[str, dict[int, list[str]]]


class Noting:
    """Measures each test in a context of its own; `<file>|shared` is what its fixtures ran, for all of its file."""

    def __init__(self, folder: Path, source: Path) -> None:
        self._into = folder / f"{os.environ.get('PYTEST_XDIST_WORKER', 'all')}-{os.getpid()}.json"
        self._source = source
        self._file = ""
        self._coverage = Coverage(data_file=None, include=[f"{source}/*"])
        self._seconds: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """Fixtures may be shared."""
        self._coverage.switch_context(f"{item.nodeid.split('::', maxsplit=1)[0]}|shared")
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """What the test runs itself."""
        forget()
        self._coverage.switch_context(item.nodeid)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        """What its fixtures run at the end."""
        self._coverage.switch_context(f"{item.nodeid.split('::', maxsplit=1)[0]}|shared")
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the time of a test, and note a failure."""
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_runtest_logfinish(self, location: tuple[str, int | None, str]) -> None:
        """Write what was noted with each new file: a run that is ended early has noted something as well."""
        if location[0] != self._file:
            self._file = location[0]
            self._write()

    def pytest_sessionfinish(self) -> None:
        """Write the rest."""
        self._coverage.stop()
        self._write()

    def _write(self) -> None:
        data = self._coverage.get_data()
        lines = {
            str(Path(file).relative_to(self._source)): data.contexts_by_lineno(file) for file in data.measured_files()
        }
        noted = {"seconds": self._seconds, "failed": sorted(self._failed), "lines": lines}
        self._into.write_text(json.dumps(noted))


class Choosing:
    """Leaves the chosen tests, in the order that was asked for."""

    def __init__(self, chosen: list[str]) -> None:
        self._rank = {nodeid: n for n, nodeid in enumerate(chosen)}
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Take the others away."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank), key=lambda item: self._rank[item.nodeid]
        )


def pytest_configure(config: pytest.Config) -> None:
    """Register the half that the environment asks for."""
    if "MUTANTS_CHOSEN" in os.environ:
        config.pluginmanager.register(Choosing(json.loads(Path(os.environ["MUTANTS_CHOSEN"]).read_text())))
    elif "MUTANTS_NOTE" in os.environ and (
        hasattr(config, "workerinput") or not config.getoption("numprocesses", None)
    ):
        folder = Path(os.environ["MUTANTS_NOTE"])
        config.pluginmanager.register(Noting(folder, config.rootpath / "src" / "hetzner_k3s"))
