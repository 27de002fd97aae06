"""Tables of words, written as text."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Split a text into its set of words."""
    return frozenset(text.split())
