"""Options and openings that the commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from hetzner_k3s.model.consents import Consents
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


_CONSENTS: Final = (
    click.option("--prune", is_flag=True, help="Let go what exists beyond the file: drained, removed, deleted."),
)


def consent_options(command: _Command) -> _Command:
    """Add the flags that permit what is never done unasked; the command is given them as `consents`."""

    @functools.wraps(command)
    def gathered(*, prune: bool, **others: Any) -> Any:
        return command(consents=Consents(prune=prune), **others)

    for option in reversed(_CONSENTS):
        gathered = option(gathered)
    return cast(_Command, gathered)


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
