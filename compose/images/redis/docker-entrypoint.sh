#!/bin/bash
# Starts Redis as its own user. Law: whatever the caller says on the command line wins.
set -euo pipefail
if [[ ${1:-} == -* || ${1:-} == *.conf ]]; then set -- redis-server "$@"; fi
if [[ ${1:-} == redis-server ]]; then
  # The distribution's default refuses every client that is not local; in a container nobody is.
  if [[ $* != *protected-mode* ]]; then set -- "$@" --protected-mode no; fi
  if [[ $(id -u) == 0 ]]; then
    chown redis:redis /data
    exec setpriv --reuid=redis --regid=redis --init-groups "$@"
  fi
fi
exec "$@"
