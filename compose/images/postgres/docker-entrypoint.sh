#!/bin/bash
# First start makes the cluster, later starts only run it. Law: nothing is reachable over TCP before the init files have run.
set -euo pipefail

# Each variable may also come as NAME_FILE; both at once is a mistake worth stopping for.
read_variable() {
  local name=$1 file="${1}_FILE" default=${2:-}
  if [[ -n ${!name:-} && -n ${!file:-} ]]; then
    echo "error: both $name and $file are set; keep one" >&2
    exit 1
  fi
  if [[ -n ${!file:-} ]]; then
    export "$name=$(<"${!file}")"
  else
    export "$name=${!name:-$default}"
  fi
  unset "$file"
}

make_cluster() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256} arguments=()
  if [[ -z $POSTGRES_PASSWORD && $method != trust ]]; then
    echo "error: POSTGRES_PASSWORD is empty; set it, POSTGRES_PASSWORD_FILE, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
    exit 1
  fi
  if [[ -n $POSTGRES_PASSWORD ]]; then arguments+=("--pwfile=/dev/fd/3"); fi
  # shellcheck disable=SC2086 # a list of arguments, by its own convention
  initdb --username="$POSTGRES_USER" --auth-local=trust --auth-host=trust "${arguments[@]}" \
    ${POSTGRES_INITDB_ARGS:-} 3< <(printf '%s\n' "$POSTGRES_PASSWORD")
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

query() { psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password -U "$POSTGRES_USER" "$@"; }

run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) echo "init: $file" >&2; if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
      *.sql) echo "init: $file" >&2; query -d "$POSTGRES_DB" -f "$file" ;;
      *.sql.gz) echo "init: $file" >&2; gzip -dc "$file" | query -d "$POSTGRES_DB" ;;
      *) [[ ! -e $file ]] || echo "init: $file is passed over" >&2 ;;
    esac
  done
}

fill_cluster() {
  pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start >&2
  if [[ $POSTGRES_DB != postgres ]]; then
    query -d postgres -v db="$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
  fi
  run_init_files
  pg_ctl -D "$PGDATA" -m fast -w stop >&2
}

main() {
  if [[ ${1:-} == -* ]]; then set -- postgres "$@"; fi
  if [[ ${1:-} != postgres ]]; then exec "$@"; fi

  read_variable POSTGRES_PASSWORD
  read_variable POSTGRES_USER postgres
  read_variable POSTGRES_DB "$POSTGRES_USER"

  # Read as root above, because a secret's file may be open to root alone; everything else runs as postgres.
  if [[ $(id -u) == 0 ]]; then
    install -d -o postgres -g postgres -m 0700 "$PGDATA"
    install -d -o postgres -g postgres -m 2777 /var/run/postgresql
    chown -R postgres:postgres "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi

  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    make_cluster
    fill_cluster
  fi
  unset POSTGRES_PASSWORD
  exec "$@"
}

main "$@"
