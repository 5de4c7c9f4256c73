"""The line to one organisation of one TheHive: requests whose refusals say what to grant."""

from __future__ import annotations

from typing import Any

from playbook_service.hive.rights import RIGHTS, permission
from propolis.http import Client, HttpError, Response


class Link:
    """Requests with one account's key, in one organisation (empty: the account's own)."""

    def __init__(self, client: Client, major: int, organisation: str = ""):
        self.client = client
        self.major = major
        self.organisation = organisation

    def call(self, name: str, method: str, path: str, **options: Any) -> Response:
        """Make the call that stands in the table of rights under this name. Raises HttpError."""
        try:
            answer = self.client.request(method, path, **options)
        except HttpError as error:
            raise self._explained(name, error) from None
        if answer.body[:256].lstrip()[:1] == b"<":
            answer.json()  # a login page or a proxy's: it says so, also where nothing of the answer is needed
        return answer

    def _explained(self, name: str, error: HttpError) -> HttpError:
        if error.status == 401:
            return _reworded(
                error, f"TheHive refused the account's API key (401): renew or correct it{self._member()}."
            )
        if error.status != 403:
            return error
        right = permission(name, self.major)
        grant = f"grant `{right}` to the profile of" if right else "check the organisation and the profile of"
        text = f"TheHive refused to let the account {RIGHTS[name].does} (403): {grant} the account whose key is used"
        return _reworded(error, f"{text}, {self._where()}.")

    def _where(self) -> str:
        return f"in organisation {self.organisation}" if self.organisation else "in its organisation"

    def _member(self) -> str:
        if not self.organisation:
            return ""
        return f", and make sure that the account belongs to organisation {self.organisation}"


def _reworded(error: HttpError, message: str) -> HttpError:
    return HttpError(
        message,
        kind=error.kind,
        status=error.status,
        ambiguous=error.ambiguous,
        retry_after=error.retry_after,
        excerpt=error.excerpt,
    )
