"""`hetzner-k3s lab`: an emulated Hetzner cloud on this machine, with real Debian hosts or simulated ones."""

from __future__ import annotations

from pathlib import Path

import click

from hetzner_k3s.cli.commands.lab_simulate import simulate
from hetzner_k3s.cli.local_trouble import demand_extra


def _folder(_ctx: click.Context, _option: click.Parameter, given: Path | None) -> Path:
    from hetzner_k3s.lab.realhosts.state import default_folder

    return given or default_folder()


_STATE = click.option(
    "--state",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_folder,
    help="Directory of the lab's state [default: $XDG_STATE_HOME/hetzner-k3s/lab].",
)


@click.group()
def lab() -> None:
    """Run an emulated Hetzner cloud on this machine: real Debian hosts, the real API, nothing to pay.

    Where hosts cannot run (not root, macOS), `lab simulate` lets you break and mend a cluster all the same.
    """


lab.add_command(simulate)


@lab.command()
@_STATE
@click.option("--latency", type=click.Choice(["instant", "typical"]), default="instant", show_default=True)
@click.option(
    "--k3s-binary",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A real k3s to serve in place of the lab's own program.",
)
def up(folder: Path, latency: str, k3s_binary: Path | None) -> None:
    """Start the lab in the background."""
    demand_extra()
    from hetzner_k3s.lab.realhosts import lifecycle

    running = lifecycle.up(folder, latency, k3s_binary, say=lambda line: click.echo(line, err=True))
    click.echo(f"the lab answers at {running.endpoint}; use it: hetzner-k3s lab run -- COMMAND", err=True)


@lab.command()
@_STATE
def down(folder: Path) -> None:
    """End the lab and remove everything it made."""
    from hetzner_k3s.lab.realhosts import lifecycle

    click.echo("the lab is gone" if lifecycle.down(folder) else "no lab is running", err=True)


@lab.command()
@_STATE
def status(folder: Path) -> None:
    """Show where the lab answers, and its hosts."""
    from hetzner_k3s.lab.realhosts import lifecycle

    running = lifecycle.find_running(folder)
    click.echo(f"endpoint    {running.endpoint}")
    click.echo(f"in lab run  {lifecycle.OPERATOR_ENDPOINT}")
    click.echo(f"token       {running.state.token}")
    click.echo(f"admin token {running.state.admin_token}")
    click.echo(f"latency     {running.record.latency}")
    for host in running.client().hosts():
        power = "on" if host["running"] else "off"
        click.echo(f"host        {host['name']} {power} {host['public_ipv4'] or '-'} {' '.join(host['private'])}")


@lab.command(context_settings={"ignore_unknown_options": True})
@_STATE
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(folder: Path, command: tuple[str, ...]) -> None:
    """Run a command where the hosts can be reached, with the lab as Hetzner's API and as k3s' list of releases."""
    from hetzner_k3s.lab.realhosts import lifecycle

    lifecycle.become_operator(lifecycle.find_running(folder), list(command))
