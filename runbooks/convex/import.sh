#!/bin/sh
# Imports the documents; with --restore, the backup that was taken before.
set -eu
here=$(dirname "$0") work=${CONVEX_WORK:?the directory for the documents}
case ${1:-} in
  --is-done)
    for table in user_profiles cases; do
      there=$("$here/convex.sh" data "$table" | wc -l)
      [ "$there" -gt 0 ] && [ "$there" -eq "$(wc -l <"$work/$table.jsonl")" ] || exit 1
    done
    ;;
  --restore) "$here/convex.sh" import --replace-all --yes "$work/backup.zip" ;;
  *)
    for table in user_profiles cases; do
      "$here/convex.sh" import --replace --yes --table "$table" "$work/$table.jsonl"
    done
    ;;
esac
