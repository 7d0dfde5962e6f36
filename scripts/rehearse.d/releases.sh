# Releases of the demo: two good ones, a broken one that is put back by itself, and a rollback by hand.
# Law: it starts from nothing each time, touches only its own project, and leaves that running.
# shellcheck shell=bash
# shellcheck disable=SC2154

releases() {
  clean
  rm -rf .lab/state "$demo"
  mkdir -p "$demo"
  cp -r compose/demo/{Caddyfile,compose.yaml,cutover.toml,prometheus.yml,rules,seed.sql} "$demo/"
  sed -i "s/^name = \"cutover-demo\"/name = \"$project\"/; s/:18080/:$http/; s/:13000/:$backend/; s/:19090/:$prometheus/
    s#\"../../.lab/state\"#\"$PWD/.lab/state\"#" "$demo/cutover.toml"
  say_release 1
  COMPOSE_PROJECT_NAME=$project DEMO_RUN_DIRECTORY=$demo/run DEMO_SECRETS_DIRECTORY=$demo/secrets scripts/lab prepare
  export CUTOVER_CONFIG=$demo/cutover.toml
  cat <<TEXT
Ready after $((SECONDS - started)) s. Below, \`cutover\` is $binary
and CUTOVER_CONFIG is $CUTOVER_CONFIG. Nothing of the demo runs yet.
TEXT

  act "Deploy release 1: a database, a backend, a worker, and Caddy in front of them."
  expect 0 cutover deploy --yes
  expect_served 1

  act "Deploy release 2: one line of release.env names the new image. Backend and worker are replaced, the rest stays."
  say_release 2
  expect 0 cutover deploy --yes
  expect_served 2

  act "Deploy a broken release 3: it starts, but it is not healthy. cutover sees that and puts release 2 back by itself."
  say_release broken
  expect 7 cutover deploy --yes
  expect_served 2

  act "Roll back by hand, as at 3 a.m.: no argument. Release 2 goes, release 1 comes back from what was kept of it."
  say_release 2
  expect 0 cutover rollback --yes
  expect_served 1

  act "What is true now, what happened, and what is kept."
  expect 0 cutover status
  expect 0 cutover history
  expect 0 cutover releases
  printf 'The demo runs: http://127.0.0.1:%s/\nLook further:  export CUTOVER_CONFIG=%s; %s history 3\nStop it:       scripts/rehearse stop\n' \
    "$http" "$demo/cutover.toml" "$binary"
}
