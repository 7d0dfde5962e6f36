# How long the way back takes: from the start of `cutover rollback --yes` to the first answer of the release before on the
# public route. Law: lock, plan and journal count; the clock ends with an answer, not with an exit code.
# shellcheck shell=bash
#
# The project is that of `scripts/bench switch`. Warm: the side before still runs. Cold: it was let go (keep_warm = "0s"), and
# is started from its record; in turn with starting the same side by hand (docker compose up -d --wait, and the rename).

# rollback_deployed: the second release serves, and the side before is warm, or gone where it is not kept.
rollback_deployed() {
  switch_tag 2
  "$CUTOVER" deploy --yes --skip-checks >"$BENCH_PLACE/said" 2>&1 || { cat "$BENCH_PLACE/said" >&2; fail "a deployment failed"; }
}

# rollback_timed FILE PROGRAM…: ms to the first answer of release 1, added to FILE.
rollback_timed() {
  local file=$1
  shift
  # shellcheck disable=SC2153
  "$BENCH_LOAD" first-answer "$(switch_address):80" 1 "$@" 2>"$BENCH_PLACE/said" >>"$file" ||
    { tail -n 20 "$BENCH_PLACE/said" >&2; fail "\`$*\` failed"; }
}

rollback_project() {
  switch_project blue-green
  cd "$BENCH_PLACE" || fail "$BENCH_PLACE is gone"
  sed -i 's/^stable_for = .*/stable_for = "0s"/; s/^observe = .*/observe = "0s"/' cutover.toml
  [[ $1 == warm ]] || printf 'keep_warm = "0s"\n' >>cutover.toml
  switch_begin blue-green
}

rollback_warm() {
  local times=$1 turn
  rollback_project warm
  for ((turn = 1; turn <= times; turn++)); do
    ((turn % 10 != 1)) || say "warm: rollback $turn of $times"
    rollback_deployed
    rollback_timed "$BENCH_WARM" "$CUTOVER" rollback --yes --without-export
  done
  cd "$BENCH_ROOT" || fail "$BENCH_ROOT is gone"
  switch_gone
}

# What a person would do: start the side from its model, and lead the routes there by the same rename.
rollback_by_hand() {
  cat >by-hand <<SH
#!/usr/bin/env bash
set -euo pipefail
docker compose --project-name "$SWITCH_NAME-r1" --file state/runs/0001/side.json up --detach --wait
ln -s "$(readlink run/live.first)" run/live.hand
mv -T run/live.hand run/live
SH
  chmod +x by-hand
  rollback_timed "$BENCH_HAND" ./by-hand
  cp --no-dereference run/live.second run/live.hand
  mv -T run/live.hand run/live
  docker compose --project-name "$SWITCH_NAME-r1" --file state/runs/0001/side.json down >/dev/null 2>&1
}

rollback_cold() {
  local times=$1 turn
  rollback_project cold
  for ((turn = 1; turn <= times; turn++)); do
    say "cold: rollback $turn of $times"
    cp --no-dereference run/live run/live.first
    rollback_deployed
    cp --no-dereference run/live run/live.second
    rollback_by_hand
    rollback_timed "$BENCH_COLD" "$CUTOVER" rollback --yes --without-export
    rm run/live.first run/live.second
  done
  cd "$BENCH_ROOT" || fail "$BENCH_ROOT is gone"
  switch_gone
}

bench_rollback() {
  local warm=100 cold=5 load verdicts
  while (($# > 0)); do
    case "$1" in
      --times) warm=$2; shift 2 ;;
      --cold) cold=$2; shift 2 ;;
      *) refuse "rollback: what is $1?" ;;
    esac
  done
  need docker jq openssl
  find_binary
  find_load
  BENCH_WARM="$(mktemp)" BENCH_COLD="$(mktemp)" BENCH_HAND="$(mktemp)"
  load="$(cut -d' ' -f1 /proc/loadavg)"
  trap switch_gone EXIT
  rollback_warm "$warm"
  rollback_cold "$cold"
  trap - EXIT
  machine "$load" | jq -r '"machine: \(.cpu), \(.cores) cores, \(.memory), engine \(.engine), compose \(.compose), cutover \(.cutover); load \(.load)"'
  verdicts="$(jq --null-input --raw-output --slurpfile warm "$BENCH_WARM" --slurpfile cold "$BENCH_COLD" --slurpfile hand "$BENCH_HAND" '
    def verdict($is; $words): (if $is then "PASS" else "FAIL" end) + "  " + $words;
    def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;
    def p99: sort | .[(length * 0.99 | ceil) - 1];
    def round1: . * 10 | round / 10;
    ($cold | median) as $ours | ($hand | median) as $theirs |
    verdict(($warm | median) <= 150; "warm rollback to the first old answer, median of \($warm | length): \($warm | median | round1) ms, at most 150"),
    verdict(($warm | p99) <= 500; "warm, p99: \($warm | p99) ms, at most 500 (least \($warm | min), most \($warm | max))"),
    verdict($ours <= 1.2 * $theirs; "cold, median of \($cold | length): \($ours | round1) ms, \($ours / $theirs * 1000 | round / 1000) of starting it by hand (\($theirs | round1) ms), at most 1.2")')"
  printf '%s\n' "$verdicts"
  rm -f "$BENCH_WARM" "$BENCH_COLD" "$BENCH_HAND"
  ! grep -q '^FAIL' <<<"$verdicts"
}
