#!/bin/sh
# Makes the generated code of proto/*.proto anew, into the folder given (default: this one). `make proto` calls it with the
# one compiler version that counts.
# The virtual path tsched/proto makes the generated modules import each other as tsched.proto.*.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m grpc_tools.protoc "-Itsched/proto=$here" \
    "--python_out=$scratch" "--pyi_out=$scratch" "--grpc_python_out=$scratch" \
    $(cd "$here" && for file in *.proto; do echo "tsched/proto/$file"; done)
cp "$scratch"/tsched/proto/*_pb2*.py* "$out"/
