#!/bin/sh
# Fail the build when the library needs a symbol of CPython: the server has no interpreter to give it.
set -eu
# by itself: in a pipeline nobody would see it fail
symbols=$(nm -D --undefined-only "$1")
if printf '%s\n' "$symbols" | awk '{print $NF}' | grep '^_\{0,1\}Py' >"$2"; then
    echo "$1 needs symbols of CPython:" >&2
    cat "$2" >&2
    exit 1
fi
