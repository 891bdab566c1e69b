"""How far each instance is, live on standard error, for a person who waits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from app.tools.watching.staging import Progress, table_of


@contextmanager
def live_table() -> Iterator[Callable[[Sequence[Progress]], None]]:
    """Yield what shows it; it shows nothing unless standard error is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _found: None
        return
    with Live(console=console, transient=True, redirect_stdout=False) as live:
        yield lambda found: live.update(table_of(found), refresh=True)
