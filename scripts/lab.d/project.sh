# The demo project: its secret, its switch files, up and down. Law: up ends only when every service was seen healthy.
# shellcheck shell=bash

DEMO_DIRECTORY="$LAB_ROOT/compose/demo"
PROJECT="${COMPOSE_PROJECT_NAME:-cutover-demo}"

demo_compose() {
  docker compose --project-name "$PROJECT" --env-file "$DEMO_DIRECTORY/release.env" -f "$DEMO_DIRECTORY/compose.yaml" "$@"
}

# write_once FILE MODE: keeps what is there; a new file appears under its name only when it is whole.
write_once() {
  local file=$1 mode=$2
  if [[ -s $file ]]; then return 0; fi
  cat >"$file.new"
  chmod "$mode" "$file.new"
  mv "$file.new" "$file"
}

random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

prepare_files() {
  local run="${DEMO_RUN_DIRECTORY:-$DEMO_DIRECTORY/run}" secrets="${DEMO_SECRETS_DIRECTORY:-$DEMO_DIRECTORY/secrets}"
  mkdir -p "$run"
  mkdir -p -m 0700 "$secrets"
  write_once "$secrets/database_password.txt" 0600 < <(random_hex 24)
  write_once "$run/app" 0644 <<<backend
  write_once "$run/id" 0644 < <(printf '%s-%s\n' "$PROJECT" "$(random_hex 4)")
}

up_project() {
  prepare_files
  if all_healthy && ! runs_old_images; then
    say "project $PROJECT is up and healthy already"
    return 0
  fi
  say "starting project $PROJECT"
  compose_or_fail up -d db
  wait_for 60 "the database to be healthy" service_healthy db || fail_unhealthy
  compose_or_fail run --rm --no-deps -T backend demo-backend migrate
  compose_or_fail up -d
  wait_for 60 "all services to be healthy" all_healthy || fail_unhealthy
  say "project $PROJECT is up: http://127.0.0.1:${DEMO_HTTP_PORT:-18080}/ (backend ${DEMO_BACKEND_PORT:-13000}, Prometheus ${DEMO_PROMETHEUS_PORT:-19090})"
}

compose_or_fail() {
  quietly timeout 120 docker compose --project-name "$PROJECT" --env-file "$DEMO_DIRECTORY/release.env" \
    -f "$DEMO_DIRECTORY/compose.yaml" "$@" ||
    fail "docker compose $1 failed for project $PROJECT" "see above; a port in use is the usual reason" \
      "free the port or set DEMO_HTTP_PORT, DEMO_BACKEND_PORT, DEMO_PROMETHEUS_PORT"
}

project_ids() {
  docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.oneoff=False
}

# One line per container: service, state, exit code, health (or -), image.
project_containers() {
  project_ids | xargs -r docker inspect --format \
    '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.Config.Image}}' |
    sort
}

# Running and not known to be ill, or ended with 0 as only the seed may.
is_well='($2 == "running" && ($4 == "healthy" || $4 == "-")) || ($1 == "seed" && $2 == "exited" && $3 == 0)'

# A tag that was built anew since a container started from it; whatever else a deploy put there is none of ours.
runs_old_images() {
  local image tag id
  while read -r tag image; do
    id=$(docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null || echo gone)
    if [[ $id != "$image" ]]; then return 0; fi
  done < <(project_ids | xargs -r docker inspect --format '{{.Config.Image}} {{.Image}}' | sort -u)
  return 1
}

service_healthy() { project_containers | awk -v s="$1" "\$1 == s && ($is_well) { found = 1 } END { exit !found }"; }

all_healthy() { project_containers | awk "{ seen++ } !($is_well) { ill++ } END { exit !(seen == 6 && !ill) }"; }

fail_unhealthy() {
  project_containers >&2
  demo_compose logs --no-color --tail 10 >&2 || true
  fail "project $PROJECT is not healthy" "60s have passed; states and last logs stand above" \
    "repair the service that is not healthy, or start again with \`scripts/lab down\`"
}

down_project() {
  say "removing project $PROJECT and its volumes"
  prepare_files
  compose_or_fail down --volumes --timeout 5
}
