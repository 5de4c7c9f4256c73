#!/bin/sh
# What postgres.yml needs beside init.sh: the database's password, the URL that holds it, a folder. Run as root, after
# init.sh. Whatever is there is left as it is, so it can be run again; nothing secret is printed.
set -eu
umask 077
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || { echo "init-postgres.sh: run it as root: each secret belongs to the one user that reads it." >&2; exit 2; }
[ -d secrets ] || { echo "init-postgres.sh: run ./init.sh first." >&2; exit 2; }

POSTGRES=999 PROPOLIS=10001     # users inside the images

if [ ! -s secrets/postgres ]; then
    openssl rand -hex 32 > secrets/postgres
    echo "made secrets/postgres"
fi
if [ ! -s secrets/propolis_store ]; then
    echo "postgresql://propolis:$(cat secrets/postgres)@postgres:5432/propolis" > secrets/propolis_store
    echo "made secrets/propolis_store"
fi
chown "$POSTGRES" secrets/postgres
chown "$PROPOLIS" secrets/propolis_store
chmod 400 secrets/postgres secrets/propolis_store
install -d -m 700 -o "$POSTGRES" -g "$POSTGRES" data/postgres
echo "ready: docker compose -f compose.yml -f postgres.yml up -d"
