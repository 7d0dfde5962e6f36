# PostgreSQL's server and client programs for the tests. Law: they make servers of their own; none is left running on the host.
# shellcheck shell=bash

# postgres_major: the newest major whose server programs are here.
postgres_major() {
  local directory newest=0
  for directory in /usr/lib/postgresql/*/; do
    directory=${directory%/}
    if [[ -x $directory/bin/initdb && ${directory##*/} =~ ^[0-9]+$ ]] && ((${directory##*/} > newest)); then
      newest=${directory##*/}
    fi
  done
  if ((newest > 0)); then echo "$newest"; fi
}

postgres_ready() {
  local major program
  major=$(postgres_major)
  [[ -n $major ]] || return 1
  for program in postgres pg_ctl psql pg_dump pg_restore; do
    [[ -x /usr/lib/postgresql/$major/bin/$program ]] || return 1
  done
  # A server refuses to run as root; the certificates of the tests are made by openssl.
  id -u postgres >/dev/null 2>&1 && have openssl && have setpriv && ! lacks_pgvector "$major"
}

# lacks_pgvector MAJOR: the package lists know it, and it is not here.
lacks_pgvector() {
  local name="postgresql-$1-pgvector"
  have apt-cache && ! is_installed "$name" && [[ -n $(candidate_version "$name") ]]
}

# choose_postgres: 15, which the measurements were made with, or what the distribution offers.
choose_postgres() {
  if [[ -n $(candidate_version postgresql-15) ]]; then
    echo 15
  else
    candidate_version postgresql | sed 's/[^0-9].*//'
  fi
}

ensure_postgres() {
  local major
  if postgres_ready; then return 0; fi
  major=$(postgres_major)
  need_root "installing PostgreSQL"
  have apt-get || fail "cannot install PostgreSQL" "this host has no apt" "install its server programs by hand"
  if [[ -z $major ]]; then
    refresh_apt_lists
    major=$(choose_postgres)
    [[ -n $major ]] || fail "cannot install PostgreSQL" "the package lists know none" "look at this host's apt sources"
  fi
  # Read before the package makes a server of its own and starts it.
  if ! is_installed "postgresql-$major"; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/cutover-lab.conf
  fi
  install_packages "postgresql-$major" "postgresql-client-$major" openssl util-linux
  if lacks_pgvector "$major"; then install_packages "postgresql-$major-pgvector"; fi
  postgres_ready || fail "PostgreSQL is not ready" "its programs are not in /usr/lib/postgresql/$major/bin" \
    "look at what \`dpkg -L postgresql-$major\` lists"
  say "PostgreSQL $major is there; no server of it runs"
}
