# The whole night in the lab: runbooks/supabase-to-postgres.toml from its first gate to the last signal, undone, and again.
# Law: real servers of its own (PostgreSQL, knot, the stack), loopback only; whatever it started is gone when it ends.
# shellcheck shell=bash
# shellcheck disable=SC2154

night=.lab/night
night_project=${NIGHT_PROJECT:-cutover-night}
night_http=${NIGHT_HTTP_PORT:-18180} night_backend=${NIGHT_BACKEND_PORT:-13100} night_prometheus=${NIGHT_PROMETHEUS_PORT:-19190}
night_dns=${NIGHT_DNS_PORT:-15353} night_tls=${NIGHT_TLS_PORT:-18543} night_postgres=${NIGHT_POSTGRES_PORT:-15532}
night_accounts=${NIGHT_ACCOUNTS_PORT:-18490}
night_rows=${NIGHT_ROWS:-300000}
night_children=()
night_place=

night_end() {
  local child
  for child in "${night_children[@]}"; do kill "$child" 2>/dev/null || true; done
  if [[ -n $night_place ]]; then
    as_postgres "$night_programs/pg_ctl" -D "$night_place/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$night_place"
    project=$night_project clean
  fi
}

as_postgres() {
  if [[ $(id -u) == 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# background LOG COMMAND…: ends with this script.
background() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null &
  night_children+=($!)
}

sql() { PGOPTIONS='' "$night_programs/psql" -qtAX -v ON_ERROR_STOP=1 "postgres://postgres@127.0.0.1:$night_postgres/$1" -c "$2"; }

night_servers() {
  night_programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  night_place=$(mktemp -d /tmp/cutover-night.XXXXXX)
  chmod 0711 "$night_place"
  mkdir "$night_place/data"
  if [[ $(id -u) == 0 ]]; then chown postgres: "$night_place/data"; fi
  as_postgres "$night_programs/initdb" -D "$night_place/data" -A trust -U postgres >/dev/null
  printf "port = %s\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nmax_connections = 100\n" \
    "$night_postgres" | as_postgres tee -a "$night_place/data/postgresql.conf" >/dev/null
  as_postgres "$night_programs/pg_ctl" -D "$night_place/data" -w -l "$night_place/data/log" start >/dev/null
  sql postgres 'CREATE DATABASE legacy' && sql postgres 'CREATE DATABASE fresh'
  local tables='CREATE TABLE readings (id bigint PRIMARY KEY, user_id uuid NOT NULL, value numeric(10,2), words text);'
  sql fresh "$tables"
  sql legacy "$tables CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, encrypted_password text,
    email_confirmed_at timestamptz, raw_user_meta_data jsonb, created_at timestamptz DEFAULT now(), last_sign_in_at timestamptz,
    deleted_at timestamptz, is_sso_user boolean DEFAULT false, is_anonymous boolean DEFAULT false);
    CREATE TABLE auth.identities (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES auth.users,
    provider text, provider_id text, identity_data jsonb);
    INSERT INTO auth.users (id, email, email_confirmed_at)
      SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'user' || n || '@example.com', now()
      FROM generate_series(1, 100) n;
    INSERT INTO readings SELECT n, ('00000000-0000-4000-8000-' || lpad((1 + n % 100)::text, 12, '0'))::uuid, n / 7.0, 'reading ' || n
      FROM generate_series(1, $night_rows) n;"
  background "$night/accounts.log" "$night_double" --listen "127.0.0.1:$night_accounts" --project lab-project --key lab-key
  night_names
  night_certificate
}

# An authority of its own, and a server that shows a certificate of it.
night_certificate() {
  local curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl req -x509 "${curve[@]}" -days 365 -subj "/CN=night lab" -keyout "$night/ca.key" -out "$night/ca.pem" 2>/dev/null
  openssl req "${curve[@]}" -subj "/CN=app.night.test" -keyout "$night/key.pem" -out "$night/request.pem" 2>/dev/null
  printf 'subjectAltName=DNS:app.night.test\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' >"$night/leaf.cnf"
  openssl x509 -req -in "$night/request.pem" -CA "$night/ca.pem" -CAkey "$night/ca.key" -CAcreateserial -days 60 \
    -extfile "$night/leaf.cnf" -out "$night/certificate.pem" 2>/dev/null
  background "$night/tls.log" openssl s_server -accept "127.0.0.1:$night_tls" -cert "$night/certificate.pem" -key "$night/key.pem" -www
}

# zone FILE ORIGIN LINES; the words that begin with $ are the zone's own.
# shellcheck disable=SC2016
zone() { printf '$ORIGIN %s\n$TTL 30\n@ SOA ns1 admin 1 2 1 86400 5\n%b' "$2" "$3" >"$1"; }

name_server() {
  local directory=$night/dns-$1 address=$2 domain=$3 more=${4:-} acl=${5:-}
  mkdir -p "$directory/run" "$directory/db"
  {
    printf 'server:\n  rundir: %s/run\n  listen: %s@%s\n  automatic-acl: off\nlog:\n  - target: stderr\n    any: info\n' \
      "$PWD/$directory" "$address" "$night_dns"
    printf 'database:\n  storage: %s/db\n%b' "$PWD/$directory" "$more"
    printf 'zone:\n  - domain: %s\n    file: %s/zone\n    semantic-checks: off\n%b' "$domain" "$PWD/$directory" "$acl"
  } >"$directory/conf"
  background "$directory/log" /usr/sbin/knotd -c "$directory/conf"
}

night_names() {
  mkdir -p "$night/dns-root" "$night/dns-test" "$night/dns-night"
  zone "$night/dns-root/zone" . '@ NS ns.test.\ntest. NS ns.test.\nns.test. A 127.53.9.2\n'
  zone "$night/dns-test/zone" test. '@ NS ns\nns A 127.53.9.2\nnight NS ns1.night\nns1.night A 127.53.9.11\n'
  zone "$night/dns-night/zone" night.test. '@ NS ns1\nns1 A 127.53.9.11\napp A 127.0.0.77\n'
  name_server root 127.53.9.1 .
  name_server test 127.53.9.2 test.
  printf 'Y3V0b3Zlci1sYWIta2V5LWZvci10ZXN0cy1vbmx5LTE=' >"$night/tsig.txt"
  chmod 0600 "$night/tsig.txt"
  name_server night 127.53.9.11 night.test. \
    "key:\n  - id: night.\n    algorithm: hmac-sha256\n    secret: $(cat "$night/tsig.txt")\nacl:\n  - id: changes\n    key: night.\n    action: update\n" \
    '    acl: changes\n'
  mkdir -p "$night/cache"
  cat >"$night/cache/conf" <<CONF
server:
  interface: 127.53.9.21
  port: $night_dns
  directory: "$PWD/$night/cache"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
forward-zone:
  name: "night.test."
  forward-addr: 127.53.9.11@$night_dns
forward-zone:
  name: "test."
  forward-addr: 127.53.9.2@$night_dns
remote-control:
  control-enable: no
CONF
  background "$night/cache/log" unbound -d -c "$night/cache/conf"
}

night_configuration() {
  cp -r compose/demo/{Caddyfile,compose.yaml,prometheus.yml,rules,seed.sql} "$night/"
  printf 'DEMO_TAG=1\nDEMO_HTTP_PORT=%s\nDEMO_BACKEND_PORT=%s\nDEMO_PROMETHEUS_PORT=%s\n' \
    "$night_http" "$night_backend" "$night_prometheus" >"$night/release.env"
  COMPOSE_PROJECT_NAME=$night_project DEMO_RUN_DIRECTORY=$night/run DEMO_SECRETS_DIRECTORY=$night/secrets \
    DEMO_HTTP_PORT=$night_http DEMO_BACKEND_PORT=$night_backend DEMO_PROMETHEUS_PORT=$night_prometheus scripts/lab prepare
  sed -e "s/^name = \"cutover-demo\"/name = \"$night_project\"/; s/:18080/:$night_http/; s/:13000/:$night_backend/; s/:19090/:$night_prometheus/
    s#\"../../.lab/state\"#\"state\"#" compose/demo/cutover.toml >"$night/cutover.toml"
  cat >>"$night/cutover.toml" <<TOML

[source]
url_env = "LEGACY_URL"
[target]
url_env = "FRESH_URL"
[data]
directory = "migration-data"
user_columns = { readings = ["user_id"] }
[users]
provider = "stack-auth"
base_url = "http://127.0.0.1:$night_accounts/"
project_id_env = "STACK_AUTH_PROJECT_ID"
secret_key_env = "STACK_AUTH_SECRET_KEY"
rate = 1000
[dns]
provider = "rfc2136"
server = "127.53.9.11:$night_dns"
tsig_name = "night"
tsig_secret_file = "tsig.txt"
roots = ["127.53.9.1:$night_dns"]
resolvers = ["127.53.9.21:$night_dns"]
quorum = 1
port = $night_dns
ttl = "30s"
timeout = "1s"
interval = "200ms"
deadline = "30s"
origin = ["127.0.0.1"]
http_port = $night_http
https_port = $night_tls
ca_certificate = "ca.pem"
[[dns.record]]
name = "app.night.test"
A = ["127.0.0.1"]
[caddy]
url = "http://127.0.0.1:$night_http/"
[stabilize]
window = "1m"
probe = "http://127.0.0.1:$night_http/"
requests = 'caddy_http_request_duration_seconds_count{server="public",handler="reverse_proxy"}'
TOML
  export LEGACY_URL=postgres://postgres@127.0.0.1:$night_postgres/legacy FRESH_URL=postgres://postgres@127.0.0.1:$night_postgres/fresh
  export STACK_AUTH_PROJECT_ID=lab-project STACK_AUTH_SECRET_KEY=lab-key CUTOVER_CONFIG=$night/cutover.toml
}

# Writes to the legacy database until it refuses; how often it did is in the file.
write_load() {
  local number=$((night_rows + 1))
  while sql legacy "INSERT INTO readings VALUES ($number, '00000000-0000-4000-8000-000000000007', 1, 'load')" 2>>"$night/load.err"; do
    echo "$number" >"$night/load"
    number=$((number + 1))
  done
}

# Visitors of the new side, without whom nothing could be accepted.
visitors() {
  while :; do
    curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$night_http/" "http://127.0.0.1:$night_http/items" || true
    sleep 0.05
  done
}

# pass SIGNAL CONFIRMS CODE: a person's word, and what follows.
pass() {
  expect 0 cutover approve "$1" --confirms "$2" --note "as rehearsed"
  expect "$3" cutover resume
}

night_run() {
  expect 3 cutover run runbooks/supabase-to-postgres.toml --yes --confirm "cutover lab"
  pass env-ready schema 3
  pass cutover-ready window,ttl,criteria 3
  pass staging-verified rehearsal 3
  pass production-ready people 3
  pass frozen notice 3
  pass exported "" 3
  pass users-mapped "" 3
  pass cutover-complete login 3
  pass stabilized feedback 0
}

answered() { kdig @127.53.9.11 -p "$night_dns" app.night.test A +short; }

whole_night() {
  local owner moved
  act "The night's own servers: a legacy PostgreSQL with an auth schema and $night_rows rows, a new one, Stack Auth's double, knot."
  trap night_end EXIT
  project=$night_project clean
  rm -rf "$night"
  mkdir -p "$night"
  night_servers
  night_configuration
  background "$night/load.log" write_load
  background "$night/visitors.log" visitors

  act "What the night will do, changing nothing."
  expect 0 cutover plan run runbooks/supabase-to-postgres.toml

  act "The night, with nine signals; the old database is written to until it is frozen."
  night_run
  moved=$(sql fresh 'SELECT count(*) FROM readings')
  printf '%s rows in the new database, the last one written under load is %s\n' "$moved" "$(cat "$night/load")"
  [[ $moved == "$(sql legacy 'SELECT count(*) FROM readings')" && $moved -ge $night_rows ]] || fail "rows are missing in the new database"
  [[ $(answered) == 127.0.0.1 ]] || fail "the name should lead to the new side"

  act "The new side is written to: an insert, an update, a delete. Then the rollback: they come back to the old database."
  owner=$(sql fresh 'SELECT user_id FROM readings WHERE id = 42')
  sql fresh "INSERT INTO readings VALUES (900001, '$owner', 9, 'after the cutover'); UPDATE readings SET words = 'changed' WHERE id = 43;
    DELETE FROM readings WHERE id = 44"
  expect 0 cutover rollback --yes --confirm "rollback lab"
  [[ $(sql legacy "SELECT string_agg(id || ' ' || words || ' ' || user_id, ',' ORDER BY id) FROM readings WHERE id IN (43, 44, 900001)") == \
    "43 changed 00000000-0000-4000-8000-000000000044,900001 after the cutover 00000000-0000-4000-8000-000000000043" ]] ||
    fail "what was written to the new side is not in the old database"
  [[ $(sql legacy 'SELECT count(*) FROM readings') == "$moved" ]] || fail "one row more and one row less were expected"
  [[ $(answered) == 127.0.0.77 ]] || fail "the name should lead to the old side again"
  sql legacy "INSERT INTO readings VALUES (900002, '00000000-0000-4000-8000-000000000001', 1, 'old side again')"
  echo "the old database takes writes again, and holds what was written to the new one"

  act "The night again, to its end. The new database was closed by the rollback; a person opens it."
  expect 0 cutover data unfreeze --of target --yes
  night_run
  [[ $(sql fresh 'SELECT count(*) FROM readings') == $((moved + 1)) ]] || fail "rows are missing in the new database"
  expect 0 cutover status
  expect 0 cutover history

  act "The page of that night, for whoever was not there: $night/report.html"
  expect 0 cutover report -o "$night/report.html"
  for part in 'waited for people' 'id="checkpoints"' 'id="rows"' 'id="verification"' 'id="gap"' 'id="names"' 'id="stabilization"'; do
    grep -qF "$part" "$night/report.html" || fail "$part is missing on the page"
  done
  # A browser that is there by chance opens it too, without a network.
  if command -v chromium >/dev/null; then
    chromium --headless --no-sandbox --disable-gpu --window-size=1200,2400 --screenshot="$PWD/$night/report.png" "file://$PWD/$night/report.html" \
      >"$night/browser.log" 2>&1 || fail "the page could not be opened; see $night/browser.log"
    echo "as a browser shows it: $night/report.png"
  fi
}
