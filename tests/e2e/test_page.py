"""The page of the registry service in a real browser, with a real fleet behind it."""

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest
from playwright.sync_api import Browser, Page, expect

from app.bootstrap import announcing
from app.domain.records import Reason, Rejection
from app.service.roles import Role
from app.settings import read
from app.topics import dead_letters, status
from app.topics.dead_letters import DeadLetter
from app.topics.status import Report
from tests.harness.browser import Faults, chromium, new_page
from tests.harness.instances import Instance
from tests.harness.registry_service import (
    RegistryService,
    artifact,
    content_digest,
    database_in,
    token,
    zipped,
)
from tests.harness.world import World, until

ATTACK = "<img src=x onerror=window.hacked=1>"
MODELS = "/api/v1/models"


@dataclass
class Site:
    """A service with two versions, the first in force, and something hostile in every text."""

    world: World
    folder: Path
    service: RegistryService
    tokens: dict[Role, str]
    model: str

    def restart(self) -> None:
        """Start it again where it was."""
        port = urlsplit(self.service.address).port or 0
        self.service = RegistryService(self.world.environment, self.folder, f"at-{port}", port=port)

    @contextmanager
    def page(
        self, browser: Browser, role: Role, width: int = 1280
    ) -> Iterator[tuple[Page, Faults]]:
        """Have the page as somebody sees it who has a token."""
        with new_page(browser, width) as (page, faults):
            page.goto(self.service.address)
            page.get_by_label("Token").fill(self.tokens[role])
            page.keyboard.press("Enter")
            expect(page.locator("#now .number")).to_be_visible()
            expect(page.locator("#versions tbody tr")).not_to_have_count(0)
            yield page, faults

    @property
    def mlflow(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.world.environment["MLFLOW_TRACKING_URI"])

    def bring(self, version: str) -> None:
        """Have a version in force, whichever test was before."""

        def in_force() -> bool:
            with self.service.client(self.tokens[Role.READER]) as client:
                found = client.get("/api/v1/in-force").json()["in_force"]
            return bool(found["version"] == version)

        if not in_force():  # the fleet is there
            self.mlflow.set_registered_model_alias(self.model, "champion", version)
            until(in_force, 120)

    def upload(self, slope: float, rmse: float) -> None:
        body = zipped(artifact(self.folder, slope))
        with self.service.client(self.tokens[Role.ADMIN]) as client:
            made = client.post(
                f"{MODELS}/{self.model}/versions",
                content=body,
                params={"why": f"slope {slope:g} {ATTACK}"},
                headers=content_digest(body),
            )
            assert made.status_code == 201, made.text
            run = client.get(made.headers["location"]).json()["run_id"]
        self.mlflow.log_metric(run, "rmse", rmse)
        self.mlflow.log_param(run, "note", f"{slope:g} {ATTACK}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def site(
    browser: Browser,  # first: without one there is nothing to do
    bootstrap_servers: str,
    tracking_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("page")
    world = World(bootstrap_servers, folder)
    model = f"page-{uuid.uuid4().hex[:8]}"
    world.environment |= {
        **database_in(folder),
        "MLFLOW_TRACKING_URI": tracking_uri,
        "DS_MODELS_MODEL__NAME": model,
        "DS_MODELS_RECONCILER__EVERY_S": "0.5",
    }
    tokens = {role: token(world.environment, role.value, role) for role in Role}
    service = RegistryService(world.environment, folder)
    site = Site(world, folder, service, tokens, model)
    try:
        site.upload(1.0, rmse=3.5)
        site.upload(2.0, rmse=1.25)
        settings = read(world.environment)
        announcing.announce_version(settings, model, "1", check=False, why=f"first {ATTACK}")
        send_what_is_hostile(world)
        yield site
    finally:
        site.service.kill()


def send_what_is_hostile(world: World) -> None:
    """An instance with a bad name that was killed, and two dead letters."""
    topics = world.settings.topics
    name = f"host {ATTACK}"
    report = Report(name, "", "", 0, 1, "holding", f"waits {ATTACK}", 0, None, [], {0: 3})
    world.producer.produce(topics.status, status.encode(report), name.encode())
    for number in range(2):
        rejection = Rejection(Reason.MISSING_FIELD, f"id {ATTACK}")
        key, value, headers = dead_letters.encode(
            DeadLetter(b"k", b"{}", topics.records, 0, number, rejection)
        )
        world.producer.produce(topics.dead_letters, value, key, headers=headers)
    assert world.producer.flush(30) == 0


def assert_harmless(page: Page, faults: Faults, *refused: int) -> None:
    assert faults.beside(*refused) == []
    assert page.evaluate("window.violations") == []
    assert page.evaluate("window.hacked ?? null") is None
    assert page.locator("main img, dialog img").count() == 0


def test_a_token_is_asked_for_and_one_that_is_wrong_is_explained(
    browser: Browser, site: Site
) -> None:
    with new_page(browser) as (page, faults):
        page.goto(site.service.address)
        expect(page.get_by_label("Token")).to_be_focused()
        for wrong, why in (("admin.no", "there is no such token"), ("ü", "it has signs")):
            page.keyboard.type(wrong)
            page.keyboard.press("Enter")
            expect(page.locator("#token-wrong")).to_contain_text(f"That token is not taken: {why}")
            expect(page.get_by_label("Token")).to_have_attribute("aria-invalid", "true")
        page.keyboard.type(site.tokens[Role.READER])
        page.keyboard.press("Enter")
        expect(page.locator("#who")).to_have_text("reader (reader)")
        assert page.evaluate("Object.keys(localStorage)") == []
        assert site.tokens[Role.READER] not in page.url
        assert_harmless(page, faults, 401)
        page.get_by_role("button", name="Forget the token").click()
        expect(page.get_by_label("Token")).to_be_visible()
        assert page.evaluate("Object.keys(sessionStorage)") == []


def test_all_is_shown_as_text_whatever_it_holds(browser: Browser, site: Site) -> None:
    site.bring("1")
    with site.page(browser, Role.READER) as (page, faults):
        expect(page.locator("#now .number")).to_have_text("Version 1")
        expect(page.locator("#plans")).to_contain_text(f"first {ATTACK}")
        expect(page.locator("#instances")).to_contain_text(f"host {ATTACK}")
        expect(page.locator("#instances")).to_contain_text(f"waits {ATTACK}")
        expect(page.locator("#versions")).to_contain_text(f"slope 2 {ATTACK}")
        expect(page.locator("#letters")).to_contain_text("missing_field")
        expect(page.locator("#letters .reasons .figure")).to_have_text("2")
        expect(page.locator("#versions")).to_contain_text("▼ −2.25")
        page.get_by_role("button", name="Compare version 2 with the one in force").click()
        expect(page.locator("#compared-2")).to_contain_text(f"2 {ATTACK}")
        assert_harmless(page, faults, 401)


def test_whoever_may_only_look_sees_no_button_that_acts(browser: Browser, site: Site) -> None:
    site.bring("1")
    with site.page(browser, Role.READER) as (page, _):
        expect(page.get_by_role("button", name="Compare version 2")).to_be_visible()
        assert page.get_by_role("button", name=re.compile("Promote|Roll back")).count() == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_each_control_has_a_name_and_nothing_is_wider_than_the_screen(
    browser: Browser, site: Site, width: int
) -> None:
    site.bring("1")
    with site.page(browser, Role.PROMOTER, width) as (page, _):
        page.get_by_role("button", name="Compare version 2").click()
        page.get_by_role("button", name="Promote version 2").click()
        controls = page.locator("button:visible, input:visible, a, dialog")
        for number in range(controls.count()):
            control = controls.nth(number)
            assert re.search(r'^- [\w-]+ "[^"]+"', control.aria_snapshot()), control.inner_html()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Promote version 2")).to_be_focused()


def test_a_service_that_is_gone_is_said_and_so_is_its_return(browser: Browser, site: Site) -> None:
    site.bring("1")
    with site.page(browser, Role.READER) as (page, faults):
        site.service.kill()
        banner = page.locator("#banner")
        expect(banner).to_contain_text(re.compile(r"Not connected since \d\d:\d\d:\d\dZ"))
        expect(page.locator("#now .number")).to_have_text("Version 1")
        site.restart()
        expect(banner).to_be_hidden()
        expect(page.locator("#connection")).to_have_text("live")
        refused = [text for text in faults.beside(401) if "ERR_CONNECTION" not in text]
        assert refused == []


# --- what it does ---


@pytest.fixture(scope="module")
def fleet(site: Site) -> Iterator[list[Instance]]:
    """Two instances that serve; the service puts in force whatever the alias names."""
    environment = site.world.environment
    with ExitStack() as running:
        found = [
            running.enter_context(
                Instance(environment, site.folder / f"{name}.log", "app", ("run",))
            )
            for name in ("a", "b")
        ]
        for instance in found:
            instance.wait_for_event("model.loaded", timeout_s=120)
        yield found


def versions_served(site: Site) -> list[str | None]:
    with site.service.client(site.tokens[Role.READER]) as client:
        found = client.get("/api/v1/instances").json()["instances"]
    return [(one["in_force"] or {}).get("version") for one in found if one["live"]]


def test_by_keyboard_alone_a_version_is_promoted_and_the_fleet_is_seen_to_turn(
    browser: Browser, site: Site, fleet: list[Instance]
) -> None:
    site.bring("1")
    with site.page(browser, Role.PROMOTER) as (page, faults):
        expect(page.locator("#now .sentence")).to_have_text("2 of 2 live instances serve it.")
        button = page.get_by_role("button", name="Promote version 2")
        expect(button).to_be_visible()
        for _ in range(20):
            page.keyboard.press("Tab")
            if button.evaluate("button => button === document.activeElement"):
                break
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Promote version 2")
        expect(dialog).to_contain_text("The 2 live instances load it")
        page.keyboard.press("Enter")  # without a reason nothing is sent
        expect(dialog.get_by_label("Why")).to_be_focused()
        page.keyboard.type(f"better {ATTACK}")
        page.keyboard.press("Enter")
        expect(page.locator("#turn")).to_have_attribute("data-tone", "good", timeout=120_000)
        expect(page.locator("#turn")).to_contain_text("Version 2 is in force")
        expect(page.locator("#steps .badge")).to_have_text(["serves 2", "serves 2"])
        assert versions_served(site) == ["2", "2"]
        page.keyboard.press("Enter")
        expect(page.locator("#now .number")).to_have_text("Version 2")
        expect(page.locator("#now .why")).to_contain_text(f"better {ATTACK}")
        assert_harmless(page, faults, 401)


def test_it_is_rolled_back_by_two_clicks_and_a_reason(
    browser: Browser, site: Site, fleet: list[Instance]
) -> None:
    site.bring("2")
    with site.page(browser, Role.PROMOTER) as (page, faults):
        page.get_by_role("button", name="Roll back to version 1").click()
        page.get_by_label("Why").fill("it was not better")
        page.get_by_role("button", name="Roll back", exact=True).click()
        expect(page.locator("#turn")).to_contain_text("Version 1 is in force", timeout=120_000)
        assert versions_served(site) == ["1", "1"]
        page.get_by_role("button", name="Close").click()
        expect(page.locator("#plans li").first).to_contain_text("it was not better")
        assert_harmless(page, faults, 401)


def test_a_refusal_is_told_with_what_to_do(
    browser: Browser, site: Site, fleet: list[Instance]
) -> None:
    """The role became smaller while the page was open."""
    site.bring("1")
    with site.page(browser, Role.PROMOTER) as (page, _):
        page.evaluate(
            "text => sessionStorage.setItem('ds-models.token', text)", site.tokens[Role.READER]
        )
        page.get_by_role("button", name="Promote version 2").click()
        page.get_by_label("Why").fill("because")
        page.get_by_role("dialog").get_by_role("button", name="Promote version 2").click()
        wrong = page.get_by_role("dialog").get_by_role("alert")
        expect(wrong).to_contain_text("this needs the role promoter")
        expect(wrong).to_contain_text("Ask for a token with the role promoter.")


def test_a_version_that_is_given_up_is_told_with_the_reason(browser: Browser, site: Site) -> None:
    plans = [
        {"offset": 0, "status": "in force", "version": "1"},
        {"offset": 1, "status": "was staged", "version": "2"},
        {"offset": 2, "status": "unstaged", "unstages": 1, "why": "b can't load it"},
    ]
    ask = """async ([plans, wanted, offset]) => {
      const facts = await import("/assets/facts.js");
      const seen = { plans, instances: [], model: { aliases: { champion: wanted } } };
      seen.me = { alias: "champion" };
      return facts.turning({ version: "2", offset }, seen).end?.text ?? null;
    }"""
    with new_page(browser) as (page, _):
        page.goto(site.service.address)
        for wanted, offset, told in (
            ("2", 0, "Version 2 was given up: b can't load it"),
            ("2", 2, None),  # that was before: it is tried again
            ("3", 0, "The alias champion was moved on to version 3."),
        ):
            assert page.evaluate(ask, [plans, wanted, offset]) == told


def test_older_versions_are_on_the_next_page(browser: Browser, site: Site) -> None:
    first = site.mlflow.get_model_version(site.model, "1")
    for _ in range(9):
        site.mlflow.create_model_version(site.model, str(first.source), first.run_id)
    with site.page(browser, Role.READER) as (page, faults):
        numbers = page.locator('#versions tbody th[scope="row"]')
        expect(numbers).to_have_count(10)
        expect(numbers.first).to_contain_text("Version 11")
        page.get_by_role("button", name="Older").click()
        expect(numbers).to_have_count(1)
        expect(numbers).to_contain_text("Version 1")
        expect(page.get_by_role("button", name="Older")).to_be_disabled()
        page.get_by_role("button", name="Newer").click()
        expect(numbers).to_have_count(10)
        assert_harmless(page, faults, 401)
