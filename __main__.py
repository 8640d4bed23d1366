"""`python -m tsched` is the command `tsched`."""

from .cli.main import main

main()
