"""The command `tsched`, also as `python -m tsched`."""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being loaded ends it without a word."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli.main import main as run  # noqa: PLC0415 - the loading is what is guarded

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
