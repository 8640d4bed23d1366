#!/bin/sh
# Builds the wheel (from the source distribution, so that one is whole too), installs it into an empty environment outside
# the checkout and runs one task there, as a user's first minute does.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
scratch=$(mktemp -d)
tsched() { env -i "HOME=$scratch/home" "XDG_RUNTIME_DIR=$scratch/home" PATH=/usr/bin:/bin "$scratch/env/bin/tsched" "$@"; }
trap 'tsched down >/dev/null 2>&1 || true; rm -rf "$scratch"' EXIT
"$PYTHON" -m build --no-isolation --outdir "$scratch/dist" . >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log"; exit 1; }
"$PYTHON" -m venv "$scratch/env"
"$scratch/env/bin/python" -m pip install --quiet --disable-pip-version-check "$scratch"/dist/*.whl

mkdir "$scratch/home"
cd "$scratch/home"
tsched up -d
said=$(tsched run -- echo hi)
[ "$said" = hi ] || { echo "the installed wheel said '$said', not 'hi'"; exit 1; }
tsched down
echo "$(basename "$scratch"/dist/*.whl) installed and ran a task"
