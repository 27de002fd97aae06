"""The lab's own interface: who is let in, and that nothing that is sent to it ends in a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Scope

from hetzner_k3s.lab.cloud.cloud import Cloud
from hetzner_k3s.lab.cloud.effects.no_machines import NoMachines
from hetzner_k3s.lab.http.app import build_app
from hetzner_k3s.lab.realhosts.system import SystemClock

from .running_lab import ADMIN_TOKEN, TOKEN, SeededRng

HOST = {"host": "127.0.0.1:4711"}
ALLOWED = {**HOST, "authorization": f"Bearer {ADMIN_TOKEN}"}
ASK = {"token": "mine", "project": "main"}


def an_app() -> ASGIApp:
    return build_app(Cloud(SystemClock(), SeededRng(1), NoMachines(), "instant", {TOKEN: "main"}), ADMIN_TOKEN)


def ask(
    app: ASGIApp, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, query: bytes = b""
) -> tuple[int, bytes]:
    """Ask an application without a wire; an exception in it is the test's."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(errors="replace"),
        "root_path": "",
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 4711),
        "client": ("127.0.0.1", 1),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        await app(scope, receive, send)

    asyncio.run(call())
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def post(app: ASGIApp, headers: Mapping[str, str], path: str = "/_lab/tokens") -> int:
    return ask(app, "POST", path, headers, json.dumps(ASK).encode())[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (ALLOWED, 204),
        ({**ALLOWED, "host": "localhost:80"}, 204),
        ({**ALLOWED, "host": "[::1]:80"}, 204),
        (HOST, 401),
        ({**HOST, "authorization": f"Bearer {TOKEN}"}, 401),
        ({**HOST, "authorization": f"Basic {ADMIN_TOKEN}"}, 401),
        ({**HOST, "authorization": "Bearer "}, 401),
        ({**HOST, "authorization": "Bearer \u00fc"}, 401),
        ({**ALLOWED, "host": "rebound.example"}, 403),
        ({**ALLOWED, "host": "127.0.0.1.rebound.example:4711"}, 403),
        ({**ALLOWED, "host": ""}, 403),
        ({"authorization": f"Bearer {ADMIN_TOKEN}"}, 403),
        ({**ALLOWED, "origin": "https://elsewhere.example"}, 403),
        ({**ALLOWED, "origin": "http://127.0.0.1:4711"}, 403),
        ({**ALLOWED, "origin": "null"}, 403),
    ],
)
def test_only_who_has_the_admin_token_and_is_no_page_gets_in(headers: dict[str, str], status: int) -> None:
    """Any local user could grant himself a token, and order a server with user data of his own."""
    app = an_app()
    assert post(app, headers) == status
    mine = ask(app, "GET", "/v1/servers", {"authorization": "Bearer mine"})[0]
    assert mine == (200 if status == 204 else 401)


@pytest.mark.parametrize("path", ["/_lab", "/_lab/", "/_lab/state", "/_lab/requests", "/_lab/faults", "/_lab/what"])
def test_nothing_below_is_open(path: str) -> None:
    for method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS"):
        assert ask(an_app(), method, path, HOST)[0] == 401


def test_without_an_admin_token_there_is_no_such_interface() -> None:
    app = build_app(Cloud(SystemClock(), SeededRng(1), NoMachines(), "instant", {TOKEN: "main"}))
    assert post(app, ALLOWED) == 404
    assert post(app, {**HOST, "authorization": "Bearer None"}) == 404


PATHS = st.sampled_from(
    ["/_lab/faults", "/_lab/faults/1", "/_lab/tokens", "/_lab/requests", "/_lab/state", "/_lab/state/main/servers"]
) | st.text(max_size=20).map(lambda text: f"/_lab/{text}")
FIELDS = ["effect", "method", "path", "skip", "times", "always", "code", "message", "status", "seconds", "entries"]
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, "9" * 5000, "1" * 30])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.sampled_from(["error", "\ud800", "a{99999999999}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.sampled_from([*FIELDS, "token", "project", "read_only"]), VALUES, max_size=6)


def _with_known_effect(values: dict[str, Any]) -> dict[str, Any]:
    return {"effect": "error", "token": "t", "project": "p", **values}


def _dumped(values: Any) -> bytes:
    try:
        return json.dumps(values).encode()
    except ValueError:  # an integer of more digits than Python prints
        return b"[" * 100_000


BODIES = (
    st.binary(max_size=50)
    | VALUES.map(_dumped)
    | OBJECTS.map(_dumped)
    | OBJECTS.map(_with_known_effect).map(_dumped)
    | st.sampled_from([b"[" * 100_000, b"1" * 5000, b'{"a":1e999}', b'{"token":"\\ud800","project":"\\ud800"}'])
)
QUERIES = st.binary(max_size=20) | st.sampled_from([b"after=x", b"after=-1", b"after=" + b"9" * 5000, b"writing=1"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "PATCH"]), path=PATHS, query=QUERIES, body=BODIES)
def test_whatever_is_sent_is_answered_below_500(method: str, path: str, query: bytes, body: bytes) -> None:
    """And whatever was taken can be shown afterwards."""
    app = an_app()
    assert ask(app, method, path, ALLOWED, body, query=query)[0] < 500
    for shown in ("/_lab/faults", "/_lab/state", "/_lab/requests"):
        assert ask(app, "GET", shown, ALLOWED)[0] == 200


def test_a_body_without_end_is_cut_off() -> None:
    assert ask(an_app(), "POST", "/_lab/faults", ALLOWED, b" " * (2 << 20))[0] == 413
