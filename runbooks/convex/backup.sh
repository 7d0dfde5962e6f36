#!/bin/sh
# Backs the deployment up. The file stays until the run is undone.
set -eu
here=$(dirname "$0") work=${CONVEX_WORK:?the directory for the documents}
case ${1:-} in
  --is-done) [ -s "$work/backup.zip" ] || exit 1 ;;
  --undo) rm -f "$work/backup.zip" ;;
  *)
    mkdir -p "$work"
    "$here/convex.sh" export --path "$work/backup.zip.new"
    mv "$work/backup.zip.new" "$work/backup.zip"
    ;;
esac
