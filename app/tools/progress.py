"""A progress bar on standard error while a lot is read or written, for a person who waits."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.topics import reading

_A_LOT = 20_000  # offsets: what is less is read before one could look


@contextmanager
def progress_bar(what: str, *, wanted: bool = True) -> Iterator[reading.Progress]:
    """Yield what is told of the progress; a bar is shown only on a terminal, and for a lot.

    Args:
        what: Is done.
        wanted: Whether to show one at all.
    """
    console = Console(stderr=True)
    if not wanted or not console.is_terminal:
        yield lambda _read, _of: None
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,  # rows for a program may go there meanwhile
    ) as bar:
        task = bar.add_task(what, visible=False, total=None)

        def told(read: int, of: int) -> None:
            bar.update(task, completed=read, total=of, visible=of > _A_LOT)

        yield told
