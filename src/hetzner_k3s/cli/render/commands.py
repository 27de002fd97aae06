"""The reference of the commands as Markdown, made from themselves (`scripts/generate-config-reference`)."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

import click

from hetzner_k3s.cli.app import PROGRAM, cli

_HEAD: Final = """\
<!-- Made by scripts/generate-config-reference from the commands. Do not edit. -->
# Commands

Data goes to stdout, everything else to stderr. Colours obey `--color`, then NO_COLOR, then FORCE_COLOR. How they
are used: [everyday jobs](../guides/everyday.md), [after a loss](../guides/recovery.md), [all guides](../README.md).

| exit code | means |
|---|---|
| 0 | done; of `create`: the cluster lives and is as the file says |
| 1 | a step failed; safe to run again |
| 2 | usage, configuration, or this machine (disk, permissions) |
| 3 | changes are left (`create`, `plan --check`), or degraded (`status`) |
| 4 | refused, or a consent is needed |
| 5 | Hetzner refused: token, quota |
| 70 | a bug of ours |
| 130 | interrupted |

`run` and `ssh` end with the exit code of your command, or 255 where a host could not be asked.
"""


def page() -> str:
    """Return the whole page."""
    root = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    return "\n".join([_HEAD, *_command(root), ""])


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## `{context.command_path}`" if context.parent else "## Options of all"
    yield ""
    yield "```"
    yield " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield "```"
    yield ""
    yield inspect.cleandoc(command.help or "")
    yield ""
    yield from _options(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _command(click.Context(child, info_name=name, parent=context))


def _options(context: click.Context) -> Iterator[str]:
    records = [record for option in context.command.params if (record := option.get_help_record(context))]
    if not records:
        return
    yield "| option | meaning |"
    yield "|---|---|"
    for names, meaning in records:
        yield f"| `{_cell(names)}` | {_cell(meaning)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
