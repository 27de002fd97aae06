"""Files that are no configuration: one clear message each, no traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.loader import load
from hetzner_k3s.config.source import MAX_BYTES, Scalar, read

NINE_TIMES_NINE = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

BAD = {
    "empty": (b"", "cluster.yaml: is empty; expected a cluster configuration"),
    "only a comment": (b"# nothing\n", "cluster.yaml: is empty; expected a cluster configuration"),
    "a list": (b"- a\n- b\n", "cluster.yaml:1:1: expected settings (`key: value`), got a list"),
    "a word": (b"junk", "cluster.yaml:1:1: expected settings (`key: value`), got a single value"),
    "tab": (b"a:\n\tb: 1\n", "cluster.yaml:2:1: indented with a tab; YAML wants spaces"),
    "tab after spaces": (b"a:\n  c: 1\n  \tb: 1\n", "cluster.yaml:3:3: indented with a tab; YAML wants spaces"),
    "not UTF-8": (b"a: 1\nb: \xff\xfe\n", "cluster.yaml:2:4: is not UTF-8 text"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "cluster.yaml:1:1: is not UTF-8 text"),
    "NUL": (b"a: b\0c\n", "cluster.yaml: is not valid YAML: unacceptable character #x0000: special characters"),
    "1 MB of junk": (b"x" * (1 << 20), "cluster.yaml: is larger than 256 KiB; this is no cluster configuration"),
    "junk that fits": (os.urandom(4096), "cluster.yaml:1:"),
    "open quote": (b"a: 'x\n", "cluster.yaml:2:1: is not valid YAML: found unexpected end of stream"),
    "open bracket": (b"a: [x\nb: 1\n", "cluster.yaml:2:2: is not valid YAML: expected ',' or ']', but got ':'"),
    "two documents": (b"a: 1\n---\nb: 1\n", "cluster.yaml:2:1: is not valid YAML: but found another document"),
    "no such anchor": (b"a: *b\n", "cluster.yaml:1:4: is not valid YAML: found undefined alias 'b'"),
    "deep": (b"a: " + b"[" * 90 + b"]" * 90, "cluster.yaml:1:44: nested more than 40 levels deep"),
    "very deep": (b"a: " + b"[" * 600, "cluster.yaml: nested more than 40 levels deep"),
    "aliases bomb": (NINE_TIMES_NINE.encode(), "cluster.yaml:1:11: aliases expand to more than 50000 values"),
    "itself": (b"a: &a [*a]\n", "cluster.yaml:1:4: nested more than 40 levels deep"),
    "merges itself": (b"a: &a\n  <<: *a\n", "cluster.yaml:1:4: merge keys (`<<`) go in circles or too deep"),
}


@pytest.mark.parametrize("name", BAD)
def test_says_in_one_line_what_is_wrong(name: str, tmp_path: Path) -> None:
    content, message = BAD[name]
    if name == "junk that fits":
        content = content.replace(b"\0", b"\x01") + b"\xff"
    path = tmp_path / "cluster.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (line,) = str(caught.value).splitlines()
    assert line.removeprefix(f"{tmp_path}/").startswith(message)


def test_missing_file_directory_and_unreadable_path(tmp_path: Path) -> None:
    for path, message in {
        tmp_path / "nothing.yaml": "no such file",
        tmp_path: "is a directory; expected a YAML file",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
        tmp_path / "a\0b": "cannot be read: ",
    }.items():
        with pytest.raises(ConfigError, match=message):
            load(path, {})


def test_the_name_in_messages_is_the_one_the_user_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load("./nothing.yaml", {})
    assert str(caught.value) == "./nothing.yaml: no such file"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes("a: 1\n".encode("utf-8-sig"))
    assert read(path, "cluster.yaml").root == {"a": Scalar("1")}


def test_the_size_limit_is_inclusive(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("a: 1\n".ljust(MAX_BYTES, "\n"))
    assert read(path, "cluster.yaml").root == {"a": Scalar("1")}


def test_own_keys_win_over_merged_ones_and_earlier_merges_over_later(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("x-a: &a {p: 1, q: 1}\nx-b: &b {q: 2, r: 2}\nc:\n  r: 3\n  <<: [*a, *b]\n")
    document = read(path, "cluster.yaml")
    assert document.root["c"] == {"r": Scalar("3"), "p": Scalar("1"), "q": Scalar("1")}
    assert not document.diagnostics


def test_a_quoted_null_is_text_and_a_bare_one_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("a: null\nb: ~\nc:\nd: ''\ne: 'null'\n")
    assert read(path, "cluster.yaml").root == {"d": Scalar("", plain=False), "e": Scalar("null", plain=False)}


def test_half_of_a_character_is_named_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text('networking:\n  ssh:\n    public_key_path: "/keys/\\ud800"\n')
    (found,) = read(path, "cluster.yaml").diagnostics
    assert str(found) == (
        "cluster.yaml:3:22: networking.ssh.public_key_path: holds half of a character (one of \\ud800 to \\udfff)"
    )
