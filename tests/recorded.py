"""Long texts as files: whoever changes one deletes its file, runs the test, and reads the new one."""

from __future__ import annotations

from pathlib import Path

import pytest


def held(file: Path, text: str) -> None:
    """Hold a text against a file; where there is none it is written, and the test fails once."""
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        pytest.fail(f"{file} was written: read it, then run this again")
    assert text == file.read_text()
