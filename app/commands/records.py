"""`produce`."""

from __future__ import annotations

import math
from itertools import islice
from typing import Annotated

import typer

from app.commands.terminal import AsJson, print_rows, read_settings
from app.domain.records import Reason

_MAKABLE = [r.value for r in Reason if r not in (Reason.MODEL_RAISED, Reason.BAD_PREDICTION)]


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def _makable(kinds: list[str] | None) -> list[str] | None:
    for kind in kinds or ():
        if kind not in _MAKABLE:
            raise typer.BadParameter(f"{kind!r} is none of {', '.join(_MAKABLE)}")
    return kinds


def produce(
    count: Annotated[int | None, typer.Option(min=1, help="How many; endless if not said.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001, callback=_finite, help="Records a second; else as fast as it goes."
        ),
    ] = None,
    bad: Annotated[
        float, typer.Option(min=0, max=1, callback=_finite, help="The share of bad records.")
    ] = 0.0,
    bad_kind: Annotated[
        list[str] | None,
        typer.Option(
            callback=_makable,
            help="What the bad records become; say it again for more. All of these if not said: "
            f"{', '.join(_MAKABLE)}.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same records.")] = 0,
    series: Annotated[int, typer.Option(min=1, help="How many keys.")] = 8,
    seasonality: Annotated[
        float,
        typer.Option(
            min=0,
            callback=_finite,
            help="The amplitude of a yearly cycle, in standard deviations; 1 is plain to see.",
        ),
    ] = 0.0,
    drift: Annotated[
        float,
        typer.Option(
            callback=_finite,
            help="By how many standard deviations the features rise in a year of the records, up "
            "to 2 in all; below 0, they fall.",
        ),
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write test records to the input topic; Ctrl+C ends it with a summary all the same."""
    from app import bootstrap  # noqa: PLC0415
    from app.tools.produce_command import produce_with_progress  # noqa: PLC0415
    from app.tools.simulated_records import records  # noqa: PLC0415

    if bad_kind and not bad:
        raise typer.BadParameter(
            "--bad says how many; for instance --bad 0.02", param_hint="bad-kind"
        )
    settings = read_settings()
    try:
        samples = records(
            seed,
            bad,
            series,
            settings.records.max_bytes,
            reasons=[Reason(kind) for kind in bad_kind or ()],
            seasonality=seasonality,
            drift=drift,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    summary = produce_with_progress(
        bootstrap.kafka(settings),
        settings.topics.records,
        islice(samples, count),
        count,
        rate,
    )
    if as_json:
        print_rows([summary.as_dict()])
    else:
        summary.show()
