"""Python files that an artifact brings along, for each version its own.

MLflow puts their folder on the path of the process for good, and Python imports a module of a name
once: without more, a second version would run the first one's code.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from app.domain.errors import ModelRefused


@contextlib.contextmanager
def alone(folder: Path, code: str | None) -> Iterator[None]:
    """Import from the artifact in `folder` inside of it, and forget its modules' names after it.

    What was imported goes on to work; what would be imported later is not found.

    Args:
        folder: Of the artifact.
        code: The folder in it with its Python files, if it has one.

    Raises:
        ModelRefused: A module of the artifact has the name of one that is loaded already: it would
            get that one instead.
    """
    home = folder.resolve()
    if code is not None and (home / code).is_dir():
        brought = {path.name.partition(".")[0] for path in (home / code).iterdir()}
        if taken := sorted(brought & {name for name in sys.modules if "." not in name}):
            raise ModelRefused(f"its code has names that are taken already: {', '.join(taken)}")
    try:
        yield
    finally:
        sys.path[:] = [entry for entry in sys.path if not _is_inside(entry, home)]
        for name, module in list(sys.modules.items()):
            if _comes_from(module, home):
                del sys.modules[name]


def _comes_from(module: ModuleType | None, home: Path) -> bool:
    places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    return any(isinstance(place, str) and _is_inside(place, home) for place in places)


def _is_inside(place: str, home: Path) -> bool:
    return bool(place) and Path(place).resolve().is_relative_to(home)
