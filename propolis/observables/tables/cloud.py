"""Amazon Web Services, Google Cloud, Docker, GitHub."""

from __future__ import annotations

from typing import Any

from propolis.observables import kinds
from propolis.observables.table import Composed, Row, Source, part, rows, text
from propolis.observables.texts import command

A = "data.aws"
_REMOTE = "remoteIpDetails.ipAddressV4"
_ACTIONS = ("networkConnectionAction", "awsApiCallAction", "kubernetesApiCallAction", "rdsLoginAttemptAction")


def _requested(fields: dict[str, Any]) -> Composed:
    """A log of requests (S3, ALB, CloudFront): the path, or the full URL where there is one."""
    aws = part(fields, "data", "aws")
    for name in ("request_uri", "request", "request_url"):
        for found in kinds.request_line(text(aws, name)) or kinds.uri(
            text(aws, name) if "://" in text(aws, name)[:10] else ""
        ):
            yield found._replace(role="request"), f"{A}.{name}"


CLOUDTRAIL = Source(
    "cloudtrail",
    rows(
        A,
        (kinds.ip, "source", "sourceIPAddress", "source_ip_address"),
        (kinds.user, "subject", "userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.userName"),
        (kinds.user, "target", "requestParameters.userName"),
        (kinds.cloud_account, "resource", "userIdentity.accountId", "userIdentity.accessKeyId"),
        (kinds.agent, "client", "userAgent"),
    ),
)
GUARDDUTY = Source(
    "guardduty",
    rows(
        f"{A}.service.action",
        (kinds.ip, "source", *(f"{action}.{_REMOTE}" for action in _ACTIONS)),
        (kinds.ip, "source", *(f"{action}.remoteIpDetails.ipAddressV6" for action in _ACTIONS)),
        (kinds.ip, "source", f"portProbeAction.portProbeDetails.{_REMOTE}", "kubernetesApiCallAction.sourceIps"),
        (kinds.name, "query", "dnsRequestAction.domain"),
        (kinds.agent, "client", "kubernetesApiCallAction.userAgent", "awsApiCallAction.userAgent"),
        (kinds.name, "destination", "awsApiCallAction.domainDetails.domain"),
    )
    + rows(
        A,
        (kinds.ip, "target", "resource.instanceDetails.networkInterfaces.publicIp"),
        (kinds.ip, "target", "resource.instanceDetails.networkInterfaces.privateIpAddress"),
        (kinds.user, "subject", "resource.accessKeyDetails.userName"),
        (kinds.user, "subject", "resource.kubernetesDetails.kubernetesUserDetails.username"),
        (kinds.cloud_account, "resource", "resource.instanceDetails.instanceId"),
        (kinds.digest, "file", "service.runtimeDetails.process.executableSha256"),
        (kinds.program, "process", "service.runtimeDetails.process.executablePath"),
        (kinds.user, "subject", "service.runtimeDetails.process.user"),
        (kinds.digest, "file", "service.runtimeDetails.context.moduleSha256"),
        (kinds.path, "file", "service.runtimeDetails.context.threatFilePath"),
        (kinds.path, "file", "service.runtimeDetails.context.scriptPath"),
        (command.command_line, "command", "service.runtimeDetails.context.commandLineExample"),
        (
            kinds.digest,
            "file",
            "service.ebsVolumeScanDetails.scanDetections.threatDetectedByName.threatNames.filePaths.hash",
        ),
        (kinds.threat, "threat", "service.ebsVolumeScanDetails.scanDetections.threatDetectedByName.threatNames.name"),
    ),
)
REQUESTS = Source(
    "aws request log",
    rows(
        A,
        (
            kinds.ip,
            "source",
            "remote_ip",
            "client_ip",
            "httpRequest.clientIp",
            "c-ip",
            "source_ip_address",
            "x_forwarded_for",
        ),
        (kinds.agent, "client", "user_agent", "cs-user-agent", "httpRequest.headers.User-Agent"),
        (kinds.uri, "request", "httpRequest.uri"),
        (kinds.url, "referrer", "referer"),
        (kinds.peer, "request", "httpRequest.headers.Host"),
    ),
    compose=_requested,
)
FLOW = Source(
    "vpc flow",
    rows(
        A,
        (kinds.ip, "source", "srcaddr", "pkt_srcaddr", "source_ip_address"),
        (kinds.ip, "destination", "dstaddr", "pkt_dstaddr"),
    ),
)
_RESOURCE_IPS: tuple[Row, ...] = rows(
    f"{A}.finding",
    (kinds.ip, "source", "Network.SourceIpV4", "Action.NetworkConnectionAction.RemoteIpDetails.IpAddressV4"),
    (kinds.ip, "source", "Action.AwsApiCallAction.RemoteIpDetails.IpAddressV4"),
    (kinds.ip, "source", "Action.PortProbeAction.PortProbeDetails.RemoteIpDetails.IpAddressV4"),
    (kinds.name, "query", "Action.DnsRequestAction.Domain"),
    (kinds.ip, "destination", "Network.DestinationIpV4"),
    (kinds.vulnerability, "vulnerability", "Vulnerabilities.Id", "Title"),
    (kinds.threat, "threat", "Malware.Name"),
    (
        kinds.user,
        "subject",
        "Resources.Details.AwsIamAccessKey.UserName",
        "Resources.Details.AwsIamAccessKey.PrincipalName",
    ),
)
SECURITY_HUB = Source("security hub", _RESOURCE_IPS)
INSPECTOR = Source(
    "inspector",
    rows(A, (kinds.vulnerability, "vulnerability", "title", "id", "packageVulnerabilityDetails.vulnerabilityId")),
)
MACIE = Source(
    "macie",
    rows(
        A,
        (kinds.ip, "source", "summary.IP", "policyDetails.actor.ipAddressDetails.ipAddressV4"),
        (kinds.user, "subject", "policyDetails.actor.userIdentity.iamUser.userName", "userIdentity.userName"),
    ),
)
RESOLVER = Source(
    "dns resolver",
    rows(
        A, (kinds.ip, "source", "srcaddr"), (kinds.name, "query", "query_name"), (kinds.peer, "result", "answers.Rdata")
    ),
)
# By data.aws.source as the wodle sets it.
AWS: dict[str, Source] = {
    "cloudtrail": CLOUDTRAIL,
    "guardduty": GUARDDUTY,
    "s3_server_access": REQUESTS,
    "alb": REQUESTS,
    "clb": REQUESTS,
    "nlb": REQUESTS,
    "waf": REQUESTS,
    "cloudfront": REQUESTS,
    "vpc": FLOW,
    "securityhub": SECURITY_HUB,
    "inspector": INSPECTOR,
    "macie": MACIE,
    "resolver": RESOLVER,
}
OTHER_AWS = Source("aws", CLOUDTRAIL.rows + GUARDDUTY.rows + REQUESTS.rows + FLOW.rows, compose=_requested)

OCSF = Source(
    "ocsf",
    rows(
        "data",
        (kinds.ip, "source", "src_endpoint.ip"),
        (kinds.name, "source", "src_endpoint.domain", "src_endpoint.hostname"),
        (kinds.ip, "destination", "dst_endpoint.ip"),
        (kinds.name, "destination", "dst_endpoint.domain", "dst_endpoint.hostname"),
        (kinds.user, "subject", "identity.user.name", "actor.user.name"),
        (kinds.cloud_account, "resource", "identity.user.account_uid", "identity.user.credential_uid"),
        (kinds.agent, "client", "http_request.user_agent"),
        (kinds.url, "request", "http_request.url.url_string"),
        (kinds.name, "query", "query.hostname"),
        (kinds.peer, "result", "answers.rdata"),
        (kinds.path, "file", "file.path"),
        (kinds.digest, "file", "file.hashes.value", "process.file.hashes.value"),
        (kinds.vulnerability, "vulnerability", "vulnerabilities.cve.uid", "finding.title"),
    ),
)

_PROTO = "data.gcp.protoPayload"
GCP = Source(
    "google cloud",
    rows(
        _PROTO,
        (kinds.ip, "source", "requestMetadata.callerIp"),
        (kinds.mail, "subject", "authenticationInfo.principalEmail"),
        (kinds.agent, "client", "requestMetadata.callerSuppliedUserAgent"),
        (command.mails, "target", "serviceData.policyDelta.bindingDeltas.member"),
    )
    + rows(
        "data.gcp.jsonPayload",
        (kinds.ip, "source", "sourceIP", "connection.src_ip", "src_ip", "remoteIp"),
        (kinds.ip, "destination", "connection.dest_ip", "dest_ip", "destinationIP"),
        (kinds.name, "query", "queryName"),
        (kinds.agent, "client", "userAgent"),
        (kinds.name, "request", "hostname"),
    )
    + rows(
        "data.gcp.httpRequest",
        (kinds.ip, "source", "remoteIp"),
        (kinds.url, "request", "requestUrl"),
        (kinds.agent, "client", "userAgent"),
        (kinds.url, "referrer", "referer"),
    ),
)
GITHUB = Source(
    "github",
    rows(
        "data.github",
        (kinds.ip, "source", "actor_ip"),
        (kinds.user, "subject", "actor"),
        (kinds.user, "target", "user", "target_login", "blocked_user", "invitee"),
        (kinds.mail, "target", "email"),
        (kinds.agent, "client", "user_agent"),
    ),
)
DOCKER = Source("docker", rows("data.docker", (command.docker_action, "command", "Action", "status")))
