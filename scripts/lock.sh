#!/usr/bin/env bash
# Pin the newest versions allowed, for every platform and Python at once.
# What is committed holds names, versions, markers and hashes, and no address.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v uv >/dev/null || { echo "make lock needs uv on the PATH" >&2; exit 1; }
export UV_PYTHON_DOWNLOADS=never
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp pyproject.toml "$work"

pin() { # pin SET ARGUMENTS…: write requirements/SET.txt
    uv export --quiet --frozen --project "$work" --no-default-groups --no-emit-project \
        --no-header --no-annotate "${@:2}" --output-file "$work/$1.txt"
    if grep -nE '://|^ *-' "$work/$1.txt" | grep -v -- '--hash=sha256:'; then
        echo "cannot pin $1: the lines above are more than names and hashes" >&2
        exit 1
    fi
    cp "$work/$1.txt" "requirements/$1.txt"
}

uv lock --quiet --project "$work"
pin run --extra zstd --group build
pin test --group test
pin lint --group lint
pin bench --extra zstd --group bench
