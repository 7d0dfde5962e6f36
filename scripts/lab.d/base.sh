# The shared root filesystem of the built images, from the host's own archive. Law: its tree is made of unpacked packages; no maintainer script runs.
# shellcheck shell=bash
#
# Unpacking in parallel takes a few seconds where a full bootstrap takes half a minute; what the maintainer
# scripts would have done and a service here needs (users, directories, a few links) is done in finish_root.

BASE_RECIPE="$LAB_ROOT/compose/images/base"

# apt, as if nothing at all were installed, with this host's sources.
empty_apt() {
  local work=$1
  shift
  apt-get -q -o "Dir::State::status=$work/status" -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
    -o Acquire::Retries=3 "$@"
}

# choose_packages WORK: NAME=VERSION of everything the recipe needs, less what it leaves out.
choose_packages() {
  local work=$1 wanted
  mapfile -t wanted < <(grep -v '^#' "$BASE_RECIPE/packages")
  grep -v '^#' "$BASE_RECIPE/left-out" >"$work/left-out"
  empty_apt "$work" -s install "${wanted[@]}" | awk '$1 == "Inst" { print $2, substr($3, 2) }' |
    while read -r name version; do
      if ! grep -Eqf "$work/left-out" <<<"$name"; then printf '%s=%s\n' "$name" "$version"; fi
    done
}

unpack_packages() {
  local work=$1 name
  # Packages of older releases carry /bin, /lib and the like: they must land behind the links.
  for name in bin sbin lib lib64; do
    mkdir -p "$work/root/usr/$name"
    ln -s "usr/$name" "$work/root/$name"
  done
  # The single-quoted script is for the child shells: $1 is a package, $2 the root.
  # shellcheck disable=SC2016
  find "$work/archives" -name '*.deb' -print0 | xargs -0 -P "$(nproc)" -I{} bash -c '
    set -euo pipefail
    dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink \
      --exclude="./usr/share/doc/*" --exclude="./usr/share/man/*" --exclude="./usr/share/locale/*" \
      --exclude="./usr/share/prometheus/*" --exclude="*/bitcode/*" --exclude="*/llvmjit*" --exclude="*/gconv/*"
  ' unpack {} "$work/root"
}

finish_root() {
  local root=$1 applet major
  cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
  cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
  [[ -e $root/etc/nsswitch.conf ]] || cp "$root/usr/share/libc-bin/nsswitch.conf" "$root/etc/nsswitch.conf"
  printf '%s\n' postgres:x:999:999::/var/lib/postgresql:/bin/bash redis:x:998:998::/data:/bin/sh >>"$root/etc/passwd"
  printf '%s\n' postgres:x:999: redis:x:998: >>"$root/etc/group"
  for applet in awk wget nc ps hostname ip ping top vi; do
    [[ -e $root/usr/bin/$applet ]] || ln -s busybox "$root/usr/bin/$applet"
  done
  # Recipes need not know which PostgreSQL this host's suite has.
  major=$(basename "$(echo "$root"/usr/lib/postgresql/*)")
  ln -s "$major" "$root/usr/lib/postgresql/current"
  ln -s "$major" "$root/usr/share/postgresql/current"
  [[ $major == 15 ]] || say "postgres:15 will hold PostgreSQL $major, the one of $(host_release VERSION_CODENAME)"
  mkdir -p "$root"/{proc,sys,dev,run,tmp,root,var/lib/postgresql}
  chmod 1777 "$root/tmp"
  rm -rf "$root"/usr/share/{info,lintian,bug,zsh,bash-completion} "$root"/var/lib/prometheus
}

make_base() {
  local recipe work="$LAB_STATE/base"
  recipe=$(built_recipe base:1)
  if [[ $(docker image inspect --format "{{index .Config.Labels \"$RECIPE_LABEL\"}}" cutover-lab/base:1 2>/dev/null) == "$recipe" ]]; then
    return 0
  fi
  rm -rf "$work"
  mkdir -p "$work/archives" "$work/root"
  : >"$work/status"
  refresh_apt_lists
  choose_packages "$work" >"$work/list"
  [[ -s $work/list ]] || fail "cannot choose the packages of the base image" "apt resolved none of them (see above)" \
    "check that this host's apt sources offer those of $BASE_RECIPE/packages"
  say "base: unpacking $(wc -l <"$work/list") packages of $(host_release VERSION_CODENAME)"
  (cd "$work/archives" && mapfile -t list <../list && quietly timeout 600 \
    apt-get -q -o "Dir::State::status=$work/status" -o APT::Sandbox::User=root -o Acquire::Retries=3 download "${list[@]}") ||
    fail "cannot fetch the packages of the base image" "see above" "make this host's archives reachable"
  unpack_packages "$work"
  finish_root "$work/root"
  tar -C "$work/root" -c . | quietly docker import --change "LABEL $RECIPE_LABEL=$recipe" - cutover-lab/base:1
  rm -rf "$work"
}
