"""After an upgrade the file names the new release, and is otherwise the file that it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetzner_k3s.config.rewriting import NotRewritten, with_release, write_release

NEW = "v1.36.4+k3s1"

KEPT = {
    "plain": "a: 1\nk3s_version: {}\n# k3s_version: v0\nb: 2\n",
    "with a comment behind it": "k3s_version: {}   # k3s_version: v1.1.1+k3s1 was worse\n",
    "in double quotes": 'k3s_version: "{}"\n',
    "in single quotes": "k3s_version: '{}' # it\n",
    "with blanks and Windows line ends": "cluster_name:   prod\r\nk3s_version :   {}  \r\nimage: x\r\n",
    "at the very end": "image: x\nk3s_version: {}",
    "in a flow mapping": "{{cluster_name: prod, k3s_version: {}, image: x}}\n",
    "with letters beyond ASCII before it": "cluster_name: prod # Größe 🚀\nk3s_version: {}\n",
    "with a mark of the byte order": "\ufeffk3s_version: {}\n",
    "beside one of the same name further in": "x-old:\n  k3s_version: v1\nk3s_version: {}\n",
    "on the next line": "k3s_version:\n  {}\n",
}


@pytest.mark.parametrize("kind", KEPT)
def test_nothing_but_the_release_changes(kind: str) -> None:
    assert with_release(KEPT[kind].format("v1.36.3+k3s1"), NEW) == KEPT[kind].format(NEW)


@pytest.mark.parametrize(
    "text",
    [
        "x-v: &v v1.36.3+k3s1\nk3s_version: *v\n",
        "k3s_version: &v v1.36.3+k3s1\nx-same: *v\n",
        "x-all: &all\n  k3s_version: v1\n<<: *all\n",
        "image: x\n",
        "k3s_version: |\n  v1.36.3+k3s1\n",
        "k3s_version: [v1.36.3+k3s1]\n",
        "- k3s_version\n",
        "k3s_version: 'v1\n",
        "",
    ],
)
def test_what_is_written_otherwise_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(NotRewritten):
        with_release(text, NEW)


def test_the_file_keeps_its_mode_and_what_a_link_leads_to(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "cluster.yaml"
    real.write_bytes(b"k3s_version: v1.36.3+k3s1\r\n")
    real.chmod(0o640)
    link.symlink_to(real)
    write_release(link, NEW)
    assert link.is_symlink()
    assert real.read_bytes() == f"k3s_version: {NEW}\r\n".encode()
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.yaml", "real.yaml"]


def test_one_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotRewritten, match="cannot be written: No such file"):
        write_release(tmp_path / "gone.yaml", NEW)
