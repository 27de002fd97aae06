"""The steps a plan is made of, one module a concern. A step is data; `target` names what it is about.

(type, target) is a step's idempotency key: running it twice does nothing the second time.
"""

from hetzner_k3s.model.steps.addons import ApplyAddons, RemoveAddon, TakeOverAddon
from hetzner_k3s.model.steps.adoption import AdoptCluster
from hetzner_k3s.model.steps.control_plane import (
    InitControlPlane,
    JoinControlPlane,
    MarkMember,
    RecordBirth,
    RemoveMember,
    SaveSnapshot,
    WipeJoiner,
)
from hetzner_k3s.model.steps.database import StartOnDatabase
from hetzner_k3s.model.steps.disaster import AdoptLineage, FenceMember, FetchDatabase, HoldMaster, ResetQuorum
from hetzner_k3s.model.steps.infra import (
    EnsureFirewall,
    EnsureLoadBalancer,
    EnsureNetwork,
    EnsurePlacementGroup,
    EnsureSshKey,
)
from hetzner_k3s.model.steps.local import KeepTokens, WriteKubeconfig
from hetzner_k3s.model.steps.nodes import DeleteNode, JoinWorker, LabelNode, PointWorker
from hetzner_k3s.model.steps.power import PowerOn, StartMaster, StartWorker
from hetzner_k3s.model.steps.restore import (
    ForgetBirth,
    KeepSnapshot,
    ReconnectWorker,
    RestoreSnapshot,
    StartRestored,
    UploadSnapshot,
)
from hetzner_k3s.model.steps.rollout import (
    ReconfigureMaster,
    ReconfigureWorker,
    ResizeMaster,
    ResizeWorker,
    StageK3s,
)
from hetzner_k3s.model.steps.scale import (
    CordonNode,
    DrainNode,
    RetireMember,
    UncordonNode,
    UnmarkMember,
    UnmarkSurge,
)
from hetzner_k3s.model.steps.servers import CreateServer, InstallK3s, SecureHost
from hetzner_k3s.model.steps.teardown import CloseBirth, DeleteResource, DeleteServer, MarkDeleting, MarkForDeletion
from hetzner_k3s.model.steps.tokens import PinCa, RenewToken

Step = (
    EnsureSshKey
    | EnsureNetwork
    | EnsureFirewall
    | EnsurePlacementGroup
    | EnsureLoadBalancer
    | CreateServer
    | PowerOn
    | StartMaster
    | StartWorker
    | SecureHost
    | InstallK3s
    | RecordBirth
    | InitControlPlane
    | JoinControlPlane
    | StartOnDatabase
    | MarkMember
    | RenewToken
    | PinCa
    | SaveSnapshot
    | RemoveMember
    | WipeJoiner
    | DeleteNode
    | HoldMaster
    | FetchDatabase
    | FenceMember
    | ResetQuorum
    | AdoptCluster
    | AdoptLineage
    | JoinWorker
    | LabelNode
    | UnmarkMember
    | UnmarkSurge
    | RetireMember
    | CordonNode
    | DrainNode
    | UncordonNode
    | StageK3s
    | ReconfigureMaster
    | ReconfigureWorker
    | ResizeMaster
    | ResizeWorker
    | ForgetBirth
    | KeepSnapshot
    | UploadSnapshot
    | RestoreSnapshot
    | StartRestored
    | PointWorker
    | ReconnectWorker
    | ApplyAddons
    | RemoveAddon
    | TakeOverAddon
    | WriteKubeconfig
    | KeepTokens
    | MarkDeleting
    | MarkForDeletion
    | DeleteServer
    | DeleteResource
    | CloseBirth
)

__all__ = [
    "AdoptCluster",
    "AdoptLineage",
    "ApplyAddons",
    "CloseBirth",
    "CordonNode",
    "CreateServer",
    "DeleteNode",
    "DeleteResource",
    "DeleteServer",
    "DrainNode",
    "EnsureFirewall",
    "EnsureLoadBalancer",
    "EnsureNetwork",
    "EnsurePlacementGroup",
    "EnsureSshKey",
    "FenceMember",
    "FetchDatabase",
    "ForgetBirth",
    "HoldMaster",
    "InitControlPlane",
    "InstallK3s",
    "JoinControlPlane",
    "JoinWorker",
    "KeepSnapshot",
    "KeepTokens",
    "LabelNode",
    "MarkDeleting",
    "MarkForDeletion",
    "MarkMember",
    "PinCa",
    "PointWorker",
    "PowerOn",
    "ReconfigureMaster",
    "ReconfigureWorker",
    "ReconnectWorker",
    "RecordBirth",
    "RemoveAddon",
    "RemoveMember",
    "RenewToken",
    "ResetQuorum",
    "ResizeMaster",
    "ResizeWorker",
    "RestoreSnapshot",
    "RetireMember",
    "SaveSnapshot",
    "SecureHost",
    "StageK3s",
    "StartMaster",
    "StartOnDatabase",
    "StartRestored",
    "StartWorker",
    "Step",
    "TakeOverAddon",
    "UncordonNode",
    "UnmarkMember",
    "UnmarkSurge",
    "UploadSnapshot",
    "WipeJoiner",
    "WriteKubeconfig",
]
