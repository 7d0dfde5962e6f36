# A Docker engine with Compose v2 and buildx. Law: an engine that already runs is used as it is, never configured, never stopped.
# shellcheck shell=bash

ENGINE_LOG="$LAB_STATE/dockerd.log"
# The engine's own pools hold some thirty networks; tests side by side want more of them, and smaller ones.
ENGINE_POOLS=(--default-address-pool "base=172.16.0.0/12,size=24")
ENGINE_MARK="$LAB_STATE/engine.pid"
PLUGIN_DIRECTORY=/usr/local/lib/docker/cli-plugins

engine_answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

compose_works() { timeout 10 docker compose version --short 2>/dev/null | grep -Eq '^v?([2-9]|[1-9][0-9])\.'; }

buildx_works() { timeout 10 docker buildx version >/dev/null 2>&1; }

# One question where all is well: this path is taken by every test that asks for the lab.
engine_ready() { have docker && engine_answers && compose_works && buildx_works; }

ensure_engine() {
  if engine_ready; then return 0; fi
  if ! have docker || ! engine_answers; then
    install_engine
    start_engine
  fi
  compose_works || install_plugin compose docker-compose-v2 docker-compose docker-compose-plugin
  buildx_works || install_plugin buildx docker-buildx docker-buildx-plugin
  rm -rf "$LAB_STATE/plugins"
  engine_ready || fail "the engine is not usable" \
    "docker version, docker compose version or docker buildx version still fails" \
    "run those three by hand; the engine's log may be $ENGINE_LOG"
  say "engine $(docker version --format '{{.Server.Version}}'), compose $(docker compose version --short)"
}

install_engine() {
  if have dockerd && have docker; then return 0; fi
  local packages=(docker.io iptables ca-certificates)
  refresh_apt_lists
  # Newer distributions ship the client apart, as a recommendation only.
  if ! have docker && [[ -n $(candidate_version docker-cli) ]]; then packages+=(docker-cli); fi
  install_packages "${packages[@]}"
  hash -r
}

start_engine() {
  if engine_answers; then return 0; fi
  need_root "starting the engine"
  if [[ -d /run/systemd/system ]]; then
    say "starting docker.service"
    quietly systemctl start docker || fail "docker.service does not start" "see above" "look at \`journalctl -u docker\`"
    echo systemd >"$ENGINE_MARK"
  else
    start_engine_by_hand
  fi
  # A first start on a slow disk takes long; an engine that died is noticed at once, not at the deadline.
  wait_for 60 "the engine to answer" engine_answers_or_died && engine_answers || {
    tail -n 30 "$ENGINE_LOG" >&2 || true
    fail "the engine does not answer" "dockerd ended or stayed silent for 60s (its log: $ENGINE_LOG)" \
      "the last lines above name the reason; a missing kernel feature is the usual one"
  }
}

start_engine_by_hand() {
  local path
  forget_dead_engine
  path="$(iptables_directory)$PATH"
  say "starting dockerd by hand, log in $ENGINE_LOG"
  # Closed: the lock, or the engine would hold it for as long as it lives.
  PATH="$path" setsid --fork dockerd "${ENGINE_POOLS[@]}" </dev/null >>"$ENGINE_LOG" 2>&1 {LAB_LOCK}>&-
  wait_for 10 "dockerd to write its pid" test -s /var/run/docker.pid || true
  if [[ -s /var/run/docker.pid ]]; then cp /var/run/docker.pid "$ENGINE_MARK"; fi
}

engine_answers_or_died() { engine_answers || { [[ $(cat "$ENGINE_MARK") != systemd ]] && ! runs_dockerd "$(cat "$ENGINE_MARK")"; }; }

runs_dockerd() { ! is_gone "$1" && [[ $(cat "/proc/$1/comm") == dockerd ]]; }

# After a hard stop of the machine the pid files stay behind and their numbers may belong to someone else by now.
forget_dead_engine() {
  local file
  for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
    if [[ -s $file ]] && ! grep -Eqs '^(dockerd|containerd)$' "/proc/$(cat "$file")/comm"; then rm -f "$file"; fi
  done
}

# Where the kernel has no nftables the older iptables still works: offer it to dockerd alone, the host keeps its choice.
iptables_directory() {
  if iptables -w -t nat -S >/dev/null 2>&1 || ! iptables-legacy -w -t nat -S >/dev/null 2>&1; then return 0; fi
  mkdir -p "$LAB_STATE/iptables"
  ln -sf "$(command -v iptables-legacy)" "$LAB_STATE/iptables/iptables"
  ln -sf "$(command -v ip6tables-legacy)" "$LAB_STATE/iptables/ip6tables"
  printf '%s:' "$LAB_STATE/iptables"
}

# install_plugin NAME PACKAGE…: the first package whose version is a v2 and above wins; else the next Debian's package, unpacked.
install_plugin() {
  local name=$1 package version
  shift
  need_root "installing docker $name"
  refresh_apt_lists
  for package in "$@"; do
    version=$(candidate_version "$package")
    # Compose v1 is another program under the same package name; buildx never had one.
    if [[ -z $version || ($name == compose && $version == 1.*) ]]; then continue; fi
    install_packages "$package"
    if "${name}_works"; then return 0; fi
  done
  unpack_plugin "$name"
}

unpack_plugin() {
  local name=$1 work="$LAB_STATE/plugins" archive options
  [[ $(host_release ID) == debian ]] || fail "docker $name is missing" "no package of this distribution has it" \
    "install docker $name from your distribution's or the vendor's packages"
  options=(-o "Dir::Etc::SourceList=$work/etc/sources" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  if [[ -z ${PLUGIN_LISTS_FRESH:-} ]]; then
    say "reading the package list of Debian's next release, for the engine's plugins"
    archive=$(archive_address "$(host_release VERSION_CODENAME)")
    rm -rf "$work"
    mkdir -p "$work"/{lists/partial,cache/archives/partial,etc}
    printf 'deb [signed-by=%s] %s trixie main\n' /usr/share/keyrings/debian-archive-keyring.gpg "$archive" >"$work/etc/sources"
    apt_do "${options[@]}" update || fail "cannot read Debian 13's package list" "see above" "make the archive reachable"
    PLUGIN_LISTS_FRESH=yes
  fi
  say "taking docker $name from there"
  (cd "$work" && apt_do "${options[@]}" download "docker-$name") ||
    fail "cannot fetch docker-$name" "see above" "make the archive reachable"
  dpkg-deb -x "$work"/docker-"$name"_*.deb "$work/root"
  install -D -m 0755 "$work/root/usr/libexec/docker/cli-plugins/docker-$name" "$PLUGIN_DIRECTORY/docker-$name"
}

# The archive that the host itself uses for a suite, as apt understands its sources (one-line and deb822 alike).
archive_address() {
  local address
  address=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v suite="$1" '$2 == suite || ($2 == "stable" || $2 == "oldstable") { print $1; exit }')
  [[ -n $address ]] || fail "no archive is known for $1" "this host's apt sources name none" "add its archive to the apt sources"
  printf '%s\n' "$address"
}

# Only an engine that the lab started is ever stopped by it.
stop_engine() {
  if [[ ! -s $ENGINE_MARK ]]; then
    say "the engine was not started by the lab; left alone"
    return 0
  fi
  local pid
  pid=$(cat "$ENGINE_MARK")
  if [[ $pid == systemd ]]; then
    quietly systemctl stop docker.socket docker
  elif runs_dockerd "$pid"; then
    say "stopping dockerd ($pid)"
    kill "$pid"
    wait_for 60 "dockerd to end" is_gone "$pid" || fail "dockerd ($pid) does not end" "60s have passed since SIGTERM" \
      "look at $ENGINE_LOG"
  fi
  rm -f "$ENGINE_MARK"
}

# Ended, and be it as a zombie that nobody collects.
is_gone() { ! grep -qs '^State:.[^Z]' "/proc/$1/status"; }
