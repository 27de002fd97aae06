"""The guides name commands, flags, refusals and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from hetzner_k3s.cli.app import cli
from hetzner_k3s.cli.exits import run

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFUSALS = (ROOT / "tests/decide/refusals.txt").read_text()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(guide: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", guide.read_text())
    broken = [link for link in links if "://" not in link and not (guide.parent / link).exists()]
    assert broken == []


def test_every_refusal_that_the_recovery_guide_names_is_one() -> None:
    named = re.findall(r"`([a-z-]+\.[a-z-]+)`", (ROOT / "docs/guides/recovery.md").read_text())
    files = {"config.yaml", "cluster.yaml"}
    assert [code for code in named if code not in files and f"\n{code}\n" not in REFUSALS] == []


def test_every_flag_that_the_recovery_guide_names_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    commands = cli.list_commands(click.Context(cli))
    assert [run(cli, [command, "--help"]) for command in commands] == [0] * len(commands)
    known = capsys.readouterr().out
    named = re.findall(r"(--[a-z][a-z-]+)", (ROOT / "docs/guides/recovery.md").read_text())
    assert [flag for flag in named if flag not in known and flag != "--help"] == []
