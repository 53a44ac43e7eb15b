#!/bin/sh
# What the slow half of docs/interop.md needs beside `make build`: browsers and stacks of others. Called by `make interop`.
# Installs only what is missing; without root it stops with the line to type. Node's packages go to build/interop/node.
set -eu
cd "$(dirname "$0")/.."
NODE=build/interop/node
PACKAGES="firefox-esr nodejs npm gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-nice python3-gst-1.0 gir1.2-gst-plugins-bad-1.0 chromium iproute2 nftables"

say() { echo "interop: $*" >&2; }

missing=
for name in $PACKAGES; do
    # Node may come from elsewhere.
    case $name in nodejs) command -v node >/dev/null && continue ;; npm) command -v npm >/dev/null && continue ;; esac
    dpkg-query -W -f='${Status}\n' "$name" 2>/dev/null | grep -q "^install ok installed" || missing="$missing $name"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        say "Debian packages are missing. Type this, then make again:"
        echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
    say "installing Debian packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p build
    # shellcheck disable=SC2086  # a list of names
    { apt-get update && apt-get install -y --no-install-recommends $missing; } >build/interop-apt.log 2>&1 ||
        { tail -20 build/interop-apt.log >&2; exit 1; }
fi

.venv/bin/python -c "import marionette_driver" 2>/dev/null ||
    .venv/bin/python -m pip --disable-pip-version-check --quiet install "marionette_driver==3.7.1"

if ! cmp -s tests/interop/node/package-lock.json "$NODE/installed"; then
    say "installing Node packages into $NODE"
    mkdir -p "$NODE"
    cp tests/interop/node/package.json tests/interop/node/package-lock.json "$NODE/"
    (cd "$NODE" && npm ci --no-audit --no-fund --loglevel=error)
    cp tests/interop/node/package-lock.json "$NODE/installed"
fi
