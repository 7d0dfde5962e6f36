# A day of the watcher, told in about a minute: 1,440 ticks with 50 rules over real sockets. Law: only the clock is faster.
# shellcheck shell=bash

bench_watch() {
  (($# == 0)) || refuse "watch does not know $1"
  need awk
  local load
  load="$(cut -d' ' -f1 /proc/loadavg)"
  say "building the example in release mode"
  (cd "$BENCH_ROOT" && cargo build --release --quiet --example watch_day)
  say "telling a day"
  local code=0
  "$BENCH_ROOT/target/release/examples/watch_day" || code=$?
  awk -F': *' -v load="$load" '/^model name/ { model = $2; cores++ }
    END { printf "machine: %s, %d cores; load %s before\n", model, cores, load }' /proc/cpuinfo
  return "$code"
}
