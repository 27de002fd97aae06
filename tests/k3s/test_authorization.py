"""Every recorded answer about who may ask the supervisor what, replayed against the decision."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from hetzner_k3s.lab.k3s.trust.authorization import Caller, Role, Verdict, is_supervisor_path, role_of, verdict
from hetzner_k3s.lab.k3s.trust.tokens import parse_passwd, passwd_file

from .recording import http

PASSWORDS = parse_passwd(passwd_file("labpw0123456789abcdefLAB", "labpw0123456789abcdefLAB"))
WORDS = {
    "node": "node:labpw0123456789abcdefLAB",
    "server": "server:labpw0123456789abcdefLAB",
    "wrongpw": "server:wrong",
}


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def decide(name: str) -> Verdict:
    origin, who, path = name.split("_", 2)
    role = role_of(basic(WORDS[who]) if who in WORDS else None, PASSWORDS)
    return verdict("/" + path.replace("_", "/"), Caller(role, origin == "local"))


def test_every_recorded_answer(recordings: Path) -> None:
    compared = 0
    for file in sorted((recordings / "http").glob("*_*_*.txt")):
        _, who, path = file.stem.split("_", 2)
        if who not in ("noauth", *WORDS) or not is_supervisor_path("/" + path.replace("_", "/")):
            continue
        text = file.read_text()
        if text.startswith("HTTP"):  # some recordings failed ("strings: command not found")
            assert decide(file.stem).value == http(file).code, file.stem
            compared += 1
    assert compared >= 25


def test_db_info_with_a_slash_is_the_api_servers(recordings: Path) -> None:
    assert not is_supervisor_path("/db/info/")
    assert http(recordings / "http" / "local_noauth_db_info_slash.txt").json["apiVersion"] == "v1"


def test_the_server_role_is_not_the_agents(recordings: Path) -> None:
    text = (recordings / "healthy-3-servers-1-agent" / "v1-k3s.config.server-role.txt").read_text()
    assert "[http 403]" in text
    assert verdict("/v1-k3s/config", Caller(Role.SERVER, local=True)) is Verdict.FORBIDDEN


def test_server_role_from_another_host_may_list_members(recordings: Path) -> None:
    assert http(recordings / "http" / "remote_server_public_db_info.txt").code == 200
    assert verdict("/db/info", Caller(Role.SERVER, local=False)) is Verdict.ALLOWED
    assert http(recordings / "http" / "remote_node_db_info.txt").code == 403
    assert verdict("/db/info", Caller(Role.AGENT, local=False)) is Verdict.FORBIDDEN


def test_authorities_keys_only_for_servers(recordings: Path) -> None:
    for name, role in (
        ("local_noauth_v1-k3s_server-bootstrap", Role.NONE),
        ("local_node_server_bootstrap", Role.AGENT),
    ):
        assert http(recordings / "http" / f"{name}.txt").code == 403
        assert verdict("/v1-k3s/server-bootstrap", Caller(role, local=True)) is Verdict.FORBIDDEN
    assert verdict("/v1-k3s/server-bootstrap", Caller(Role.SERVER, local=False)) is Verdict.ALLOWED


def test_a_nodes_certificate_is_the_agent_role() -> None:
    node = Caller(Role.NONE, local=False, certificate="system:node:worker1", groups=("system:nodes",))
    assert verdict("/v1-k3s/apiservers", node) is Verdict.ALLOWED
    assert verdict("/db/snapshot", node) is Verdict.FORBIDDEN


@pytest.mark.parametrize("header", ["Basic !!!", "Basic " + base64.b64encode(b"nobody:x").decode()])
def test_unreadable_credentials_are_wrong_ones(header: str) -> None:
    assert role_of(header, PASSWORDS) is Role.WRONG
