"""`redrive` for people and programs: what would be sent, what was, and what was not."""

from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from app.tools.letters.counts import start_of
from app.tools.letters.screen import value_of
from app.tools.plain_text import printable
from app.tools.redriving.judge import Outcome
from app.tools.redriving.redrive import Preview, Sample, Written

_MEANING = {
    Outcome.VALID: "valid now",
    Outcome.STILL_BAD: "would be refused again",
    Outcome.NOT_EDITABLE: "the edits can't be made",
    Outcome.TRIES_SPENT: "redriven --max-tries times already",
    Outcome.OMITTED: "a part was left out, being too long: can't be redriven",
    Outcome.TOO_LONG: "longer than its topic takes: can't be redriven",
    Outcome.OTHER_TOPIC: "from another topic: can't be redriven",
    Outcome.NO_LETTER: "no dead letter: can't be redriven",
}


def preview_screen(seen: Preview, topic: str, *, even_if_bad: bool) -> list[RenderableType]:
    """Return what would become of the letters, by outcome, with the samples."""
    table = Table(title="dead letters to redrive", title_justify="left")
    table.add_column("outcome")
    table.add_column("letters", justify="right")
    table.add_column("meaning", overflow="fold")
    for outcome in Outcome:
        if count := seen.outcomes[outcome]:
            sent = outcome is Outcome.VALID or (even_if_bad and outcome is Outcome.STILL_BAD)
            style = "green" if sent else "red"
            meaning = _MEANING[outcome]
            if outcome is Outcome.STILL_BAD:
                reasons = ", ".join(f"{name} {n:,}" for name, n in sorted(seen.refused.items()))
                meaning = f"{meaning} ({reasons})" + (", sent all the same" if sent else "")
            table.add_row(Text(outcome.value, style=style), f"{count:,}", meaning)
    if seen.already:
        table.add_row("already redriven", f"{seen.already:,}", "never sent twice")
    parts: list[RenderableType] = [table] if seen.matching else [Text("There is no such letter.")]
    parts += [_sample(sample) for samples in seen.samples.values() for sample in samples]
    if seen.matching:
        parts.append(
            Text(f"{seen.sent:,} of {seen.matching:,} would be sent to {topic}.", style="bold")
        )
    return parts


def _sample(sample: Sample) -> Text:
    message, letter, judged = sample.message, sample.letter, sample.judged
    said = Text()
    said.append(f"{message.partition}/{message.offset} ", style="bold")
    said.append(judged.outcome.value, style="green" if not judged.why else "red")
    if letter is not None:
        said.append(f" was {letter.rejection.reason.value}", style="dim")
        said.append(f": {printable(letter.rejection.message)}", style="dim")
    if judged.why:
        said.append(f"\n  now {printable(judged.why)}")
    if letter is not None:
        said.append("\n  before ").append_text(value_of(letter.value, letter.omitted))
        if judged.value != letter.value:
            said.append("\n  after  ").append_text(value_of(judged.value))
    return said


def written_screen(seen: Preview, written: Written, topic: str) -> Text:
    """Return what was sent, and why it was not all."""
    said = Text(f"{written.sent:,} records were sent to {topic}.", style="bold green")
    if written.ended == "taken_over":
        said.append(
            "\nAnother redrive of these letters began and goes on, or this one stood still for too "
            "long; nothing of its last part was sent. See `dead-letters`, and run it again.",
            style="bold red",
        )
    elif written.ended == "stopped":
        said.append("\nIt was stopped; run it again for the others.", style="yellow")
    elif missed := seen.sent - written.sent:
        said.append(
            f"\n{missed:,} others were sent by another redrive meanwhile, or are gone.",
            style="yellow",
        )
    if seen.skipped:
        said.append(f"\n{seen.skipped:,} letters were skipped, as said above.", style="red")
    return said


def as_dict(seen: Preview, written: Written | None, topics: tuple[str, str]) -> dict[str, Any]:
    """Return it for programs: docs/schemas/redrive.json.

    Args:
        seen: What was looked at.
        written: None if nothing was to be written.
        topics: Of the letters and of the records.
    """
    letters, records = topics
    return {
        "from": letters,
        "to": records,
        "matching": seen.matching,
        "already_redriven": seen.already,
        "to_redrive": seen.sent,
        "skipped": seen.skipped,
        "outcomes": {outcome.value: seen.outcomes[outcome] for outcome in Outcome},
        "still_bad": {reason.value: count for reason, count in sorted(seen.refused.items())},
        "redriven": None if written is None else written.sent,
        "ended": "not_written" if written is None else written.ended,
        "samples": [_as_dict(one) for samples in seen.samples.values() for one in samples],
    }


def _as_dict(sample: Sample) -> dict[str, Any]:
    message, letter, judged = sample.message, sample.letter, sample.judged
    return {
        "partition": message.partition,
        "offset": message.offset,
        "reason": None if letter is None else letter.rejection.reason.value,
        "tries": 0 if letter is None else letter.tries,
        "outcome": judged.outcome.value,
        "why": judged.why or None,
        "before_start": None if letter is None else start_of(letter.value),
        "after_start": start_of(judged.value),
    }
