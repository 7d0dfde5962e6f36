# A switch under load beside other ways to change a release. Law: the same people use each way in turn; every failure is counted.
# shellcheck shell=bash
#
# The project is tests/projects/switch (PostgreSQL, backend, worker, Caddy). People (examples/switch_load) use it through
# Caddy on kept connections and on new ones, some slow, some uploading, while it goes to the other image tag N times:
# `quiet` changes nothing; `blue-green` deploys and rolls back in turn; `recreate` and `docker compose up -d` replace in place.

SWITCH_HTTP=
SWITCH_NAME=

switch_project() {
  local strategy=$1 port
  SWITCH_NAME="cutover-bench-switch-$$"
  BENCH_PLACE="$(mktemp -d)"
  SWITCH_HTTP="$(free_port)"
  port="$(free_port)"
  mkdir -p "$BENCH_PLACE/secrets" "$BENCH_PLACE/run"
  chmod 0755 "$BENCH_PLACE/run"
  cp "$BENCH_ROOT/tests/projects/switch/compose.yaml" "$BENCH_ROOT/caddy/cutover.caddy" "$BENCH_PLACE/"
  printf 'a-password-of-a-measurement\n' >"$BENCH_PLACE/secrets/database_password.txt"
  chmod 0600 "$BENCH_PLACE/secrets/database_password.txt"
  printf '{\n\tadmin off\n\tauto_https off\n}\nimport cutover.caddy\n:80 {\n\timport cutover 3000\n}\n' >"$BENCH_PLACE/Caddyfile"
  [[ $strategy == blue-green ]] || printf 'backend' >"$BENCH_PLACE/run/app"
  printf 'PORT=%s\nHTTP_PORT=%s\n' "$port" "$SWITCH_HTTP" >"$BENCH_PLACE/ports"
  cat >"$BENCH_PLACE/cutover.toml" <<TOML
schema = "cutover/v1"
[project]
name = "$SWITCH_NAME"
environment = "bench"
[compose]
files = ["compose.yaml"]
env_files = ["release.env"]
[state]
directory = "state"
[preflight]
min_disk = "10MiB"
min_memory = "10MiB"
[backup]
enabled = false
[caddy]
url = "http://127.0.0.1:$SWITCH_HTTP"
service = "caddy"
directory = "run"
[deploy]
strategy = "$strategy"
services = ["backend", "worker"]
migrate = { service = "backend", command = ["demo-backend", "migrate"] }
stable_for = "500ms"
observe = "500ms"
drain_timeout = "5s"
TOML
}

switch_tag() {
  { printf 'TAG=%s\n' "$1" && cat "$BENCH_PLACE/ports"; } >"$BENCH_PLACE/release.env"
  chmod 0600 "$BENCH_PLACE/release.env"
}

switch_gone() {
  local ids name
  for name in "com.docker.compose.project=$SWITCH_NAME" "dev.cutover.side-of=$SWITCH_NAME"; do
    ids="$(docker ps --all --quiet --filter "label=$name")"
    [[ -z $ids ]] || xargs docker rm --force --volumes <<<"$ids" >/dev/null
  done
  docker ps --all --format '{{.Names}}' --filter label=dev.cutover.holds | grep "^$SWITCH_NAME-" | xargs -r docker rm --force >/dev/null
  docker network ls --format '{{.Name}}' | grep -E "^(0-)?$SWITCH_NAME" | xargs -r docker network rm >/dev/null
  docker volume ls --quiet --filter "label=com.docker.compose.project=$SWITCH_NAME" | xargs -r docker volume rm >/dev/null
  docker image ls --format '{{.Repository}}:{{.Tag}}' "cutover.invalid/$SWITCH_NAME/*" | xargs -r docker image rm >/dev/null
  rm -rf "$BENCH_PLACE"
}

# switch_change WAY TURN: the project goes to the other tag, or back.
switch_change() {
  local way=$1 turn=$2 tag=$((1 + ($2 + 1) % 2))
  case "$way" in
    quiet) sleep 5 ;;
    blue-green)
      if ((turn % 2)); then switch_tag 2 && "$CUTOVER" deploy --yes --skip-checks; else "$CUTOVER" rollback --yes --without-export; fi
      ;;
    recreate) switch_tag "$((tag % 2 + 1))" && "$CUTOVER" deploy --yes --skip-checks ;;
    compose)
      switch_tag "$((tag % 2 + 1))"
      docker compose --project-name "$SWITCH_NAME" --env-file release.env up --detach --wait
      ;;
  esac
}

switch_way() {
  local way=$1 times=$2 people=$3 strategy=recreate said turn load feed
  [[ $way != blue-green ]] || strategy=blue-green
  switch_project "$strategy"
  trap switch_gone EXIT
  said="$BENCH_PLACE/said"
  cd "$BENCH_PLACE"
  switch_tag 1
  "$CUTOVER" deploy --yes --skip-checks >"$said" 2>&1 || { cat "$said" >&2; fail "the first deploy failed"; }
  mkfifo "$BENCH_PLACE/until"
  "$BENCH_LOAD" "127.0.0.1:$SWITCH_HTTP" "$people" <"$BENCH_PLACE/until" >"$BENCH_PLACE/met" &
  load=$!
  exec {feed}>"$BENCH_PLACE/until"
  sleep 1
  for ((turn = 1; turn <= times; turn++)); do
    say "$way: change $turn of $times"
    switch_change "$way" "$turn" >"$said" 2>&1 || { tail -n 20 "$said" >&2; fail "$way: change $turn failed"; }
  done
  sleep 1
  exec {feed}>&-
  wait "$load"
  jq -r --arg way "$way" --arg times "$times" \
    '[$way, $times, .asked, .failed, .longest_stall_ms, .median_ms, .p99_ms, (.first_failure // "")] | @tsv' "$BENCH_PLACE/met" >>"$BENCH_TABLE"
  cd "$BENCH_ROOT"
  switch_gone
  trap - EXIT
}

bench_switch() {
  local times=100 people=40 way
  while (($# > 0)); do
    case "$1" in
      --changes) times=$2; shift 2 ;;
      --people) people=$2; shift 2 ;;
      *) refuse "switch: what is $1?" ;;
    esac
  done
  need docker jq
  find_binary
  (cd "$BENCH_ROOT" && cargo build --quiet --example switch_load)
  BENCH_LOAD="$BENCH_ROOT/target/debug/examples/switch_load"
  BENCH_TABLE="$(mktemp)"
  local load
  load="$(cut -d' ' -f1 /proc/loadavg)"
  for way in quiet blue-green recreate compose; do switch_way "$way" "$times" "$people"; done
  machine "$load" | jq -r '"machine: \(.cpu), \(.cores) cores, \(.memory), engine \(.engine), compose \(.compose), cutover \(.cutover); load \(.load)"'
  { printf 'way\tchanges\trequests\tfailed\tlongest stall ms\tmedian ms\tp99 ms\tfirst failure\n' && cat "$BENCH_TABLE"; } | awk -F'\t' '{ printf "%-11s %8s %9s %7s %17s %10s %7s  %s\n", $1, $2, $3, $4, $5, $6, $7, $8 }'
  rm -f "$BENCH_TABLE"
}
