"""What an operation prints stands between two lines that only its asker knows, so a login shell may print as well.

sshd runs a command through root's shell, and bash reads `.bashrc` first: one line printed there was an unreadable host.
"""

from __future__ import annotations

from hetzner_k3s.model.text.documents import Malformed


def framed(script: str, mark: str, *, live: bool = False) -> str:
    """Return a script that writes the mark on a line of its own, to stdout and stderr, first and last.

    The last one of a `live` script stands right behind what it printed, so that a line's end is known to be one.
    """
    edge = rf"printf '\n{mark}\n'; printf '\n{mark}\n' >&2"
    end = rf"printf '{mark}\n'; printf '{mark}\n' >&2" if live else edge
    return f'{edge}\ntrap "{end}" EXIT\n{script}'


class Frame:
    """Takes what comes in pieces and returns what lies within; `closed` says whether the end was seen."""

    def __init__(self, mark: str, *, live: bool = False) -> None:
        self._edge = f"\n{mark}\n".encode()
        self._end = self._edge[1:] if live else self._edge
        self._held = b""
        self._opened = False
        self.closed = False

    def feed(self, piece: bytes) -> bytes:
        """Take a piece; the last bytes are held back where they may begin the closing line."""
        if self.closed:
            return b""
        self._held += piece
        if not self._opened:
            _, edge, after = self._held.partition(self._edge)
            self._opened = bool(edge)
            self._held = after if edge else self._held[-len(self._edge) :]
            if not edge:
                return b""
        content, end, _ = self._held.partition(self._end)
        if end:
            self.closed, self._held = True, b""
            return content
        split = len(self._held) - self._begun()
        content, self._held = self._held[:split], self._held[split:]
        return content

    def _begun(self) -> int:
        """Return how many of the last bytes may be the beginning of the closing line."""
        longest = min(len(self._held), len(self._end) - 1)
        return next((size for size in range(longest, 0, -1) if self._held.endswith(self._end[:size])), 0)


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
