"""The add-ons that are charts of ours: what each is called in the cluster and in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hetzner_k3s.model.spec import ClusterSpec

CLOUD_CONTROLLER: Final = "hcloud-cloud-controller-manager"
CSI_DRIVER: Final = "hcloud-csi"
CERT_MANAGER: Final = "cert-manager"

VERSIONS: Final[Mapping[str, str]] = {CLOUD_CONTROLLER: "1.33.0", CSI_DRIVER: "2.21.2", CERT_MANAGER: "v1.21.2"}
"""The version of each chart, which is that of what it installs."""

KEYS: Final[Mapping[str, str]] = {
    CLOUD_CONTROLLER: "addons.cloud_controller_manager.enabled",
    CSI_DRIVER: "addons.csi_driver.enabled",
    CERT_MANAGER: "addons.cert_manager.enabled",
}
"""The key of the file that switches each chart."""


def wanted(spec: ClusterSpec) -> Mapping[str, bool]:
    """Return for each chart whether the file asks for it."""
    return {
        CLOUD_CONTROLLER: spec.addons.cloud_controller_manager,
        CSI_DRIVER: spec.addons.csi_driver,
        CERT_MANAGER: spec.addons.cert_manager,
    }


def switched_off(spec: ClusterSpec, applied: Mapping[str, str]) -> tuple[str, ...]:
    """Return the charts among those we applied (by name: digest) that the file asks for no more."""
    return tuple(chart for chart, asked in wanted(spec).items() if chart in applied and not asked)
