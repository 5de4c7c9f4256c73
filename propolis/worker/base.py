"""What a Cortex worker does around its own logic: read the job, answer once, fail in one sentence, leak nothing.

The traps of cortexutils 2.2.1 that this removes: `error()` echoes the input with nested secrets in it; exceptions in
`summary()` and `operations()` are swallowed; `report()` does not end the job, so that a later `error()` overwrites it;
TLP and PAP are not checked unless asked; the regex extractor of `artifacts()` runs unless switched off.

A worker subclasses `AnalyzerWorker` or `ResponderWorker` and implements `answer()`, which returns an `Answer` or raises
`PropolisError`. Its entry script ends in `MyWorker.main()`.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, NoReturn

from cortexutils.worker import Worker

from propolis.errors import InputError, PropolisError
from propolis.worker.items import Items
from propolis.worker.jobfile import job_folder, read_input, write_output
from propolis.worker.secrets import SECRET_PHRASES, blank, blank_config, secret_values

_ECHO = 2000  # characters of the observable that a failure report repeats


class Answer(NamedTuple):
    """What a worker has to say. `full` is the report; the rest is what TheHive does with it."""

    full: dict[str, Any]
    taxonomies: list[dict[str, Any]] = []  # noqa: RUF012 - never changed, only replaced
    artifacts: list[dict[str, Any]] = []  # noqa: RUF012
    operations: list[dict[str, Any]] = []  # noqa: RUF012


class SafeWorker(Worker):  # type: ignore[misc]
    """Mixed in before cortexutils' `Analyzer` or `Responder`."""

    def __init__(self) -> None:
        self._folder = job_folder(sys.argv)
        self._input: dict[str, Any] = {}
        self._secrets: list[str] = []
        try:
            document = read_input(self._folder)
        except (PropolisError, OSError) as error:
            self.error(str(error))
        try:
            self._load(document)
        except RecursionError:
            self.error("The job's configuration is nested too deeply to be read.")

    def _load(self, document: dict[str, Any]) -> None:
        """Set what `cortexutils.Worker.__init__` would, from the document that was read, then check TLP and PAP."""
        document["config"] = document.get("config") or {}
        self._input = self.artifact = document
        self._secrets = secret_values(document["config"])
        self.job_directory = self._folder
        self.secret_phrases = SECRET_PHRASES
        self.auto_extract = False
        self.items = Items(document["config"])
        self.parameters: dict[str, Any] = _object(document.get("parameters"))
        self.data_type = document.get("dataType")
        if not isinstance(self.data_type, str):
            self.error("The job has no dataType.")
        self._check("TLP", document.get("tlp"), "tlp")
        self._check("PAP", document.get("pap"), "pap")

    def _check(self, name: str, level: Any, key: str) -> None:
        """Refuse an observable above the configured limit; the check is on unless the operator switched it off."""
        config = self._input["config"]
        if config.get(f"check_{key}") is False:
            return
        limit = config.get(f"max_{key}")
        actual = 2 if level is None else level
        limit = 2 if limit is None else limit
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in (actual, limit)):
            self.error(f"{name} and max_{key} must be whole numbers.")
        if actual > limit:
            self.error(f"{name} is higher than allowed: the observable's is {actual}, max_{key} is {limit}.")

    def answer(self) -> Answer:
        """The worker's own logic."""
        raise NotImplementedError

    def run(self) -> None:
        """Answer, or fail in one sentence; never both, never a traceback."""
        try:
            write_output(self._folder, self._report(self.answer()))
        except PropolisError as error:
            self.error(str(error))
        except RecursionError:
            self.error("The input is nested too deeply to be worked on.")
        except MemoryError:
            self.error("The input is too large for the memory this worker has.")
        except Exception as error:  # the job must end in a report whatever went wrong
            self.error(f"Unexpected {type(error).__name__} in {_spot(error)}: {error}. Please report this.")

    def _report(self, answer: Answer) -> dict[str, Any]:
        return {
            "success": True,
            "full": blank(answer.full, self._secrets),
            "operations": blank(answer.operations, self._secrets),
        }

    def error(self, message: str, ensure_ascii: bool = False) -> NoReturn:
        """Write the failure report, with the input's secrets blanked, and end the process."""
        del ensure_ascii
        report: dict[str, Any] = {"success": False, "errorMessage": message}
        try:
            write_output(self._folder, blank({**report, "input": self._echo()}, self._secrets))
        except RecursionError:  # an input nested that deeply is not repeated; the sentence is still due
            write_output(self._folder, blank({**report, "input": {}}, self._secrets))
        sys.exit(1)

    def _echo(self) -> dict[str, Any]:
        echo = {name: value for name, value in self._input.items() if name in ("dataType", "tlp", "pap", "message")}
        data = self._input.get("data")
        if isinstance(data, str):
            echo["data"] = data if len(data) <= _ECHO else data[:_ECHO] + "..."
        if self._input:
            echo["config"] = blank_config(self._input.get("config"))
        return echo

    def get_param(self, name: str, default: Any = None, message: str | None = None) -> Any:
        """A value of the job by its dotted name (`config.proxy.https`); cortexutils' own fails where one is a text."""
        node: Any = self._input
        for part in name.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if node is None and message is not None:
            self.error(message)
        return default if node is None else node

    @property
    def attachment(self) -> str:
        """The path of the job's file. Raises InputError where the job has none."""
        name = self._input.get("file")
        if not isinstance(name, str) or not name or "/" in name or name in (".", "..") or self._folder is None:
            raise InputError("The job has no file to read.")
        return f"{self._folder}/input/{name}"

    @classmethod
    def main(cls) -> None:
        """Run as Cortex does: the job folder is the first argument."""
        cls().run()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _spot(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    code = trace.tb_frame.f_code
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
