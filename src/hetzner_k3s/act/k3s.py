"""Configuring and starting k3s on a host: what birth, join of a master and join of a worker share."""

from __future__ import annotations

from hetzner_k3s.act.context import Context
from hetzner_k3s.act.waiting import until
from hetzner_k3s.hosts.k3s_config import render_agent, render_registries, render_server
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import Fate, KubeError, OperationFailed
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.hosts.critical_config import Arguments, carried
from hetzner_k3s.model.hosts.host_config import HostAddresses
from hetzner_k3s.model.kube import BeforeStart, KubeView
from hetzner_k3s.model.operations.configuration import Install, Reconfigure, WriteConfig
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import AwaitK3s, Milestone, StartK3s
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import MasterSpec
from hetzner_k3s.model.tokens import ClusterTokens

_API_WITHIN = 300.0
_LOOK_EVERY = 0.5
_STEADY_WITHIN = 300.0
_READY_WITHIN = 120.0
"""Seconds that a Node is given after its k3s has stayed up: it reports every ten."""


def peer_address(context: Context, server: Server) -> str:
    """Return the address at which the other masters reach this one."""
    address = context.internal_ips().of(server) or server.public_ipv4
    if address is None:
        raise LookupError(f"{server.name} has no address")
    return address


async def configure(
    context: Context, server: Server, tokens: ClusterTokens, server_url: str | None, *, facts: HostFacts | None = None
) -> None:
    """Write a host's `config.yaml`; nothing is started or restarted.

    Args:
        context: what the step is carried out with.
        server: whose host it is.
        tokens: the full K10 tokens, or at birth the new passwords; a worker is given that of the agents alone.
        server_url: what it joins through, None only for a birth.
        facts: what the host told just now; without them it is asked.
    """
    target = context.target_of(server)
    if facts is None:
        facts = await context.ports.hosts.perform(target, Probe())
    config = _render(context, server, facts, tokens, server_url)
    await context.ports.hosts.perform(target, WriteConfig(config=config, fence=context.fence))


async def leave_2x(context: Context, server: Server, facts: HostFacts) -> None:
    """Write our unit over that of 2.x on a host whose k3s is stopped: its flags are stronger than `config.yaml`.

    What it is started with then is written there already; on a host of ours nothing is done.
    """
    if not facts.disk.server_by_flags:
        return
    registries = render_registries(context.spec).reveal()
    version = facts.k3s_version or str(context.spec.k3s_version)
    install = Install(role=K3sRole.SERVER, version=version, registries=registries, fence=context.fence)
    await context.ports.hosts.perform(context.target_of(server), install)


async def reconfigure(
    context: Context,
    server: Server,
    tokens: ClusterTokens,
    server_url: str | None,
    *,
    version: str | None,
    members: tuple[str, ...] = (),
) -> None:
    """Start a k3s that runs anew with the configuration of the file; arguments as of `configure` and `Reconfigure`."""
    target = context.target_of(server)
    facts = await context.ports.hosts.perform(target, Probe())
    role = K3sRole.SERVER if isinstance(context.wanted(server.name), MasterSpec) else K3sRole.AGENT
    operation = Reconfigure(
        role=role,
        version=version,
        config=_render(context, server, facts, tokens, server_url),
        registries=render_registries(context.spec),
        members=members,
        fence=context.fence,
    )
    await context.ports.hosts.perform(target, operation)


def _render(
    context: Context, server: Server, facts: HostFacts, tokens: ClusterTokens, server_url: str | None
) -> Secret:
    wanted = context.wanted(server.name)
    internal = context.internal_ips().of(server)
    addresses = HostAddresses(
        internal_ip=internal,
        public_ip=server.public_ipv4,
        interface=facts.interfaces.get(internal) if internal else None,
        server_id=server.id,
    )
    if isinstance(wanted, MasterSpec):
        return render_server(
            context.spec,
            wanted,
            addresses,
            tokens=tokens,
            server_url=server_url,
            api_addresses=lookup.api_addresses(context.spec, context.state.view),
            carried=carried(_running_with(context, server)),
        )
    if server_url is None:
        raise ValueError(f"{server.name}: an agent needs a server to join through")
    return render_agent(context.spec, wanted, addresses, tokens=tokens, server_url=server_url)


def _running_with(context: Context, joiner: Server) -> Arguments:
    """Return the critical arguments of a master that serves and told them, itself last; nothing at a birth."""
    hosts = sorted(context.state.hosts.items(), key=lambda host: host[0] == joiner.id)
    told = (facts.value for _, facts in hosts if isinstance(facts, Known))
    return next((facts.supervisor.critical for facts in told if facts.serves and facts.supervisor.critical), {})


def uid_of(facts: HostFacts, server: str) -> str:
    """Return the kube-system UID that a master told.

    Raises:
        OperationFailed: it could not be read, which does not make it another cluster's (docs/architecture.md#law-2);
        the next try may.
    """
    if facts.uid is not None:
        return facts.uid
    raise OperationFailed(
        f"{server}: the UID of kube-system could not be read; its k3s or etcd may have just ended",
        server=server,
        operation=Probe.__name__,
        fate=Fate.DID_NOT_HAPPEN,
    )


async def start(context: Context, target: HostTarget, role: K3sRole, *, birth: bool = False) -> None:
    """Start k3s without waiting for it; one that runs is left alone."""
    await context.ports.hosts.perform(target, StartK3s(role=role, birth=birth, fence=context.fence))


async def reach(context: Context, target: HostTarget, role: K3sRole, milestone: Milestone, within: float) -> HostFacts:
    """Wait on the host until k3s has come that far (seconds); its fatal log lines end the wait with their reason."""
    wait = AwaitK3s(role=role, milestone=milestone, deadline=within)
    return await context.ports.hosts.perform(target, wait)


async def well_again(context: Context, target: HostTarget, role: K3sRole, via: HostTarget, before: BeforeStart) -> None:
    """See k3s stay up after it was started anew, and its Node Ready by a heartbeat of this start."""
    await reach(context, target, role, Milestone.STEADY, _STEADY_WITHIN)
    await context.ports.kube.wait_node_ready(via, target.name, _READY_WITHIN, before)


async def before_start(context: Context, server: Server, via: HostTarget) -> BeforeStart:
    """Read what a Node says before its k3s starts, by which that of this start is told apart."""
    return BeforeStart(await context.ports.kube.last_heartbeat(via, server.name), peer_address(context, server))


async def cluster_view(context: Context, target: HostTarget) -> KubeView:
    """Read the cluster as soon as its API answers, which may be a moment after the unit is active.

    Raises:
        DeadlineExceeded: it did not answer in time.
    """

    async def look() -> KubeView | None:
        try:
            return await context.ports.kube.view(target)
        except KubeError:
            return None

    what = f"the Kubernetes API of {target.name}"
    return await until(context.ports.clock, look, what=what, within=_API_WITHIN, every=_LOOK_EVERY)
