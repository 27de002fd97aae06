"""Long outputs as files: whoever changes what a user reads deletes the file, runs the test, and reads the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

_FOLDER: Final = Path(__file__).parent / "recorded_outputs"


def held(name: str, text: str) -> None:
    """Hold a text against the file of this name; where there is none it is written, and the test fails once."""
    file = _FOLDER / name
    if not file.exists():
        file.write_text(text)
        pytest.fail(f"{file} was written: read it, then run this again")
    assert text == file.read_text()
