"""What the plugin's functions are made of."""

from __future__ import annotations


def words_of(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


def words_in(text: str) -> int:
    """How many words a text has."""
    return len(words_of(text))
