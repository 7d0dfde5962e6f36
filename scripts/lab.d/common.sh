# What every part of the lab leans on: words to the person, deadlines, packages. Law: no wait without a deadline, no stderr thrown away.
# shellcheck shell=bash

LAB_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
LAB_STATE="${CUTOVER_LAB_STATE:-/var/lib/cutover-lab}"
LAB_STARTED_AT=$SECONDS

say() { printf 'lab [%3ds] %s\n' "$((SECONDS - LAB_STARTED_AT))" "$*" >&2; }

# fail WHAT WHY HINT: every error tells what went wrong, why, and what to do about it.
fail() {
  printf 'lab: %s\n  why: %s\n  do:  %s\n' "$1" "$2" "$3" >&2
  exit 1
}

have() { command -v "$1" >/dev/null; }

# quietly COMMAND…: keep a chatty command's output in the log, and show its tail only if it fails.
quietly() {
  local log="$LAB_STATE/log/${1##*/}.$BASHPID.log" code=0
  mkdir -p "$LAB_STATE/log"
  "$@" >"$log" 2>&1 || code=$?
  if ((code != 0)); then
    printf 'lab: `%s` ended with %d; its last lines (all of it: %s):\n' "$*" "$code" "$log" >&2
    tail -n 30 "$log" >&2
    return "$code"
  fi
  rm -f "$log"
}

# wait_for SECONDS WHAT COMMAND…: ask until yes; says what it waits for, and gives up at the deadline.
wait_for() {
  local limit=$1 what=$2 since=$SECONDS
  shift 2
  if "$@"; then return 0; fi
  say "waiting for $what (at most ${limit}s)"
  until "$@"; do
    if ((SECONDS - since >= limit)); then return 1; fi
    sleep 0.2
  done
}

need_root() {
  if ((EUID != 0)); then
    fail "$1 needs root" "this is user $(id -un)" "run it with sudo, or start Docker yourself and let this user reach it"
  fi
}

# take_lock NAME: one call at a time for what the host has once (`host`), and for each project. The descriptor
# is closed for whatever outlives us (the engine).
take_lock() {
  local file="$LAB_STATE/$1.lock"
  mkdir -p "$LAB_STATE" || fail "cannot make $LAB_STATE" "user $(id -un) may not write there" \
    "run as root, or set CUTOVER_LAB_STATE to a directory of yours"
  exec {LAB_LOCK}>"$file"
  if flock -n "$LAB_LOCK"; then return 0; fi
  say "another lab call is at work on $1; waiting for it (at most 900s)"
  flock -w 900 "$LAB_LOCK" || fail "the lab is locked" "another call has held $file for 15 minutes" \
    "look at \`fuser -v $file\` and end it if it hangs"
}

release_lock() { exec {LAB_LOCK}>&-; }

apt_do() {
  DEBIAN_FRONTEND=noninteractive quietly timeout --foreground "${APT_DEADLINE:-600}" \
    apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 \
    -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"
}

# The lists of a bare host are empty or stale: refresh them once per call, only when something is missing.
refresh_apt_lists() {
  if [[ -n ${LAB_APT_FRESH:-} ]]; then return 0; fi
  say "reading the package lists"
  apt_do update || fail "cannot read the package lists" "apt-get update failed (see above)" \
    "make the archives named in this host's apt sources reachable"
  LAB_APT_FRESH=yes
}

is_installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

candidate_version() {
  apt-cache policy "$1" | sed -n 's/^  Candidate: *//p' | grep -vx '(none)' || true
}

# install_packages NAME…: whatever is missing of these, and nothing that is merely recommended.
install_packages() {
  local missing=() name
  for name in "$@"; do is_installed "$name" || missing+=("$name"); done
  if ((${#missing[@]} == 0)); then return 0; fi
  have apt-get || fail "cannot install ${missing[*]}" "this host has no apt" \
    "install them by hand, or use a Debian or Ubuntu host"
  need_root "installing ${missing[*]}"
  refresh_apt_lists
  say "installing ${missing[*]}"
  # Once more, because a host's own timers may run apt, or clean /tmp under it, at the same moment.
  apt_do install --no-install-recommends "${missing[@]}" ||
    { say "apt-get failed; trying once more" && apt_do install --no-install-recommends "${missing[@]}"; } || fail "cannot install ${missing[*]}" \
    "apt-get install failed (see above)" "repair apt on this host and call again"
}

# What the distribution calls itself, from the file made for that.
host_release() { sed -n "s/^$1=//p" /etc/os-release | tr -d '"'; }
