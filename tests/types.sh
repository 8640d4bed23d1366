#!/bin/sh
# Checks the types of the rooms given, of what the tests stand on, and of the examples.
# The repository root is the package, whatever the folder of the clone is called; mypy finds packages by folder name. So it
# looks at the root through a link called tsched, from a folder that holds nothing else.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=$(cd "$root" && cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$root" "$scratch/tsched"
ln -s "$root/tests" "$root/examples" "$scratch"
cd "$scratch"
mypy() { "$python" -m mypy --config-file "$root/pyproject.toml" --cache-dir "$root/.mypy_cache" --no-error-summary "$@"; }
packages=""
for room in "$@"; do packages="$packages -p tsched.$room"; done
# shellcheck disable=SC2086  # one word per package is meant
mypy -m tsched -m tsched.testing $packages
# What the tests stand on; it need not say the types of everything, but what it says must be true.
MYPYPATH=$scratch:$scratch/tests mypy --explicit-package-bases \
    --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --no-warn-return-any \
    tests/support tests/conftest.py examples
