"""Turns whatever a command ends with into an exit code and a message.

See docs/architecture.md#exit-codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from hetzner_k3s.cli.endings import gathered
from hetzner_k3s.cli.output import say
from hetzner_k3s.model.errors import ExitCode, ProductError


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command and give the exit code; no exception leaves it."""
    with gathered() as endings:
        code = _run(command, arguments)
        for end in endings:
            end(code)
    return code


def _run(command: click.Command, arguments: Sequence[str]) -> int:
    try:
        return int(command.main(args=list(arguments), prog_name="hetzner-k3s", standalone_mode=False) or 0)
    except click.ClickException as usage:
        return _usage(usage)
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; run the same command again: it goes on where it was")
        return ExitCode.INTERRUPTED
    except ProductError as error:
        return _known(error)
    except BrokenPipeError:  # `hetzner-k3s status | head`: the reader has seen enough
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: a bug must not look like a traceback to the user
        return _configuration(error) or _local(error) or _bug(error)


def code_of(error: Exception) -> ExitCode:
    """Return the exit code that an error of a command ends in."""
    from hetzner_k3s.cli.local_trouble import explained

    if isinstance(error, BrokenPipeError):
        return ExitCode.FAILED
    known = error if isinstance(error, ProductError) else explained(error)
    return known.exit_code if known is not None else ExitCode.BUG


def _usage(problem: click.ClickException) -> int:
    context = problem.ctx if isinstance(problem, click.UsageError) else None
    if context is not None:
        say(context.get_usage())
        say(f"Try '{context.command_path} --help' for help.")
        say("")
    for number, line in enumerate(problem.format_message().splitlines()):
        say(f"error: {line}" if number == 0 else f"       {line}")
    return ExitCode.USAGE


def _known(error: ProductError) -> int:
    say(f"error: {error}")
    if error.hint:
        say(f"       {error.hint}")
    return error.exit_code


def _configuration(error: Exception) -> int:
    from hetzner_k3s.config.diagnostics import ConfigError

    if not isinstance(error, ConfigError):
        return 0
    for diagnostic in error.diagnostics:
        say(str(diagnostic))
    return ExitCode.USAGE


def _local(error: Exception) -> int:
    from hetzner_k3s.cli.local_trouble import explained

    trouble = explained(error)
    return _known(trouble) if trouble is not None else 0


def _bug(error: Exception) -> int:
    from hetzner_k3s.cli.crash import write_report

    try:
        details = f"the details are in {write_report(error)}"
    except OSError as trouble:
        details = f"its details could not be written ({trouble.strerror or trouble})"
    say(f"error: this is a bug in hetzner-k3s: {type(error).__name__}; {details}")
    return ExitCode.BUG
