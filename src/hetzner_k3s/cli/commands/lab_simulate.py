"""`hetzner-k3s lab simulate`: break a simulated cluster of your own file, and bring it back; without root or hosts."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hetzner_k3s.cli.commands.options import config_option
from hetzner_k3s.cli.output import say

if TYPE_CHECKING:
    from hetzner_k3s.lab.simulated.place import Place

_COMMANDS = (
    *("create", "plan", "status", "upgrade", "replace", "snapshots", "backup", "kubeconfig", "run", "ssh", "delete"),
    "history",
)
_PROMPT = "simulation> "


@click.command()
@config_option
@click.option("--seed", type=int, default=1, show_default=True, help="Decides every draw.")
@click.option("--latency", type=click.Choice(["instant", "typical"]), default="typical", show_default=True)
def simulate(config: Path, seed: int, latency: str) -> None:
    """Play with a cluster that exists only in this process: commands and mishaps, a line each.

    Commands are those of hetzner-k3s, without --config: `create`, `status`, `plan`, `delete --force`, with their
    options. Time is simulated, so nothing takes long. `help` lists the mishaps; lines may come from a pipe.
    """
    from hetzner_k3s.cli import wiring

    os.environ.setdefault("HCLOUD_TOKEN", "token-of-the-simulation")
    with wiring.simulation(seed, latency) as place:
        for line in _lines():
            words = shlex.split(line, comments=True)
            if words[:1] in (["quit"], ["exit"]):
                return
            if words:
                _obey(place, config, words)


def _lines() -> Iterator[str]:
    """Return what is typed, with a prompt, or what comes through a pipe, shown as if it were typed."""
    while True:
        if sys.stdin.isatty():
            click.echo(_PROMPT, nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        if not sys.stdin.isatty():
            click.echo(f"{_PROMPT}{line.rstrip()}", err=True)
        yield line


def _obey(place: Place, config: Path, words: list[str]) -> None:
    from hetzner_k3s.lab.simulated.place import MISHAPS

    verb, rest = words[0], words[1:]
    if verb in _COMMANDS:
        _command(config, words)
    elif verb == "wait" and len(rest) == 1 and rest[0].isdecimal():
        place.wait(float(rest[0]))
    elif verb == "heal" and not rest:
        place.heal()
    elif verb in MISHAPS and len(rest) == 1:
        try:
            place.happen(verb, rest[0])
        except LookupError as missing:
            say(f"error: {missing.args[0]}")
    else:
        _help()


def _command(config: Path, words: list[str]) -> None:
    from hetzner_k3s.cli.app import cli
    from hetzner_k3s.cli.exits import run

    here = ["--simulated"] if words[0] == "history" else []
    code = run(cli, [words[0], "--config", str(config), *here, *words[1:]])
    say(f"(exit code {code})")


def _help() -> None:
    from hetzner_k3s.lab.simulated.place import MISHAPS

    say(f"commands: {', '.join(_COMMANDS)}, each with its options; quit")
    for word, mishap in MISHAPS.items():
        say(f"  {word + ' NAME':<14} {mishap.what}")
    say("  heal           whatever can be undone is undone")
    say("  wait SECONDS   simulated time passes")
