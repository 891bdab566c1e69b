"""What the quality gate tells: a table for people, JSON for programs, Markdown for a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.evaluate_model import Evaluated
    from models.quality_gate import Judgement, Quality

_COLOURS = {"passed": "green", "failed": "bold red", "unchanged": "yellow"}


@dataclass(frozen=True, slots=True)
class Report:
    """A judgement, with all that a person needs to believe it.

    Attributes:
        model: The registered name.
        opponent: The version that it was compared with, None if there was none.
        how: Why that one: `in force`, or the alias that names it.
        rows: How many were held out.
    """

    model: str
    candidate: Evaluated
    opponent: Evaluated | None
    how: str
    judgement: Judgement
    rows: int

    def show(self, *, as_json: bool) -> None:
        """Print it: as one line of JSON, or as a table."""
        if as_json:
            import orjson  # noqa: PLC0415

            typer.echo(orjson.dumps(self.facts()).decode())
            return
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        head, *rows = self._cells()
        table = Table("", title=self._title())
        for name in head[1:]:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*row)
        console = Console(highlight=False)
        console.print(table)
        verdict = self.judgement.verdict
        console.print(f"[{_COLOURS[verdict]}]{verdict}[/]: {self.judgement.why}.", soft_wrap=True)

    def facts(self) -> dict[str, Any]:
        """Return what programs are told; what is not finite is null."""
        return {
            "model": self.model,
            "version": self.candidate.version,
            "opponent": self.opponent.version if self.opponent else None,
            "rows": self.rows,
            **asdict(self.judgement),
        }

    def markdown(self) -> str:
        """Return it as a section of a page."""
        head, *rows = self._cells()
        lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        verdict = f"**{self.judgement.verdict}**: {self.judgement.why}."
        return f"### {self._title()}\n\n{table}\n\n{verdict}\n"

    def _title(self) -> str:
        against = self._opponent() or "no other"
        return f"version {self.candidate.version} against {against}, {self.rows:,} rows held out"

    def _opponent(self) -> str | None:
        return f"version {self.opponent.version} ({self.how})" if self.opponent else None

    def _cells(self) -> list[list[str]]:
        """Return the table, its head first."""
        said = self.judgement
        columns = [
            _column(f"version {self.candidate.version}", said.candidate, self.candidate.made)
        ]
        if self.opponent is not None and said.in_force is not None:
            columns.append(_column(str(self._opponent()), said.in_force, self.opponent.made))
        columns.append(_column("price stays", said.naive, {}))
        names = ["", "kind", "training rows", "seed", "RMSE", "MAE", "rows without a price"]
        return [list(row) for row in zip(names, *columns, strict=True)]


def _column(name: str, quality: Quality, made: Mapping[str, str]) -> list[str]:
    logged = [made.get(key, "") for key in ("kind", "rows", "seed")]
    prices = [f"{quality.rmse:.4f}", f"{quality.mae:.4f}", f"{quality.unanswered:,}"]
    return [name, *logged, *prices]
