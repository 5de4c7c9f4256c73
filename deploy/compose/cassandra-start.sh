#!/bin/sh
# Cassandra with passwords and permissions on: its image has no variable for either. See docs/deploy.md.
set -eu
conf=${CASSANDRA_CONF:-/etc/cassandra}/cassandra.yaml
sed -i -e 's/^authenticator:.*/authenticator: PasswordAuthenticator/' \
       -e 's/^authorizer:.*/authorizer: CassandraAuthorizer/' "$conf"
# Better no database than one that lets everybody in.
if ! grep -q '^authenticator: PasswordAuthenticator$' "$conf" || ! grep -q '^authorizer: CassandraAuthorizer$' "$conf"; then
    echo "cassandra-start.sh: $conf has no lines authenticator and authorizer to set; is this Cassandra 4.1?" >&2
    exit 2
fi
exec docker-entrypoint.sh "$@"
