"""What is done to a server's machine: status meanwhile, modelled time, the machine's part, status afterwards."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from hetzner_k3s.lab.cloud.effects.machine_spec import machine_spec
from hetzner_k3s.lab.cloud.kernel import Call, MachineFailedError, Process
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Server

ServerWork = Callable[[Project, Server], Process]


def call(server: Server, work: Callable[[], Coroutine[Any, Any, None]]) -> Call:
    """Make a call that waits its turn among those of the same server."""
    return Call(f"server-{server.id}", work)


def start(project: Project, server: Server) -> Process:
    """Bring a server from off to running."""
    machines = project.world.machines
    return _step(project, server, _Step("start_server", "starting", "running"), lambda: machines.power_on(server.id))


def stop(project: Project, server: Server) -> Process:
    """Cut the power."""
    machines = project.world.machines
    return _step(project, server, _Step("stop_server", "stopping", "off"), lambda: machines.power_off(server.id))


def shut_down(project: Project, server: Server) -> Process:
    """Send the ACPI signal; the status becomes `off` when the guest obeys, if it does.

    See docs/facts/hetzner-api.md#power.
    """
    machines = project.world.machines
    step = _Step("shutdown_server", "stopping", "running")
    return _step(project, server, step, lambda: machines.shutdown(server.id))


def reboot(project: Project, server: Server) -> Process:
    """Send the ACPI signal to a running guest."""
    machines = project.world.machines
    return _step(project, server, _Step("reboot_server", "running", "running"), lambda: machines.reboot(server.id))


def reset(project: Project, server: Server) -> Process:
    """Cut the power and start again."""
    machines = project.world.machines
    return _step(project, server, _Step("reset_server", "running", "running"), lambda: machines.reset(server.id))


def rebuild(project: Project, server: Server) -> Process:
    """Replace the disk and start."""
    machines = project.world.machines
    step = _Step("rebuild_server", "rebuilding", "running")
    return _step(project, server, step, lambda: machines.rebuild(machine_spec(server)))


def destroy(project: Project, server: Server) -> Process:
    """Destroy the machine."""
    machines = project.world.machines
    return _step(project, server, _Step("delete_server", "deleting", "deleting"), lambda: machines.delete(server.id))


def stay(_: Project, __: Server) -> Process:
    """Do nothing: the server already is as wanted, and the action succeeds at once."""
    yield from ()


class _Step(NamedTuple):
    command: str
    before: str
    after: str


def _step(project: Project, server: Server, step: _Step, work: Callable[[], Coroutine[Any, Any, None]]) -> Process:
    server.status = step.before
    yield project.world.pause(step.command)
    try:
        yield call(server, work)
    except MachineFailedError:
        server.status = "running" if project.world.machines.is_running(server.id) else "off"
        raise
    server.status = step.after
