"""The files of the page: readable colours, nothing from elsewhere, no way for HTML to come in."""

import itertools
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.domain.errors import BrokerUnavailable
from app.service.gate import OPEN, OPEN_FOLDER
from app.service.recently import Recently
from app.service.routes import page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "app" / "service" / "page"
TEXTS = {path.name: path.read_text() for path in sorted(FOLDER.iterdir())}
SCRIPTS = {name: text for name, text in TEXTS.items() if name.endswith(".js")}

TEXT, PART = 4.5, 3.0  # what WCAG 2.2 AA asks of text, and of the edges and marks of controls
PAIRS = [
    *itertools.product(("ink", "soft", "accent"), ("paper", "card"), (TEXT,)),
    ("on-accent", "accent", TEXT),
    *((tone, f"{tone}-back", TEXT) for tone in ("good", "wait", "bad", "calm")),
    ("accent", "bad-back", TEXT),  # the button in the banner
    ("bad", "card", TEXT),
    *itertools.product(("edge", "accent", "good", "bad"), ("paper", "card"), (PART,)),
    ("accent", "calm-back", PART),
]


def colours(scheme: str) -> dict[str, str]:
    light, dark = TEXTS["colours.css"].split("@media (prefers-color-scheme: dark)")
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))


def contrast(one: str, other: str) -> float:
    """Return it as WCAG defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_defined() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read(scheme: str) -> None:
    known = colours(scheme)
    assert set(known) == set(colours("light"))
    weak = {
        (fore, back): round(contrast(known[fore], known[back]), 2)
        for fore, back, needed in PAIRS
        if contrast(known[fore], known[back]) < needed
    }
    assert weak == {}


def test_every_colour_has_a_name_and_every_name_is_used() -> None:
    styles = TEXTS["style.css"] + TEXTS["parts.css"]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", styles) == []
    assert set(re.findall(r"var\(--([\w-]+)\)", styles)) == set(colours("light"))


def test_nothing_turns_text_into_html_or_code() -> None:
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|Function\("
    for name, text in SCRIPTS.items():
        assert re.findall(banned, text) == [], name
        assert "localStorage" not in text, name
    assert (
        re.findall(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", page_html()) == []
    )


def test_nothing_comes_from_elsewhere() -> None:
    for name, text in TEXTS.items():
        assert [
            url for url in re.findall(r"https?://[^\s\"')]+", text) if "w3.org" not in url
        ] == []
        for imported in re.findall(r'from "([^"]+)"', text):
            assert imported.removeprefix("./") in TEXTS, (name, imported)
    for linked in re.findall(r'(?:href|src)="(?!#)([^"]+)"', page_html()):
        assert linked.removeprefix("assets/") in TEXTS, linked


def page_html() -> str:
    return TEXTS["index.html"]


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    app.include_router(page.router())
    return TestClient(app)


def test_each_file_is_served_and_only_sent_again_once_it_changed(client: TestClient) -> None:
    for name, text in TEXTS.items():
        path = "/" if name == "index.html" else f"/assets/{name}"
        assert path in OPEN or path.startswith(OPEN_FOLDER)
        answer = client.get(path)
        assert answer.text == text
        assert answer.headers["content-security-policy"] == page.CONTENT_SECURITY_POLICY
        tag = answer.headers["etag"]
        again = client.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("name", ["index.html", "x.js", "..%2fparts.py", "%2e%2e%2fgate.py", ""])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/assets/{name}").status_code == 404


def test_the_package_holds_the_page(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("app", "models", "infrastructure"):
        shutil.copytree(ROOT / name, tmp_path / name)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {Path(name).name for name in wheel.namelist() if "service/page/" in name}
    assert packed == set(TEXTS)


# --- what many may have ---


def test_an_answer_is_had_by_all_who_ask_soon_after_a_failure_too() -> None:
    now, asked = [0.0], []
    answers: list[int | BrokerUnavailable] = [1, BrokerUnavailable("away"), 3]

    def ask(key: str) -> int:
        asked.append(key)
        answer = answers.pop(0)
        if isinstance(answer, BrokerUnavailable):
            raise answer
        return answer

    recently = Recently(ask, 2.0, lambda: now[0])
    assert [recently("a"), recently("a")] == [1, 1]
    now[0] = 2.1
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            recently("a")
    now[0] = 4.3
    assert recently("a") == 3
    assert asked == ["a"] * 3
