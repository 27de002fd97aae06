"""How the transcript of a command begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from hetzner_k3s.adapters.hetzner.connection import Exchange
from hetzner_k3s.adapters.system.operator import state_directory
from hetzner_k3s.adapters.system.transcripts import TranscriptFile
from hetzner_k3s.cli.endings import at_end
from hetzner_k3s.cli.output import say
from hetzner_k3s.cli.recording.recorder import Recorder
from hetzner_k3s.cli.recording.verbosity import HOSTS_CODE, VERBOSITY
from hetzner_k3s.model.errors import ExitCode, LocalTrouble
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.ports import Clock

SIMULATED: Final = "simulations"
"""The folder beside those of real clusters; no part of it is the token of a simulation, which would be masked."""
_OF_THE_TERMINAL: Final = frozenset({"config", "verbose", "quiet", "color", "as_json", "html"})
"""Options that change nothing of what a run does."""
_OF_THE_USER: Final = frozenset({"command"})
"""What users write themselves may hold a secret of theirs: it is named and not noted."""
_WELL: Final = frozenset({ExitCode.CONVERGED, ExitCode.PENDING})


def transcripts_folder(cluster: str, *, simulated: bool) -> Path | None:
    """Return the state folder for transcripts; None for a user without a home. A simulation has one of its own."""
    try:
        return state_directory(SIMULATED) / cluster if simulated else state_directory(cluster)
    except LocalTrouble:
        return None


@contextmanager
def recording(
    spec: ClusterSpec, clock: Clock, run: str, holder: str, *, simulated: bool, kept: bool = True
) -> Iterator[Recorder]:
    """Record what a command does; the transcript is closed when its exit code is known, and is a file if `kept`."""
    context = click.get_current_context(silent=True)
    command, options = _invoked(context)
    file = TranscriptFile(transcripts_folder(spec.name, simulated=simulated), command, run, clock.now(), kept=kept)
    verbosity = int(context.meta.get(VERBOSITY, 0)) if context else 0
    recorder = Recorder(file, spec, clock.monotonic, verbosity, say)
    recorder.note(
        "run",
        run=run,
        cluster=spec.name,
        command=" ".join((command, *options)),
        who=holder,
        began=round(clock.now(), 3),
        version=version("hetzner-k3s"),
        simulated=simulated,
    )
    recorder.phase("look")
    at_end(lambda code: _end(recorder, code, own=not (context and context.meta.get(HOSTS_CODE))))
    try:
        yield recorder
    except Exception as error:
        recorder.note("error", error=type(error).__name__, message=str(error))
        raise
    finally:
        recorder.stop_clock()


def note_exchange(recorder: Recorder, exchange: Exchange) -> None:
    """Take note of a request to Hetzner: nothing of what was sent or answered."""
    told = {"status": exchange.status, "error": exchange.error, "request_id": exchange.request_id}
    recorder.call(
        "api",
        exchange.asked,
        method=exchange.method,
        path=exchange.path,
        **{name: value for name, value in told.items() if value},
    )


def _end(recorder: Recorder, code: int, *, own: bool) -> None:
    """End the transcript, and name it where the command failed; `own` says whose exit code it is."""
    recorder.end(code if own else min(code, ExitCode.FAILED))
    if own and code not in _WELL and recorder.path is not None:
        say(f"transcript: {recorder.path}")


def command_for_others() -> str:
    """Return the command that runs, with its options, as others may read it: of a path its last part alone."""
    command, options = _invoked(click.get_current_context(silent=True), _last_part)
    return " ".join((command, *options))


def _last_part(value: object) -> str:
    return str(value).rstrip("/").rpartition("/")[2]


def _invoked(context: click.Context | None, shown: Callable[[object], str] = str) -> tuple[str, list[str]]:
    """Return the command that runs and the options that it was given, each value as it is to be shown."""
    if context is None or context.info_name is None:
        return "run", []
    given = [
        param
        for param in context.command.params
        if param.name and context.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    ]
    told = [_written(param, context, shown) for param in given if param.name not in _OF_THE_TERMINAL]
    return context.info_name, [words for words in told if words]


def _written(param: click.Parameter, context: click.Context, shown: Callable[[object], str]) -> str:
    value = context.params.get(param.name or "")
    if isinstance(param, click.Argument):
        return "" if param.name in _OF_THE_USER else shown(value)
    flag = param.opts[-1]
    if value is True or value is None or param.name in _OF_THE_USER:
        return flag
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(f"{flag} {shown(one)}" for one in values)
