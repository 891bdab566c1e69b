"""Alerts and dashboard: each names metrics, labels and values that exist, and each has its page."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infrastructure" / "monitoring"
PAGES = ROOT / "docs" / "alerts"
METRICS = (ROOT / "docs" / "metrics.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0][
    "rules"
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
ADDED_BY_PROMETHEUS = {"job", "instance", "worker"}


def documented() -> dict[str, dict[str, set[str]]]:
    """Return the labels of each series, with the values that are documented for it."""
    found: dict[str, dict[str, set[str]]] = {}
    rows = re.findall(r"^\| `(ds_models_\w+)` \| (\w+) \| (.*?) \|", METRICS, re.MULTILINE)
    for name, kind, text in rows:
        labels = {
            label: set(re.findall(r"`(\w+)`", values))
            for label, values in re.findall(r"`(\w+)`(?: \((.*?)\))?", text)
        }
        if kind == "histogram":
            found |= {f"{name}_{part}": labels for part in ("sum", "count")}
            found[f"{name}_bucket"] = {**labels, "le": set()}
        else:
            found[name] = labels
    return found


SERIES = documented()


def parse(expression: str) -> Any:
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[Any]:
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in panels():
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_names_only_what_exists(expression: str) -> None:
    selectors: list[Any] = []
    groupings: list[str] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            groupings.extend(node.modifier.labels)

    promql_parser.walk(parse(expression), visit)
    assert selectors
    known: set[str] = set(ADDED_BY_PROMETHEUS)
    for selector in selectors:
        if selector.name.startswith("process_"):  # of Prometheus' client for Python
            continue
        labels = SERIES[selector.name]
        known |= set(labels)
        for matcher in selector.matchers.matchers:
            if matcher.name == "job":
                continue
            assert matcher.value in labels[matcher.name], (selector.name, matcher.name)
    assert set(groupings) <= known


def test_every_documented_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    text = (FOLDER / "alerts.yml").read_text() + (FOLDER / "dashboard.json").read_text()
    names = {re.sub(r"_(sum|count|bucket)$", "", name) for name in SERIES}
    assert {name for name in names if name not in text} == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_page_that_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    kebab = re.sub(r"(?<=.)([A-Z])", r"-\1", rule["alert"]).lower()
    assert rule["annotations"]["runbook"] == f"docs/alerts/{kebab}.md"
    text = (PAGES / f"{kebab}.md").read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Look", "Do"]
    assert rule["labels"]["severity"] in {"warning", "critical"}


def test_there_is_no_page_without_its_alert() -> None:
    named = {Path(rule["annotations"]["runbook"]).name for rule in RULES}
    assert {page.name for page in PAGES.glob("*.md")} == named


def test_no_two_panels_share_a_number_or_a_place() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_asks_the_chosen_prometheus_for_the_chosen_application() -> None:
    for panel in panels():
        assert panel["description"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert 'job="$job"' in target["expr"], panel["title"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the path")
def test_each_alert_fires_when_it_should_and_not_when_all_is_well() -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", str(FOLDER / "alerts_test.yml")],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_where_it_fires_and_one_where_it_does_not() -> None:
    cases = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    quiet, loud = ({one["alertname"]: one for one in case["alert_rule_test"]} for case in cases)
    names = {rule["alert"] for rule in RULES}
    assert set(quiet) == set(loud) == names
    assert not any(one["exp_alerts"] for one in quiet.values())
    assert all(one["exp_alerts"] for one in loud.values())
