"""docs/settings.md tells of the settings that there are, and of no others."""

import json
import re
from pathlib import Path

import pytest

from app.settings import PREFIX, WELL_KNOWN, Settings
from app.tools.settings.table import markdown

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ROW = re.compile(r"\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|")


def rows() -> dict[tuple[str, str], tuple[str, str, str]]:
    """What the page says, read independently of what makes it: names, default, meaning."""
    found, section = {}, ""
    for line in PAGE.read_text().splitlines():
        if heading := re.fullmatch(r"## \[(\w+)\]", line):
            section = heading[1]
        elif row := ROW.fullmatch(line):
            key, *cells = row.groups()
            found[section, key] = (cells[0], cells[1], cells[2])
    return found


SETTINGS = {
    (section, key): field
    for section, part in Settings()
    for key, field in type(part).model_fields.items()
}


def test_the_page_is_the_one_that_the_settings_make() -> None:
    made = markdown(Settings, PREFIX, WELL_KNOWN)
    assert PAGE.read_text() == made, "run: python docs/generate_settings.py"


def test_the_page_has_every_setting_once_and_no_other() -> None:
    assert set(rows()) == set(SETTINGS)
    assert len(ROW.findall(PAGE.read_text())) == len(SETTINGS)


@pytest.mark.parametrize("place", SETTINGS, ids=".".join)
def test_a_setting_is_there_with_its_variables_its_default_and_its_meaning(
    place: tuple[str, str],
) -> None:
    names, default, meaning = rows()[place]
    section, key = place
    expected = [name for name, known in WELL_KNOWN.items() if known == place]
    assert re.findall(r"`(\w+)`", names) == [*expected, f"{PREFIX}{section}__{key}".upper()]
    assert meaning.startswith(SETTINGS[place].description or "no description")
    value = getattr(getattr(Settings(), section), key)
    if isinstance(value, dict):
        parts = [f"{name} = {list(bounds)}" for name, bounds in value.items()]
    else:
        parts = [json.dumps(value) if isinstance(value, tuple | bool) else str(value)]
    for said in parts:
        assert (f"`{said}`" if said else "none") in default
