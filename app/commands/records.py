"""`produce`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.terminal import AsJson, print_rows, read_settings


def produce(
    count: Annotated[int | None, typer.Option(min=1, help="How many; endless if not said.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Records a second; else as fast as it goes.")
    ] = None,
    bad: Annotated[
        float, typer.Option(min=0, max=1, help="The share of bad records, of every kind.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same records.")] = 0,
    series: Annotated[int, typer.Option(min=1, help="How many keys.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Write test records to the input topic; Ctrl+C ends it with a summary all the same."""
    from app import bootstrap  # noqa: PLC0415
    from app.tools.produce_command import produce_with_progress  # noqa: PLC0415

    settings = read_settings()
    summary = produce_with_progress(
        bootstrap.kafka(settings),
        settings.topics.records,
        count,
        rate=rate,
        bad_share=bad,
        seed=seed,
        series=series,
        max_bytes=settings.records.max_bytes,
    )
    if as_json:
        print_rows([summary.as_dict()])
    else:
        summary.show()
