"""Which resources the API serves: the built-in ones (fixture kube/api_resources.txt) and those of CRD objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hetzner_k3s.lab.k3s.setup.vocabulary import words

Obj = dict[str, Any]

_BUILT_IN = """
configmaps cm v1 ns ConfigMap
endpoints ep v1 ns Endpoints
events ev v1 ns Event
limitranges limits v1 ns LimitRange
namespaces ns v1 - Namespace
nodes no v1 - Node
persistentvolumeclaims pvc v1 ns PersistentVolumeClaim
persistentvolumes pv v1 - PersistentVolume
pods po v1 ns Pod
podtemplates - v1 ns PodTemplate
replicationcontrollers rc v1 ns ReplicationController
resourcequotas quota v1 ns ResourceQuota
secrets - v1 ns Secret
serviceaccounts sa v1 ns ServiceAccount
services svc v1 ns Service
mutatingwebhookconfigurations - admissionregistration.k8s.io/v1 - MutatingWebhookConfiguration
validatingwebhookconfigurations - admissionregistration.k8s.io/v1 - ValidatingWebhookConfiguration
customresourcedefinitions crd,crds apiextensions.k8s.io/v1 - CustomResourceDefinition
apiservices - apiregistration.k8s.io/v1 - APIService
controllerrevisions - apps/v1 ns ControllerRevision
daemonsets ds apps/v1 ns DaemonSet
deployments deploy apps/v1 ns Deployment
replicasets rs apps/v1 ns ReplicaSet
statefulsets sts apps/v1 ns StatefulSet
horizontalpodautoscalers hpa autoscaling/v2 ns HorizontalPodAutoscaler
cronjobs cj batch/v1 ns CronJob
jobs - batch/v1 ns Job
certificatesigningrequests csr certificates.k8s.io/v1 - CertificateSigningRequest
leases - coordination.k8s.io/v1 ns Lease
endpointslices - discovery.k8s.io/v1 ns EndpointSlice
ingressclasses - networking.k8s.io/v1 - IngressClass
ingresses ing networking.k8s.io/v1 ns Ingress
networkpolicies netpol networking.k8s.io/v1 ns NetworkPolicy
runtimeclasses - node.k8s.io/v1 - RuntimeClass
poddisruptionbudgets pdb policy/v1 ns PodDisruptionBudget
clusterrolebindings - rbac.authorization.k8s.io/v1 - ClusterRoleBinding
clusterroles - rbac.authorization.k8s.io/v1 - ClusterRole
rolebindings - rbac.authorization.k8s.io/v1 ns RoleBinding
roles - rbac.authorization.k8s.io/v1 ns Role
priorityclasses pc scheduling.k8s.io/v1 - PriorityClass
csidrivers - storage.k8s.io/v1 - CSIDriver
csinodes - storage.k8s.io/v1 - CSINode
csistoragecapacities - storage.k8s.io/v1 ns CSIStorageCapacity
storageclasses sc storage.k8s.io/v1 - StorageClass
volumeattachments - storage.k8s.io/v1 - VolumeAttachment
"""

_WITH_STATUS = words(
    """
    nodes namespaces pods services persistentvolumes persistentvolumeclaims deployments daemonsets replicasets
    statefulsets jobs cronjobs customresourcedefinitions apiservices poddisruptionbudgets horizontalpodautoscalers
    volumeattachments ingresses certificatesigningrequests resourcequotas replicationcontrollers
    """
)

# Where etcd keys differ from /registry/<plural> (fixture etcd/2382_allkeys.txt).
_KEY_PREFIX = {
    "nodes": "minions",
    "services": "services/specs",
    "endpoints": "services/endpoints",
    "replicationcontrollers": "controllers",
    "ingresses": "ingress",
    "customresourcedefinitions": "apiextensions.k8s.io/customresourcedefinitions",
    "apiservices": "apiregistration.k8s.io/apiservices",
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource.

    `columns` are a CRD's printer columns as (name, type, JSON path).
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    has_status: bool = False
    custom: bool = False
    columns: tuple[tuple[str, str, str], ...] = ()

    @property
    def api_version(self) -> str:
        """Group and version as objects name them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name error texts use: `deployments.apps`, `nodes`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_prefix(self) -> str:
        """The etcd prefix of all objects of this resource."""
        if self.custom:
            return f"/registry/{self.group}/{self.plural}/"
        return f"/registry/{_KEY_PREFIX.get(self.plural, self.plural)}/"

    def key(self, namespace: str, name: str) -> str:
        """Return the etcd key of an object."""
        return self.prefix_of(namespace) + name

    def prefix_of(self, namespace: str) -> str:
        """Return the etcd prefix of a namespace's objects, or of all."""
        return f"{self.storage_prefix}{namespace}/" if self.namespaced and namespace else self.storage_prefix


def _row(line: str) -> Resource:
    plural, short, api_version, scope, kind = line.split()
    group, _, version = api_version.rpartition("/")
    names = () if short == "-" else tuple(short.split(","))
    return Resource(group, version, plural, kind, scope == "ns", names, plural in _WITH_STATUS)


BUILT_IN = tuple(_row(line) for line in _BUILT_IN.strip().splitlines())
_BY_PLURAL = {resource.plural: resource for resource in BUILT_IN}

NODES = _BY_PLURAL["nodes"]
NAMESPACES = _BY_PLURAL["namespaces"]
SECRETS = _BY_PLURAL["secrets"]
CONFIGMAPS = _BY_PLURAL["configmaps"]
SERVICE_ACCOUNTS = _BY_PLURAL["serviceaccounts"]
SERVICES = _BY_PLURAL["services"]
LEASES = _BY_PLURAL["leases"]
EVENTS = _BY_PLURAL["events"]
ENDPOINT_SLICES = _BY_PLURAL["endpointslices"]
CUSTOM_RESOURCE_DEFINITIONS = _BY_PLURAL["customresourcedefinitions"]
DEPLOYMENTS = _BY_PLURAL["deployments"]
DAEMON_SETS = _BY_PLURAL["daemonsets"]
PODS = _BY_PLURAL["pods"]
PERSISTENT_VOLUMES = _BY_PLURAL["persistentvolumes"]
POD_DISRUPTION_BUDGETS = _BY_PLURAL["poddisruptionbudgets"]


def from_definition(definition: Mapping[str, Any]) -> list[Resource]:
    """List the resources a CustomResourceDefinition object serves, one a version."""
    spec, names = definition["spec"], definition["spec"]["names"]
    return [
        Resource(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            namespaced=spec.get("scope") == "Namespaced",
            short_names=tuple(names.get("shortNames", ())),
            has_status="status" in (version.get("subresources") or {}),
            custom=True,
            columns=tuple(
                (column["name"], column["type"], column["jsonPath"])
                for column in version.get("additionalPrinterColumns", ())
            ),
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]


class Catalogue:
    """The resources served now: built in, and those of the definitions last seen."""

    def __init__(self) -> None:
        self._custom: dict[str, list[Resource]] = {}

    def replace_definitions(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        """Take over the whole list of CRD objects."""
        self._custom = {row["metadata"]["name"]: from_definition(row) for row in definitions}

    def all(self) -> list[Resource]:
        """List every served resource."""
        return [*BUILT_IN, *(resource for rows in self._custom.values() for resource in rows)]

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Look a resource up by its path."""
        for resource in self.all():
            if (resource.group, resource.version, resource.plural) == (group, version, plural):
                return resource
        return None
