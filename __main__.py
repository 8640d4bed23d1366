"""The command `tsched`, also as `python -m tsched`."""

import gc
import signal
from typing import NoReturn

YOUNG_LIMIT = 100_000
"""Objects between two collections. Loading makes many and drops few: the usual 700 cost a fifth of a short command."""


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being loaded ends it without a word."""
    gc.set_threshold(YOUNG_LIMIT)
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli.main import main as run  # noqa: PLC0415 - the loading is what is guarded

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
