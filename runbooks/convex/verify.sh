#!/bin/sh
# Compares what Convex holds with what was exported: counts, every legacy id, and every reference of a case to a profile.
# Ends with 0 where all of it is so, with 1 where it is not.
set -eu
here=$(dirname "$0") work=${CONVEX_WORK:?the directory for the documents}
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | sort; }
if [ "${1:-}" != --ids ]; then
  for table in user_profiles cases; do
    "$here/convex.sh" data "$table" | field legacyId >"$work/$table.there"
    field legacyId <"$work/$table.jsonl" >"$work/$table.wanted"
    if ! cmp -s "$work/$table.there" "$work/$table.wanted"; then
      echo "$table: $(wc -l <"$work/$table.there") documents are not the $(wc -l <"$work/$table.wanted") exported ones"
      exit 1
    fi
    echo "$table: $(wc -l <"$work/$table.there") documents, all of them the exported ones"
  done
fi
"$here/convex.sh" data user_profiles | field _id >"$work/profiles"
"$here/convex.sh" data cases | field userId | uniq >"$work/owners"
lost=$(comm -13 "$work/profiles" "$work/owners" | wc -l)
[ "$lost" -eq 0 ] || { echo "$lost owners of cases have no profile with that id"; exit 1; }
echo "every case belongs to a profile"
