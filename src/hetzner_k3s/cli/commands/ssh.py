"""`hetzner-k3s ssh`: a command on one host, or a shell there; the host's key is proven before anything is sent."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import color_option, config_option, load_spec, verbose_option
from hetzner_k3s.cli.output import hand_through, say, tell_unwrapped
from hetzner_k3s.cli.recording.verbosity import HOSTS_CODE
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.cli.render.command_output import NOT_RUN, Lines
from hetzner_k3s.cli.targets import look
from hetzner_k3s.model.errors import Fate, HostError, HostUnreachable, SshStage
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.operations.commands import RunCommand, Stream
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.ports import Ports


@click.command()
@config_option
@verbose_option
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=3600.0,
    show_default="3600",
    help="Seconds that a command may take.",
)
@color_option
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
def ssh(config: Path, timeout: float, name: str, command: tuple[str, ...]) -> int:
    """Run a command on the host NAME, or open a shell there.

    NAME is a server's name, with or without the cluster's before it. A command needs no ssh on this machine; its output
    goes where it is piped as it is, and the exit code is its own (255 where the host cannot be asked). A shell is the
    one of the program `ssh`, which is given the one key that the host proved, and none of your own configuration.
    """
    spec = load_spec(config)
    try:
        if command:
            return wiring.run(_run(spec, name, RunCommand(script=" ".join(command), deadline=timeout)))
        target, key = wiring.run(_prove(spec, name))
    except HostError as failure:
        say(f"error: {failure}")
        if failure.hint:
            say(f"       {failure.hint}")
        return NOT_RUN
    click.get_current_context().meta[HOSTS_CODE] = True
    return wiring.open_shell(spec.ssh, target, key)


async def _run(spec: ClusterSpec, name: str, command: RunCommand) -> int:
    async with wiring.open_session(spec) as session:
        target = await _target(session.ports, spec, name)
        written = {stream: _Written(error=stream is Stream.ERR) for stream in Stream}
        status = await session.ports.hosts.run(target, command, lambda stream, piece: written[stream].feed(piece))
        for one in written.values():
            one.end()
    click.get_current_context().meta[HOSTS_CODE] = True
    return status


async def _prove(spec: ClusterSpec, name: str) -> tuple[HostTarget, str]:
    async with wiring.open_session(spec) as session:
        target = await _target(session.ports, spec, name)
        return target, await session.ports.hosts.host_key(target)


async def _target(ports: Ports, spec: ClusterSpec, name: str) -> HostTarget:
    """Return the host that goes by a name.

    Raises:
        HostUnreachable: its own key is not proven.
    """
    found = await look(ports, spec, (name,))
    if len(found) > 1:
        raise click.UsageError(f"{name} is {len(found)} hosts; `run --instance {name}` runs a command on all of them")
    (one,) = found
    if one.why or one.host is None:
        raise HostUnreachable(
            f"{one.name}: {one.why or 'it has no address'}",
            server=one.name,
            stage=SshStage.HOST_KEY,
            fate=Fate.DID_NOT_HAPPEN,
            hint="`hetzner-k3s status` shows more.",
        )
    return one.host


class _Written:
    """Writes one stream of a command: to a terminal line by line and harmless, elsewhere as it comes."""

    def __init__(self, *, error: bool) -> None:
        self._error, self._lines = error, Lines()
        self._terminal = terminal.is_tty(sys.stderr if error else sys.stdout)

    def feed(self, piece: bytes) -> None:
        if self._terminal:
            self._tell(self._lines.feed(piece))
        else:
            hand_through(piece, error=self._error)

    def end(self) -> None:
        self._tell(self._lines.end())

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            tell_unwrapped(line, error=self._error)
