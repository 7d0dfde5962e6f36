#!/usr/bin/env bash
# The old health-check.sh, for whoever still calls it. Law: it only calls preflight; exit codes are those of cutover.
# It stands by itself, so that it can be copied into a project's own scripts/.
set -euo pipefail
above="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

usage() {
  cat <<'TEXT'
usage: health-check.sh

Asks everything that has to be right before a deploy; the same as `cutover preflight`. Configuration:
CUTOVER_CONFIG, ./cutover.toml, or the cutover.toml above this script. Exit codes: those of cutover.
TEXT
}

arguments=(preflight)
for flag in "$@"; do
  case $flag in
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "health-check.sh: unknown flag \`$flag\`" >&2
      usage >&2
      exit 2
      ;;
  esac
done

cutover=$(command -v cutover || true)
for built in release debug; do
  if [[ -z $cutover && -x $above/target/$built/cutover ]]; then cutover=$above/target/$built/cutover; fi
done
if [[ -z $cutover ]]; then
  echo "health-check.sh: cutover is not installed: neither in PATH nor built in $above/target" >&2
  exit 2
fi

if [[ -z ${CUTOVER_CONFIG:-} ]]; then
  for directory in . "$above"; do
    if [[ -f $directory/cutover.toml ]]; then
      export CUTOVER_CONFIG=$directory/cutover.toml
      break
    fi
  done
fi
if [[ -z ${CUTOVER_CONFIG:-} ]]; then
  echo "health-check.sh: there is no cutover.toml here or in $above; write one, or name it in CUTOVER_CONFIG" >&2
  exit 2
fi

exec "$cutover" "${arguments[@]}"
