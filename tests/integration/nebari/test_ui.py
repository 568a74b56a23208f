"""The UI at https://DOMAIN/mlflow, through Traefik and behind the login, as programs and as a browser see it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from nebari_mlflow import names
from tests.support import run_pod

from .edge.browser import chromium
from .edge.traefik import Edge, edge
from .support import HERE, Project

pytestmark = pytest.mark.cluster

DOMAIN = "nebari.example.org"
TEXT = "Trained on Nebari."
SEARCH = "experiments/search?max_results=10"


@dataclass(frozen=True)
class Site:
    """A project with a run in it, and a browser that has not logged in."""

    edge: Edge
    browser: Browser
    experiment: str
    run: str

    @property
    def run_page(self) -> str:
        """The address of the run's page, as the UI has it for training."""
        page = f"experiments/{self.experiment}/runs/{self.run}?workflowType=machine_learning"
        return f"{self.edge.address}/mlflow/#/{page}"


@dataclass
class Visitor:
    """Somebody who has logged in; what the browser asked for is kept."""

    context: BrowserContext
    page: Page
    asked: list[tuple[int, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def cookie(self) -> dict[str, str]:
        """The login as a header, for a program."""
        return {"Cookie": "; ".join(f"{item['name']}={item['value']}" for item in self.context.cookies())}


@pytest.fixture(scope="module")
def site(deployed: Project) -> Iterator[Site]:
    with ThreadPoolExecutor() as pool:
        logging = pool.submit(
            run_pod,
            deployed.namespace,
            "notebook-ui",
            (HERE / "edge/train.py").read_text(),
            TEXT,
            MLFLOW_TRACKING_URI=names.tracking_uri(deployed.name, deployed.namespace),
        )
        with edge(deployed.namespace, DOMAIN) as made, chromium(made) as browser:
            experiment, run = logging.result().split("logged ")[1].split()
            yield Site(made, browser, experiment, run)


@pytest.fixture(scope="module")
def visitor(site: Site) -> Iterator[Visitor]:
    """Log in the way a person does, from the address that Nebari shows."""
    context = site.browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    visitor = Visitor(context, context.new_page())
    context.on("response", lambda response: visitor.asked.append((response.status, response.url)))
    context.on("requestfailed", lambda request: visitor.failed.append(f"{request.failure} {request.url}"))
    log_in(visitor.page, site)
    yield visitor
    context.close()


def log_in(page: Page, site: Site) -> None:
    page.goto(f"{site.edge.address}/mlflow")
    expect(page).to_have_title("Log in to Nebari")
    page.get_by_label("Username").fill("ada")
    page.get_by_role("button", name="Sign In").click()
    expect(page).to_have_url(f"{site.edge.address}/mlflow/")


@pytest.fixture
def page(site: Site, visitor: Visitor) -> Iterator[Page]:
    """The visitor's page. Whatever a test does with it, the domain alone is asked, and gives all that is asked for."""
    visitor.asked.clear()
    visitor.failed.clear()
    yield visitor.page
    home = f"{site.edge.address}/mlflow/"
    none = f"{home}ajax-api/2.0/mlflow/users/current"  # there are no users without MLflow's own login
    assert visitor.asked
    assert [answer for answer in visitor.asked if not answer[1].startswith(home)] == []
    assert [answer for answer in visitor.asked if answer[0] >= 400 and answer[1] != none] == []
    assert [failure for failure in visitor.failed if "ERR_ABORTED" not in failure] == [], "but for pages that were left"


@pytest.mark.parametrize("cookie", ["", "_forward_auth=ada|0123"], ids=["no cookie", "a forged cookie"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/mlflow", None),
        ("/mlflow/", None),
        ("/mlflow/health", None),
        ("/mlflow/static-files/index.html", None),
        (f"/mlflow/api/2.0/mlflow/{SEARCH}", None),
        (f"/mlflow/ajax-api/2.0/mlflow/{SEARCH}", None),
        ("/mlflow/ajax-api/2.0/mlflow/runs/search", "{}"),
        ("/mlflow/api/2.0/mlflow/experiments/create", '{"name": "stolen"}'),
        ("/mlflow/graphql", "{}"),
        ("/mlflow/get-artifact?path=notes.txt&run_uuid={run}", None),
        ("/mlflow/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/notes.txt", None),
        ("/auth/../mlflow/health", None),
        ("//mlflow/health", None),
        ("/mlflow/%2e%2e/mlflow/health", None),
    ],
)
def test_nothing_answers_whoever_is_not_logged_in(site: Site, path: str, body: str | None, cookie: str) -> None:
    path = path.format(run=site.run, experiment=site.experiment)
    answer = site.edge.request(path, body, {"Cookie": cookie} if cookie else None)
    assert answer.status in (307, 400, 404), answer
    if path.startswith("/mlflow") and "%" not in path:
        assert answer.status == 307
        assert answer.location.startswith(f"{site.edge.address}/auth/login?")
        assert parse_qs(urlsplit(answer.location).query)["state"] == [f"{site.edge.address}{path}"]
    assert "OK" not in answer.body
    assert TEXT not in answer.body


@pytest.mark.parametrize("path", ["/mlflowx", "/mlflow-other/", "/mlflow.html", "/", "/hub/mlflow"])
def test_the_route_takes_no_address_but_its_own(site: Site, visitor: Visitor, path: str) -> None:
    for headers in ({}, visitor.cookie):
        answer = site.edge.request(path, headers=headers)
        assert (answer.status, answer.location) == (404, "")


def test_the_address_with_and_without_a_slash_is_the_same(site: Site, visitor: Visitor) -> None:
    for query in ("", "?a=b/c"):
        answer = site.edge.request(f"/mlflow{query}", headers=visitor.cookie)
        assert (answer.status, answer.location) == (302, f"{site.edge.address}/mlflow/{query}")
    assert "<title>MLflow</title>" in site.edge.request("/mlflow/", headers=visitor.cookie).body


@pytest.mark.parametrize(("origin", "status"), [(f"https://{DOMAIN}", 200), ("https://evil.example.org", 403)])
def test_only_the_pages_of_the_domain_may_write(site: Site, visitor: Visitor, origin: str, status: int) -> None:
    body = json.dumps({"run_id": site.run, "key": "origin", "value": "checked"})
    headers = {**visitor.cookie, "Origin": origin}
    assert site.edge.request("/mlflow/ajax-api/2.0/mlflow/runs/set-tag", body, headers).status == status


def test_browser_logs_in_and_gets_the_page_it_asked_for(site: Site) -> None:
    with site.browser.new_context(ignore_https_errors=True) as context:
        page = context.new_page()
        log_in(page, site)
        expect(page).to_have_title("MLflow")
        expect(page.get_by_role("link", name="churn")).to_be_visible()


def test_first_view_is_what_people_use(site: Site) -> None:
    """Telemetry is off, so the UI says nothing about it; the assistant stays closed until it is opened."""
    with site.browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        log_in(page, site)
        expect(page.get_by_role("link", name="churn")).to_be_visible()
        if "FIRST_VIEW" in os.environ:
            page.screenshot(path=os.environ["FIRST_VIEW"])
        expect(page.get_by_text(re.compile("telemetry|usage data", re.IGNORECASE))).to_have_count(0)
        expect(page.get_by_role("textbox", name=re.compile("ask", re.IGNORECASE))).to_have_count(0)
        page.goto(f"{site.edge.address}/mlflow/#/settings")
        expect(page.get_by_text("Enable telemetry")).to_be_visible()
        expect(page.get_by_text("Off", exact=True)).to_be_visible()


def test_the_experiment_lists_its_run(site: Site, page: Page) -> None:
    page.goto(f"{site.edge.address}/mlflow/#/experiments/{site.experiment}/runs?workflowType=machine_learning")
    page.locator(f"a[href$='{site.run}']").get_by_text("gradient-boosting").click()
    expect(page.get_by_role("heading", name="gradient-boosting")).to_be_visible()
    expect(page).to_have_url(re.compile(site.run))


def test_the_artifact_opens(site: Site, page: Page) -> None:
    page.goto(site.run_page)
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("notes.txt").first.click()
    expect(page.get_by_text(TEXT)).to_be_visible()


def test_the_chart_of_a_metric_is_drawn(site: Site, page: Page) -> None:
    page.goto(site.run_page)
    page.get_by_role("tab", name="Model metrics").click()
    lines = page.locator("svg path.js-line")
    expect(lines).not_to_have_count(0)
    for line in lines.all():
        assert len(re.findall("[ML]", line.get_attribute("d") or "")) > 20, "a line through the metric's steps"
    if "SCREENSHOT" in os.environ:  # SCREENSHOT=docs/images/ui.png makes the README's anew
        page.screenshot(path=os.environ["SCREENSHOT"])


def test_a_tag_is_edited_and_stays(site: Site, visitor: Visitor, page: Page) -> None:
    page.goto(site.run_page)
    page.get_by_role("button", name="Edit tags").click()
    dialog = page.get_by_role("dialog", name="Add/Edit tags")
    dialog.get_by_role("combobox").fill("stage")
    page.keyboard.press("Enter")
    dialog.get_by_label("Value").fill("production")
    dialog.get_by_role("button", name="Add tag").click()
    dialog.get_by_role("button", name="Save tags").click()
    expect(dialog).to_be_hidden()
    page.reload()
    expect(page.get_by_title("production")).to_be_visible()
    answer = site.edge.request(f"/mlflow/api/2.0/mlflow/runs/get?run_id={site.run}", headers=visitor.cookie)
    tags = {tag["key"]: tag["value"] for tag in json.loads(answer.body)["run"]["data"]["tags"]}
    assert tags["stage"] == "production"
