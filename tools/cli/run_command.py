"""What ``demo`` and ``train`` share: settings in, a run folder and a table out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindveil.tools.jobs.main_job import ModelSpec

__all__ = ["run"]


def run(file: Path | None, options: Mapping[str, Any], models: Sequence[ModelSpec] | None = None) -> None:
    """Runs the main job into a new run folder.

    Args:
        file: TOML file with settings.
        options: settings by dotted key, as `RunConfig.read` takes them; None where not given.
        models: which models; all of them for None.
    """
    from mindveil.tools.cli.config import RunConfig
    from mindveil.tools.cli.progress import Bar
    from mindveil.tools.cli.run_folder import RunFolder
    from mindveil.tools.cli.summary import print_summary
    from mindveil.tools.jobs.main_job import MODELS, run_job

    settings = RunConfig.read(file, {k: str(v) if isinstance(v, Path) else v for k, v in options.items()})
    command = shlex.join(["mindveil", *sys.argv[1:]])
    with RunFolder(settings.runs, settings.name, overwrite=settings.overwrite) as folder, Bar() as bar:
        results = run_job(settings, folder, bar, command, models or MODELS)
    print_summary(results, folder.final)
