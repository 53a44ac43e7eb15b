#!/bin/sh
# Makes .venv and what it needs. Called by the Makefile, one step at a time: packages, venv, native; peers.
# Does only what is missing, says in one line what it does, and stops with the line to type where it may not act itself.
set -eu
cd "$(dirname "$0")/.."
VENV=.venv
OLDEST="3, 11"

say() { echo "setup: $*" >&2; }
stop() { say "$*"; exit 1; }

# True if this interpreter is new enough.
new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < ($OLDEST))" 2>/dev/null; }

# The interpreter to build on: $PYTHON if it is new enough, else Debian's. pyenv's shims and Debian's both do.
find_python() {
    for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    stop "no Python 3.11 or newer: name one with make PYTHON=/path/to/python3"
}

# What the interpreter lacks to make a virtual environment and to compile against it; Debian splits these off.
python_packages() {
    python=$(find_python)
    "$python" -c "import venv, ensurepip" 2>/dev/null || echo python3-venv
    "$python" - <<'PY' || echo python3-dev
import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
PY
}

is_installed() { dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null | grep -q "^install ok installed"; }

packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        say "not a Debian system: what tools/debian-packages.txt lists must be there already"
        return
    fi
    arch=$(dpkg --print-architecture)
    missing=$(python_packages)
    while read -r name only; do
        case $name in "" | "#"*) continue ;; esac
        [ -z "$only" ] || [ "$only" = "$arch" ] || continue
        # clang's runtime for the fuzzers has the version in its name where it came with a certain clang.
        if [ "$name" = libclang-rt-dev ] && dpkg-query -W -f='${Status} ${Package}\n' 'libclang-rt-*-dev' 2>/dev/null |
            grep -q "^install ok installed"; then
            continue
        fi
        is_installed "$name" || missing="$missing $name"
    done <tools/debian-packages.txt
    # shellcheck disable=SC2086  # a list of names
    [ -z "$missing" ] || install_debian $missing
}

# Debian packages by name; without root the line to type.
install_debian() {
    if [ "$(id -u)" != 0 ]; then
        say "Debian packages are missing. Type this, then make again:"
        echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*" >&2
        exit 1
    fi
    say "installing Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    logged apt apt-get update
    logged apt apt-get install -y --no-install-recommends "$@"
}

# What make bench-peers puts the same load on.
peers() { command -v janus >/dev/null || install_debian janus; }

# Runs a command with its output in a log; if it fails, shows what in there says why.
logged() {
    log=build/$1.log
    shift
    mkdir -p build
    "$@" >"$log" 2>&1 && return
    why=$(grep -E "(error|ERROR|fatal)[: ]|No matching|\.[ch]:[0-9]+" "$log" | grep -vE "^ *gcc |Command '" | head -30)
    if [ -n "$why" ]; then echo "$why" >&2; else tail -20 "$log" >&2; fi
    stop "that failed; all of it is in $log"
}

pip_install() { "$VENV/bin/python" -m pip --disable-pip-version-check install "$@"; }

venv() {
    if ! "$VENV/bin/python" -c "import pip" 2>/dev/null || ! new_enough "$VENV/bin/python"; then
        python=$(find_python)
        say "making $VENV with $("$python" --version)"
        "$python" -m venv --clear "$VENV"
    fi
    # The build tools first, so that the package itself is built in this environment and not in one fetched anew.
    say "installing Python packages into $VENV"
    logged pip pip_install "setuptools>=77" wheel "cffi>=1.16"
    logged pip pip_install --no-build-isolation --editable ".[test,dev]"
}

native() {
    say "building the C extension"
    logged native "$VENV/bin/python" setup.py --quiet build_ext --inplace
    "$VENV/bin/telerelay" --help >/dev/null || stop "$VENV/bin/telerelay does not start"
}

case ${1:-} in
packages | venv | native | peers) "$1" ;;
*) stop "usage: tools/setup.sh packages|venv|native|peers" ;;
esac
