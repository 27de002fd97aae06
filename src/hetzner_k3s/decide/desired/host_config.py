"""What k3s was started with on each host, compared with what the file says now: it takes effect with a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.host import DiskFacts
from hetzner_k3s.model.hosts.critical_config import critical_config
from hetzner_k3s.model.hosts.host_config import (
    HostAddresses,
    component_args,
    kubelet_args,
    registries_hash,
    snapshot_settings,
    tls_sans,
)
from hetzner_k3s.model.hosts.s3_settings import settings, settings_hash
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, WorkerSpec

Config = Mapping[str, tuple[str, ...]]

HOSTNAME: Final = "api_server_hostname"
LOAD_BALANCER: Final = "create_load_balancer_for_the_kubernetes_api"

_FIELDS: Final = {
    "kube-apiserver-arg": "kube_api_server_args",
    "kube-scheduler-arg": "kube_scheduler_args",
    "kube-controller-manager-arg": "kube_controller_manager_args",
    "kube-cloud-controller-manager-arg": "kube_cloud_controller_manager_args",
    "kube-proxy-arg": "kube_proxy_args",
    "etcd-snapshot-retention": "datastore.etcd.snapshot_retention",
    "etcd-snapshot-schedule-cron": "datastore.etcd.snapshot_schedule_cron",
}
"""Where the file says what stands on a master under these keys."""

REGISTRIES: Final = "addons.embedded_registry_mirror.private_registry_config"
S3: Final = "datastore.etcd.s3_*"

_PACKAGED: Final = {
    "traefik": "addons.traefik.enabled",
    "metrics-server": "addons.metrics_server.enabled",
    "local-storage": "addons.local_path_storage_class.enabled",
}
"""The components that k3s brings along unless `disable` names them; on `servicelb` masters must agree."""


def configured_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return where a host that runs k3s has another configuration than the file would give it."""
    digits = _digits(context.spec)
    for spec in context.spec.servers():
        server = context.server(spec.name)
        facts = context.state.facts(server.id) if server is not None else None
        if server is None or facts is None or not (facts.server_unit.runs or facts.agent_unit.runs):
            continue
        if facts.disk.config is not None:
            yield from _of_host(context, spec, server, facts.disk.config)
        if facts.disk.config_present:
            yield from _by_digits(digits, spec, facts.disk)


def _of_host(
    context: DecisionContext, spec: MasterSpec | WorkerSpec, server: Server, config: Config
) -> Iterator[Difference]:
    addresses = HostAddresses(
        internal_ip=context.control_plane.internal_ips.of(server),
        public_ip=server.public_ipv4,
        interface=None,
        server_id=server.id,
    )
    kubelet = kubelet_args(context.spec, spec, addresses)
    yield from _compared(spec.name, "kubelet_args", kubelet, config.get("kubelet-arg", ()))
    if isinstance(spec, MasterSpec):
        yield from _arguments(context.spec, spec.name, config)
        yield from _switches(context.spec, spec.name, config)
        yield from _missing_names(context, spec.name, addresses, config)


def _digits(spec: ClusterSpec) -> tuple[str, str | None]:
    """Return the digits of `registries.yaml` and of the S3 settings: of all hosts alike, so made once."""
    s3 = spec.etcd.s3
    return registries_hash(spec), settings_hash(settings(s3)) if s3 else None


def _by_digits(digits: tuple[str, str | None], node: MasterSpec | WorkerSpec, disk: DiskFacts) -> Iterator[Difference]:
    """Compare what may hold passwords: it leaves no host, and is shown nowhere."""
    registries, s3 = digits
    differ = (
        (REGISTRIES, disk.registries not in {None, registries}),
        (S3, isinstance(node, MasterSpec) and disk.s3_hash != s3),
    )
    for field, is_so in differ:
        if is_so:
            yield Difference(
                subject=node.name, field=field, wanted="others", seen="what it was started with", remedy=Remedy.RESTART
            )


def _arguments(spec: ClusterSpec, master: str, config: Config) -> Iterator[Difference]:
    snapshots = {} if spec.database is not None else snapshot_settings(spec)
    rendered = {**snapshots, **component_args(spec)}
    for key, field in _FIELDS.items():
        value = rendered.get(key, [])
        wanted = value if isinstance(value, list) else [str(value)]
        yield from _compared(master, field, wanted, config.get(key, ()))


def _switches(spec: ClusterSpec, master: str, config: Config) -> Iterator[Difference]:
    wanted, seen = critical_config(spec).get("disable", []), _words(config, "disable")
    for component, field in _PACKAGED.items():
        yield from _switch(master, field, component not in str(wanted), component not in seen)


def _missing_names(
    context: DecisionContext, master: str, addresses: HostAddresses, config: Config
) -> Iterator[Difference]:
    """Name what clients call the API by and this master's certificate does not hold; more names do no harm."""
    spec, known = context.spec, _words(config, "tls-san")
    balancer = lookup.api_addresses(spec, context.view) if spec.api_load_balancer else ()
    for name in tls_sans(spec, addresses, balancer):
        if name not in known and (name == spec.api_server_hostname or name in balancer):
            yield Difference(
                subject=master,
                field=HOSTNAME if name == spec.api_server_hostname else LOAD_BALANCER,
                wanted=f"a certificate for {name}",
                seen="one without that name",
                remedy=Remedy.RESTART,
            )


def all_certificates_hold(context: DecisionContext, name: str) -> bool:
    """Check whether no master that runs is known to serve the API with a certificate without a name or address."""
    told = (
        m.facts.disk.config for m in context.control_plane.masters if m.facts is not None and m.facts.server_unit.runs
    )
    return all(name in _words(config, "tls-san") for config in told if config is not None)


def _words(config: Config, key: str) -> frozenset[str]:
    """Return a list that k3s also takes with commas."""
    return frozenset(word.strip() for value in config.get(key, ()) for word in value.split(","))


def _compared(subject: str, field: str, wanted: Sequence[str], seen: Sequence[str]) -> Iterator[Difference]:
    if tuple(wanted) != tuple(seen):
        texts = [", ".join(values) or "none" for values in (wanted, seen)]
        yield Difference(subject=subject, field=field, wanted=texts[0], seen=texts[1], remedy=Remedy.RESTART)


def _switch(subject: str, field: str, wanted: bool, seen: bool) -> Iterator[Difference]:
    yield from _compared(subject, field, [str(wanted).lower()], [str(seen).lower()])
