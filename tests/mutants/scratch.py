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
    return subprocess.run(
        _command(arguments),
        cwd=place,
        env=_environment(place) | variables | ({"PYTHONDONTWRITEBYTECODE": ""} if keep_bytecode else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=within,
    )


def started(place: Path, arguments: tuple[str, ...], kept: int, **variables: str) -> subprocess.Popen[bytes]:
    """Start tests on the copy, and do not wait for them; one open file stays theirs."""
    output = (place / "output").open("wb")
    environment = _environment(place) | variables
    command = _command(arguments)
    return subprocess.Popen(command, cwd=place, env=environment, stdout=output, stderr=output, pass_fds=(kept,))


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *arguments]


def _environment(place: Path) -> dict[str, str]:
    path = f"{place / 'src'}{os.pathsep}{place}"
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def first_failure(printed: str) -> str | None:
    """Return the test that pytest names first as failed."""
    failed = re.search(r"^(?:FAILED|ERROR) \S*?([\w.]+\.py(?:::.+?)?)(?: - .*)?$", printed, re.MULTILINE)
    return failed[1] if failed else None
