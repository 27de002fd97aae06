"""What an operation printed is what stands between its marks, and nothing at all where one of them is missing."""

from __future__ import annotations

import pytest

from hetzner_k3s.hosts.framing import within
from hetzner_k3s.model.text.documents import Malformed


def test_what_a_login_shell_prints_around_is_left_out() -> None:
    assert within(b"welcome\n\nmark\n{}\n\nmark\nbye\n", "mark") == b"{}\n"


@pytest.mark.parametrize("printed", [b"", b"{}\n\nmark\n", b"\nmark\n{}\n", b"\nother\n{}\n\nother\n"])
def test_what_was_cut_short_or_is_of_another_is_no_answer(printed: bytes) -> None:
    with pytest.raises(Malformed, match="between the marks"):
        within(printed, "mark")
