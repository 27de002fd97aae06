"""`hetzner-k3s run`: a command or script on all hosts, or some, over SSH to hosts whose key is proven."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from hetzner_k3s.cli import asking, wiring
from hetzner_k3s.cli.commands.options import color_option, config_option, load_spec, quiet_option, verbose_option
from hetzner_k3s.cli.on_hosts import run_on
from hetzner_k3s.cli.output import say, tell_row, tell_unwrapped
from hetzner_k3s.cli.recording.verbosity import HOSTS_CODE
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.command_output import Documents, Prefixed, Result, Sink, summary
from hetzner_k3s.cli.targets import Target, look
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.text.wording import listed

_MOST: Final = 1 << 20
"""Bytes of a script."""
_NAMED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What is to be run where, and how; `what` is how it is shown."""

    command: RunCommand
    what: str
    instances: tuple[str, ...]
    parallel: int
    unasked: bool
    quiet: bool
    as_json: bool


@click.command()
@config_option
@verbose_option
@quiet_option
@click.option("--command", metavar="CMD", help="Run this line with bash.")
@click.option(
    "--script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Run this file with bash, or with what its first line names (`#!`).",
)
@click.option(
    "--instance",
    "instances",
    multiple=True,
    metavar="NAME|POOL",
    help="There alone: a server, a pool, `masters` or `workers`. May be given more than once.",
)
@click.option("--parallel", type=click.IntRange(min=1), default=20, show_default=True, help="Hosts at a time.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=3600.0,
    show_default="3600",
    help="Seconds that it may take on a host.",
)
@click.option("--yes", "unasked", is_flag=True, help="Do not ask.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON object a host, as each ends (docs/reference/run.schema.json)."
)
@color_option
def run(
    config: Path,
    *,
    quiet: bool,
    command: str | None,
    script: Path | None,
    instances: tuple[str, ...],
    parallel: int,
    timeout: float,
    unasked: bool,
    as_json: bool,
) -> int:
    """Run a command, or a script, as root on the cluster's hosts.

    What it prints comes line by line as it is printed, with the host's name before it. Which hosts are meant is shown
    and asked for; --yes answers that where nobody can be asked. The exit code is the greatest that it ended with on a
    host; 255 where a host could not be asked. Commands go over SSH to hosts alone whose own key is proven, and end when
    you press Ctrl-C.
    """
    if (command is None) == (script is None):
        raise click.UsageError("give either --command or --script")
    text = command if command is not None else _read(script)
    wish = _Wish(
        command=RunCommand(script=text or "", deadline=timeout),
        what=f"command: {command}" if script is None else f"script: {script}",
        instances=instances,
        parallel=parallel,
        unasked=unasked,
        quiet=quiet,
        as_json=as_json,
    )
    spec = load_spec(config)
    if not unasked and not asking.can_ask():
        say("refused: this runs on hosts, and nobody can be asked whether to: stdin is no terminal")
        say("you can: give --yes")
        return ExitCode.REFUSED
    return wiring.run(_run(spec, wish))


def _read(script: Path | None) -> str:
    assert script is not None
    with script.open("rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise click.UsageError(f"{script} is larger than 1 MiB; copy it to the hosts and run it there")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"{script} is no text in UTF-8") from None


async def _run(spec: ClusterSpec, wish: _Wish) -> int:
    async with wiring.open_session(spec) as session:
        hosts = await look(session.ports, spec, wish.instances)
        if not hosts:
            say(f"error: {spec.name} has no server yet")
            return ExitCode.FAILED
        if not wish.unasked or not (wish.quiet or wish.as_json):
            _show(hosts, wish)
        if not wish.unasked and not _agreed(hosts):
            say("Nothing was run.")
            return ExitCode.REFUSED
        results = await run_on(session.ports, wish.command, hosts, wish.parallel, _sink(hosts, wish))
    click.get_current_context().meta[HOSTS_CODE] = True
    return _end(results, wish)


def _show(hosts: Sequence[Target], wish: _Wish) -> None:
    ready = [target.name for target in hosts if not target.why]
    say(wish.what)
    say(f"on {len(ready)} host{'' if len(ready) == 1 else 's'}: {listed(ready, _NAMED)}")
    for target in hosts:
        if target.why and not wish.unasked:  # else the host's own line says it
            say(f"not on {target.name}: {target.why}")


def _agreed(hosts: Sequence[Target]) -> bool:
    ready = sum(not target.why for target in hosts)
    question = f"Run it on {'this host' if ready == 1 else f'these {ready} hosts'}? [y/N]"
    return ready > 0 and asking.typed(question, default="").strip().lower() in {"y", "yes", "continue"}


def _sink(hosts: Sequence[Target], wish: _Wish) -> Sink:
    if wish.as_json:
        return Documents(tell_row)
    return Prefixed(
        [target.name for target in hosts],
        lambda line, prefix, error: tell_unwrapped(line, prefix=prefix, error=error),
        coloured=terminal.is_coloured(sys.stdout),
    )


def _end(results: Sequence[Result], wish: _Wish) -> int:
    if not (wish.quiet or wish.as_json):
        say(summary(results))
    return max(result.code for result in results)
