"""`explain`: every code of a refusal by the package alone, and what a refusal says of it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hetzner_k3s.cli.explanations import Example, read
from hetzner_k3s.cli.render.explain import explanation_lines
from hetzner_k3s.cli.render.plan import refusal_lines
from hetzner_k3s.model.plan import Refusal

from .conftest import Invoke

ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("code", read())
def test_every_code_is_explained_in_words_that_fit(code: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = invoke("explain", code, "--all")
    assert (told.code, told.err) == (0, "")
    example = read()[code][0]
    text = " ".join(told.out.split())
    for part in (code, example.saw, example.why, example.you_can, example.when[0]):
        assert " ".join(part.split()) in text
    assert all(len(line) <= 80 or " " not in line.strip() for line in told.out.splitlines())


def test_every_meaning_of_a_code_is_told_once() -> None:
    examples = [Example(when=("a",), settings=(), saw="s", why=why, you_can="y") for why in ("one", "two", "one")]
    assert list(explanation_lines("a.b", examples, whole=False))[:4] == ["a.b", "  means: one", "     or: two", ""]


def test_of_many_situations_the_first_are_shown(invoke: Invoke) -> None:
    short, whole = invoke("explain", "consent.unfit").out, invoke("explain", "consent.unfit", "--all").out
    assert short.count("when:") == 3
    more = whole.count("when:") - 3
    assert more > 3
    assert f"{more} more of this code: hetzner-k3s explain consent.unfit --all" in short


def test_a_misspelt_code_is_answered_with_the_nearest(invoke: Invoke) -> None:
    told = invoke("explain", "quorum.lots")
    assert (told.code, told.out) == (2, "")
    assert "nearest: quorum.lost, " in told.err
    assert "`hetzner-k3s explain` lists all" in invoke("explain", "\x1b[2Jzzz").err


def test_a_part_of_a_code_is_answered_with_three_that_hold_it(invoke: Invoke) -> None:
    nearest = invoke("explain", "e").err.partition("nearest: ")[2].splitlines()[0].split(", ")
    assert nearest == [code for code in read() if "e" in code][:3]


def test_on_a_wide_terminal_it_is_no_wider_than_a_page(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = [line for code in read() for line in invoke("explain", code, "--all").out.splitlines()]
    assert max(map(len, lines)) == 99


def test_without_a_code_all_are_listed(invoke: Invoke) -> None:
    assert invoke("explain").out.splitlines() == list(read())


def test_a_block_of_refusals_ends_with_one_hint() -> None:
    refusals = [Refusal(code=code, saw="s", why="w", you_can="y") for code in ("a.b", "c.d", "a.b")]
    lines = list(refusal_lines(refusals))
    assert [line for line in lines if "explain" in line] == ["explain: hetzner-k3s explain a.b c.d"]
    assert lines[-1].startswith("explain:")
    assert list(refusal_lines([])) == []


def test_the_wheel_holds_what_is_not_code(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed here")
    made = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    data = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and "__pycache__" not in path.parts
    }
    assert "hetzner_k3s/cli/refusals.json" in data
    assert data - names == set()
