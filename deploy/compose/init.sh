#!/bin/sh
# Prepare this folder for `docker compose up`: secrets, certificates, data folders with their owners. Run as root.
# Whatever is there is left as it is, so it can be run again; nothing secret is printed.
set -eu
umask 077
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || { echo "init.sh: run it as root: each secret belongs to the one user that reads it." >&2; exit 2; }
[ -f .env ] || { echo "init.sh: copy env.example to .env first, and put your names in." >&2; exit 2; }
# shellcheck disable=SC1091
. ./.env
: "${THEHIVE_NAME:?init.sh: .env must give THEHIVE_NAME}" "${CORTEX_NAME:?init.sh: .env must give CORTEX_NAME}"
: "${PROPOLIS_NAME:?init.sh: .env must give PROPOLIS_NAME}"

CASSANDRA=999 THEHIVE=1000 ELASTIC=1000 CORTEX=1001 PROPOLIS=10001 PROMETHEUS=65534 GRAFANA=472     # users inside the images

random() { openssl rand -hex 32; }
missing() { [ ! -s "secrets/$1" ]; }
keep() { cat > "secrets/$1"; echo "made secrets/$1"; }     # from standard input: never an argument
own() { chown "$2" "secrets/$1"; chmod 400 "secrets/$1"; }

install -d -m 711 secrets
for name in cassandra_admin cassandra_thehive elastic thehive_admin propolis_webhook_token propolis_metrics_token grafana_admin; do
    if missing "$name"; then random | keep "$name"; fi
done
if missing wazuh_webhook_token; then keep wazuh_webhook_token < secrets/propolis_webhook_token; fi
if missing prometheus_metrics_token; then keep prometheus_metrics_token < secrets/propolis_metrics_token; fi
# These are given by TheHive and Cortex later: empty until you put them in.
for name in propolis_thehive_key propolis_cortex_key thehive_cortex_key; do
    [ -e "secrets/$name" ] || : > "secrets/$name"
done
[ -s secrets/.thehive_session ] || random > secrets/.thehive_session
if missing cortex.conf; then
    keep cortex.conf <<END
play.http.secret.key = "$(random)"
search.user = elastic
search.password = "$(cat secrets/elastic)"
END
fi
# Written anew each time, because it takes up the key that Cortex gives: no other line of it changes.
cat > secrets/thehive.conf <<END
play.http.secret.key = "$(cat secrets/.thehive_session)"
propolis {
  cassandra-password = "$(cat secrets/cassandra_thehive)"
  elastic-password = "$(cat secrets/elastic)"
  cortex-key = "$(cat secrets/thehive_cortex_key)"
  webhook-token = "$(cut -d, -f1 < secrets/propolis_webhook_token)"
}
END
own cassandra_admin 0; own cassandra_thehive 0
own elastic "$ELASTIC"
own thehive.conf "$THEHIVE"
own cortex.conf "$CORTEX"
for name in thehive_admin propolis_webhook_token propolis_metrics_token propolis_thehive_key propolis_cortex_key; do
    own "$name" "$PROPOLIS"
done
own prometheus_metrics_token "$PROMETHEUS"; own grafana_admin "$GRAFANA"
own wazuh_webhook_token 0; own thehive_cortex_key 0; own .thehive_session 0

if [ ! -s tls/fullchain.pem ]; then
    install -d -m 755 tls
    openssl req -x509 -newkey rsa:3072 -nodes -days 90 -subj "/CN=$THEHIVE_NAME" \
        -addext "subjectAltName=DNS:$THEHIVE_NAME,DNS:$CORTEX_NAME,DNS:$PROPOLIS_NAME${GRAFANA_NAME:+,DNS:$GRAFANA_NAME}" \
        -keyout tls/key.pem -out tls/fullchain.pem 2>/dev/null
    echo "made tls/: a certificate that nobody trusts, for 90 days; put your own in its place"
fi

install -d -m 755 data catalog propolis
install -d -m 700 -o "$CASSANDRA" -g "$CASSANDRA" data/cassandra
install -d -m 770 -o "$ELASTIC" -g 0 data/elasticsearch
install -d -m 755 data/thehive
install -d -m 700 -o "$THEHIVE" -g "$THEHIVE" data/thehive/files data/thehive/logs
install -d -m 700 -o "$PROPOLIS" -g "$PROPOLIS" data/propolis
install -d -m 700 -o "$PROMETHEUS" -g "$PROMETHEUS" data/prometheus
install -d -m 700 -o "$GRAFANA" -g 0 data/grafana
install -d -m 755 -o "$CORTEX" -g "$CORTEX" "${CORTEX_JOBS:-/opt/propolis-jobs}"
for file in propolis.yml policy.yml; do
    [ -e "propolis/$file" ] || install -m 644 "propolis.example/$file" "propolis/$file"
done
echo "ready: docker compose up -d proxy"
