"""The logger: tags, levels, handlers, and where a line says that it comes from."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from mindveil.runtime.log import FORMAT, LogUtil


class Kept(logging.Handler):
    """Keeps formatted lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter(FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A handler of the logger, which is put back afterwards as it was."""
    handler, logger = Kept(), logging.getLogger("mindveil")
    LogUtil.get_instance().add_handler(handler)
    level = logger.level
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_there_is_one_logger() -> None:
    assert LogUtil.get_instance() is LogUtil.get_instance()
    own = [h for h in logging.getLogger("mindveil").handlers if type(h) is logging.StreamHandler]
    assert len(own) == 1  # pytest adds handlers of its own
    assert not logging.getLogger("mindveil").propagate


@pytest.mark.parametrize("level", ["INFO", logging.INFO])
def test_a_level_hides_what_is_below_it(kept: Kept, level: Any) -> None:
    log = LogUtil.get_instance()
    log.set_level(level)
    log.debug("Tag", "hidden")
    log.info("Tag", "step %d of %s", 3, "ten")
    log.warn("Tag", "careful")
    log.error("Tag", "lost")
    assert [line.split()[0] for line in kept.lines] == ["[INFO]", "[WARNING]", "[ERROR]"]
    assert kept.lines[0].endswith("[Tag] step 3 of ten")
    log.set_level("DEBUG")
    log.debug("Tag", "shown")
    assert kept.lines[-1].startswith("[DEBUG] mindveil(")
    with pytest.raises(ValueError, match="LOUD"):
        log.set_level("LOUD")


def test_a_line_names_the_file_that_logged_it(kept: Kept) -> None:
    LogUtil.get_instance().warn("Tag", "here")
    assert "[test_log.py:" in kept.lines[0]


def test_per_cent_signs_are_left_alone(kept: Kept) -> None:
    log = LogUtil.get_instance()
    log.error("100 %d", "sparsity %s", "95 %")
    log.error("Tag", "as it is")
    log.error("Tag", {"Accuracy": 0.97})
    assert kept.lines[0].endswith("[100 %d] sparsity 95 %")
    assert kept.lines[2].endswith("[Tag] {'Accuracy': 0.97}")


def test_only_handlers_are_taken() -> None:
    with pytest.raises(ValueError, match=r"handler is 'file', and must be a logging\.Handler"):
        LogUtil.get_instance().add_handler("file")  # type: ignore[arg-type]
