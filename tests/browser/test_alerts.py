"""Rules are made, tried and heard on a page; what the simulator's people do raises alerts."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_accessibility import complaints_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)
HERE = "/environments/plaza/alerts/"


@pytest.fixture(scope="module")
def celery(stack):
    """Run what raises alerts, and what sends e-mails and calls webhooks."""
    stack.start_worker()
    stack.start_celery()
    yield
    stack.stop("celery")
    stack.stop("worker")


@pytest.fixture
def alerts(page: Page, sign_in, celery) -> Page:
    """Give the page of the plaza's alerts."""
    sign_in(page)
    page.goto(HERE)
    return page


def make_rule(page: Page, name: str, *kinds: str) -> None:
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Name").fill(name)
    for kind in kinds:
        page.get_by_label(kind, exact=True).check()


def test_rule_is_made_tried_and_heard_at_once_without_reloading(alerts):
    make_rule(alerts, "Anybody", "somebody enters a zone", "somebody crosses a line", "somebody appears")
    alerts.get_by_label("Severity").select_option("critical")
    alerts.get_by_role("button", name="Save").click()

    rule = alerts.locator(".rule", has_text="Anybody")
    expect(rule).to_contain_text("When somebody appears, somebody enters a zone or somebody crosses a line")
    expect(rule).to_contain_text("then quiet for 1 minute")
    expect(rule).to_contain_text("Tells the page.")

    # people walk about: the list fills by itself
    alerts.evaluate("() => (window.untouched = true)")
    first = alerts.locator(".raised").first
    expect(first).to_contain_text("Anybody", timeout=180_000)
    assert alerts.evaluate("() => window.untouched")

    note = first.get_by_label("Note")
    note.fill("a cat")
    first.get_by_role("button", name="Acknowledge").click()
    alerts.get_by_role("link", name="All", exact=True).click()
    expect(alerts.locator(".raised-seen").first).to_contain_text("Seen to by admin")
    expect(alerts.locator(".raised-seen").first).to_contain_text("a cat")

    rule.get_by_role("button", name="Send a test").click()
    expect(rule.locator('.test [data-state="delivered"]')).to_contain_text(
        "Everybody who watches the page was told."
    )
    rule.get_by_role("link", name="Change").click()
    alerts.get_by_role("button", name="Delete this rule").click()
    expect(alerts.get_by_role("status").first).to_contain_text(
        "The rule “Anybody” is deleted; its alerts stay."
    )


def test_test_says_in_words_what_is_wrong(alerts, stack):
    alerts.get_by_role("link", name="New webhook").click()
    alerts.get_by_label("Name").fill("Desk")
    alerts.get_by_label("Address").fill("http://127.0.0.1:1/")
    alerts.get_by_role("button", name="Save").click()
    expect(alerts.locator(".field-error")).to_contain_text("is not where webhooks may be")
    alerts.get_by_label("Address").fill("http://no-such-host.invalid/")
    alerts.get_by_role("button", name="Save").click()
    secret = alerts.locator("#secret").inner_text()
    assert secret.startswith("whsec_")
    alerts.get_by_role("link", name="Done").click()
    expect(alerts.get_by_text("http://no-such-host.invalid/***")).to_be_visible()
    assert secret not in alerts.content()

    make_rule(alerts, "Bad luck", "a camera goes down")
    alerts.get_by_label("E-mail addresses").fill("guard@example.com")
    alerts.get_by_label("Desk").check()
    alerts.get_by_role("button", name="Save").click()
    rule = alerts.locator(".rule", has_text="Bad luck")
    rule.get_by_role("button", name="Send a test").click()
    expect(rule.locator('.test [data-state="failed"]')).to_have_count(2)
    expect(rule.locator(".test")).to_contain_text("There is no mail server: set EMAIL_URL.")
    expect(rule.locator(".test")).to_contain_text("It cannot be reached")


def test_form_says_where_something_is_missing(alerts):
    alerts.get_by_role("link", name="New rule").click()
    alerts.get_by_role("button", name="Save").click()
    expect(alerts.get_by_role("alert")).to_contain_text("Something is missing or does not fit")
    expect(alerts.get_by_label("Name")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", ["", "?show=all", "rules/new/", "webhooks/new/"])
def test_pages_are_accessible(context, sign_in, path, theme):
    context.add_init_script(f"localStorage.setItem('spoton-theme', '{theme}')")
    page = context.new_page()
    sign_in(page)
    page.goto(HERE + path)
    page.locator("main").wait_for()
    assert complaints_of(page) == []
