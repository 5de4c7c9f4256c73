"""The rules that hold whatever a policy says: data, with the reason of each.

Addresses are from the IANA special-purpose registries (RFC 6890 and its updates). The documentation ranges (RFC 5737,
RFC 3849) are left out on purpose: no production traffic has them, and tests, demo and training use them as attackers.
"""

from __future__ import annotations

NEVER_NETWORKS: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network, RFC 791"),
    ("10.0.0.0/8", "private, RFC 1918"),
    ("100.64.0.0/10", "shared by carriers' customers, RFC 6598"),
    ("127.0.0.0/8", "loopback, RFC 1122"),
    ("169.254.0.0/16", "link-local and cloud metadata, RFC 3927"),
    ("172.16.0.0/12", "private, RFC 1918"),
    ("192.0.0.0/24", "protocol assignments, RFC 6890"),
    ("192.88.99.0/24", "6to4 relay anycast, RFC 7526"),
    ("192.168.0.0/16", "private, RFC 1918"),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("224.0.0.0/4", "multicast, RFC 5771"),
    ("240.0.0.0/4", "reserved and broadcast, RFC 1112"),
    ("::/96", "unspecified, loopback and IPv4-compatible, RFC 4291"),
    ("::ffff:0:0/96", "IPv4-mapped, RFC 4291"),
    ("::ffff:0:0:0/96", "IPv4-translated, RFC 2765"),
    ("64:ff9b::/96", "NAT64: stands for an IPv4 address, RFC 6052"),
    ("64:ff9b:1::/48", "local NAT64, RFC 8215"),
    ("100::/64", "discard only, RFC 6666"),
    ("fc00::/7", "unique local, RFC 4193"),
    ("fe80::/10", "link-local, RFC 4291"),
    ("fec0::/10", "site-local, RFC 3879"),
    ("ff00::/8", "multicast, RFC 4291"),
)

# Shared by everybody: one customer's crime is no reason to cut off all others. Small lists that hardly ever change;
# others (Azure, AWS, ...) move weekly and are an operator's to give, with their networks.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "public-dns-v4": (
        "1.0.0.1", "1.1.1.1", "4.2.2.1", "4.2.2.2", "8.8.4.4", "8.8.8.8", "9.9.9.9", "9.9.9.10", "76.76.2.0",
        "76.76.10.0", "94.140.14.14", "94.140.15.15", "149.112.112.112", "208.67.220.220", "208.67.222.222",
    ),
    "public-dns-v6": (
        "2001:4860:4860::8844", "2001:4860:4860::8888", "2606:4700:4700::1001", "2606:4700:4700::1111",
        "2620:0:ccc::2", "2620:0:ccd::2", "2620:fe::9", "2620:fe::fe", "2a10:50c0::ad1:ff", "2a10:50c0::ad2:ff",
    ),
    "cloudflare": (  # https://www.cloudflare.com/ips/
        "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "104.16.0.0/13", "104.24.0.0/14", "108.162.192.0/18",
        "131.0.72.0/22", "141.101.64.0/18", "162.158.0.0/15", "172.64.0.0/13", "173.245.48.0/20", "188.114.96.0/20",
        "190.93.240.0/20", "197.234.240.0/22", "198.41.128.0/17", "2400:cb00::/32", "2405:8100::/32", "2405:b500::/32",
        "2606:4700::/32", "2803:f800::/32", "2a06:98c0::/29", "2c0f:f248::/32",
    ),
}  # fmt: skip

# RFC 6761, 6762, 7686, 8375, 9476 and what companies use inside; nothing of the outside lives there.
INTERNAL_SUFFIXES = (
    "alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost",
    "onion", "private",
)  # fmt: skip

# Everything below these belongs to many owners: the name itself must not be blocked, one name below it may be.
SHARED_SUFFIXES = (
    "ac.uk", "amazonaws.com", "appspot.com", "azureedge.net", "azurewebsites.net", "blogspot.com", "cloudapp.net",
    "cloudflare.net", "cloudfront.net", "co.at", "co.id", "co.il", "co.in", "co.jp", "co.kr", "co.nz", "co.th", "co.uk",
    "co.za", "com.ar", "com.au", "com.br", "com.cn", "com.co", "com.hk", "com.mx", "com.my", "com.ng", "com.pe",
    "com.pl", "com.sg", "com.tr", "com.tw", "com.ua", "com.vn", "core.windows.net", "duckdns.org", "edu.au",
    "fastly.net", "firebaseapp.com", "github.io", "gitlab.io", "go.jp", "gov.au", "gov.br", "gov.in", "gov.uk",
    "herokuapp.com", "ne.jp", "net.au", "net.br", "netlify.app", "ngrok.io", "no-ip.org", "nom.br", "onrender.com",
    "or.jp", "org.au", "org.br", "org.uk", "pages.dev", "sharepoint.com", "trycloudflare.com", "vercel.app", "web.app",
    "windows.net", "workers.dev", "wordpress.com",
)  # fmt: skip

# Used by everybody every day: a block of the whole name is an outage, whatever somebody put there.
SHARED_DOMAINS = (
    "akamai.net", "amazon.com", "apple.com", "bing.com", "cloudflare.com", "debian.org", "discord.com", "dropbox.com",
    "facebook.com", "github.com", "githubusercontent.com", "gitlab.com", "gmail.com", "google.com", "googleapis.com",
    "gstatic.com", "icloud.com", "letsencrypt.org", "linkedin.com", "live.com", "microsoft.com", "microsoftonline.com",
    "mozilla.org", "npmjs.org", "office.com", "office365.com", "outlook.com", "pypi.org", "slack.com", "strangebee.com",
    "telegram.org", "twitter.com", "ubuntu.com", "wazuh.com", "whatsapp.com", "wikipedia.org", "windows.com",
    "windowsupdate.com", "x.com", "yahoo.com", "youtube.com", "zoom.us",
)  # fmt: skip

NEVER_ACCOUNTS: tuple[tuple[str, str], ...] = (
    ("administrator", "the built-in administrator"),
    ("admin", "the product's first administrator"),
    ("root", "the superuser"),
    ("krbtgt*", "signs every Kerberos ticket of the domain (krbtgt_<n> on read-only controllers)"),
    ("guest", "built in, and disabled where it should be"),
    ("*$", "a machine's or a managed service's account"),
    ("system", "the operating system itself"),
    ("local service", "the operating system itself"),
    ("network service", "the operating system itself"),
    ("nt authority*", "the operating system itself"),
    ("msol_*", "the directory synchronisation to Entra ID"),
    ("aad_*", "the directory synchronisation to Entra ID"),
    ("sync_*", "the directory synchronisation to Entra ID"),
    ("break-glass*", "the way back in"),
    ("breakglass*", "the way back in"),
    ("emergency*", "the way back in"),
    ("thehive*", "this response chain runs as it"),
    ("cortex*", "this response chain runs as it"),
    ("wazuh*", "this response chain runs as it"),
    ("propolis*", "this response chain runs as it"),
)
SERVICE_ACCOUNTS = ("svc-*", "svc_*", "*-svc", "*_svc", "service-account-*", "sa-*")

# Relative ids of well-known principals ([MS-DTYP] 2.4.2.4), below a domain's own SID.
NEVER_RIDS: dict[str, str] = {
    "500": "the built-in administrator",
    "502": "krbtgt",
    "512": "Domain Admins",
    "516": "Domain Controllers",
    "518": "Schema Admins",
    "519": "Enterprise Admins",
    "521": "Read-only Domain Controllers",
}
NEVER_SIDS: dict[str, str] = {
    "s-1-5-18": "the operating system itself",
    "s-1-5-19": "local service",
    "s-1-5-20": "network service",
    "s-1-5-32-544": "the built-in Administrators",
    "s-1-5-32-548": "Account Operators",
    "s-1-5-32-549": "Server Operators",
    "s-1-5-32-551": "Backup Operators",
}
NEVER_GROUPS = (
    "Account Operators", "Administrators", "Backup Operators", "Domain Admins", "Domain Controllers",
    "Enterprise Admins", "Enterprise Key Admins", "Key Admins", "Read-only Domain Controllers", "Schema Admins",
    "Server Operators",
)  # fmt: skip
NEVER_ROLES = (
    "Global Administrator", "Privileged Authentication Administrator", "Privileged Role Administrator",
    "Security Administrator", "realm-admin", "manage-realm", "Super Administrator", "SUPER_ADMIN",
)  # fmt: skip

NEVER_HOSTS: tuple[tuple[str, str], ...] = (
    ("localhost", "the machine this runs on"),
    ("dc", "a domain controller"),
    ("dc[0-9]*", "a domain controller"),
    ("dc-*", "a domain controller"),
    ("*-dc", "a domain controller"),
    ("*-dc[0-9]*", "a domain controller"),
    ("*-hv-*", "a hypervisor"),
    ("cortex*", "this response chain runs on it"),
    ("thehive*", "this response chain runs on it"),
    ("wazuh*", "this response chain runs on it"),
    ("propolis*", "this response chain runs on it"),
)
NEVER_AGENTS: dict[str, str] = {"000": "the Wazuh manager itself", "0": "the Wazuh manager itself"}
NEVER_HOST_TAGS = ("critical", "tier0", "never-isolate")
NEVER_HOST_TYPES = ("Domain Controller", "Server")
