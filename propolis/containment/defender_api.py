"""The way to Microsoft Defender for Endpoint: clouds, tokens, and what its answers and errors mean.

Written from Microsoft's documentation (MicrosoftDocs/defender-docs: api/exposed-apis-create-app-webapp, common-errors,
exposed-apis-odata-samples, and gov.md for the government's clouds). That a token for one of those is asked for at the
API's own address is an assumption: the documentation gives a scope for the commercial cloud only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import change
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.http import ClientCredentials, HttpError, Response, authorized, segment, session

Document = dict[str, Any]
_LOGIN, _LOGIN_US = "https://login.microsoftonline.com", "https://login.microsoftonline.us"
_COMMERCIAL = "https://api.securitycenter.microsoft.com"
_GCC, _GOV = "https://api-gcc.securitycenter.microsoft.us", "https://api-gov.securitycenter.microsoft.us"


class Cloud(NamedTuple):
    """Where a tenant lives."""

    api: str
    login: str
    audience: str
    """What a token is asked for; the scope is this and `/.default`."""


CLOUDS = {
    "commercial": Cloud(_COMMERCIAL, _LOGIN, _COMMERCIAL),
    **{
        region: Cloud(f"https://{region}.api.security.microsoft.com", _LOGIN, _COMMERCIAL)
        for region in ("us", "eu", "uk", "au", "swa", "ina")
    },
    "gcc": Cloud(_GCC, _LOGIN, _GCC),
    "gcc-high": Cloud(_GOV, _LOGIN_US, _GOV),
    "dod": Cloud(_GOV, _LOGIN_US, _GOV),
}
"""The word in the item `defender_cloud` -> the cloud. The regions are doors to the commercial one, nearer to some."""


class Settings(NamedTuple):
    """Which tenant, and as which application."""

    cloud: Cloud
    tenant: str
    client_id: str
    client_secret: str
    timeout: float
    """Seconds for each answer."""
    proxy: str | None = None
    own_name: str = ""
    """The name of the machine that this runs on."""


def settings_from(workbench: Workbench, own_name: str) -> Settings:
    """From the items `defender_*`. Raises ConfigurationError."""
    items = workbench.items
    tenant = items.text("defender_tenant_id")
    if not (tenant.isascii() and tenant.replace("-", "").replace(".", "").isalnum()):
        raise ConfigurationError(
            "must be the tenant's id or one of its domains.", path="configuration item defender_tenant_id"
        )
    return Settings(
        CLOUDS[items.choice("defender_cloud", tuple(CLOUDS), "commercial")],
        tenant,
        items.text("defender_client_id"),
        items.text("defender_client_secret", strip=False),
        items.number("timeout_seconds", 15, low=1, high=120),
        workbench.proxy if items.flag("defender_use_proxy", True) else None,
        own_name,
    )


class DefenderApi:
    """Requests of one application to one tenant. Raises BackendError with one sentence."""

    def __init__(self, settings: Settings, clock: Clock):
        self.url = settings.cloud.api
        self._clock = clock
        common: dict[str, Any] = {
            "timeout": (min(5.0, settings.timeout), settings.timeout), "budget": 4 * settings.timeout, "retries": 1,
            "clock": clock, "proxy": settings.proxy, "secrets": [settings.client_secret], "name": "defender_cloud",
        }  # fmt: skip
        self._client = session(settings.cloud.api, **common)
        self._login = session(settings.cloud.login, **common)
        tokens = ClientCredentials(
            self._login, f"/{segment(settings.tenant)}/oauth2/v2.0/token", settings.client_id, settings.client_secret,
            scope=f"{settings.cloud.audience}/.default",
        )  # fmt: skip
        self._api = authorized(self._client, tokens)

    def listed(self, path: str, params: Mapping[str, str] | None = None) -> list[Document]:
        """The entries of a collection; an empty one may answer 404."""
        answer = self.entity(path, params)
        entries = answer.get("value") if answer is not None else []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BackendError(f"GET {path} failed: the answer is not Defender's; check defender_cloud.")
        return entries

    def entity(self, path: str, params: Mapping[str, str] | None = None) -> Document | None:
        """One document, or None where Defender itself says that there is no such thing."""
        try:
            response = self._api.get(path, params=params, accept=(200, 404))
            answer = response.json()
        except HttpError as error:
            raise _fault(error) from None
        error_shape = isinstance(answer, dict) and isinstance(answer.get("error"), dict)
        if not isinstance(answer, dict) or (response.status == 404) is not error_shape:
            raise BackendError(f"{response.where} failed: the answer is not Defender's; check defender_cloud.")
        return None if response.status == 404 else answer

    def change(self, path: str, body: Document, status: int) -> Response | None:
        """Make a change that answers with this status. None where Defender says that something is under way already.

        Raises AnswerLost where it may have been made.
        """
        try:
            return change(self._api, self._clock, "POST", path, json=body, accept=(status,))
        except HttpError as error:
            if error.status == 400 and _in_progress(error.excerpt):
                return None
            raise _fault(error) from None

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()
        self._login.close()


def literal(text: str) -> str:
    """A text as OData writes it: in single quotes, those within it doubled (OData 4.01 URL conventions, 5.1.1.14.1)."""
    return "'" + text.replace("'", "''") + "'"


def _in_progress(excerpt: str) -> bool:
    """The code was seen in the field (ActiveRequestAlreadyExists); the documentation has only the sentence."""
    lowered = excerpt.casefold()
    return "activerequestalreadyexists" in lowered or "already in progress" in lowered


def _fault(error: HttpError) -> BackendError:
    hint = ""
    if "/oauth2/" in str(error):
        hint = " Check defender_tenant_id, defender_client_id and defender_client_secret, and whether it has expired."
    elif error.status == 403:
        hint = " Check the application's permissions on WindowsDefenderATP, and that they were consented to."
    elif error.status == 400 and "NotSupported" in error.excerpt:
        hint = " Its operating system or the version of its sensor cannot do this."
    return BackendError(f"{error}{hint}")
