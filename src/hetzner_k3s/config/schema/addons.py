"""The section `addons` of the configuration file (docs/facts/compatibility.md#addons)."""

from __future__ import annotations

from hetzner_k3s.config.schema.scalars import Flag, SecretText, Text
from hetzner_k3s.config.schema.section import Section, section, setting
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import DEFAULT_REGISTRIES


class Traefik(Section):
    """`addons.traefik`."""

    enabled: Flag = setting(False, "k3s' own Traefik ingress controller.")


class ServiceLb(Section):
    """`addons.servicelb`."""

    enabled: Flag = setting(False, "k3s' own service load balancer.")


class MetricsServer(Section):
    """`addons.metrics_server`."""

    enabled: Flag = setting(False, "k3s' own metrics server (`kubectl top`).")


class LocalPathStorageClass(Section):
    """`addons.local_path_storage_class`."""

    enabled: Flag = setting(False, "k3s' own storage class for directories on the nodes.")


class CsiDriver(Section):
    """`addons.csi_driver`."""

    enabled: Flag = setting(True, "Hetzner's CSI driver: volumes for pods.")
    manifest_url: Text | None = setting(None, "A manifest of your own instead of the pinned release.")


class CloudControllerManager(Section):
    """`addons.cloud_controller_manager`."""

    enabled: Flag = setting(
        True,
        "Hetzner's cloud controller: load balancers for services, and nodes' addresses. Off: no node waits for one, "
        "unless kubelet_args say `cloud-provider=external`.",
    )
    manifest_url: Text | None = setting(None, "A manifest of your own instead of the pinned release.")


class CertManager(Section):
    """`addons.cert_manager`."""

    enabled: Flag = setting(
        False,
        "cert-manager, which gets TLS certificates for Ingresses and Gateways; your own values go into a "
        "HelmChartConfig `kube-system/cert-manager`. 2.x ignores it.",
    )


class SystemUpgradeController(Section):
    """`addons.system_upgrade_controller`."""

    enabled: Flag = setting(True, "Rancher's upgrade controller.")
    deployment_manifest_url: Text | None = setting(None, "A manifest of your own instead of the pinned release.")
    crd_manifest_url: Text | None = setting(None, "CRDs of your own instead of the pinned release's.")


class ClusterAutoscaler(Section):
    """`addons.cluster_autoscaler`."""

    enabled: Flag = setting(True, "The cluster autoscaler.")
    manifest_url: Text | None = setting(None, "A manifest of your own instead of the pinned release.")
    local_manifest_path: Text | None = setting(None, "A manifest on this machine.")
    container_image_tag: Text = setting("v1.34.3", "Release of the autoscaler.")
    scan_interval: Text = setting("10s", "How often it looks.")
    scale_down_delay_after_add: Text = setting("10m", "Patience before a scale-down after a node was added.")
    scale_down_delay_after_delete: Text = setting("10s", "Patience after a node was removed.")
    scale_down_delay_after_failure: Text = setting("3m", "Patience after a scale-down that failed.")
    max_node_provision_time: Text = setting("15m", "How long a new node may take.")


class EmbeddedRegistryMirror(Section):
    """`addons.embedded_registry_mirror`."""

    enabled: Flag = setting(True, "Nodes share images with one another. Cannot change after birth.")
    private_registry_config: SecretText = setting(
        DEFAULT_REGISTRIES, "Text of `/etc/rancher/k3s/registries.yaml`, written on every node, mirror or not."
    )

    @property
    def registries(self) -> Secret:
        """Return the text of registries.yaml; it may hold passwords."""
        text: Secret = self.private_registry_config
        return text


class Addons(Section):
    """`addons`."""

    traefik: Traefik = section(Traefik, "Ingress.")
    servicelb: ServiceLb = section(ServiceLb, "Service load balancer.")
    metrics_server: MetricsServer = section(MetricsServer, "Metrics.")
    local_path_storage_class: LocalPathStorageClass = section(LocalPathStorageClass, "Storage on nodes.")
    csi_driver: CsiDriver = section(CsiDriver, "Hetzner volumes.")
    cloud_controller_manager: CloudControllerManager = section(CloudControllerManager, "Hetzner cloud controller.")
    cert_manager: CertManager = section(CertManager, "TLS certificates.")
    system_upgrade_controller: SystemUpgradeController = section(SystemUpgradeController, "Upgrade controller.")
    cluster_autoscaler: ClusterAutoscaler = section(ClusterAutoscaler, "Autoscaler.")
    embedded_registry_mirror: EmbeddedRegistryMirror = section(EmbeddedRegistryMirror, "Image sharing.")
