# A deployment beside its peer. Law: both sides change the same thing in projects of their own, in turn, and nothing else runs meanwhile.
# shellcheck shell=bash
#
# Two copies of one project (bench.d/compose.yaml), one for each side. In every pair each side goes to the other image
# tag: the peer by `docker compose up -d --wait`, cutover by `cutover deploy`. Both recreate backend and worker and wait
# until every service is healthy. cutover also checks, plans, keeps a journal, asks a health endpoint and keeps the
# release; all of that counts. Its backup is what the peer does not do at all; it is taken off and shown apart, by the
# journal's own took_ms. There is no stretch of stability (stable_for and observe are 0s) and no migration.

# make_project NAME: a directory with everything, ready to be brought up; gone at the end.
make_project() {
  local name=$1 place="$BENCH_PLACE/$1" port
  mkdir -p "$place/secrets"
  chmod 0700 "$place/secrets"
  cp "$BENCH_ROOT/scripts/bench.d/compose.yaml" "$place/compose.yaml"
  printf 'a-password-of-a-measurement\n' >"$place/secrets/database_password.txt"
  chmod 0600 "$place/secrets/database_password.txt"
  port="$(free_port)"
  printf '%s\n' "$port" >"$place/port"
  cat >"$place/cutover.toml" <<TOML
schema = "cutover/v1"
[project]
name = "$name"
environment = "bench"
[compose]
files = ["compose.yaml"]
env_files = ["release.env"]
[state]
directory = "state"
[preflight]
min_disk = "10MiB"
min_memory = "10MiB"
[[health]]
name = "ready"
url = "http://127.0.0.1:$port/health/ready"
successes = 1
interval = "100ms"
[deploy]
services = ["backend", "worker"]
stable_for = "0s"
observe = "0s"
TOML
}

free_port() {
  local port
  for ((port = 24000 + RANDOM % 4000; port < 32000; port++)); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  fail "no port is free"
}

# set_tag NAME TAG
set_tag() {
  printf 'TAG=%s\nPORT=%s\n' "$2" "$(<"$BENCH_PLACE/$1/port")" >"$BENCH_PLACE/$1/release.env"
  chmod 0600 "$BENCH_PLACE/$1/release.env"
}

peer() {
  (cd "$BENCH_PLACE/$BENCH_PEER" && docker compose --project-name "$BENCH_PEER" --env-file release.env --file compose.yaml up -d --wait)
}

ours() { (cd "$BENCH_PLACE/$BENCH_OURS" && "$CUTOVER" "$@"); }

clean_up() {
  local name ids
  for name in "$BENCH_PEER" "$BENCH_OURS"; do
    ids="$(docker ps -aq --filter "label=com.docker.compose.project=$name"; docker ps -aq --filter "name=^$name-.*-held-by-cutover")"
    # shellcheck disable=SC2086
    if [[ -n $ids ]]; then docker rm --force --volumes $ids >/dev/null; fi
    docker volume rm "${name}_database" >/dev/null 2>&1 || say "no volume of $name was left"
    docker network rm "${name}_default" >/dev/null 2>&1 || say "no network of $name was left"
    docker image ls --format '{{.Repository}}:{{.Tag}}' --filter "reference=cutover.invalid/$name/*" | xargs -r docker image rm >/dev/null
  done
  rm -rf "$BENCH_PLACE"
}

bench_deploy() {
  local pairs=10 as_json=false load
  while (($#)); do
    case $1 in
      --pairs) pairs=${2:?how many pairs?}; shift 2 ;;
      --json) as_json=true; shift ;;
      *) refuse "deploy does not know $1" ;;
    esac
  done
  need docker jq awk
  find_binary
  load="$(cut -d' ' -f1 /proc/loadavg)"
  BENCH_PLACE="$(mktemp -d)"
  BENCH_PEER="bench-peer-$$" BENCH_OURS="bench-ours-$$"
  trap clean_up EXIT
  deploy_pairs "$pairs"
  reading_verbs "$pairs"
  deploy_result "$pairs" "$load" >"$BENCH_PLACE/result.json"
  if $as_json; then cat "$BENCH_PLACE/result.json"; else deploy_text; fi
  jq -e 'all(.targets[]; .pass)' "$BENCH_PLACE/result.json" >/dev/null
}

deploy_pairs() {
  local pair tag
  make_project "$BENCH_PEER"
  make_project "$BENCH_OURS"
  # Not measured: the first deployment, and one change of each side, so that both have done everything once.
  for tag in 1 2; do
    set_tag "$BENCH_PEER" "$tag"
    timed "$BENCH_PLACE/unmeasured" peer
    set_tag "$BENCH_OURS" "$tag"
    timed "$BENCH_PLACE/unmeasured" ours deploy --yes --quiet
  done
  for ((pair = 1; pair <= $1; pair++)); do
    tag=$((2 - pair % 2))
    set_tag "$BENCH_PEER" "$tag"
    set_tag "$BENCH_OURS" "$tag"
    # Who goes first changes too.
    if ((pair % 2)); then
      timed "$BENCH_PLACE/peer" peer
      timed "$BENCH_PLACE/ours" ours deploy --yes --quiet
    else
      timed "$BENCH_PLACE/ours" ours deploy --yes --quiet
      timed "$BENCH_PLACE/peer" peer
    fi
    took_of_items "$((pair + 2))"
    paste "$BENCH_PLACE/ours" "$BENCH_PLACE/backup" | awk '{ print $1 - $2 }' >"$BENCH_PLACE/compared"
    say "pair $pair of $1: peer $(tail -n 1 "$BENCH_PLACE/peer") ms, cutover $(tail -n 1 "$BENCH_PLACE/compared") ms and backup $(tail -n 1 "$BENCH_PLACE/backup") ms"
  done
}

# took_of_items RUN: what the run's journal says each item took.
took_of_items() {
  local journal
  journal="$BENCH_PLACE/$BENCH_OURS/state/runs/$(printf '%04d' "$1")-deploy.jsonl"
  jq -r 'select(.kind == "done") | "\(.name) \(.took_ms)"' "$journal" >"$BENCH_PLACE/items"
  awk '$1 == "back_up_database" { print $2 }' "$BENCH_PLACE/items" >>"$BENCH_PLACE/backup"
  while read -r name took; do echo "$took" >>"$BENCH_PLACE/item-$name"; done <"$BENCH_PLACE/items"
  awk '{ sum += $2 } END { print sum }' "$BENCH_PLACE/items" >>"$BENCH_PLACE/sum"
  paste "$BENCH_PLACE/ours" "$BENCH_PLACE/sum" | awk '{ print $1 - $2 }' >"$BENCH_PLACE/item-checks_and_plan"
}

# What preflight takes beyond its slowest check, and what status takes.
reading_verbs() {
  local round slowest
  for ((round = 1; round <= $1; round++)); do
    timed "$BENCH_PLACE/preflight" ours_to "$BENCH_PLACE/findings.json" preflight --output json
    slowest="$(jq '[.findings[].took_ms] | max' "$BENCH_PLACE/findings.json")"
    echo $(($(tail -n 1 "$BENCH_PLACE/preflight") - slowest)) >>"$BENCH_PLACE/beyond"
    timed "$BENCH_PLACE/status" ours status
  done
}

ours_to() {
  local file=$1
  shift
  ours "$@" >"$file"
}

deploy_result() {
  local file items='{}'
  for file in "$BENCH_PLACE"/item-*; do
    items="$(jq --arg name "${file##*/item-}" --argjson took "$(median "$file")" '. + {($name): $took}' <<<"$items")"
  done
  jq -n --argjson machine "$(machine "$2")" --argjson pairs "$1" --argjson items "$items" \
    --argjson peer "$(numbers "$BENCH_PLACE/peer")" --argjson ours "$(numbers "$BENCH_PLACE/compared")" \
    --argjson backup "$(numbers "$BENCH_PLACE/backup")" --argjson beyond "$(numbers "$BENCH_PLACE/beyond")" \
    --argjson status "$(numbers "$BENCH_PLACE/status")" --argjson bytes "$(stat -c %s "$CUTOVER")" '
    def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
    def target($name; $value; $limit; $unit): {name: $name, value: $value, limit: $limit, unit: $unit, pass: ($value <= $limit)};
    {schema: "cutover-bench/v1", bench: "deploy", machine: $machine, pairs: $pairs,
     peer_ms: $peer, cutover_ms: $ours, excluded_backup_ms: $backup, preflight_beyond_ms: $beyond, status_ms: $status,
     median_ms: {peer: ($peer | median), cutover: ($ours | median), excluded_backup: ($backup | median), of_items: $items},
     targets: [
       target("deploy, ratio to docker compose up -d --wait"; (($ours | median) / ($peer | median) * 1000 | round / 1000); 1.15; ""),
       target("preflight beyond its slowest check, median"; ($beyond | median); 100; "ms"),
       target("status, median"; ($status | median); 50; "ms"),
       target("binary, stripped"; ($bytes / 1e6 * 10 | round / 10); 20; "MB")]}'
}

deploy_text() {
  jq -r '
    "machine: \(.machine.cpu), \(.machine.cores) cores, \(.machine.memory), Linux \(.machine.kernel), engine \(.machine.engine), compose \(.machine.compose), cutover \(.machine.cutover); load \(.machine.load)",
    (if (.machine.load | split(" ")[0] | tonumber) > .machine.cores then "The machine was busy with other work: measure again when its load is below its number of cores." else empty end),
    "",
    "                      median      least to most, of \(.pairs)",
    (["docker compose", .peer_ms], ["cutover deploy", .cutover_ms], ["excluded: backup", .excluded_backup_ms],
     ["preflight beyond", .preflight_beyond_ms], ["status", .status_ms]
     | . as [$name, $all] | ($all | sort) as $all
     | ($all | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2 - 1] + .[length / 2]) / 2 end) as $median
     | "  \($name + "                    " | .[:20])\("        \($median)" | .[-7:]) ms    \($all[0]) to \($all[-1]) ms"),
    "",
    "cutover deploy, medians by item: " + ([.median_ms.of_items | to_entries[] | "\(.key) \(.value) ms"] | join(", ")),
    "",
    (.targets[] | "\(if .pass then "PASS" else "FAIL" end)  \(.name): \(.value)\(if .unit == "" then "" else " " + .unit end), at most \(.limit)")
  ' "$BENCH_PLACE/result.json"
}
