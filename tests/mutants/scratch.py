"""A scratch copy of the project, to break something in and to run tests on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LONGEST: Final = 600
"""Seconds for the tests of one mutant: a wait that has lost its deadline must not hold up everything."""
_COPIED: Final = ("src", "tests", "bench", "pyproject.toml")


def copy_to(place: Path, *more: str) -> None:
    """Copy what tests need, and what else is named."""
    for name in (*_COPIED, *more):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)


def pytest(
    place: Path, arguments: tuple[str, ...], *, within: float = LONGEST, keep_bytecode: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run tests on the copy; variables are set in its environment."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *arguments]
    path = f"{place / 'src'}{os.pathsep}{place}"
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "" if keep_bytecode else "1"}
    return subprocess.run(
        command,
        cwd=place,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=within,
    )


def first_failure(printed: str) -> str | None:
    """Return the test that pytest names first as failed."""
    failed = re.search(r"^(?:FAILED|ERROR) \S*?([\w.]+\.py(?:::.+?)?)(?: - .*)?$", printed, re.MULTILINE)
    return failed[1] if failed else None
