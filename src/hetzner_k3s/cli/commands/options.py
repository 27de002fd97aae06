"""Options and openings that the commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from hetzner_k3s.cli.output import say
from hetzner_k3s.cli.recording.verbosity import VERBOSITY
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.model.consents import KINDS, OF_DELETION, Consent, Consents, NamingConsent
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.plan import DRAIN_WITHIN
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


def drain_option(command: _Command) -> _Command:
    """Add `--drain-timeout SECONDS` to a command that may drain Nodes."""
    option = click.option(
        "--drain-timeout",
        "drain_within",
        type=click.FloatRange(min=1),
        default=DRAIN_WITHIN,
        show_default=True,
        metavar="SECONDS",
        help="How long a Node's pods are given to go before its server does, or is restarted with another k3s.",
    )
    return option(command)


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


class _Named(click.ParamType[str]):
    """What a consent names, taken as its class takes it."""

    def __init__(self, kind: type[NamingConsent]) -> None:
        self.name = kind.metavar
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take what can be an object of this kind."""
        try:
            return self._kind.typed(str(value)).named
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


def consent_options(command: _Command) -> _Command:
    """Add the flags that permit what is never done unasked; the command is given them as `consents`."""
    return _with_consents(KINDS, command)


def deletion_consent_options(command: _Command) -> _Command:
    """Add the flags that permit what `delete` never does unasked; the command is given them as `consents`."""
    return _with_consents(OF_DELETION, command)


def _with_consents(kinds: Sequence[type[Consent]], command: _Command) -> _Command:
    @functools.wraps(command)
    def gathered(**given: Any) -> Any:
        consents = [consent for kind in kinds for consent in _taken(kind, given.pop(kind.__name__))]
        return command(consents=Consents.of(*consents), **given)

    for kind in reversed(kinds):
        gathered = consent_option(kind, kind.__name__)(gathered)
    return cast(_Command, gathered)


def consent_option(kind: type[Consent], name: str) -> Callable[[_Command], _Command]:
    """Return the option of a kind of consent; the command finds what was typed under this name."""
    if not issubclass(kind, NamingConsent):
        return click.option(kind.flag, name, is_flag=True, help=kind.help)
    return click.option(
        kind.flag,
        name,
        type=_Named(kind),
        multiple=kind.repeatable,
        metavar=kind.metavar,
        is_flag=False,
        flag_value=kind.otherwise,
        help=kind.help,
    )


def _taken(kind: type[Consent], typed: Any) -> Iterator[Consent]:
    """Return the consents that were typed: as a flag, behind one, or behind several."""
    if issubclass(kind, NamingConsent):
        names = typed if kind.repeatable else [typed]
        yield from (kind.typed(name) for name in names if name is not None)
    elif typed:
        yield kind()


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
