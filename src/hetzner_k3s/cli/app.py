"""The command `hetzner-k3s`. Nothing heavy is imported here: `bench/help.py` watches over it."""

from __future__ import annotations

import sys
from typing import Any

import click

from hetzner_k3s.cli.exits import run
from hetzner_k3s.cli.lazy import LazyCommand, LazyGroup
from hetzner_k3s.cli.output import tell

PROGRAM = "hetzner-k3s"
_COMMANDS = {
    "init": LazyCommand("hetzner_k3s.cli.commands.init:init", "Write a first configuration file."),
    "validate": LazyCommand(
        "hetzner_k3s.cli.commands.validate:validate", "Check a configuration file, without token or network."
    ),
    "create": LazyCommand(
        "hetzner_k3s.cli.commands.create:create", "Make the cluster, or bring it back to what the file says."
    ),
    "plan": LazyCommand("hetzner_k3s.cli.commands.plan:plan", "Show what `create` would do, and why."),
    "status": LazyCommand("hetzner_k3s.cli.commands.status:status", "Show what is there and what would be done."),
    "kubeconfig": LazyCommand(
        "hetzner_k3s.cli.commands.kubeconfig:kubeconfig", "Write the kubeconfig, from any healthy master."
    ),
    "run": LazyCommand("hetzner_k3s.cli.commands.run:run", "Run a command or script on all hosts, or some."),
    "ssh": LazyCommand("hetzner_k3s.cli.commands.ssh:ssh", "Run a command on a host, or open a shell there."),
    "backup": LazyCommand(
        "hetzner_k3s.cli.commands.backup:backup", "Write all that brings the cluster back to a folder."
    ),
    "snapshots": LazyCommand(
        "hetzner_k3s.cli.commands.snapshots:snapshots", "Show which snapshots there are, and where."
    ),
    "delete": LazyCommand("hetzner_k3s.cli.commands.delete:delete", "Delete the cluster's servers and resources."),
    "history": LazyCommand("hetzner_k3s.cli.commands.history:history", "Show earlier runs, and where their time went."),
    "replace": LazyCommand("hetzner_k3s.cli.commands.replace:replace", "Replace one server by a new one of its name."),
    "upgrade": LazyCommand(
        "hetzner_k3s.cli.commands.upgrade:upgrade", "Upgrade k3s on all servers, one after another."
    ),
    "releases": LazyCommand("hetzner_k3s.cli.commands.releases:releases", "Print which releases of k3s there are."),
    "schema": LazyCommand("hetzner_k3s.cli.commands.schema:schema", "Print the configuration file's JSON schema."),
    "explain": LazyCommand("hetzner_k3s.cli.commands.explain:explain", "Explain the code of a refusal."),
    "lab": LazyCommand("hetzner_k3s.cli.commands.lab:lab", "Run an emulated Hetzner cloud on this machine."),
}


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    tell(f"hetzner-k3s-py {version('hetzner-k3s')} (Python {python}; file format of hetzner-k3s 2.6)")
    ctx.exit()


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Print the version."
)
def cli(**_options: Any) -> None:
    """Make a highly available k3s cluster on Hetzner Cloud from one YAML file, and keep it so.

    Whatever was lost, `hetzner-k3s create -c cluster.yaml` brings it back, or refuses and says why.
    """


def main() -> None:
    """Run the program and end the process with its exit code."""
    sys.exit(run(cli, sys.argv[1:]))
