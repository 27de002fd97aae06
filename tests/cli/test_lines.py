"""Lines on a terminal: wrapped between words, coloured where that is wanted, as they are in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import TextIO

import pytest
from inline_snapshot import snapshot

from hetzner_k3s.cli.output import tell_unwrapped
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.lines import coloured as with_colours
from hetzner_k3s.cli.render.lines import wrapped

from .conftest import CLUSTER, Invoke

REFUSED = (
    "refused: No leader is found: of 3 masters 2 hold the cluster's data and answer, and none sees a leader. "
    "demo-master1: its server is deleted (a complete listing does not show it)."
)
SAID = "   12.3s master2              " + REFUSED.removeprefix("refused: ")


@pytest.fixture
def screen() -> Iterator[Callable[[int], TextIO]]:
    """Open a terminal of as many columns as a test wants."""
    opened: list[TextIO] = []

    def of(columns: int) -> TextIO:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        opened.extend((os.fdopen(slave, "w"), os.fdopen(master)))
        return opened[-2]

    yield of
    for stream in opened:
        stream.close()


def test_a_line_is_wrapped_below_its_own_text() -> None:
    assert wrapped(REFUSED, 80) == snapshot(
        [
            "refused: No leader is found: of 3 masters 2 hold the cluster's data and answer,",
            "         and none sees a leader. demo-master1: its server is deleted (a complete",
            "         listing does not show it).",
        ]
    )
    assert wrapped(SAID, 80)[:2] == snapshot(
        [
            "   12.3s master2              No leader is found: of 3 masters 2 hold the",
            "                              cluster's data and answer, and none sees a leader.",
        ]
    )
    assert wrapped("       because " + "word " * 20, 60)[1].startswith("       word")


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("line", [REFUSED, SAID, "note: " + "a-very-long-name " * 30, "demo: " + "word " * 60])
def test_no_word_is_broken_and_none_is_lost(line: str, columns: int) -> None:
    lines = wrapped(line, columns)
    assert max(map(len, lines)) <= columns
    assert " ".join(lines).split() == line.split()


def test_a_word_that_is_wider_than_the_terminal_stays_whole() -> None:
    path = "/a-folder" * 20
    assert wrapped(f"  194.6s demo                 kubeconfig written to {path}", 80)[-1].strip() == path
    assert wrapped(" " * 100, 80) == [" " * 100]


def test_in_a_pipe_nothing_is_wrapped() -> None:
    assert wrapped(SAID, None) == [SAID]
    assert terminal.columns(StringIO()) is None


def test_a_terminal_says_how_wide_it_is(screen: Callable[[int], TextIO]) -> None:
    assert terminal.columns(screen(123)) == 123
    assert terminal.columns(screen(0)) is None


def test_what_a_line_begins_with_is_coloured_and_no_word_is_changed() -> None:
    assert with_colours("refused: no") == "\x1b[31m\x1b[1mrefused: \x1b[0mno"
    assert "\x1b[33m\x1b[1mtrying again\x1b[0m (create" in with_colours("    1.2s a trying again (create server): x")
    assert with_colours("health  healthy") == "health  \x1b[32m\x1b[1mhealthy\x1b[0m"
    assert with_colours("prod-master1  2  running") == "prod-master1  2  running"


@pytest.mark.parametrize(
    ("colour", "labels"),
    [
        (31, ("error", "refused")),
        (33, ("degraded", "differs")),
        (36, ("you can", "next")),
        (None, ("note", "why", "code", "servers", "time", "explain", "transcript")),
    ],
)
def test_what_is_wrong_and_what_to_do_have_a_colour_and_the_rest_is_faint(
    colour: int | None, labels: tuple[str, ...]
) -> None:
    style = "\x1b[2m" if colour is None else f"\x1b[{colour}m\x1b[1m"
    for label in labels:
        assert with_colours(f" {label}: more") == f"{style} {label}: \x1b[0mmore"


@pytest.mark.parametrize(
    ("colour", "words"),
    [
        (31, ("failed", "no-quorum", "split")),
        (32, ("healthy", "up to date", "is Ready", "is a voter")),
        (33, ("trying again", "unknown")),
    ],
)
def test_how_it_went_has_a_colour(colour: int, words: tuple[str, ...]) -> None:
    for word in words:
        assert with_colours(f"   12.3s a  {word} (x)") == (
            f"\x1b[2m   12.3s \x1b[0ma  \x1b[{colour}m\x1b[1m{word}\x1b[0m (x)"
        )


@pytest.mark.parametrize(("choice", "name"), [("always", "\x1b[36ma\x1b[0m"), ("never", "a"), ("auto", "a")])
@pytest.mark.parametrize("error", [True, False])
def test_the_name_before_what_a_host_printed_is_coloured_in_a_pipe_only_on_demand(
    choice: str, name: str, error: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    terminal.choose_colour(choice)
    try:
        tell_unwrapped("it\tsaid", prefix="\x1b[36ma\x1b[0m ", error=error)
    finally:
        terminal.choose_colour(terminal.AUTO)
    assert tuple(capsys.readouterr()) == (("", f"{name} it      said\n") if error else (f"{name} it      said\n", ""))


@pytest.mark.parametrize(
    ("choice", "environment", "coloured"),
    [
        ("auto", {}, (True, False)),
        ("auto", {"NO_COLOR": "1"}, (False, False)),
        ("auto", {"NO_COLOR": ""}, (True, False)),
        ("auto", {"FORCE_COLOR": "1"}, (True, True)),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, (False, False)),
        ("auto", {"TERM": "dumb"}, (False, False)),
        ("always", {"NO_COLOR": "1"}, (True, True)),
        ("never", {"FORCE_COLOR": "1"}, (False, False)),
    ],
)
def test_who_decides_about_colours(
    choice: str,
    environment: dict[str, str],
    coloured: tuple[bool, bool],
    screen: Callable[[int], TextIO],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    terminal.choose_colour(choice)
    try:
        assert (terminal.is_coloured(screen(80)), terminal.is_coloured(StringIO())) == coloured
    finally:
        terminal.choose_colour(terminal.AUTO)


def test_the_option_colours_also_a_pipe(invoke: Invoke, home: Path) -> None:
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: true\n")
    protected = ("delete", "-c", "cluster.yaml", "--color")
    assert "\x1b[31m\x1b[1mrefused: \x1b[0mcluster.yaml protects" in invoke(*protected, "always").err
    plain = invoke(*protected, "never").err
    assert plain.startswith("refused: cluster.yaml protects")
    assert plain.endswith("\nyou can: set it to false, or give --force\n")
    assert invoke(*protected, "sometimes").code == 2
