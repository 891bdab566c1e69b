"""`config check`: look at everything that the settings name, one by one, each in its time."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.errors import DsModelsError
from app.domain.secrets import without_passwords
from app.tools.plain_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_MEGABYTE = 1_000_000
_STYLES = {"good": "green", "wrong": "bold red", "unknown": "yellow"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong, and what to do about it."""

    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        name: What it is.
        look: Returns what it saw, in words, if all is well; else what is wrong. May raise, and
            may hang.
        remedy: What to do if it raises or hangs.
        needs: The name of an earlier check without which this one makes no sense.
    """

    name: str
    look: Callable[[], str | Sequence[Wrong]]
    remedy: str
    needs: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found. `unknown`: it was not looked at, because of an earlier one."""

    check: str
    status: Literal["good", "wrong", "unknown"]
    detail: str
    remedy: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "check": self.check,
            "status": self.status,
            "detail": self.detail,
            "remedy": self.remedy,
        }


def run_checks(checks: Sequence[Check], timeout_s: float) -> Iterator[Found]:
    """Yield what each check finds, in their order; one that fails stops none of the others.

    Args:
        checks: In an order in which each comes after what it needs.
        timeout_s: The longest that one may take. One that takes longer is left alone, and can't
            keep the process alive.
    """
    not_good: set[str] = set()
    for check in checks:
        if check.needs in not_good:
            not_good.add(check.name)
            yield Found(check.name, "unknown", f"not looked at: {check.needs} is not well")
            continue
        seen = _look(check, timeout_s)
        if isinstance(seen, str):
            yield Found(check.name, "good", without_passwords(seen))
            continue
        not_good.add(check.name)
        for wrong in seen:
            yield Found(check.name, "wrong", without_passwords(wrong.detail), wrong.remedy)


def _look(check: Check, timeout_s: float) -> str | Sequence[Wrong]:
    seen: list[str | Sequence[Wrong]] = []

    def look() -> None:
        try:
            seen.append(check.look())
        except DsModelsError as error:
            seen.append([Wrong(str(error), check.remedy)])
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are looked at too
            seen.append([Wrong(f"{type(error).__name__}: {error}", check.remedy)])

    thread = threading.Thread(target=look, name=f"check {check.name}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return seen[0] if seen else [Wrong(f"no answer within {timeout_s:g} s", check.remedy)]


def check_folder(folder: Path, needed_bytes: int) -> str | Sequence[Wrong]:
    """Look whether files can be written and locked in a folder, and whether so much fits in.

    A folder that is not there is not made: its nearest parent must be writable.
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix="ds-models-check-") as file:
            file.write(b"\0" * 4096)
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return [
            Wrong(
                f"{place} can't be written or locked: {error.strerror or error}",
                "let the user that runs this write there, or name another model.cache_dir",
            )
        ]
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        return [
            Wrong(
                f"{free // _MEGABYTE:,} MB are free in {place}, {needed_bytes // _MEGABYTE:,} MB "
                "are needed",
                "make room, or name another model.cache_dir",
            )
        ]
    will_be_made = "" if place == folder.absolute() else f"; {folder} will be made"
    return f"writable, {free // _MEGABYTE:,} MB free{will_be_made}"


def show(found: Sequence[Found]) -> None:
    """Print what was found as a table, each remedy below it, and the sum of it in a line."""
    console = Console(highlight=False)
    table = Table()
    for name in ("check", "status", "what was seen"):
        table.add_column(name, overflow="fold")
    for one in found:
        table.add_row(
            printable(one.check),
            Text(one.status, style=_STYLES[one.status]),
            Text(printable(one.detail)),
        )
    console.print(table)
    for one in found:
        if one.remedy is not None:
            remedy = f"{one.check}: {one.remedy}"
            console.print(printable(remedy), markup=False, soft_wrap=True)
    wrong = dict.fromkeys(printable(one.check) for one in found if one.status == "wrong")
    console.print(
        Text(f"Wrong: {', '.join(wrong)}.", style="bold red")
        if wrong
        else Text("All is well.", style="green")
    )
