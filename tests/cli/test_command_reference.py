"""The reference of the commands is made from them and is current."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s.cli.app import cli
from hetzner_k3s.cli.render.commands import page

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text() == page(), "run scripts/generate-config-reference"


def test_it_has_every_command_and_every_option() -> None:
    text = page()
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        _, _, own = text.partition(f"\n## `hetzner-k3s {name}`\n")
        section = own.partition("\n## ")[0]
        assert f"hetzner-k3s {name}" in section
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[-1] in section, f"{name} {option.opts[-1]}"
