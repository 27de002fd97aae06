"""A checked configuration as a ClusterSpec: defaults inherited, names made, servers spread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from hetzner_k3s.config.checks.machine import Machine
from hetzner_k3s.config.checks.nodes import split_taint
from hetzner_k3s.config.checks.settings import network_zone
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.networking import FirewallRule
from hetzner_k3s.config.schema.pools import Pool, WorkerPool
from hetzner_k3s.config.schema.support import defaults_without_effect
from hetzner_k3s.model import naming
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import (
    AddonsSpec,
    BootSpec,
    ClusterSpec,
    ComponentArgs,
    DatabaseSpec,
    EtcdSpec,
    FirewallRuleSpec,
    FirewallSpec,
    KubernetesNetworkSpec,
    Label,
    MasterSpec,
    NetworkSpec,
    PoolSpec,
    PortRange,
    SshSpec,
    Taint,
    TaintEffect,
    WorkerSpec,
)
from hetzner_k3s.model.version import K3sVersion


def compile_spec(configuration: Configuration, machine: Machine) -> ClusterSpec:
    """Turn a configuration without findings into the spec every other room reads."""
    return ClusterSpec(
        name=configuration.cluster_name,
        hetzner_token=machine.hetzner_token,
        kubeconfig_path=machine.kubeconfig_path,
        k3s_version=K3sVersion.parse(configuration.k3s_version),
        masters=tuple(_masters(configuration)),
        ssh=_ssh(configuration, machine),
        pools=tuple(_pools(configuration)),
        network=_network(configuration),
        firewall=_firewall(configuration),
        kubernetes_network=_kubernetes_network(configuration),
        etcd=_etcd(configuration, machine),
        database=_database(configuration),
        addons=_addons(configuration),
        args=_args(configuration),
        api_server_hostname=configuration.api_server_hostname,
        api_load_balancer=_wants_load_balancer(configuration),
        schedule_workloads_on_masters=configuration.schedule_workloads_on_masters,
        protect_against_deletion=configuration.protect_against_deletion,
        k3s_upgrade_concurrency=configuration.k3s_upgrade_concurrency,
        not_yet=defaults_without_effect(configuration),
    )


def _wants_load_balancer(configuration: Configuration) -> bool:
    several = configuration.masters_pool.instance_count > 1
    return configuration.create_load_balancer_for_the_kubernetes_api and several


def _type_in_names(configuration: Configuration, pool: Pool) -> str | None:
    return pool.instance_type if configuration.include_instance_type_in_instance_name else None


def _image(configuration: Configuration, pool: Pool) -> str:
    return configuration.image if pool.image is None else pool.image


def _masters_locations(configuration: Configuration) -> list[str]:
    pool = configuration.masters_pool
    return pool.locations * pool.instance_count if len(pool.locations) == 1 else pool.locations


def _masters(configuration: Configuration) -> Iterator[MasterSpec]:
    pool, cluster = configuration.masters_pool, configuration.cluster_name
    for index, location in enumerate(_masters_locations(configuration), start=1):
        yield MasterSpec(
            name=naming.master_name(cluster, index, _type_in_names(configuration, pool)),
            index=index,
            location=location,
            instance_type=pool.instance_type,
            image=_image(configuration, pool),
            placement_group=naming.masters_placement_group(cluster, naming.placement_group_index(index)),
            labels=_labels(pool),
            taints=_taints(pool),
            boot=_boot(configuration, pool),
            kubelet_args=_kubelet_args(pool),
        )


def _pools(configuration: Configuration) -> Iterator[PoolSpec]:
    masters = configuration.masters_pool.instance_count
    groups = naming.MAX_PLACEMENT_GROUPS - naming.placement_group_index(masters)
    for pool in configuration.worker_node_pools:
        spec = _pool(configuration, pool, groups)
        groups -= len({worker.placement_group for worker in spec.workers} - {None})
        yield spec


def _pool(configuration: Configuration, pool: WorkerPool, groups: int) -> PoolSpec:
    return PoolSpec(
        name=str(pool.name),
        instance_type=pool.instance_type,
        location=pool.location,
        image=_image(configuration, pool),
        count=pool.instance_count,
        labels=_labels(pool),
        taints=_taints(pool),
        boot=_boot(configuration, pool),
        workers=tuple(_workers(configuration, pool, groups)),
    )


def _workers(configuration: Configuration, pool: WorkerPool, groups: int) -> Iterator[WorkerSpec]:
    cluster, name = configuration.cluster_name, str(pool.name)
    for index in range(1, pool.instance_count + 1):
        group = naming.placement_group_index(index)
        yield WorkerSpec(
            name=naming.worker_name(cluster, name, index, _type_in_names(configuration, pool)),
            pool=name,
            index=index,
            location=pool.location,
            instance_type=pool.instance_type,
            image=_image(configuration, pool),
            # As 2.6: when a project's groups are used up, further servers go without.
            placement_group=naming.workers_placement_group(cluster, name, group) if group <= groups else None,
            labels=_labels(pool),
            taints=_taints(pool),
            boot=_boot(configuration, pool),
            kubelet_args=_kubelet_args(pool),
        )


def _labels(pool: Pool) -> tuple[Label, ...]:
    return tuple(Label(key=label.key, value=label.value) for label in pool.labels)


def _taints(pool: Pool) -> tuple[Taint, ...]:
    return tuple(_taint(taint.key, *split_taint(taint.value)) for taint in pool.taints)


def _taint(key: str, value: str, effect: str) -> Taint:
    return Taint(key=key, value=value, effect=cast(TaintEffect, effect))  # one of the three: `rules` saw to it


def _boot(configuration: Configuration, pool: Pool) -> BootSpec:
    """A pool's list replaces the root's, an empty one too (docs/facts/compatibility.md#pools)."""
    grow = pool.grow_root_partition_automatically
    return BootSpec(
        packages=_own_or(pool.additional_packages, configuration.additional_packages),
        pre_k3s_commands=_own_or(pool.additional_pre_k3s_commands, configuration.additional_pre_k3s_commands),
        post_k3s_commands=_own_or(pool.additional_post_k3s_commands, configuration.additional_post_k3s_commands),
        grow_root_partition=configuration.grow_root_partition_automatically if grow is None else grow,
    )


def _kubelet_args(pool: Pool) -> tuple[str, ...] | None:
    return None if pool.kubelet_args is None else tuple(pool.kubelet_args)


def _own_or(own: list[str] | None, inherited: list[str]) -> tuple[str, ...]:
    return tuple(inherited if own is None else own)


def _network(configuration: Configuration) -> NetworkSpec:
    private, public = configuration.networking.private_network, configuration.networking.public_network
    return NetworkSpec(
        private=private.enabled,
        subnet=private.subnet,
        existing_network_name=(private.existing_network_name or None) if private.enabled else None,
        zone=network_zone(configuration.masters_pool.locations[0]),
        public_ipv4=public.ipv4,
        public_ipv6=public.ipv6,
    )


def _ssh(configuration: Configuration, machine: Machine) -> SshSpec:
    ssh = configuration.networking.ssh
    return SshSpec(
        port=ssh.port,
        use_agent=ssh.use_agent,
        use_private_ip=ssh.use_private_ip,
        private_key_path=machine.private_key_path,
        public_key_path=machine.public_key_path,
        public_key=machine.public_key,
        existing_ssh_key_name=ssh.existing_ssh_key_name or None,
    )


def _firewall(configuration: Configuration) -> FirewallSpec:
    networking = configuration.networking
    return FirewallSpec(
        ssh_networks=tuple(networking.allowed_networks.ssh),
        api_networks=tuple(networking.allowed_networks.api),
        node_ports=_ports(networking.node_port_range) if networking.node_port_firewall_enabled else None,
        custom_rules=tuple(map(_firewall_rule, networking.allowed_networks.custom_firewall_rules)),
    )


def _ports(text: str) -> PortRange:
    first, _, last = text.partition("-")
    return PortRange(first=int(first), last=int(last or first))


def _firewall_rule(rule: FirewallRule) -> FirewallRuleSpec:
    return FirewallRuleSpec(
        description=rule.description or f"Allow {rule.protocol.upper()} {rule.port}",
        protocol=rule.protocol,
        direction=rule.direction,
        port=rule.port if rule.protocol in ("tcp", "udp") else None,
        addresses=tuple(rule.networks),
    )


def _kubernetes_network(configuration: Configuration) -> KubernetesNetworkSpec:
    networking = configuration.networking
    return KubernetesNetworkSpec(
        cluster_cidr=networking.cluster_cidr,
        service_cidr=networking.service_cidr,
        cluster_dns=networking.cluster_dns,
        cluster_domain=networking.cluster_domain,
        cni="flannel",
        encryption=networking.cni.encryption,
        kube_proxy_args=not networking.cni.flannel.disable_kube_proxy,
    )


def _etcd(configuration: Configuration, machine: Machine) -> EtcdSpec:
    etcd = configuration.datastore.etcd
    return EtcdSpec(
        snapshot_retention=etcd.snapshot_retention,
        snapshot_schedule_cron=etcd.snapshot_schedule_cron,
        s3=machine.s3,
    )


def _database(configuration: Configuration) -> DatabaseSpec | None:
    datastore = configuration.datastore
    endpoint = datastore.external_datastore_endpoint
    if datastore.mode != "external" or endpoint is None:
        return None
    return DatabaseSpec(endpoint=Secret(endpoint.reveal().strip()))


def _addons(configuration: Configuration) -> AddonsSpec:
    addons = configuration.addons
    return AddonsSpec(
        traefik=addons.traefik.enabled,
        servicelb=addons.servicelb.enabled,
        metrics_server=addons.metrics_server.enabled,
        local_path_storage_class=addons.local_path_storage_class.enabled,
        csi_driver=addons.csi_driver.enabled,
        cloud_controller_manager=addons.cloud_controller_manager.enabled,
        cert_manager=addons.cert_manager.enabled,
        embedded_registry_mirror=addons.embedded_registry_mirror.enabled,
        registries=addons.embedded_registry_mirror.registries,
    )


def _args(configuration: Configuration) -> ComponentArgs:
    return ComponentArgs(
        kube_apiserver=tuple(configuration.kube_api_server_args),
        kube_scheduler=tuple(configuration.kube_scheduler_args),
        kube_controller_manager=tuple(configuration.kube_controller_manager_args),
        kube_cloud_controller_manager=tuple(configuration.kube_cloud_controller_manager_args),
        kubelet=tuple(configuration.kubelet_args),
        kube_proxy=tuple(configuration.kube_proxy_args),
    )
