"""`hetzner-k3s schema`: the JSON schema of the configuration file, for editors."""

from __future__ import annotations

import click

from hetzner_k3s.cli.output import tell_document
from hetzner_k3s.model.errors import ExitCode


@click.command()
def schema() -> ExitCode:
    """Print the JSON schema of the configuration file, for editors that complete and check YAML.

    Write it beside your file, `hetzner-k3s schema > cluster.schema.json`, and begin that with the line
    `# yaml-language-server: $schema=cluster.schema.json`.
    """
    from hetzner_k3s.config.json_schema import document

    tell_document(document())
    return ExitCode.CONVERGED
