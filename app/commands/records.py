"""`produce`."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.terminal import AsJson, print_rows, read_settings
from app.domain.records import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.tools.producing.samples import Sample

_MAKABLE = [r.value for r in Reason if r not in (Reason.MODEL_RAISED, Reason.BAD_PREDICTION)]


def _makable(kinds: list[str] | None) -> list[str] | None:
    for kind in kinds or ():
        if kind not in _MAKABLE:
            raise typer.BadParameter(f"{kind!r} is none of {', '.join(_MAKABLE)}")
    return kinds


def produce(
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many; if not said, endless, or all rows of the file."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, max=1e9, help="Records a second; else as fast as it goes."),
    ] = None,
    bad: Annotated[float, typer.Option(min=0, max=1, help="The share of bad records.")] = 0.0,
    bad_kind: Annotated[
        list[str] | None,
        typer.Option(
            callback=_makable,
            help="What the bad records become; say it again for more. All of these if not said: "
            f"{', '.join(_MAKABLE)}.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same records.")] = 0,
    series: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="How many keys; 8 if not said.")
    ] = None,
    seasonality: Annotated[
        float,
        typer.Option(
            min=0,
            max=10,
            help="The amplitude of a yearly cycle, in standard deviations; 1 is plain to see.",
        ),
    ] = 0.0,
    drift: Annotated[
        float,
        typer.Option(
            min=-24,
            max=24,
            help="By how many standard deviations the features rise in a year of the records, up "
            "to 2 in all; below 0, they fall.",
        ),
    ] = 0.0,
    from_csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the rows of this CSV file, in order, instead of a simulation.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CSV_NAME=FEATURE",
            help="A column that is not named as the feature is; `id`, `month` and `key` are "
            "possible as well. Say it again for more.",
        ),
    ] = None,
    send_bad_rows: Annotated[
        bool,
        typer.Option(
            "--send-bad-rows", help="Send rows that become dead letters; else they are an error."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write records to the input topic, simulated ones or real history.

    Ctrl+C ends it with a summary all the same.
    """
    from app.bootstrap import access, parts  # noqa: PLC0415
    from app.tools.producing import csv_history, simulated_records  # noqa: PLC0415
    from app.tools.producing.samples import Spoiler, judged  # noqa: PLC0415
    from app.tools.producing.screen import produce_with_progress  # noqa: PLC0415

    if bad_kind and not bad:
        raise typer.BadParameter("say with --bad how many, as in --bad 0.02 --bad-kind not_json")
    if from_csv is None and (column or send_bad_rows):
        raise typer.BadParameter("--column and --send-bad-rows are for --from-csv")
    if from_csv is not None and (series or seasonality or drift):
        raise typer.BadParameter(
            "--series, --seasonality and --drift are of a simulation, not for --from-csv"
        )
    settings = read_settings()
    try:
        spoiler = Spoiler(
            seed, bad, settings.records.max_bytes, [Reason(kind) for kind in bad_kind or ()]
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    samples: Iterator[Sample]
    if from_csv is None:
        endless = simulated_records.simulated(
            seed, spoiler, series or 8, seasonality=seasonality, drift=drift
        )
        samples, total = islice(endless, count), count
    else:
        read = partial(
            csv_history.read,
            from_csv,
            csv_history.parse_columns(column or ()),
            parts.decoder(settings),
            bad_rows=send_bad_rows,
        )
        samples, total = csv_history.samples(read, spoiler, count)
    access.require(settings, "producer")
    summary = produce_with_progress(
        parts.kafka(settings),
        settings.topics.records,
        judged(samples, parts.decoder(settings)),
        total,
        rate,
    )
    if as_json:
        print_rows([summary.as_dict()])
    else:
        summary.show()
