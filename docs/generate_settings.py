"""Writes docs/settings.md anew: `python docs/generate_settings.py`."""  # noqa: INP001 - a script beside its page

from pathlib import Path

from app.settings import PREFIX, WELL_KNOWN, Settings
from app.tools.settings.table import markdown

if __name__ == "__main__":
    page = Path(__file__).with_name("settings.md")
    page.write_text(markdown(Settings, PREFIX, WELL_KNOWN))
