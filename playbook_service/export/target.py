"""Where an export goes: a file that is there whole or not at all, or a stream that never ends in half a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from propolis.errors import ConfigurationError


@contextmanager
def whole_file(path: Path | None) -> Iterator[TextIO]:
    """The file, for its owner only, in place once everything is written; on a failure what was there before stays.

    None is standard output. Raises ConfigurationError for a file that cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}.", source=str(path)) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConfigurationError(f"cannot be written: {error.strerror}.", source=str(path)) from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
