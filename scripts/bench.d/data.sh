# Moving and comparing rows beside their peers. Law: both sides do the whole work on the same server, in turn, each from a checkpoint.
# shellcheck shell=bash
#
# One PostgreSQL server holds source and target, fsync on. In every round each pair is run one after the other, and who
# goes first changes from round to round:
#   copy     `cutover data copy` into a fresh database             pgcopydb clone, tables over 200 MB split, 4 + 4 jobs
#   files    `cutover data export`, then `data import` as JSON     pg_dump -Fd -j4, then pg_restore -j4
#   compare  `cutover data verify`, every row of both sides        md5 over the rows' text in SQL, one side after the other
# Ours includes making the schema (pg_dump -s | psql), planning, the journal, validated keys, sequences, statistics, and
# for files the sidecars by which later writes are told apart. The freeze of the source is made before and is not in it:
# the peers read a source that nobody writes to either. Memory is the largest VmHWM of each of our processes.

# bytes_of SCALE: 10MB, 1GB, 2.5GB.
bytes_of() {
  local number=${1%[MG]B} unit=${1: -2}
  [[ $1 =~ ^[0-9]+(\.[0-9]+)?(MB|GB)$ ]] || refuse "$1 is no size such as 100MB or 1GB"
  if [[ $unit == GB ]]; then unit=1000000000; else unit=1000000; fi
  awk -v number="$number" -v unit="$unit" 'BEGIN { printf "%.0f", number * unit }'
}

as_postgres() {
  if ((EUID == 0)); then setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else "$@"; fi
}

sql() { PGOPTIONS='-c client_min_messages=warning' psql -Xqd "$(url postgres)" -v ON_ERROR_STOP=1 "$@"; }
url() { echo "postgresql://postgres@127.0.0.1:$BENCH_PORT/$1"; }

start_server() {
  local programs directory
  for directory in /usr/lib/postgresql/*/bin; do [[ -x $directory/initdb ]] && programs=$directory; done
  [[ -n ${programs:-} ]] || fail "PostgreSQL's server programs are missing; scripts/lab postgres installs them"
  BENCH_PROGRAMS=$programs BENCH_PORT=$(free_port)
  mkdir "$BENCH_PLACE/server"
  if ((EUID == 0)); then chown postgres "$BENCH_PLACE/server"; fi
  chmod 0755 "$BENCH_PLACE"
  as_postgres "$programs/initdb" -D "$BENCH_PLACE/server/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >"$BENCH_PLACE/initdb"
  cat >>"$BENCH_PLACE/server/data/postgresql.conf" <<CONF
port = $BENCH_PORT
listen_addresses = '127.0.0.1'
unix_socket_directories = '$BENCH_PLACE/server'
shared_buffers = 1GB
max_wal_size = 4GB
checkpoint_timeout = 30min
maintenance_work_mem = 256MB
autovacuum = off
CONF
  as_postgres "$programs/pg_ctl" -D "$BENCH_PLACE/server/data" -w -l "$BENCH_PLACE/server/log" start >"$BENCH_PLACE/started" </dev/null
}

data_clean_up() {
  if [[ -n ${BENCH_PROGRAMS:-} ]]; then
    as_postgres "$BENCH_PROGRAMS/pg_ctl" -D "$BENCH_PLACE/server/data" -m immediate -w stop >"$BENCH_PLACE/stopped" 2>&1 || say "the server did not stop"
  fi
  rm -rf "$BENCH_PLACE"
}

fresh() { sql -c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c "CREATE DATABASE $1" -c CHECKPOINT; }

# cutover_data VERB…: as a person calls it; its largest memory is added to the file memory.
cutover_data() {
  local pid name value most=0
  (cd "$BENCH_PLACE/ours" && SOURCE_URL="$(url "$BENCH_SOURCE")" TARGET_URL="$(url target)" exec "$CUTOVER" --quiet --yes data "$@" </dev/null) &
  pid=$!
  while [[ -e /proc/$pid/status ]] && kill -0 "$pid" 2>/dev/null; do
    while read -r name value _; do if [[ $name == VmHWM: ]] && ((value > most)); then most=$value; fi; done 2>/dev/null <"/proc/$pid/status" || break
    read -rt 0.05 -u "$BENCH_NEVER" || true
  done
  wait "$pid"
  echo "$most" >>"$BENCH_PLACE/$BENCH_SCALE.memory.$1"
}

made_schema() { psql -Xqd "$(url target)" -v ON_ERROR_STOP=1 -f "$BENCH_PLACE/schema.sql"; }

ours_copy() { made_schema && cutover_data copy; }
ours_files() { cutover_data export && made_schema && cutover_data import; }
ours_compare() { cutover_data verify; }

peer_copy() {
  rm -rf "$BENCH_PLACE/pgcopydb"
  pgcopydb clone --source "$(url "$BENCH_SOURCE")" --target "$(url target)" --dir "$BENCH_PLACE/pgcopydb" --table-jobs 4 --index-jobs 4 \
    --split-tables-larger-than 200MB --no-owner --not-consistent
}
peer_files() {
  rm -rf "$BENCH_PLACE/dump"
  pg_dump -Fd -j4 -f "$BENCH_PLACE/dump" "$(url "$BENCH_SOURCE")" && pg_restore -j4 --no-owner -d "$(url target)" "$BENCH_PLACE/dump"
}
peer_compare() { checksum "$BENCH_SOURCE" >"$BENCH_PLACE/left" && checksum target >"$BENCH_PLACE/right" && cmp "$BENCH_PLACE/left" "$BENCH_PLACE/right"; }
# Without compression, and through one pipe: shown, not a goal.
peer_plain() {
  rm -rf "$BENCH_PLACE/dump"
  pg_dump -Fd -j4 -Z0 -f "$BENCH_PLACE/dump" "$(url "$BENCH_SOURCE")" && pg_restore -j4 --no-owner -d "$(url target)" "$BENCH_PLACE/dump"
}
peer_pipe() { pg_dump -Fc -Z0 "$(url "$BENCH_SOURCE")" | pg_restore --no-owner -d "$(url target)"; }

# The scripts' way: the columns' text with a bar between, md5 of each row, md5 of all in the order of the key.
checksum() {
  local table columns
  for table in sites units readings event_logs; do
    columns="$(psql -XAtqd "$(url "$1")" -c "SELECT string_agg(format('%I::text', attname), '||''|''||' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0")"
    psql -XAtqd "$(url "$1")" -v ON_ERROR_STOP=1 -c "SELECT '$table', count(*), md5(string_agg(md5($columns), '' ORDER BY id)) FROM $table"
  done
}

# pair NAME ROUND: both sides of one measurement, into a fresh target each.
pair() {
  local side order="ours peer"
  if (($2 % 2 == 0)); then order="peer ours"; fi
  for side in $order; do
    if [[ $side == ours ]]; then cutover_data freeze >"$BENCH_PLACE/said"; fi
    if [[ $1 != compare ]]; then fresh target; else sql -c CHECKPOINT; fi
    timed "$BENCH_PLACE/$BENCH_SCALE.$1.$side" "${side}_$1"
    if [[ $side == ours ]]; then cutover_data unfreeze >"$BENCH_PLACE/said"; fi
  done
  say "$BENCH_SCALE round $2, $1: ours $(tail -n 1 "$BENCH_PLACE/$BENCH_SCALE.$1.ours") ms, peer $(tail -n 1 "$BENCH_PLACE/$BENCH_SCALE.$1.peer") ms"
}

# make_rows BYTES: above a gigabyte in four sessions at once, or 10 GB would take a quarter of an hour.
make_rows() {
  local parts=1 part sessions=()
  local rows=(psql -Xqd "$(url source)" -v ON_ERROR_STOP=1 -v readings=$(($1 * 48 / 10000)) -v logs=$(($1 * 6 / 10000)))
  if (($1 > 1000000000)); then parts=4; fi
  "${rows[@]}" -f "$BENCH_ROOT/scripts/bench.d/data.sql" >"$BENCH_PLACE/made"
  for ((part = 0; part < parts; part++)); do
    "${rows[@]}" -v part="$part" -v parts="$parts" -f "$BENCH_ROOT/scripts/bench.d/data-rows.sql" >"$BENCH_PLACE/made.$part" &
    sessions+=($!)
  done
  for part in "${sessions[@]}"; do wait "$part"; done
  "${rows[@]}" -f "$BENCH_ROOT/scripts/bench.d/data-end.sql" >"$BENCH_PLACE/made"
}

# measure SCALE ROUNDS HAS_PEERS
measure() {
  local round bytes name
  BENCH_SCALE=$1 BENCH_SOURCE=source
  bytes="$(bytes_of "$1")"
  say "making $1 of rows"
  fresh source
  # shellcheck disable=SC2153
  make_rows "$bytes"
  pg_dump --schema-only --no-owner -d "$(url source)" >"$BENCH_PLACE/schema.sql"
  for ((round = 1; round <= $2; round++)); do
    if $3; then
      for name in copy files compare; do pair "$name" "$round"; done
      if ((round == 1)); then
        fresh target
        timed "$BENCH_PLACE/$1.plain.peer" peer_plain
        fresh target
        timed "$BENCH_PLACE/$1.pipe.peer" peer_pipe
      fi
    else
      cutover_data freeze >"$BENCH_PLACE/said"
      for name in copy files compare; do
        if [[ $name != compare ]]; then fresh target; fi
        timed "$BENCH_PLACE/$1.$name.ours" "ours_$name"
        say "$1 round $round, $name: ours $(tail -n 1 "$BENCH_PLACE/$1.$name.ours") ms"
      done
      cutover_data unfreeze >"$BENCH_PLACE/said"
    fi
  done
  sql -c "DROP DATABASE target WITH (FORCE)" -c "DROP DATABASE source WITH (FORCE)" -c CHECKPOINT
  rm -rf "$BENCH_PLACE/dump" "$BENCH_PLACE/pgcopydb" "$BENCH_PLACE/ours/migration-data"
}

# bench_data: one size has the rounds and the peers, the last where no other is named; the others show how time and memory grow.
bench_data() {
  local rounds=5 as_json=false scales="1GB" peers="" load scale all
  while (($#)); do
    case $1 in
      --rounds) rounds=${2:?how many rounds?}; shift 2 ;;
      --scale) scales=${2:?which size?}; shift 2 ;;
      --peers) peers=${2:?at which size?}; shift 2 ;;
      --json) as_json=true; shift ;;
      *) refuse "data does not know $1" ;;
    esac
  done
  need jq awk psql pg_dump pg_restore pgcopydb setpriv
  find_binary
  load="$(cut -d' ' -f1 /proc/loadavg)"
  BENCH_PLACE="$(mktemp -d)"
  trap data_clean_up EXIT
  mkdir "$BENCH_PLACE/ours"
  cat >"$BENCH_PLACE/ours/cutover.toml" <<'TOML'
schema = "cutover/v1"
[project]
name = "bench"
environment = "bench"
[state]
directory = "state"
[source]
url_env = "SOURCE_URL"
[target]
url_env = "TARGET_URL"
TOML
  exec {BENCH_NEVER}<> <(:)
  start_server
  IFS=, read -ra all <<<"$scales"
  BENCH_PEERS=${peers:-${all[-1]}}
  [[ ,$scales, == *,$BENCH_PEERS,* ]] || refuse "--peers $BENCH_PEERS is none of the sizes $scales"
  for scale in "${all[@]}"; do bytes_of "$scale" >"$BENCH_PLACE/$scale.bytes"; done
  for scale in "${all[@]}"; do
    if [[ $scale == "$BENCH_PEERS" ]]; then measure "$scale" "$rounds" true; else measure "$scale" 1 false; fi
  done
  data_result "$load" "$rounds" "${all[@]}" >"$BENCH_PLACE/result.json"
  if $as_json; then cat "$BENCH_PLACE/result.json"; else data_text; fi
  jq -e 'all(.targets[]; .pass)' "$BENCH_PLACE/result.json" >"$BENCH_PLACE/passed"
}

# of_scale SCALE: everything that was measured at one size, as JSON.
of_scale() {
  local file found='{}' memory='{}' name
  for file in "$BENCH_PLACE/$1".*.ours "$BENCH_PLACE/$1".*.peer; do
    [[ -e $file ]] || continue
    name=${file##*/"$1".}
    found="$(jq --arg name "${name%.*}" --arg side "${name##*.}" --argjson all "$(numbers "$file")" '.[$name][$side] = $all' <<<"$found")"
  done
  for file in "$BENCH_PLACE/$1".memory.*; do
    memory="$(jq --arg name "${file##*.}" --argjson all "$(numbers "$file")" '.[$name] = ($all | max / 1024 * 10 | round / 10)' <<<"$memory")"
  done
  jq -n --arg scale "$1" --argjson bytes "$(<"$BENCH_PLACE/$1.bytes")" --argjson ms "$found" --argjson memory "$memory" \
    '{scale: $scale, bytes: $bytes, ms: $ms, memory_mib: $memory}'
}

data_result() {
  local load=$1 rounds=$2 sizes='[]' scale
  shift 2
  for scale in "$@"; do sizes="$(jq --argjson one "$(of_scale "$scale")" '. + [$one]' <<<"$sizes")"; done
  jq -n --argjson machine "$(data_machine "$load")" --argjson rounds "$rounds" --argjson sizes "$sizes" --arg peers "$BENCH_PEERS" '
    def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
    def target($name; $value; $limit; $unit): {name: $name, value: ($value * 1000 | round / 1000), limit: $limit, unit: $unit, pass: ($value <= $limit)};
    def ratio($name): (.ms[$name].ours | median) / (.ms[$name].peer | median);
    def per_gb($name): (.ms[$name].ours | median) / .bytes * 1e6;
    ($sizes | map(select(.scale == $peers)) | last) as $last |
    ($sizes | map(select(.bytes >= 100000000)) | sort_by(.bytes)) as $grown |
    {schema: "cutover-bench/v1", bench: "data", machine: $machine, rounds: $rounds, peers_at: $peers, sizes: $sizes,
     median_ms: ($last.ms | map_values(map_values(median))),
     targets: ([
       target("copy, ratio to pgcopydb clone with split tables"; ($last | ratio("copy")); 0.9; ""),
       target("export and import, ratio to pg_dump -Fd -j4 and pg_restore -j4"; ($last | ratio("files")); 0.5; ""),
       target("verify, every row of both sides"; ($last | per_gb("compare")); 4; "s per GB"),
       target("verify, ratio to md5 in SQL"; ($last | ratio("compare")); 0.25; ""),
       target("memory, the most of any process at any size"; ([$sizes[].memory_mib[]] | max); 200; "MiB")]
       + [range(1; $grown | length) as $at | ["copy", "files", "compare"][] as $name | $grown[$at] as $larger | $grown[$at - 1] as $smaller |
          target("\($name), s per GB at \($larger.scale) against \($smaller.scale)"; ($larger | per_gb($name)) / ($smaller | per_gb($name)); 1.25; "")])}'
}

data_machine() {
  local model
  model="$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
  jq -n --arg cpu "${model:-unknown}" --argjson cores "$(nproc)" --arg kernel "$(uname -r)" \
    --arg memory "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" \
    --arg postgres "$("$BENCH_PROGRAMS/postgres" --version | awk '{ print $3 }')" --arg pgcopydb "$(pgcopydb --version 2>/dev/null | awk 'NR == 1 { print $3 }')" \
    --arg cutover "$("$CUTOVER" --version | cut -d' ' -f2)" --arg load "$1 before, $(cut -d' ' -f1 /proc/loadavg) after" \
    '{cpu: $cpu, cores: $cores, memory: $memory, kernel: $kernel, postgres: $postgres, pgcopydb: $pgcopydb, cutover: $cutover, load: $load}'
}

data_text() {
  jq -r '
    def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
    def left($width): . as $text | $text + ("                                        " | .[:([$width - ($text | length), 0] | max)]);
    def right($width): tostring | ("            " + .)[-$width:];
    def seconds: . / 10 | round / 100 | tostring | if test("\\.") then . else . + ".0" end;
    def line($name; $all): "  \($name | left(38))\($all | median | seconds | right(9)) s    \($all | min | seconds) to \($all | max | seconds) s";
    "machine: \(.machine.cpu), \(.machine.cores) cores, \(.machine.memory), Linux \(.machine.kernel), PostgreSQL \(.machine.postgres), pgcopydb \(.machine.pgcopydb), cutover \(.machine.cutover); load \(.machine.load)",
    (if (.machine.load | split(" ")[0] | tonumber) > .machine.cores then "The machine was busy with other work: measure again when its load is below its number of cores." else empty end),
    "",
    (.peers_at as $peers | (.sizes | map(select(.scale == $peers)) | last) as $last | "  \("\($last.scale), rounds: \(.rounds)" | left(38))   median    least to most",
      line("cutover data copy"; $last.ms.copy.ours), line("pgcopydb clone, split 200 MB"; $last.ms.copy.peer),
      line("cutover data export + import"; $last.ms.files.ours), line("pg_dump -Fd -j4 + pg_restore -j4"; $last.ms.files.peer),
      line("the same, uncompressed (-Z0), once"; $last.ms.plain.peer), line("pg_dump | pg_restore, once"; $last.ms.pipe.peer),
      line("cutover data verify, both sides"; $last.ms.compare.ours), line("md5 in SQL, both sides in turn"; $last.ms.compare.peer)),
    "",
    (.sizes[] | "  \(.scale | left(8)) copy \(.ms.copy.ours | median | seconds) s, export + import \(.ms.files.ours | median | seconds) s, verify \(.ms.compare.ours | median | seconds) s; memory at most \([.memory_mib | to_entries[] | "\(.key) \(.value)"] | join(", ")) MiB"),
    "",
    (.targets[] | "\(if .pass then "PASS" else "FAIL" end)  \(.name): \(.value)\(if .unit == "" then "" else " " + .unit end), at most \(.limit)")
  ' "$BENCH_PLACE/result.json"
}
