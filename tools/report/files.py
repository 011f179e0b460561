"""Writing files so that a reader finds the old file or the new one, and never half of either."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside ``path`` and rename; whatever fails or interrupts leaves no part behind.

    Raises:
        OSError: the folder does not exist or is not writable.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.replace(path)
    except BaseException:  # an interrupt too must not leave the part
        part.unlink(missing_ok=True)
        raise
