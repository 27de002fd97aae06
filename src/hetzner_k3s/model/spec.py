"""The cluster as the configuration file wants it, every default resolved.

See docs/facts/compatibility.md.

Made by `config.compile` only. All values are facts of the file: nothing here was looked up at Hetzner.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from hetzner_k3s.model import naming
from hetzner_k3s.model.identity import database_digits
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import server_number
from hetzner_k3s.model.text.settings import SettingPlaces
from hetzner_k3s.model.version import K3sVersion

API_PORT: Final = 6443

DEFAULT_REGISTRIES: Final = Secret('mirrors:\n  "*":\n')
"""What 2.6 writes to registries.yaml unless told otherwise: every registry is mirrored between the nodes."""

TaintEffect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A Kubernetes node label."""

    key: str
    value: str

    def __str__(self) -> str:
        """Return it as k3s takes it: `key=value`."""
        return f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A Kubernetes node taint."""

    key: str
    value: str
    effect: TaintEffect

    def __str__(self) -> str:
        """Return it as k3s takes it: `key=value:effect`."""
        return f"{self.key}={self.value}:{self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSpec:
    """What cloud-init does on a fresh host beside our own work.

    `pre_k3s_commands` and `post_k3s_commands` are shell lines; a command the file gave as a list is quoted already.
    """

    packages: tuple[str, ...] = ()
    pre_k3s_commands: tuple[str, ...] = ()
    post_k3s_commands: tuple[str, ...] = ()
    grow_root_partition: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """A server the cluster wants.

    `index` counts from 1 in its pool; `image` is a name or a snapshot id as text; `placement_group` is the name of
    its spread group, None when the project has no room for one more; `kubelet_args` are its pool's own, None where
    those of the cluster count; `surge` says that the file does not ask for it, and that it is a worker for the time in
    which others of its pool are made anew.
    """

    name: str
    index: int
    location: str
    instance_type: str
    image: str
    placement_group: str | None = None
    labels: tuple[Label, ...] = ()
    taints: tuple[Taint, ...] = ()
    boot: BootSpec = BootSpec()
    kubelet_args: tuple[str, ...] | None = None
    surge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterSpec(ServerSpec):
    """A master the cluster wants."""

    @property
    def role(self) -> str:
        """Return the value of the label `role`."""
        return naming.ROLE_MASTER


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec(ServerSpec):
    """A worker the cluster wants; `pool` is the name of its pool."""

    pool: str

    @property
    def role(self) -> str:
        """Return the value of the label `role`."""
        return naming.ROLE_WORKER


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalingSpec:
    """Bounds between which the autoscaler keeps a pool."""

    min_instances: int
    max_instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """A worker pool; `workers` are its static servers (none with autoscaling)."""

    name: str
    instance_type: str
    location: str
    image: str
    count: int
    labels: tuple[Label, ...] = ()
    taints: tuple[Taint, ...] = ()
    boot: BootSpec = BootSpec()
    autoscaling: AutoscalingSpec | None = None
    workers: tuple[WorkerSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """The private network and the public interfaces.

    `subnet` is a CIDR (also of an existing network: the firewall opens it); `zone` a Hetzner network zone;
    `existing_network_name` is None when the network is our own.
    """

    private: bool = True
    subnet: str = "10.0.0.0/16"
    existing_network_name: str | None = None
    zone: str = "eu-central"
    public_ipv4: bool = True
    public_ipv6: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSpec:
    """How hosts are reached.

    `private_key_path` is None when an agent holds the key; `public_key` is the text of the `.pub` file, one line.
    """

    port: int = 22
    use_agent: bool = False
    use_private_ip: bool = False
    private_key_path: str | None
    public_key_path: str
    public_key: str
    existing_ssh_key_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRange:
    """TCP/UDP ports, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        """Return it as Hetzner's firewall and the apiserver take it: `N` or `N-M`."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRuleSpec:
    """A rule of the user's own; `port` is None for protocols without ports; `addresses` are CIDRs of its direction."""

    description: str
    protocol: Literal["tcp", "udp", "icmp", "esp", "gre"]
    direction: Literal["in", "out"]
    port: str | None
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallSpec:
    """What the Hetzner firewall lets in; `node_ports` is None when the file closes them."""

    ssh_networks: tuple[str, ...] = ("0.0.0.0/0",)
    api_networks: tuple[str, ...] = ("0.0.0.0/0",)
    node_ports: PortRange | None = PortRange(first=30000, last=32767)
    custom_rules: tuple[FirewallRuleSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesNetworkSpec:
    """Addresses inside Kubernetes and the CNI: critical k3s arguments, masters must agree on them.

    `kube_proxy_args` is false with `cni.flannel.disable_kube_proxy`: 2.6 then passes kube-proxy no arguments, but with
    flannel leaves it running.
    """

    cluster_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    cluster_dns: str = "10.43.0.10"
    cluster_domain: str | None = None
    cni: Literal["flannel"] = "flannel"
    encryption: bool = True
    kube_proxy_args: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Spec:
    """Where snapshots are copied to: `endpoint` is a host, with a port where it has one of its own.

    `folder` is where k3s writes, without slashes at its ends; `shared_root` says that the file named none, so that 2.6
    wrote to the root of the bucket and older snapshots may lie there. `path_style` puts the bucket into the path.
    """

    endpoint: str
    region: str
    bucket: str
    access_key: Secret
    secret_key: Secret
    folder: str
    shared_root: bool = False
    path_style: bool = False
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSpec:
    """The embedded etcd's own snapshots: `snapshot_retention` 0 leaves k3s' default; an empty schedule too."""

    snapshot_retention: int = 24
    snapshot_schedule_cron: str = "0 * * * *"
    s3: S3Spec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSpec:
    """A database outside the cluster that all masters keep its data in; `endpoint` holds its password."""

    endpoint: Secret

    @property
    def digits(self) -> str:
        """Return what tells it from other databases."""
        return database_digits(self.endpoint.reveal())


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonsSpec:
    """Which addons the cluster runs.

    `registries` is the text of registries.yaml, written on every node, mirror or not; it may hold registry passwords.
    """

    traefik: bool = False
    servicelb: bool = False
    metrics_server: bool = False
    local_path_storage_class: bool = False
    csi_driver: bool = True
    cloud_controller_manager: bool = True
    cert_manager: bool = False
    embedded_registry_mirror: bool = True
    registries: Secret = DEFAULT_REGISTRIES


EXTERNAL_CLOUD: Final = "cloud-provider=external"
"""The kubelet's argument that has its Node wait for a cloud controller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentArgs:
    """Extra arguments of Kubernetes components, each `name=value` without dashes, in the file's order."""

    kube_apiserver: tuple[str, ...] = ()
    kube_scheduler: tuple[str, ...] = ()
    kube_controller_manager: tuple[str, ...] = ()
    kube_cloud_controller_manager: tuple[str, ...] = ()
    kubelet: tuple[str, ...] = ()
    kube_proxy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementGroupSpec:
    """A spread placement group the cluster wants; `pool` is None for the masters' groups."""

    name: str
    pool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """The whole cluster.

    `kubeconfig_path` is absolute. `api_load_balancer` is true only when the file wants one and there is more than one
    master, as 2.6 does. `database` is where the masters keep the cluster's data, None with an etcd of their own.
    `not_yet` are sentences about defaults that are on in 2.6 and have no effect here yet: the plan shows each in one
    line.
    """

    name: str
    hetzner_token: Secret
    kubeconfig_path: str
    k3s_version: K3sVersion
    masters: tuple[MasterSpec, ...]
    ssh: SshSpec
    pools: tuple[PoolSpec, ...] = ()
    network: NetworkSpec = NetworkSpec()
    firewall: FirewallSpec = FirewallSpec()
    kubernetes_network: KubernetesNetworkSpec = KubernetesNetworkSpec()
    etcd: EtcdSpec = EtcdSpec()
    database: DatabaseSpec | None = None
    addons: AddonsSpec = AddonsSpec()
    args: ComponentArgs = ComponentArgs()
    api_server_hostname: str | None = None
    api_load_balancer: bool = False
    schedule_workloads_on_masters: bool = False
    protect_against_deletion: bool = True
    k3s_upgrade_concurrency: int = 1
    not_yet: tuple[str, ...] = ()
    file: str = field(default="", repr=False, compare=False)
    """The configuration file, absolute: a birth from it is remembered by it."""
    places: SettingPlaces = field(default=SettingPlaces(), repr=False, compare=False)
    """Where the file gives each setting: what Hetzner's catalogue says against one is told with line and column."""

    def __post_init__(self) -> None:
        """Keep apart what excludes each other.

        Raises:
            ValueError: snapshots of an etcd that a cluster in a database does not have.
        """
        if self.database is not None and self.etcd.s3 is not None:
            raise ValueError("a cluster in an external database has no snapshots of etcd")

    @property
    def master_names(self) -> tuple[str, ...]:
        """Return the names of the masters, in the file's order."""
        return tuple(master.name for master in self.masters)

    @property
    def external_cloud(self) -> bool:
        """Whether kubelets wait for a cloud controller: this tool's, or one that the kubelet arguments announce."""
        return self.addons.cloud_controller_manager or EXTERNAL_CLOUD in self.args.kubelet

    def workers(self) -> tuple[WorkerSpec, ...]:
        """Return the static workers of all pools, in the file's order."""
        return tuple(worker for pool in self.pools for worker in pool.workers)

    def surge_workers(self) -> tuple[WorkerSpec, ...]:
        """Return the workers that are beside those of the file while others are made anew."""
        return tuple(worker for worker in self.workers() if worker.surge)

    def servers(self) -> tuple[MasterSpec | WorkerSpec, ...]:
        """Return every server the file wants, masters first."""
        return (*self.masters, *self.workers())

    def master_beyond(self, name: str) -> MasterSpec | None:
        """Return what the file would say of a master of this name if it had more; None for any other name."""
        for master in self.masters if name not in self.master_names else ():
            prefix = master.name.removesuffix(str(master.index))
            number = name.removeprefix(prefix)
            if name.startswith(prefix) and server_number(number) and not number.startswith("0"):
                return replace(self.masters[-1], name=name, index=int(number), placement_group=None)
        return None

    def placement_groups(self) -> tuple[PlacementGroupSpec, ...]:
        """Return the placement groups of all servers, masters' first, without duplicates."""
        masters = ((m.placement_group, None) for m in self.masters)
        workers = ((w.placement_group, w.pool) for w in self.workers())
        wanted = dict.fromkeys((*masters, *workers))
        return tuple(PlacementGroupSpec(name=name, pool=pool) for name, pool in wanted if name is not None)

    @property
    def network_name(self) -> str:
        """Name the private network: an existing one of the user's, or our own."""
        return self.network.existing_network_name or naming.network(self.name)

    @property
    def ssh_key_name(self) -> str:
        """Name the SSH key at Hetzner: an existing one of the user's, or our own."""
        return self.ssh.existing_ssh_key_name or naming.ssh_key(self.name)
