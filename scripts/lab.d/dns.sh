# The name servers of the DNS tests: real ones, installed and not started. Law: no service runs because of us.
# shellcheck shell=bash

DNS_PACKAGES=(knot knot-dnsutils unbound openssl)

dns_ready() {
  local name
  for name in "${DNS_PACKAGES[@]}"; do is_installed "$name" || return 1; done
}

# Packages start what they bring, unless this file says no; a policy that stands already is not touched.
without_services() {
  local policy=/usr/sbin/policy-rc.d code=0
  if [[ -e $policy ]]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
  "$@" || code=$?
  rm -f "$policy"
  return "$code"
}

bring_dns() {
  if dns_ready; then return 0; fi
  take_lock host
  need_root "installing ${DNS_PACKAGES[*]}"
  local had_knot=no had_unbound=no
  if is_installed knot; then had_knot=yes; fi
  if is_installed unbound; then had_unbound=yes; fi
  # In a shell of its own, since a failure ends it, and the policy must go all the same: $1 and the rest are that shell's.
  # shellcheck disable=SC2016
  without_services bash -c 'set -euo pipefail; source "$1"; shift; install_packages "$@"' install \
    "$LAB_ROOT/scripts/lab.d/common.sh" "${DNS_PACKAGES[@]}"
  # Nor at the next start of this host.
  if [[ -d /run/systemd/system ]]; then
    if [[ $had_knot == no ]]; then quietly systemctl disable knot.service; fi
    if [[ $had_unbound == no ]]; then quietly systemctl disable unbound.service; fi
  fi
  release_lock
}
