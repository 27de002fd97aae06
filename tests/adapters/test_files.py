"""Files of this machine: whole or as they were, for their owner alone, and the tokens and evidence that lie in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hetzner_k3s.adapters.system import kept_tokens, kubeconfig
from hetzner_k3s.adapters.system.files import append_private, kept_copy, make_private, naming, write_private
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.state import UNREADABLE
from hetzner_k3s.model.tokens import ClusterTokens

_CA = "ab" * 32


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_that_cannot_be_replaced_stays_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").mkdir()
    with pytest.raises(OSError, match="directory") as failed:
        write_private(tmp_path / "kubeconfig", "text")
    assert failed.value.filename == str(tmp_path / "kubeconfig")
    assert os.listdir(tmp_path) == ["kubeconfig"]


def test_a_file_is_replaced_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "there")
    write_private(tmp_path / "link", "text")
    assert ((tmp_path / "deep" / "there").read_text(), mode(tmp_path / "deep" / "there")) == ("text", 0o600)
    assert (tmp_path / "link").is_symlink()


def test_a_copy_is_kept_once_for_each_content(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    assert kept_copy(file, "old") is None
    assert kept_copy(tmp_path, "old") is None
    names = []
    for content in ("a", "b", "a", "c"):
        file.write_text(content)
        kept = kept_copy(file, "old")
        assert kept is not None
        assert (kept.read_text(), mode(kept)) == (content, 0o600)
        names.append(kept.name)
    assert names == ["kubeconfig.old", "kubeconfig.old-2", "kubeconfig.old", "kubeconfig.old-3"]


def test_folders_and_lines_are_for_their_owner(tmp_path: Path) -> None:
    for line in ("a\n", "b\n"):
        append_private(tmp_path / "x" / "y" / "log", line)
    make_private(tmp_path / "x" / "y")
    assert (tmp_path / "x" / "y" / "log").read_text() == "a\nb\n"
    assert [mode(tmp_path / part) for part in ("x", "x/y", "x/y/log")] == [0o700, 0o700, 0o600]


def test_an_error_names_the_file_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full") as failed, naming(tmp_path / "f"):
        raise OSError(28, "full", "/tmp/other")
    assert failed.value.filename == str(tmp_path / "f")


def token(password: str, kind: str = "server") -> Secret:
    return Secret(f"K10{_CA}::{kind}:{password}")


def test_tokens_are_kept_and_found_the_newest_first(tmp_path: Path) -> None:
    assert kept_tokens.found(tmp_path / "tokens") == ()
    kept = [ClusterTokens(token(word), agent) for word, agent in (("old", None), ("new", token("a", "node")))]
    paths = [kept_tokens.keep(tmp_path / "tokens", one) for one in kept]
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    assert [mode(path) for path in (tmp_path / "tokens", *paths)] == [0o700, 0o600, 0o600]
    (tmp_path / "tokens" / "folder").mkdir()
    (tmp_path / "tokens" / "noise").write_bytes(b"\xff\xfe")
    (tmp_path / "tokens" / "agents").write_text(token("a", "node").reveal())
    found = kept_tokens.found(tmp_path / "tokens")
    assert [(one.server.reveal(), one.agent and one.agent.reveal()) for one in found] == [
        (token("new").reveal(), token("a", "node").reveal()),
        (token("old").reveal(), None),
    ]


@pytest.mark.parametrize(("authorities", "is_told"), [((), True), (("QQ==",), True), (("QQ==", "Qg=="), False)])
def test_contexts_of_ours_that_trust_two_authorities_are_no_evidence(
    tmp_path: Path, authorities: tuple[str, ...], is_told: bool
) -> None:
    names = ("prod", "prod-master1")[: len(authorities)]
    clusters = [
        f"{{name: {name}, cluster: {{server: 's', certificate-authority-data: {ca}}}}}"
        for name, ca in zip(names, authorities, strict=True)
    ]
    contexts = [f"{{name: {name}, context: {{cluster: {name}, user: u}}}}" for name in names]
    (tmp_path / "k").write_text(f"clusters: [{', '.join(clusters)}]\ncontexts: [{', '.join(contexts)}]\n")
    found = kubeconfig.read_kubeconfig(tmp_path / "k", "prod")
    assert (found.ca != UNREADABLE) is is_told
    assert sorted(found.servers) == sorted(names)
