#!/bin/sh
# Checks the types of the rooms given, and of the tests.
# The repository root is the package, whatever the folder of the clone is called; mypy finds packages by folder name. So it
# looks at the root through a link called tsched, from a folder that holds nothing else.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=$(cd "$root" && cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$root" "$scratch/tsched"
cd "$scratch"
packages=""
for room in "$@"; do packages="$packages -p tsched.$room"; done
# shellcheck disable=SC2086  # one word per package is meant
"$python" -m mypy --config-file "$root/pyproject.toml" --cache-dir "$root/.mypy_cache" --no-error-summary \
    -m tsched $packages
