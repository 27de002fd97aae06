"""Tokens, against the recorded ones."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from hetzner_k3s.lab.k3s.trust import bootstrap, node_password, tokens
from hetzner_k3s.lab.k3s.trust.tokens import Token, TokenError

from .recording import document, http, line

PASSWORD = "labpw0123456789abcdefLAB"
HASH = "f046a7515d254c102f476c7aec2087d77e2eff8b91fafbe34163d56bccf6c60a"


def test_full_token_is_the_hash_of_the_ca_file(recordings: Path) -> None:
    cacerts = http(recordings / "http" / "local_noauth_cacerts.txt").body.encode()
    written = re.search(r"^K10\S+$", (recordings / "host" / "sha256_server_ca.txt").read_text(), re.MULTILINE)
    assert written
    assert tokens.full(cacerts, PASSWORD) == written[0]


def test_bootstrap_key_names_the_password(recordings: Path) -> None:
    keys = (recordings / "etcd" / "2382_allkeys.txt").read_text().split()
    assert [key for key in keys if key.startswith("/bootstrap/")] == [tokens.storage_key(PASSWORD)]
    (row,) = http(recordings / "etcd" / "2382_range_bootstrap_keys.txt").json["kvs"]
    assert base64.b64decode(row["key"]).decode() == tokens.storage_key(PASSWORD)


def test_parse() -> None:
    assert tokens.parse(f"K10{HASH}::server:{PASSWORD}\n") == Token(PASSWORD, "server", HASH)
    assert tokens.parse(f"K10{HASH}::node:{PASSWORD}") == Token(PASSWORD, "node", HASH)
    assert tokens.parse(PASSWORD) == Token(PASSWORD)
    assert tokens.parse(f"server:{PASSWORD}") == Token(PASSWORD)


@pytest.mark.parametrize("text", ["K10abc::server:x", f"K10{HASH}", f"K10{HASH}::server:"])
def test_malformed(text: str) -> None:
    with pytest.raises(TokenError):
        tokens.parse(text)


def test_pin() -> None:
    tokens.check_ca(Token(PASSWORD, "server", tokens.ca_hash(b"this")), b"this")
    with pytest.raises(TokenError):
        tokens.check_ca(Token(PASSWORD, "server", tokens.ca_hash(b"this")), b"another")


def test_a_pin_for_another_cluster_is_refused_in_k3s_words(recordings: Path) -> None:
    other = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    cacerts = http(recordings / "http" / "local_noauth_cacerts.txt").body.encode()
    with pytest.raises(TokenError) as caught:
        tokens.check_ca(Token(PASSWORD, "server", other), cacerts)
    recorded = line(
        (recordings / "runs" / "11.log").read_text(),
        "Error: preparing server: failed to bootstrap cluster data: failed to check",
    )
    assert recorded.endswith(f'{caught.value}"')


def test_a_bare_password_is_warned_about_in_k3s_words(recordings: Path) -> None:
    tokens.check_ca(Token(PASSWORD), b"any")
    assert tokens.UNPINNED in (recordings / "runs" / "11.log").read_text()


def test_bootstrap_data_opens_only_with_its_password() -> None:
    sealed = bootstrap.encrypt("one", b"secret")
    assert bootstrap.decrypt("one", sealed) == b"secret"
    with pytest.raises(bootstrap.BootstrapError, match="encrypted with different token"):
        bootstrap.decrypt("two", sealed)


def test_datastore_of_another_token() -> None:
    store = {
        tokens.storage_key("one"): bootstrap.encrypt("one", bootstrap.encode({"ServerCA": bootstrap.File(b"ca", 5.0)}))
    }
    assert bootstrap.from_store(store, "one")["ServerCA"].content == b"ca"
    with pytest.raises(bootstrap.BootstrapError, match=bootstrap.OTHER_TOKEN):
        bootstrap.from_store(store, "two")
    with pytest.raises(bootstrap.BootstrapError, match="no bootstrap data found"):
        bootstrap.from_store({}, "one")


def test_leftovers_that_are_newer_than_the_datastore() -> None:
    stored = {"ServerCA": bootstrap.File(b"theirs", 100.0), "ClientCA": bootstrap.File(b"same", 100.0)}
    disk = {"ServerCA": bootstrap.File(b"mine", 104.0), "ClientCA": bootstrap.File(b"same", 999.0)}
    assert bootstrap.newer_on_disk(disk, stored) == ["ServerCA"]
    assert bootstrap.newer_on_disk({"ServerCA": bootstrap.File(b"mine", 102.0)}, stored) == []


def test_node_password_hash_has_the_recorded_form(recordings: Path) -> None:
    recorded = document(recordings / "kube" / "node_password_secrets.json")["items"][1]
    made = node_password.secret("master1", "x")
    assert made["metadata"]["name"] == recorded["metadata"]["name"]
    assert (made["type"], made["immutable"]) == (recorded["type"], recorded["immutable"])
    form = re.compile(r"\$1:[0-9a-f]{16}:15:8:1:[A-Za-z0-9+/]{86}")
    assert form.fullmatch(node_password.stored_hash(recorded))
    assert form.fullmatch(node_password.stored_hash(made))
    assert node_password.matches(node_password.stored_hash(made), "x")
    assert not node_password.matches(node_password.stored_hash(made), "y")
