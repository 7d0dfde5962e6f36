#!/bin/sh
# Turns exported rows (an array, one row a line) into documents, one a line: `id` becomes `legacyId`. Undone, they are gone.
set -eu
rows=${CONVEX_ROWS:?the directory of the export} work=${CONVEX_WORK:?the directory for the documents}
tables="user_profiles cases"
case ${1:-} in
  --is-done)
    for table in $tables; do [ -e "$work/$table.jsonl" ] || exit 1; done
    exit 0
    ;;
  --undo)
    for table in $tables; do rm -f "$work/$table.jsonl"; done
    exit 0
    ;;
esac
mkdir -p "$work"
for table in $tables; do
  sed -e '/^\[$/d' -e '/^\]$/d' -e 's/,$//' -e 's/"id":/"legacyId":/' "$rows/$table.json" >"$work/$table.jsonl.new"
  mv "$work/$table.jsonl.new" "$work/$table.jsonl"
  echo "$table: $(wc -l <"$work/$table.jsonl") documents"
done
