#!/bin/sh
# Starts the Convex CLI: the words in CONVEX, or the double of the lab.
set -eu
exec ${CONVEX:-"$(dirname "$0")/../doubles/convex"} "$@"
