"""Any bytes that a Kubernetes API or a master's kubeconfig holds become a typed value or a typed error."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.answering import Answer, Answering, answering
from tests.hosts.outside import INSTANCES, VALUES, assert_typed, nearly, sent

from hetzner_k3s.adapters import kube, kube_objects, kube_session
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.adapters.kube_session import path_of
from hetzner_k3s.hosts.admin_kubeconfig import AdminKubeconfig, read_admin_kubeconfig
from hetzner_k3s.lab.k3s.trust.certificates import Issuer, authority
from hetzner_k3s.lab.simulated.virtual_time import LoopClock
from hetzner_k3s.model.errors import DeadlineExceeded, KubeError, OperationFailed
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import KubeNode, KubeView, Leaving, NodeLoad, Pod
from hetzner_k3s.model.kubernetes.addons import CSI_DRIVER
from hetzner_k3s.model.kubernetes.addons_of_2x import ObjectName
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, NodeKeys
from hetzner_k3s.model.kubernetes.run_history import PastRun, RunHistory
from hetzner_k3s.model.operations.operation import Operation
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import Document, Malformed

pytestmark = pytest.mark.usefixtures("no_collection")

MASTER = HostTarget(server_id=1, name="m1", address="127.0.0.1", port=22, keys={})
ADMIN = AdminKubeconfig(ca="YQ==", certificate="YQ==", key=Secret("YQ=="))
FEW = settings(max_examples=8, deadline=None)
CHANGE = NodeChange(labels={"a": "b", "c": None}, taints={"d:NoExecute": "e"}, ours=NodeKeys())
RUN = PastRun(run="ab12", who="eva@desk", began=1.8e9, command="create", code=0, seconds=1.0)
POD = Pod(namespace="default", name="web", uid="1", controller=None)


class Access:
    """A master whose kubeconfig is read and whose API is reached."""

    def __init__(self, port: int = 1) -> None:
        self.port = port

    async def perform(self, _target: HostTarget, _operation: Operation[Any]) -> Secret:
        return Secret(sent(KUBECONFIG).decode())

    async def forward(self, _target: HostTarget, _port: int) -> int:
        return self.port


@pytest.fixture(scope="module")
def api() -> Iterator[Answering]:
    with answering() as api:
        yield api


class Plain(httpx2.AsyncHTTPTransport):
    """What reaches an API without TLS, and reads no authorities for it: there are thousands of connections."""

    def __init__(self) -> None:
        super().__init__(verify=False, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http")
        return await super().handle_async_request(request)


CALLS: dict[str, Callable[[K3sApi], Coroutine[Any, Any, Any]]] = {
    "view": lambda k: k.view(MASTER),
    "load_of": lambda k: k.load_of(MASTER, "n1"),
    "last_heartbeat": lambda k: k.last_heartbeat(MASTER, "n1"),
    "evict": lambda k: k.evict(MASTER, POD),
    "annotate_node": lambda k: k.annotate_node(MASTER, "n1", {"a": "b"}, {}),
    "label_node": lambda k: k.label_node(MASTER, "n1", "1", CHANGE),
    "mark_leaving": lambda k: k.mark_leaving(MASTER, "n1", Leaving.CORDONED),
    "delete_node": lambda k: k.delete_node(MASTER, "n1", "1"),
    "drop_node": lambda k: k.drop_node(MASTER, "n1", "1"),
    "delete_node, released": lambda k: k.delete_node(MASTER, "n1", "1", release=True),
    "delete_node_password": lambda k: k.delete_node_password(MASTER, "n1"),
    "wait_node_ready": lambda k: k.wait_node_ready(MASTER, "n1", 0.0),
    "named_volumes": lambda k: k.named_volumes(MASTER),
    "dependents": lambda k: k.dependents(MASTER, CSI_DRIVER),
    "remove_chart": lambda k: k.remove_chart(MASTER, CSI_DRIVER, "1"),
    "addon_of_2x": lambda k: k.addon_of_2x(MASTER, CSI_DRIVER),
    "clear_way": lambda k: k.clear_way(MASTER, CSI_DRIVER, {ObjectName("Deployment", "a"): "1"}),
    "past_runs": lambda k: k.past_runs(MASTER),
    "note_run": lambda k: k.note_run(MASTER, RUN),
    "apply": lambda k: k.apply(MASTER, [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}]),
}


def outcome(api: Answering, name: str, answer: Callable[[str, str], Answer], monkeypatch: pytest.MonkeyPatch) -> Any:
    for wait in (
        "_PERSIST",
        "_GONE_WITHIN",
        "_GOES_WITHIN",
        "_K3S_RELEASES_WITHIN",
        "_UNINSTALLED_WITHIN",
        "_ENDED_WITHIN",
    ):
        monkeypatch.setattr(kube, wait, 0.0)
    api.answer = answer

    async def story() -> Any:
        access = Access(api.port)
        adapter = K3sApi(hosts=cast(Any, access), forwarder=access, clock=LoopClock(), transport=lambda _: Plain())
        try:
            async with asyncio.timeout(20):
                return await CALLS[name](adapter)
        finally:
            await adapter.close()

    try:
        return asyncio.run(story())
    except (KubeError, DeadlineExceeded) as error:
        told = error
    assert str(told).isprintable()
    return told


def test_every_call_of_the_port_is_tried() -> None:
    assert {name for name in vars(K3sApi) if not name.startswith("_")} - {"close"} <= {*CALLS}


@pytest.mark.parametrize("name", CALLS)
def test_what_was_seen_is_a_typed_error_or_value(api: Answering, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in INSTANCES:
        outcome(api, name, lambda _m, _p: Answer(content[:5000]), monkeypatch)  # noqa: B023
    for status in (301, 404, 500):
        outcome(api, name, lambda _m, _p: Answer(b"{", status), monkeypatch)  # noqa: B023


@pytest.mark.parametrize("name", CALLS)
@FEW
@given(content=st.one_of(st.binary(max_size=80), VALUES.map(sent)), status=st.sampled_from([200, 404, 409, 429, 503]))
def test_any_answer_is_a_typed_error_or_value(api: Answering, name: str, content: bytes, status: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        outcome(api, name, lambda _m, _p: Answer(content, status), monkeypatch)


METADATA = {
    "name": "n1",
    "uid": "1",
    "namespace": "default",
    "labels": {"a": "b"},
    "annotations": {"hetzner-k3s/server-id": "7", "k3s.io/encryption-config-hash": "start-ab"},
    "creationTimestamp": "2026-11-28T20:00:00Z",
    "finalizers": ["wrangler.cattle.io/node"],
    "resourceVersion": "5",
    "ownerReferences": [{"kind": "DaemonSet", "controller": True}],
}
NODE = {
    "metadata": METADATA,
    "spec": {"providerID": "hcloud://7", "unschedulable": True, "taints": [{"key": "x"}]},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "EtcdIsVoter", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}],
    },
}
RULE = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}
VOLUME = {
    "metadata": METADATA,
    "spec": {
        "claimRef": {"namespace": "default", "name": "data"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [RULE]}]}},
    },
    "status": {"phase": "Bound"},
}
POD_ROW = {"metadata": METADATA, "spec": {}, "status": {"phase": "Running"}}
SECRET = {"metadata": {**METADATA, "name": "hcloud"}, "data": {"token": "YQ==", "network": "YQ=="}}
NOTED = json.dumps(
    {"when": "2027-01-15T08:00:00Z", "who": "eva@desk", "command": "create", "exit_code": 0, "seconds": 1.0}
)


def listed(row: dict[str, Any]) -> dict[str, Any]:
    return {"items": [row], "metadata": {}}


RIGHT: dict[str, dict[str, Any]] = {
    "/api/v1/namespaces/kube-system": {"metadata": METADATA},
    "/api/v1/nodes": listed(NODE),
    "/api/v1/namespaces/kube-system/secrets": listed(SECRET),
    "/api/v1/namespaces/kube-system/configmaps/hetzner-k3s": {"metadata": METADATA, "data": {"lineage": "22"}},
    "/api/v1/namespaces/kube-system/configmaps/hetzner-k3s-history": {"metadata": METADATA, "data": {"ab12": NOTED}},
    "/apis/helm.cattle.io/v1/namespaces/kube-system/helmcharts": listed({"metadata": METADATA}),
    "/api/v1/pods": listed(POD_ROW),
    "/api/v1/persistentvolumes": listed(VOLUME),
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1": {"spec": {"renewTime": "2026"}},
    "/api/v1/nodes/n1": NODE,
}
READS = {"view": KubeView, "load_of": NodeLoad, "past_runs": RunHistory}


def right_but(path: str, document: Any) -> Callable[[str, str], Answer]:
    changed = {**RIGHT, path: document}
    return lambda _method, asked: Answer(sent(changed[asked.partition("?")[0]]))


@pytest.mark.parametrize("name", READS)
def test_the_right_answers_are_read(api: Answering, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = outcome(api, name, right_but("/api/v1/nodes", RIGHT["/api/v1/nodes"]), monkeypatch)
    assert_typed(seen, READS[name])
    if isinstance(seen, NodeLoad):
        assert seen.local_claims == ("default/data",)
    if isinstance(seen, RunHistory):
        assert seen == RunHistory((RUN,), 0)


@pytest.mark.parametrize("path", RIGHT)
@FEW
@given(data=st.data())
def test_an_answer_with_one_thing_wrong(api: Answering, path: str, data: st.DataObject) -> None:
    answer = right_but(path, data.draw(nearly(RIGHT[path])))
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in (*READS, "note_run", "last_heartbeat", "wait_node_ready", "delete_node, released", "drop_node"):
            seen = outcome(api, name, answer, monkeypatch)
            if name in READS and not isinstance(seen, KubeError):
                assert_typed(seen, READS[name])


@pytest.mark.parametrize("noted", ["9" * 5000, "²", "7 ", "-7", "0x7", "٧", ""])
def test_a_number_that_is_none_in_an_annotation_is_no_server_id(noted: str) -> None:
    """Seen: an annotation of 5000 digits, which any kubelet may write on its Node, ended every command."""
    annotated = {**NODE, "metadata": {**METADATA, "annotations": {"hetzner-k3s/server-id": noted}}}
    read = kube_objects.node(Document.of(annotated))
    assert_typed(read, KubeNode)
    assert read.server_id is None


@pytest.mark.parametrize("provider", ["hcloud://" + "9" * 5000, "hcloud://²", "hcloud://"])
def test_a_provider_id_that_is_none_names_no_server(provider: str) -> None:
    bare = {**METADATA, "annotations": {}}
    node = kube_objects.node(Document.of({**NODE, "spec": {"providerID": provider}, "metadata": bare}))
    assert node.machine is None


def test_an_answer_without_an_end_is_an_error(api: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_session, "_MOST_BYTES", 1000)
    assert "longer than" in str(outcome(api, "view", lambda _m, _p: Answer(b" " * 5000), monkeypatch))
    endless = {"items": [], "metadata": {"continue": "again"}}
    monkeypatch.setattr(kube_session, "_PAGES_MOST", 3)
    assert "more than 3 pages" in str(outcome(api, "load_of", lambda _m, _p: Answer(sent(endless)), monkeypatch))


def test_a_name_is_one_segment_of_a_path() -> None:
    assert path_of("nodes", "../../secrets/x?y#z") == "/api/v1/nodes/..%2F..%2Fsecrets%2Fx%3Fy%23z"
    for name in ("", ".", ".."):
        with pytest.raises(Malformed):
            path_of("nodes", name)


def test_no_netrc_no_proxy_no_redirect(api: Answering, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "netrc").write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(kube_session, "tls", lambda _admin: True)
    client = kube_session.open_session(ADMIN, api.port, kube_session.over_tls).http
    assert not client.trust_env
    assert not client.follow_redirects
    api.asked.clear()
    outcome(api, "last_heartbeat", lambda _m, _p: Answer(b"", 302, headers={"Location": "/elsewhere"}), monkeypatch)
    assert len(api.asked) == 1
    assert "Authorization" not in api.asked[0][2]


KUBECONFIG = {
    "clusters": [{"name": "default", "cluster": {"certificate-authority-data": "YQ==", "server": "https://x"}}],
    "users": [{"name": "default", "user": {"client-certificate-data": "YQ==", "client-key-data": "c2VjcmV0LWtleQ=="}}],
    "contexts": [],
    "current-context": "default",
}


def read(text: str) -> AdminKubeconfig | OperationFailed:
    try:
        return read_admin_kubeconfig(Secret(text), "m1")
    except OperationFailed as failed:
        return failed


def test_nothing_of_a_masters_kubeconfig_is_run_or_read() -> None:
    """A command (`exec`) or a file that it names would have been written into the operator's own kubeconfig."""
    user = {**KUBECONFIG["users"][0]["user"], "exec": {"command": "evil"}, "tokenFile": "/etc/shadow"}  # type: ignore[index]
    evil = {**KUBECONFIG, "users": [{"name": "default", "user": user}]}
    admin = read(sent(evil).decode())
    assert isinstance(admin, AdminKubeconfig)
    assert admin.user() == {"client-certificate-data": "YQ==", "client-key-data": "c2VjcmV0LWtleQ=="}


@pytest.mark.parametrize("at", [0, 1, 20, 100, 150, 200, 250])
def test_a_kubeconfig_that_was_cut_short_is_that_masters_failure(at: int) -> None:
    """Seen: a truncated k3s.yaml ended every command, with a part of it in the error."""
    failed = read(sent(KUBECONFIG).decode()[:at])
    assert isinstance(failed, OperationFailed)
    assert "c2VjcmV0" not in str(failed)


@FEW
@given(data=st.data())
def test_a_kubeconfig_with_one_thing_wrong(data: st.DataObject) -> None:
    read(sent(data.draw(nearly(KUBECONFIG))).decode())


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_is_a_kubeconfig_or_an_error(text: str) -> None:
    assert isinstance(read(text), OperationFailed)


@pytest.mark.parametrize("text", ["[" * 5000, "a: &a [*a]", "x" * (300 << 10), "? - ? -", "!!python/object:os.x y"])
def test_what_yaml_can_be_made_to_do_is_an_error(text: str) -> None:
    assert isinstance(read(text), OperationFailed)


def test_a_key_with_a_passphrase_asks_nobody_for_it() -> None:
    """OpenSSL asks the terminal for the passphrase of an encrypted key, and a master may send such a key."""
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"unknown"))
    issuer = Issuer(authority("k3s-server-ca", datetime.now(UTC)))
    signed = issuer.sign("admin", datetime.now(UTC))
    parts = (signed.certificate, signed.certificate, secret)
    ca, certificate, private = (base64.b64encode(part).decode() for part in parts)
    with pytest.raises((OSError, ValueError)):
        kube_session.tls(AdminKubeconfig(ca=ca, certificate=certificate, key=Secret(private)))


def test_certificates_that_are_none_are_that_masters_failure() -> None:
    api = K3sApi(hosts=cast(Any, Access()), forwarder=Access(), clock=LoopClock())
    with pytest.raises(KubeError, match="m1: cannot read"):
        asyncio.run(api.view(MASTER))
