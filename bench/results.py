"""`bench/RESULTS.md`: a section a commit and kind of run; measuring the same commit again replaces its section."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "bench/RESULTS.md"
_SECTION = "## "


def commit() -> str:
    """Return the commit that is measured; one with changes that are in no commit says so."""
    head = _git("rev-parse", "--short=8", "HEAD")
    changed = _git("status", "--porcelain", "--", "src", "tests/sim")
    return f"{head} with changes" if changed else head


def record(kind: str, text: str, file: Path = FILE, measured: str | None = None) -> None:
    """Write a section as the last one, in the place of one with the same commit and kind."""
    title = f"{_SECTION}{measured or commit()}: {kind}"
    whole = file.read_text() if file.exists() else "# Results\n"
    intro, *sections = whole.split(f"\n{_SECTION}")
    kept = [section for section in sections if not f"{_SECTION}{section}".startswith(f"{title},")]
    fresh = f"{title}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n\n{text}"[len(_SECTION) :]
    file.write_text(f"\n{_SECTION}".join([intro.rstrip("\n") + "\n", *(s.rstrip("\n") + "\n" for s in [*kept, fresh])]))


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
