# The demo backend's images: one binary, several releases. Law: compiled once per source, in the ordinary target directory that the tests use too.
# shellcheck shell=bash
#
# The image holds the binary and the libraries that ldd names, nothing else: no static build of its own, which
# would compile every crate a second time, and no root filesystem whose libc could be older than this host's.

DEMO_RELEASES=(1 2 broken crash)
DEMO_BUILD_PID=
# A call that fails halfway leaves no compiler behind: the job is a process group of its own, ended as a whole.
trap '[[ -z $DEMO_BUILD_PID ]] || kill -- "-$DEMO_BUILD_PID" 2>/dev/null || true' EXIT

# Dependencies' versions are left out: a lock file that moves must not make every test wait for new images.
demo_recipe() {
  { echo "demo for $(host_release ID) $(host_release VERSION_ID) $(uname -m)"; hash_tree examples/demo-backend compose/images/demo scripts/lab.d/demo_image.sh; } | hash_of
}

demo_is_current() {
  local release recipe=$1
  for release in "${DEMO_RELEASES[@]}"; do [[ ${RECIPES[demo:$release]:-} == "$recipe" ]] || return 1; done
}

# The compiler needs neither engine nor network, so it works while those are being made ready.
# Whether the images exist cannot be asked yet, but whether the binary does.
start_demo_build() {
  if [[ -s $LAB_STATE/demo/$(demo_recipe)/root/bin/demo-backend || -n $DEMO_BUILD_PID ]]; then return 0; fi
  set -m
  compile_demo &
  DEMO_BUILD_PID=$!
  set +m
}

compile_demo() {
  local recipe cargo program library root
  recipe=$(demo_recipe)
  cargo=$(command -v cargo || echo "$HOME/.cargo/bin/cargo")
  [[ -x $cargo ]] || fail "cannot compile the demo backend" "cargo is neither in PATH nor in $HOME/.cargo/bin" "install a Rust toolchain"
  say "demo: compiling the backend"
  mkdir -p "$LAB_STATE/demo"
  find "$LAB_STATE/demo" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
  # The messages on stdout name the executable, wherever the target directory is; what a person reads is on stderr.
  (cd "$LAB_ROOT" && timeout --foreground 1200 "$cargo" build --quiet --locked --example demo-backend \
    --message-format=json-render-diagnostics) >"$LAB_STATE/demo/cargo.json" ||
    fail "cannot compile the demo backend" "cargo failed (see above)" "run cargo build --example demo-backend"
  program=$(sed -n 's/.*"executable":"\([^"]*demo-backend\)".*/\1/p' "$LAB_STATE/demo/cargo.json" | tail -n 1)
  root="$LAB_STATE/demo/$recipe.new/root"
  rm -rf "$LAB_STATE/demo/$recipe.new"
  mkdir -p "$root/bin" "$root/tmp"
  strip -o "$root/bin/demo-backend" "$program"
  while read -r library; do install -D -m 0755 "$library" "$root$library"; done < <(ldd "$program" | grep -o '/[^ ]*')
  cp "$IMAGE_RECIPES/demo/Dockerfile" "$LAB_STATE/demo/$recipe.new/"
  rm -rf "${LAB_STATE:?}/demo/$recipe"
  mv "$LAB_STATE/demo/$recipe.new" "$LAB_STATE/demo/$recipe"
}

finish_demo_build() {
  local recipe release
  recipe=$(demo_recipe)
  if [[ -n $DEMO_BUILD_PID ]]; then
    wait "$DEMO_BUILD_PID" || exit 1
    DEMO_BUILD_PID=
  fi
  for release in "${DEMO_RELEASES[@]}"; do
    in_background build_demo "$release" "$recipe"
  done
  finish_background
  say "demo: ${DEMO_RELEASES[*]} built"
}

build_demo() {
  quietly docker build -t "cutover-lab/demo:$1" --target "demo-$1" --label "$RECIPE_LABEL=$2" "$LAB_STATE/demo/$2"
}
