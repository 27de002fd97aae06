"""What an operation prints stands between two lines that only its asker knows, so a login shell may print as well.

sshd runs a command through root's shell, and bash reads `.bashrc` first: one line printed there was an unreadable host.
"""

from __future__ import annotations

from hetzner_k3s.model.text.documents import Malformed


def framed(script: str, mark: str) -> str:
    """Return a script that writes the mark on a line of its own, to stdout and stderr, first and last."""
    edge = rf"printf '\n{mark}\n'; printf '\n{mark}\n' >&2"
    return f'{edge}\ntrap "{edge}" EXIT\n{script}'


class Frame:
    """Takes what comes in pieces and returns what lies within; `closed` says whether the end was seen."""

    def __init__(self, mark: str) -> None:
        self._edge = f"\n{mark}\n".encode()
        self._held = b""
        self._opened = False
        self.closed = False

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; the last bytes are held back, since they may begin the closing line."""
        if self.closed:
            return b""
        self._held += piece
        if not self._opened:
            _, edge, after = self._held.partition(self._edge)
            self._opened = bool(edge)
            self._held = after if edge else self._held[-len(self._edge) :]
            if not edge:
                return b""
        content, edge, _ = self._held.partition(self._edge)
        if edge:
            self.closed, self._held = True, b""
            return content
        split = max(0, len(self._held) - len(self._edge))
        content, self._held = self._held[:split], self._held[split:]
        return content


def within(printed: bytes, mark: str) -> bytes:
    """Return what lies between the marks.

    Raises:
        Malformed: one of them is missing.
    """
    frame = Frame(mark)
    content = frame.feed(printed)
    if not frame.closed:
        raise Malformed("it does not stand between the marks that were asked for")
    return content
