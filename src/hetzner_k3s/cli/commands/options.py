"""Options and openings that the commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hetzner_k3s.model.spec import ClusterSpec

_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(command: _Command) -> _Command:
    """Add `-c/--config FILE`."""
    option = click.option(
        "-c", "--config", required=True, type=click.Path(path_type=Path), help="The cluster's configuration file."
    )
    return option(command)


def quiet_option(command: _Command) -> _Command:
    """Add `-q/--quiet`."""
    return click.option("-q", "--quiet", is_flag=True, help="Tell only what went wrong.")(command)


def load_spec(path: Path) -> ClusterSpec:
    """Read the configuration file and show its warnings on stderr.

    Raises:
        ConfigError: the file is of no use.
    """
    from hetzner_k3s.config.loader import load

    file = load(path, os.environ)
    for warning in file.warnings:
        click.echo(str(warning), err=True)
    return file.spec
