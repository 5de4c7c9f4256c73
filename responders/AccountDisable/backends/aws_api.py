"""The edge to IAM and STS: their Query API over HTTPS, signed, with answers in XML.

From the API references of IAM (2010-05-08) and STS (2011-06-15), as in Amazon's own service models: every call is a
POST of a form with `Action`; lists come in pages with `IsTruncated` and `Marker`; an error is an element `Error` with a
`Code`; too many calls are status 400 with `Throttling`, and nothing was done then. A call that names no user means the
caller himself, so that no name may ever be empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import AnswerLost, change
from propolis.errors import InputError
from propolis.http import Client, HttpError, Response, session

from .aws_signature import Credentials, Scope, signed_headers

_KIND = "application/x-www-form-urlencoded; charset=utf-8"
_ANSWERS = (200, 400, 403, 404, 409)  # with a body that says what it means
_THROTTLED = ("Throttling", "ThrottlingException", "RequestLimitExceeded")
_PAUSES = (1.0, 2.0, 4.0)  # seconds before a throttled call is made again
_PAGES = 20
_MEANING = {
    "AccessDenied": "the key lacks a right: compare its policy with docs/backends-aws-iam.md",
    "InvalidClientTokenId": "there is no such access key, or it is inactive; check aws_iam_key_id",
    "SignatureDoesNotMatch": "the secret is wrong, or this machine's clock is; check aws_iam_secret_key",
    "ExpiredToken": "the temporary credentials have ended; give new ones, or a key of an IAM user",
    "RequestExpired": "this machine's clock is wrong by minutes; set it",
    "LimitExceeded": "a limit of the account is reached, such as 10 attached policies or 50 tags; make room",
}


class Partition(NamedTuple):
    """One of the separate clouds of AWS: where its IAM and STS are (endpoint lists in Amazon's SDKs)."""

    iam: str
    sts: str
    region: str


PARTITIONS = {
    "aws": Partition("https://iam.amazonaws.com", "https://sts.us-east-1.amazonaws.com", "us-east-1"),
    "aws-cn": Partition(
        "https://iam.cn-north-1.amazonaws.com.cn", "https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1"
    ),
    "aws-us-gov": Partition(
        "https://iam.us-gov.amazonaws.com", "https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"
    ),
}


class Settings(NamedTuple):
    """Which cloud, and with which key."""

    place: Partition
    credentials: Credentials
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


class AwsError(BackendError):
    """IAM refused; `code` is its own word for why."""

    def __init__(self, message: str, code: str):
        super().__init__(message)
        self.code = code


class Answer:
    """One answer, looked at by the names of its elements, whatever their namespace."""

    def __init__(self, root: ElementTree.Element):
        self._root = root

    def text(self, name: str) -> str:
        """The text of the first element of that name, or the empty string."""
        return (self._root.findtext(f".//{{*}}{name}") or "").strip()

    def members(self, name: str) -> Iterator[Answer]:
        """What is in the list of that name."""
        for element in self._root.iterfind(f".//{{*}}{name}/{{*}}member"):
            yield Answer(element)

    def texts(self, name: str) -> list[str]:
        """The list of that name, where it is one of texts."""
        return [(member._root.text or "").strip() for member in self.members(name)]


class Aws:
    """One account. Every method raises BackendError (AwsError where IAM itself refused)."""

    def __init__(self, settings: Settings, clock: Clock):
        self._clock = clock
        self._settings = settings
        self._iam, self._sts = (self._client(url) for url in (settings.place.iam, settings.place.sts))

    @property
    def key_id(self) -> str:
        """The id of the key in use, which is no secret."""
        return self._settings.credentials.key_id

    def whoami(self) -> str:
        """The ARN of whoever these credentials belong to; nobody can be denied to ask that."""
        return self._call("sts", "GetCallerIdentity", {}, reading=True).text("Arn")

    def ask(self, action: str, **fields: str) -> Answer:
        """A question to IAM."""
        return self._call("iam", action, fields, reading=True)

    def listed(self, action: str, name: str, **fields: str) -> list[Answer]:
        """Every entry of a list, all its pages."""
        return [entry for page in self._pages(action, fields) for entry in page.members(name)]

    def names(self, action: str, name: str, **fields: str) -> list[str]:
        """Every entry of a list of texts, all its pages."""
        return [text for page in self._pages(action, fields) for text in page.texts(name)]

    def change(self, action: str, **fields: str) -> None:
        """Make a change once. Raises AnswerLost where it may have been made."""
        self._call("iam", action, fields, reading=False)

    def close(self) -> None:
        """Close the connections."""
        self._iam.close()
        self._sts.close()

    def _client(self, url: str) -> Client:
        settings = self._settings
        return session(
            url,
            headers={"Accept": "text/xml"},
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            max_body=2 * 1024 * 1024,
            retries=1,
            clock=self._clock,
            secrets=[text for text in settings.credentials[1:] if text],
            name="aws_iam_url",
        )

    def _pages(self, action: str, fields: dict[str, str]) -> Iterator[Answer]:
        more: dict[str, str] = {}
        for _ in range(_PAGES):
            page = self.ask(action, **fields, **more)
            yield page
            if page.text("IsTruncated") != "true":
                return
            more = {"Marker": page.text("Marker")}
        raise BackendError(f"{action} has more than {_PAGES} pages, which is more than this reads; nothing was done.")

    def _call(self, service: str, action: str, fields: dict[str, str], *, reading: bool) -> Answer:
        if not all(fields.values()):
            raise InputError(f"{action} needs a value in every field; an empty name would mean the caller himself.")
        for pause in (*_PAUSES, None):
            response = self._send(service, action, fields, reading=reading)
            answer = _parsed(response, reading)
            code = answer.text("Code") if response.status != 200 else ""
            if response.status == 200:
                return answer
            if code not in _THROTTLED or pause is None:
                break
            self._clock.sleep(pause)
        raise _refusal(action, response, answer)

    def _send(self, service: str, action: str, fields: dict[str, str], *, reading: bool) -> Response:
        version = "2010-05-08" if service == "iam" else "2011-06-15"
        body = urlencode({"Action": action, "Version": version, **fields}).encode()
        place = self._settings.place
        url, api = (place.iam, self._iam) if service == "iam" else (place.sts, self._sts)
        scope = Scope(place.region, service)
        host = urlsplit(url).netloc
        headers = signed_headers(
            self._settings.credentials, scope, host=host, body=body, kind=_KIND, now=self._clock.now()
        )
        try:
            if reading:
                return api.post("/", data=body, headers=headers, accept=_ANSWERS, retry=True)
            return change(api, self._clock, "POST", "/", data=body, headers=headers, accept=_ANSWERS)
        except HttpError as error:
            raise BackendError(f"{action}: {error}") from None


def _parsed(response: Response, reading: bool) -> Answer:
    """The XML of an answer. It has no document type in it, which is where entities that grow would be declared."""
    try:
        text = response.body.decode("utf-8")
        if "<!doctype" in text.lower() or "<!entity" in text.lower():
            raise ValueError("no answer of IAM declares entities")
        return Answer(ElementTree.fromstring(text))  # noqa: S314 - without declarations there is nothing to expand
    except (ValueError, ElementTree.ParseError):
        said = f"{response.where} failed: something else than an answer of AWS came ({response.status})"
        kind = AnswerLost if response.status == 200 and not reading else BackendError
        raise kind(f"{said}; check aws_iam_url and that no proxy or login page answers in its place.") from None


def _refusal(action: str, response: Response, answer: Answer) -> AwsError:
    code = answer.text("Code")
    said = response.redact(" ".join(answer.text("Message").split())[:300])
    meaning = _MEANING.get(code, "look into CloudTrail for this call")
    return AwsError(f"{action} was refused ({response.status} {code}): {meaning} (it said: {said}).", code)
