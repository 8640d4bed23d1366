"""What the plugin's functions are made of."""

from __future__ import annotations


def words_of(text: str) -> list[str]:
    """The words of a text. It is listed nowhere, so nobody calls it from outside."""
    return text.split()


def words_in(text: str) -> int:
    """How many words a text has."""
    return len(words_of(text))


def longest_word_in(text: str) -> str:
    """The longest word of a text; the first one of several."""
    return max(words_of(text), key=len, default="")
