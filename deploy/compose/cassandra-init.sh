#!/bin/sh
# Once, and harmless again: the superuser's well-known password goes, TheHive gets a role and a keyspace of its own.
# Passwords are in files only (mode 700 folder in memory), never among the arguments of a process.
set -eu
umask 077
secrets=${SECRETS:-/run/secrets}
work=${WORK:-/run/cql}
host=${CASSANDRA_HOST:-cassandra}
admin=$(cat "$secrets/cassandra_admin")
thehive=$(cat "$secrets/cassandra_thehive")
case "$admin$thehive" in
    *[!0-9A-Za-z]*) echo "cassandra-init.sh: a password in $secrets may hold letters and digits only." >&2; exit 2 ;;
esac

credentials() { printf '[plain_text_auth]\nusername = cassandra\npassword = %s\n' "$1" > "$work/$2"; }
ask() { cqlsh --credentials "$work/$1" -f "$work/$2" "$host" 9042; }

credentials "$admin" ours
credentials cassandra theirs
echo "SELECT release_version FROM system.local;" > "$work/look.cql"
echo "ALTER ROLE cassandra WITH PASSWORD = '$admin';" > "$work/change.cql"
cat > "$work/thehive.cql" <<END
CREATE KEYSPACE IF NOT EXISTS thehive WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE ROLE IF NOT EXISTS thehive WITH LOGIN = true AND PASSWORD = '$thehive';
ALTER ROLE thehive WITH PASSWORD = '$thehive';
GRANT ALL PERMISSIONS ON KEYSPACE thehive TO thehive;
END

# The superuser appears some seconds after the port does.
tries=60
until ask ours look.cql > /dev/null 2>&1; do
    if ask theirs look.cql > /dev/null 2>&1; then
        ask theirs change.cql && echo "cassandra-init.sh: the superuser has a password of its own now"
    fi
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
        echo "cassandra-init.sh: Cassandra takes neither the password in secrets/cassandra_admin nor the default one." >&2
        exit 1
    fi
    sleep 5
done
ask ours thehive.cql
echo "cassandra-init.sh: the role and the keyspace of TheHive are there"
