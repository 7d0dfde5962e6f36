# A switch under load beside other ways to change a release. Law: the same people use each way in turn, at the same constant
# pace; every failure is counted.
# shellcheck shell=bash
#
# The project is tests/projects/switch (PostgreSQL, backend, worker, Caddy with a plain site and one over TLS). People
# (examples/switch_load) use it through Caddy while it goes to the other image tag and back N times:
#   quiet         nothing is changed; one side serves, one is warm
#   blue-green    cutover deploy and cutover rollback in turn
#   recreate      cutover deploy with strategy "recreate"
#   compose up    docker compose up -d
#   scale         the common script: scale to two, wait until the new one is healthy, stop and remove the old one
#   admin API     both releases run, and Caddy is given the other one's name by POST /load

SWITCH_HTTP=
SWITCH_TLS=
SWITCH_ADMIN=
SWITCH_NAME=

# Compose file of the bench over the one of the tests: a port for TLS and one for the admin API; no port of the backend
# on the host, which nobody could scale; for the admin API the other release beside.
switch_override() {
  cat <<'YAML'
services:
  worker:
    image: cutover-lab/demo-measured:${TAG}
  backend:
    image: cutover-lab/demo-measured:${TAG}
    ports: !reset []
    healthcheck:
      test: ["CMD", "demo-backend", "health"]
      interval: 1s
      timeout: 3s
      retries: 30
  caddy:
    ports: ["127.0.0.1:${TLS_PORT}:443", "127.0.0.1:${ADMIN_PORT}:2019"]
    volumes: ["./tls:/tls:ro"]
YAML
  [[ $1 == admin ]] || return 0
  cat <<'YAML'
  other:
    image: cutover-lab/demo-measured:2
    command: ["demo-backend", "serve"]
    secrets: [database_password]
    environment:
      - DATABASE_URL=postgres://demo@db:5432/demo
      - DATABASE_PASSWORD_FILE=/run/secrets/database_password
YAML
}

# switch_caddyfile WAY [UPSTREAM]: ours reads the upstream from the file, the peers' names it.
switch_caddyfile() {
  local site="reverse_proxy ${2:-backend}:3000" admin="off" import=""
  case "$1" in
    quiet | blue-green | recreate) site="import cutover 3000" import="import cutover.caddy" ;;
    admin) admin="0.0.0.0:2019" ;;
  esac
  printf '{\n\tadmin %s\n\tauto_https off\n}\n%s\n:80 {\n\t%s\n}\n:443 {\n\ttls /tls/cert.pem /tls/key.pem\n\t%s\n}\n' \
    "$admin" "$import" "$site" "$site"
}

switch_project() {
  local way=$1 strategy=recreate
  case "$way" in quiet | blue-green) strategy=blue-green ;; esac
  SWITCH_NAME="cutover-bench-switch-$$"
  BENCH_PLACE="$(mktemp -d)"
  SWITCH_HTTP="$(free_port)" SWITCH_TLS="$(free_port)" SWITCH_ADMIN="$(free_port)"
  mkdir -p "$BENCH_PLACE/secrets" "$BENCH_PLACE/run" "$BENCH_PLACE/tls"
  chmod 0755 "$BENCH_PLACE/run"
  cp "$BENCH_ROOT/tests/projects/switch/compose.yaml" "$BENCH_ROOT/caddy/cutover.caddy" "$BENCH_PLACE/"
  switch_override "$way" >"$BENCH_PLACE/bench.yaml"
  printf 'a-password-of-a-measurement\n' >"$BENCH_PLACE/secrets/database_password.txt"
  chmod 0600 "$BENCH_PLACE/secrets/database_password.txt"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$BENCH_PLACE/tls/key.pem" -out "$BENCH_PLACE/tls/cert.pem" 2>"$BENCH_PLACE/said" || fail "no certificate: $(<"$BENCH_PLACE/said")"
  chmod 0644 "$BENCH_PLACE/tls/key.pem"
  switch_caddyfile "$way" >"$BENCH_PLACE/Caddyfile"
  [[ $strategy == blue-green ]] || printf 'backend' >"$BENCH_PLACE/run/app"
  printf 'PORT=1\nHTTP_PORT=%s\nTLS_PORT=%s\nADMIN_PORT=%s\n' "$SWITCH_HTTP" "$SWITCH_TLS" "$SWITCH_ADMIN" >"$BENCH_PLACE/ports"
  cat >"$BENCH_PLACE/cutover.toml" <<TOML
schema = "cutover/v1"
[project]
name = "$SWITCH_NAME"
environment = "bench"
[compose]
files = ["compose.yaml", "bench.yaml"]
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
services = ["backend"]
migrate = { service = "backend", command = ["demo-backend", "migrate"] }
stable_for = "2s"
observe = "500ms"
drain_timeout = "2s"
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
  docker ps --all --format '{{.Names}}' --filter label=dev.cutover.holds | { grep "^$SWITCH_NAME-" || true; } | xargs -r docker rm --force >/dev/null
  docker network ls --format '{{.Name}}' | { grep -E "^(0-)?$SWITCH_NAME" || true; } | xargs -r docker network rm >/dev/null
  docker volume ls --quiet --filter "label=com.docker.compose.project=$SWITCH_NAME" | xargs -r docker volume rm >/dev/null
  docker image ls --format '{{.Repository}}:{{.Tag}}' "cutover.invalid/$SWITCH_NAME/*" | xargs -r docker image rm >/dev/null
  rm -rf "$BENCH_PLACE"
}

switch_compose() {
  docker compose --project-name "$SWITCH_NAME" --env-file release.env --file compose.yaml --file bench.yaml "$@"
}

switch_scale() {
  local old new
  old="$(switch_compose ps --quiet backend)"
  switch_compose up --detach --no-deps --no-recreate --scale backend=2 backend
  new="$(switch_compose ps --quiet backend | grep -v "$old")"
  until [[ "$(docker inspect --format '{{.State.Health.Status}}' "$new")" == healthy ]]; do sleep 0.2; done
  docker stop "$old"
  docker rm "$old"
}

# switch_change WAY TURN: the project goes to the other tag, or back.
switch_change() {
  local way=$1 turn=$2 tag=$((1 + $2 % 2))
  switch_tag "$tag"
  case "$way" in
    quiet) sleep 15 ;;
    blue-green)
      if ((turn % 2)); then "$CUTOVER" deploy --yes --skip-checks; else "$CUTOVER" rollback --yes --without-export; fi
      ;;
    recreate) "$CUTOVER" deploy --yes --skip-checks ;;
    compose) switch_compose up --detach ;;
    scale) switch_scale ;;
    admin)
      switch_caddyfile admin "$( ((tag == 2)) && echo other || echo backend)" >Caddyfile.new
      curl --silent --show-error --fail --data-binary @Caddyfile.new -H 'Content-Type: text/caddyfile' \
        "http://127.0.0.1:$SWITCH_ADMIN/load"
      ;;
  esac
  # People live with every way for a while after the change.
  [[ $way == blue-green || $way == quiet ]] || sleep 2
}

# The first release, up and healthy.
switch_begin() {
  local way=$1 said="$BENCH_PLACE/said"
  switch_tag 1
  case "$way" in
    # What stands in quiet time is what stands between two switches: a side that serves and one that is warm.
    quiet) "$CUTOVER" deploy --yes --skip-checks && switch_tag 2 && "$CUTOVER" deploy --yes --skip-checks ;;
    blue-green | recreate) "$CUTOVER" deploy --yes --skip-checks ;;
    *) switch_compose up --detach --wait db && switch_compose run --rm backend demo-backend migrate && switch_compose up --detach --wait ;;
  esac >"$said" 2>&1 || { cat "$said" >&2; fail "$way: the first release did not start"; }
}

# Caddy's own address: a port of the host on 127.0.0.1 goes through a proxy of the engine's, which is not what is measured.
switch_address() {
  docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$SWITCH_NAME-caddy-1" | cut -d' ' -f1
}

switch_way() {
  local way=$1 times=$2 rate=$3 sockets=$4 said turn load feed from address
  switch_project "$way"
  trap switch_gone EXIT
  said="$BENCH_PLACE/said"
  cd "$BENCH_PLACE" || fail "$BENCH_PLACE is gone"
  switch_begin "$way"
  mkfifo "$BENCH_PLACE/until"
  address="$(switch_address)"
  "$BENCH_LOAD" load "$address:80" "$address:443" tls/cert.pem "$rate" "$sockets" <"$BENCH_PLACE/until" >"$BENCH_PLACE/met" &
  load=$!
  exec {feed}>"$BENCH_PLACE/until"
  sleep 2
  for ((turn = 1; turn <= times; turn++)); do
    ((turn % 10 != 1)) || say "$way: change $turn of $times"
    from="$(now_ms)"
    switch_change "$way" "$turn" >"$said" 2>&1 || { tail -n 20 "$said" >&2; fail "$way: change $turn failed"; }
    # A change begins every six seconds at most, so that a hundred of them meet a million requests.
    while [[ $way == blue-green ]] && (($(now_ms) - from < 6000)); do sleep 0.1; done
  done
  sleep 2
  exec {feed}>&-
  wait "$load"
  jq --compact-output --arg way "$way" --argjson changes "$times" '{way: $way, changes: $changes} + .' "$BENCH_PLACE/met" >>"$BENCH_TABLE"
  cd "$BENCH_ROOT" || fail "$BENCH_ROOT is gone"
  switch_gone
  trap - EXIT
}

# One line of the table for each way, and the verdicts.
switch_table() {
  jq --raw-output --slurp 'def dash: if . == null then "-" else tostring end;
    ["way", "changes", "requests", "failed", "stall ms", "p50", "p99", "p99 near", "sockets", "drained", "broken"],
    (.[] | [.way, .changes, .asked, .failed, .longest_stall_ms, .p50_ms, .p99_ms, .p99_near_ms, .sockets_opened, .sockets_drained,
      .sockets_broken] | map(dash)) | @tsv' "$BENCH_TABLE" |
    awk -F'\t' '{ printf "%-11s %7s %9s %7s %9s %7s %7s %9s %8s %8s %7s\n", $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 }'
  jq --raw-output '. as $one | (.failures + .socket_failures) | to_entries | sort_by(-.value) | .[:3][]
    | "  \($one.way): \(.value) x \(.key)"' "$BENCH_TABLE"
}

switch_verdicts() {
  jq --raw-output --slurp '
    def verdict($is; $words): (if $is then "PASS" else "FAIL" end) + "  " + $words;
    (map({key: .way, value: .}) | from_entries) as $all | $all["blue-green"] as $ours | $all.quiet as $quiet |
    (if $quiet.failed > 0 then "FAIL  the machine does not bear this pace: \($quiet.failed) of \($quiet.asked) failed while nothing was changed; measure again when it is quiet, or with a lower --rate" else empty end),
    verdict($ours.failed == 0; "blue-green, failed requests: \($ours.failed) of \($ours.asked), at most 0"),
    (if $ours.changes >= 100 then verdict($ours.asked >= 1000000; "blue-green, requests: \($ours.asked), at least 1000000") else empty end),
    verdict(($ours.asked / $ours.seconds) >= 1000; "constant load: \($ours.asked / $ours.seconds | round) requests/s, at least 1000"),
    verdict($ours.sockets_broken == 0; "blue-green, websockets closed otherwise than by drain: \($ours.sockets_broken) (\($ours.sockets_drained) by drain), at most 0"),
    verdict($ours.changes_seen == $ours.changes; "blue-green, changes that people saw: \($ours.changes_seen) of \($ours.changes)"),
    verdict($ours.p99_near_ms <= 1.5 * $quiet.p99_ms; "p99 within a second of a switch: \($ours.p99_near_ms) ms, at most 1.5 x quiet (\($quiet.p99_ms) ms)"),
    "      p99 over the whole of the deployments and rollbacks: \($ours.p99_ms) ms, \($ours.p99_ms / $quiet.p99_ms * 100 | round / 100) x quiet"
  ' "$BENCH_TABLE"
}

bench_switch() {
  local times=100 peers=6 rate=1700 sockets=20 way load verdicts
  while (($# > 0)); do
    case "$1" in
      --changes) times=$2; shift 2 ;;
      --peers) peers=$2; shift 2 ;;
      --rate) rate=$2; shift 2 ;;
      --sockets) sockets=$2; shift 2 ;;
      *) refuse "switch: what is $1?" ;;
    esac
  done
  need docker jq openssl curl
  find_binary
  find_load
  BENCH_TABLE="$(mktemp)"
  load="$(cut -d' ' -f1 /proc/loadavg)"
  switch_way quiet 4 "$rate" "$sockets"
  switch_way blue-green "$times" "$rate" "$sockets"
  for way in recreate compose scale admin; do switch_way "$way" "$peers" "$rate" "$sockets"; done
  machine "$load" | jq -r '"machine: \(.cpu), \(.cores) cores, \(.memory), engine \(.engine), compose \(.compose), cutover \(.cutover); load \(.load)"'
  printf '%s requests/s and %s websockets, times in ms from when a request was due; the peers changed %s times\n\n' "$rate" "$sockets" "$peers"
  switch_table
  echo
  verdicts="$(switch_verdicts)"
  printf '%s\n' "$verdicts"
  rm -f "$BENCH_TABLE"
  ! grep -q '^FAIL' <<<"$verdicts"
}
