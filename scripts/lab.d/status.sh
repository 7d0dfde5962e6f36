# What runs, for people and for programs. Law: reads only, takes no lock, starts nothing.
# shellcheck shell=bash

show_status() {
  local version='' compose='' images='' containers='' is_up=no
  if have docker && engine_answers; then
    version=$(docker version --format '{{.Server.Version}}')
    compose=$(docker compose version --short 2>/dev/null || true)
    images=$(docker image ls --filter reference='cutover-lab/*' --format '{{.Repository}}:{{.Tag}}' | sort)
    containers=$(project_containers)
    if all_healthy; then is_up=yes; fi
  fi
  if [[ ${1:-} == --json ]]; then status_json; else status_text; fi
}

engine_is_ours() { [[ -s $ENGINE_MARK ]]; }

status_text() {
  if [[ $is_up == yes ]]; then echo "up: project $PROJECT is healthy"; else echo "down: project $PROJECT is not (wholly) up"; fi
  if [[ -z $version ]]; then
    echo "engine: none answers; \`scripts/lab engine\` starts one"
    return 0
  fi
  echo "engine: $version, compose ${compose:-missing}, $(engine_is_ours && echo "started by the lab" || echo "not the lab's")"
  echo "images: $(echo ${images:-none})"
  if [[ -n $containers ]]; then
    awk '{ printf "  %-12s %-10s %-10s %s\n", $1, $2, ($4 == "-" ? "exit " $3 : $4), $5 }' <<<"$containers"
  fi
}

# Nothing printed here can hold a quote: names, numbers and states of the engine's own making.
status_json() {
  printf '{"schema":"cutover/v1","up":%s,' "$([[ $is_up == yes ]] && echo true || echo false)"
  printf '"engine":{"running":%s,"version":"%s","compose":"%s","started_by_lab":%s},' \
    "$([[ -n $version ]] && echo true || echo false)" "$version" "$compose" "$(engine_is_ours && echo true || echo false)"
  printf '"images":[%s],' "$(sed '/^$/d; s/.*/"&"/' <<<"$images" | paste -sd, -)"
  printf '"project":{"name":"%s","services":[%s]},' "$PROJECT" \
    "$(awk 'NF { printf "%s{\"service\":\"%s\",\"state\":\"%s\",\"exit_code\":%s,\"health\":%s,\"image\":\"%s\"}", sep, $1, $2, $3, ($4 == "-" ? "null" : "\"" $4 "\""), $5; sep = "," }' <<<"$containers")"
  printf '"urls":{"public":"http://127.0.0.1:%s","backend":"http://127.0.0.1:%s","prometheus":"http://127.0.0.1:%s"}}\n' \
    "${DEMO_HTTP_PORT:-18080}" "${DEMO_BACKEND_PORT:-13000}" "${DEMO_PROMETHEUS_PORT:-19090}"
}
