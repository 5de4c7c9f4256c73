"""Read alerts one by one from what Wazuh and its indexer write, with memory that does not grow with the file.

Understood are `alerts.json` and other JSONL (one document a line), a JSON array, documents one after the other, and a
search answer of the indexer (`{"hits": {"hits": [...]}}`), each plain or gzipped. What cannot be read is an item with a
fault, never an exception.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, cast

from propolis.alert import Alert
from propolis.alert.model import MAX_BYTES
from propolis.errors import InputError

CHUNK = 1 << 16
_HITS = re.compile(r'"hits"\s*:\s*\[')
_BLANK = re.compile(r"[\s,\ufeff\x00]*")
DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
"""What a damaged or cut off gzip file raises."""
_ALERT_KEYS = ("rule", "wazuh", "data", "syscheck")


class Item(NamedTuple):
    """One document of the input: its one-based number (of the line, or of the element), and the alert or the fault."""

    number: int
    alert: Alert | None
    fault: str = ""


def unpacked(stream: IO[bytes]) -> io.BufferedReader:
    """The stream itself, or what a gzipped one holds; told by its first bytes, so that `-` works with either."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream), CHUNK)
    if buffered.peek(2)[:2] == b"\x1f\x8b":
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=buffered)), CHUNK)
    return buffered


def items(stream: IO[bytes]) -> Iterator[Item]:
    """Every document of the stream, in order."""
    number = 0
    try:
        for item in _items(unpacked(stream)):
            number = item.number
            yield item
    except DAMAGE as error:
        yield Item(number + 1, None, f"The compressed input ends early or is damaged ({error}); the rest was not read.")


def _items(stream: io.BufferedReader) -> Iterator[Item]:
    first, number = _first_line(stream)
    if not first:
        return
    if _is_line_of_documents(first, stream.peek(1)[:1]):
        yield from _lines(stream, first, number)
    else:
        yield from _values(stream, first)


def _first_line(stream: io.BufferedReader) -> tuple[bytes, int]:
    number = 0
    while line := stream.readline(MAX_BYTES + 1):
        number += 1
        if line.strip(b"\xef\xbb\xbf\x00 \t\r\n"):
            return line, number
    return b"", number


def _is_line_of_documents(line: bytes, following: bytes) -> bool:
    """False for an array, for a document that goes on in the next line, and for an answer too long for one line.

    A line that is cut off is none of these: the next one then begins with a brace, or there is none.
    """
    text = line.strip(b"\xef\xbb\xbf\x00 \t\r\n")
    if text.startswith(b"["):
        return False
    if len(line) > MAX_BYTES:
        return not _HITS.search(text[:4096].decode("utf-8", "replace"))
    return not text.startswith(b"{") or text.endswith(b"}") or following in (b"", b"{")


def raw_lines(stream: io.BufferedReader, most: int) -> Iterator[bytes]:
    """The lines of a stream; of one that is longer than `most` bytes only its beginning, one byte too long."""
    while line := stream.readline(most + 1):
        if len(line) > most:
            _skip_line(stream, line)
        yield line


# --- one document a line -------------------------------------------------------------------------------------------


def _lines(stream: io.BufferedReader, line: bytes, number: int) -> Iterator[Item]:
    while line:
        if len(line) > MAX_BYTES:
            _skip_line(stream, line)
            yield Item(number, None, f"The line is longer than {MAX_BYTES // 1024} KiB and was not read.")
        elif not line.isspace():
            yield from _line(line, number)
        line = stream.readline(MAX_BYTES + 1)
        number += 1


def _skip_line(stream: io.BufferedReader, part: bytes) -> None:
    while part and not part.endswith(b"\n"):
        part = stream.readline(CHUNK)


def _line(line: bytes, number: int) -> Iterator[Item]:
    try:
        alert = Alert.parse(line)
    except InputError as error:
        hits = _answer(line)
        if hits is None:
            yield Item(number, None, error.message)
        else:
            yield from (_item(number, hit) for hit in hits)
        return
    yield Item(number, alert)


def _answer(line: bytes) -> list[Any] | None:
    """The documents of an indexer's whole answer on one line."""
    if b'"hits"' not in line:
        return None
    try:
        hits = json.loads(line)["hits"]["hits"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return hits if isinstance(hits, list) else None


def _item(number: int, document: Any) -> Item:
    if not isinstance(document, dict):
        return Item(number, None, "The element is not a JSON object.")
    alert = Alert(document)
    if not any(key in alert.body for key in _ALERT_KEYS):
        return Item(number, None, "The JSON object is not a Wazuh alert: it has neither a rule nor wazuh.rule.")
    return Item(number, alert)


# --- an array, or documents over several lines ---------------------------------------------------------------------


def _values(stream: io.BufferedReader, start: bytes) -> Iterator[Item]:
    window = _Window(stream, start)
    inside = window.enter()
    number = 0
    while window.at_value(inside):
        number += 1
        value = window.value()
        if value is None:
            yield Item(number, None, f"{window.why} What follows it was not read.")
            return
        yield _item(number, value[0])
    fault = window.end()
    if fault:
        yield Item(number + 1, None, fault)


class _Window:
    """A moving window of text over a stream, from which JSON values are taken one by one."""

    def __init__(self, stream: io.BufferedReader, start: bytes):
        self._stream = stream
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = self._utf8.decode(start)
        self._at = 0
        self._decoder = json.JSONDecoder(parse_constant=str)
        self._array = False
        self.why = ""

    def enter(self) -> bool:
        """Step into the array of documents; False where there is none but documents one after the other."""
        self._skip()
        if self._text.startswith("[", self._at):
            self._at += 1
            self._array = True
            return True
        while len(self._text) < 4096 and self._more():
            pass
        found = _HITS.search(self._text, self._at, self._at + 4096)
        if found:
            self._at = found.end()
        return found is not None

    def at_value(self, inside: bool) -> bool:
        """True where another value begins; the end of the array, or of the input, is the end."""
        self._skip()
        if self._at >= len(self._text):
            return False
        return not (inside and self._text[self._at] == "]")

    def end(self) -> str:
        """What is wrong with the end of an array; a search answer ends in braces of its own, whatever they hold."""
        if not self._array:
            return ""
        if self._at >= len(self._text):
            return "The array is not closed: the file may have been cut off."
        self._at += 1
        self._skip()
        return "The array ends here. What follows it was not read." if self._at < len(self._text) else ""

    def value(self) -> tuple[Any] | None:
        """The next value, in a tuple; None where it cannot be read, and then `why` says so."""
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._text, self._at)
            except RecursionError:
                self.why = "The element is nested too deeply."
                return None
            except ValueError as error:
                if len(self._text) - self._at > MAX_BYTES:
                    self.why = f"The element is not valid JSON, or larger than {MAX_BYTES // 1024} KiB."
                    return None
                if not self._more():
                    self.why = f"The element is not valid JSON: {error}."
                    return None
                continue
            return (value,)

    def _skip(self) -> None:
        while True:
            found = _BLANK.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or not self._more():
                return

    def _more(self) -> bool:
        chunk = self._stream.read(CHUNK)
        self._text = self._text[self._at :] + self._utf8.decode(chunk, final=not chunk)
        self._at = 0
        return bool(chunk)
