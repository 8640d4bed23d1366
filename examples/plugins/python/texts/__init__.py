"""A plugin in several files: copy the folder; its functions are texts::count and texts::longest."""

from .counting import words_in, words_of

TASKS = {"count": words_in, "longest": lambda text: max(words_of(text), key=len, default="")}
"""Functions need no decorator where they are listed like this."""
