# What every measurement leans on: a clock, medians, facts of the machine, the binary. Law: no number is thrown away.
# shellcheck shell=bash

BENCH_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

say() { printf 'bench: %s\n' "$*" >&2; }

fail() {
  printf 'bench: %s\n' "$*" >&2
  exit 1
}

need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed, and is needed to measure"
  done
}

# Whole milliseconds of the wall clock; no process is started for it.
now_ms() {
  local now=${EPOCHREALTIME/[.,]/}
  echo $((now / 1000))
}

# timed FILE COMMAND…: its wall time in ms is added to FILE as a line; its output is shown when it fails.
timed() {
  local file=$1 from to said code=0
  shift
  said="$(mktemp)"
  from=${EPOCHREALTIME/[.,]/}
  "$@" >"$said" 2>&1 || code=$?
  to=${EPOCHREALTIME/[.,]/}
  if ((code != 0)); then
    tail -n 40 "$said" >&2
    rm -f "$said"
    fail "\`$*\` ended with $code"
  fi
  rm -f "$said"
  echo $(((to - from) / 1000)) >>"$file"
}

# median FILE, and spread FILE: least and most.
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
spread() { sort -n "$1" | awk 'NR == 1 { least = $1 } { most = $1 } END { printf "%s to %s", least, most }'; }

# The release binary, in CUTOVER.
find_binary() {
  if [[ -z ${CUTOVER:-} ]]; then
    say "building the release binary"
    (cd "$BENCH_ROOT" && cargo build --release --quiet)
    CUTOVER="$BENCH_ROOT/target/release/cutover"
  fi
  [[ -x $CUTOVER ]] || fail "$CUTOVER is no program"
}

# The load generator, in BENCH_LOAD, and images for it with a backend as quick as a release: what stands beside the
# program must not be what is measured.
find_load() {
  local number container built="$BENCH_ROOT/target/measured/examples"
  say "building the load generator and the backend, and the lab's images where they are not there"
  (cd "$BENCH_ROOT" && cargo build --quiet --locked --profile measured --example switch_load --example demo-backend)
  "$BENCH_ROOT/scripts/lab" images
  for number in 1 2; do
    container="$(docker create "cutover-lab/demo:$number")"
    docker cp "$built/demo-backend" "$container:/bin/demo-backend" >/dev/null
    docker commit "$container" "cutover-lab/demo-measured:$number" >/dev/null
    docker rm "$container" >/dev/null
  done
  BENCH_LOAD="$built/switch_load"
}

# Facts that a number means nothing without, as JSON.
machine() {
  local model
  model="$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)"
  jq -n --arg cpu "${model:-unknown}" --argjson cores "$(nproc)" --arg kernel "$(uname -r)" \
    --arg memory "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" \
    --arg engine "$(docker version --format '{{.Server.Version}}')" --arg compose "$(docker compose version --short)" \
    --arg cutover "$("$CUTOVER" --version | cut -d' ' -f2)" --arg load "$1 before, $(cut -d' ' -f1 /proc/loadavg) after" \
    '{cpu: $cpu, cores: $cores, memory: $memory, kernel: $kernel, engine: $engine, compose: $compose, cutover: $cutover, load: $load}'
}

# The lines of a file as a JSON array of numbers.
numbers() { jq -s . "$1"; }
