"""The page docs/facts/recordings.md against the folder: every file has its row, every row its file and its test."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from .conftest import RECORDINGS

_HERE = Path(__file__).parent
_PAGE = (_HERE.parents[1] / "docs/facts/recordings.md").read_text()

# Pattern of files -> the test that compares them, or why none does.
INDEX = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| (.+) \|$", _PAGE, re.MULTILINE))


def test_every_recording_has_its_row_and_every_row_its_recording() -> None:
    names = [str(path.relative_to(RECORDINGS)) for path in RECORDINGS.rglob("*") if path.is_file()]
    names.remove("INDEX.tsv")
    assert len(names) > 130
    assert [name for name in names if not any(fnmatch(name, pattern) for pattern in INDEX)] == []
    assert [pattern for pattern in INDEX if not any(fnmatch(name, pattern) for name in names)] == []


def test_every_named_test_exists() -> None:
    tests = {told.strip("`") for told in INDEX.values() if "::" in told}
    assert len(tests) > 30
    for test in tests:
        file, _, name = test.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (_HERE / file).read_text(), re.MULTILINE), test


def test_every_file_of_the_list_of_commands_is_there() -> None:
    listed = [line.partition("\t")[0] for line in (RECORDINGS / "INDEX.tsv").read_text().splitlines()]
    assert [name for name in listed if not (RECORDINGS / name).is_file()] == []
