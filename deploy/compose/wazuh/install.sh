#!/bin/sh
# In the lab's Wazuh manager, before it starts (the image runs what is in /entrypoint-scripts): the integration script in
# its place with the owner and mode that Wazuh asks for, its settings, its key, and a block in ossec.conf. Harmless again.
set -eu
home=${WAZUH_HOME:-/var/ossec}
group=${WAZUH_GROUP:-wazuh}
from=${FROM:-/opt/propolis-integration}
key=${KEY:-/run/secrets/wazuh_webhook_token}

for file in custom-propolis custom-propolis.py; do
    install -o root -g "$group" -m 750 "$from/$file" "$home/integrations/$file"
done
install -o root -g "$group" -m 640 "$key" "$home/etc/propolis.key"
cat > "$home/etc/propolis.json" <<END
{"hook_url": "http://propolis:8080/hooks/wazuh", "api_key_file": "$home/etc/propolis.key"}
END
chown "root:$group" "$home/etc/propolis.json"
chmod 640 "$home/etc/propolis.json"
if ! grep -q '<name>custom-propolis</name>' "$home/etc/ossec.conf"; then
    cat >> "$home/etc/ossec.conf" <<END
<ossec_config>
  <integration>
    <name>custom-propolis</name>
    <level>3</level>
    <alert_format>json</alert_format>
  </integration>
</ossec_config>
END
fi
