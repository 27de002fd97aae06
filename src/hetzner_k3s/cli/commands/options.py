"""Options and openings that the commands share."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from hetzner_k3s.cli.output import say
from hetzner_k3s.cli.recording.verbosity import VERBOSITY
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.errors import ProductError
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


def events_option(command: _Command) -> _Command:
    """Add `--json` to a command that changes things."""
    option = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print what happens as JSON to stdout, an object a line (docs/reference/events.md), and nothing else.",
    )
    return option(command)


def color_option(command: _Command) -> _Command:
    """Add `--color`, which holds for whatever the process writes from then on."""
    option = click.option(
        "--color",
        type=click.Choice([terminal.AUTO, terminal.ALWAYS, terminal.NEVER]),
        default=terminal.AUTO,
        show_default=True,
        expose_value=False,
        callback=lambda _ctx, _option, choice: terminal.choose_colour(choice),
        help="Colours: `auto` obeys NO_COLOR and FORCE_COLOR, and colours a terminal.",
    )
    return option(command)


def verbose_option(command: _Command) -> _Command:
    """Add `-v/--verbose`, which the run's recorder finds in the context of the command."""

    def remember(context: click.Context, _option: click.Parameter, count: int) -> None:
        context.meta[VERBOSITY] = count

    option = click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=remember,
        help="Show decisions and steps on stderr as they come; -vv shows every call.",
    )
    return option(command)


class EightDigits(click.ParamType[str]):
    """The first eight hexadecimal digits of a CA hash or UID, as refusals show them."""

    name = "ID8"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take exactly eight: fewer could fit two clusters."""
        digits = str(value).lower()
        if not re.fullmatch(r"[0-9a-f]{8}", digits):
            self.fail(f"{value!r} is not the first eight digits of a hash or UID", param, ctx)
        return digits


_CONSENTS: Final = (
    click.option(
        "--replace",
        multiple=True,
        metavar="MASTER",
        help="Discard this master, which is there and not well: its server is deleted, another one takes its place.",
    ),
    click.option(
        "--accept-ca",
        type=EightDigits(),
        metavar="CA8",
        help="You rotated the cluster's CA: record the one that begins so.",
    ),
    click.option("--prune", is_flag=True, help="Let go what exists beyond the file: drained, removed, deleted."),
    click.option(
        "--reset-quorum-from",
        metavar="NAME",
        help="Quorum is lost for good: go on from this master's data, checked to be the newest left.",
    ),
    click.option(
        "--keep",
        metavar="ID8",
        help="Of two clusters under this name keep the one of these digits; the other is fenced, its data kept.",
    ),
    click.option(
        "--restore",
        metavar="latest|NAME|PATH",
        help="All masters are lost: restore this snapshot (see `snapshots`), or a backup, or a snapshot file.",
    ),
    click.option(
        "--new-cluster-over",
        metavar="ID8",
        help="Give a lost cluster up, and begin a new one of its name.",
    ),
    click.option(
        "--skip-current-ip-validation",
        "skip_address_check",
        is_flag=True,
        help="Set the firewall although its rules would shut this machine out.",
    ),
)


_CONSENT_NAMES: Final = frozenset(field.name for field in fields(Consents))


def consent_options(command: _Command) -> _Command:
    """Add the flags that permit what is never done unasked; the command is given them as `consents`."""

    @functools.wraps(command)
    def gathered(**given: Any) -> Any:
        consents = {name: given.pop(name) for name in _CONSENT_NAMES & given.keys()}
        consents["replace"] = frozenset(consents.get("replace", ()))
        return command(consents=Consents(**consents), **given)

    for option in reversed(_CONSENTS):
        gathered = option(gathered)
    return cast(_Command, gathered)


def no_healthy_master() -> ProductError:
    """Return the error of a command that needs a master that serves."""
    return ProductError(
        "no master answers as a healthy voter of the recorded cluster",
        hint="`hetzner-k3s status` shows why; `hetzner-k3s snapshots` lists what S3 holds.",
    )


def load_spec(path: Path) -> ClusterSpec:
    """Read the configuration file and show its warnings on stderr.

    Raises:
        ConfigError: the file is of no use.
    """
    from hetzner_k3s.config.loader import load

    file = load(path, os.environ)
    for warning in file.warnings:
        say(str(warning))
    return replace(file.spec, file=str(path.resolve()))
