"""Who steers and who looks, in two browsers at once, over the real worker."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)
PLAZA = "/environments/plaza/live/"
# as in tabs that nobody looks at: steering needs no pictures, and three browsers' pictures are much for two processors
AWAY = "Object.defineProperty(document, 'hidden', { get: () => true })"


@pytest.fixture
def opened(browser, stack, sign_in):
    """Give a function that opens the plaza as somebody, in a browser of their own."""
    contexts: list[BrowserContext] = []
    stack.start_worker()

    def opened(username: str) -> Page:
        context = browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
        context.set_default_timeout(60_000)
        context.add_init_script(AWAY)
        contexts.append(context)
        page: Page = context.new_page()
        sign_in(page, username)
        page.goto(PLAZA)
        expect(page.locator("#session")).to_have_attribute("data-session", "running")
        return page

    yield opened
    for context in contexts:
        context.close()


def test_operators_see_each_others_actions_and_viewers_have_no_controls(opened):
    anna, olaf, vera = opened("anna"), opened("olaf"), opened("vera")
    expect(vera.locator("#session button, #session input, #session select")).to_have_count(0)
    expect(olaf.get_by_role("button", name="Pause tracking")).to_be_visible()
    expect(olaf.get_by_role("button", name="Go on tracking")).to_be_hidden()

    anna.get_by_role("button", name="Pause tracking").click()
    expect(olaf.locator(".toast")).to_have_text("anna paused tracking.")
    for page in (anna, olaf, vera):
        expect(page.locator("#session")).to_have_attribute("data-session", "paused")
        expect(page.locator("#notice [data-words]")).to_have_text("Tracking is paused.")

    olaf.get_by_role("button", name="Go on tracking").click()
    expect(anna.locator(".toast", has_text="olaf let tracking go on.")).to_be_visible()
    for page in (anna, olaf, vera):
        expect(page.locator("#session")).to_have_attribute("data-session", "running")


def test_tracking_is_stopped_and_started_again(opened):
    page = opened("anna")
    page.get_by_role("button", name="Stop tracking").click()
    expect(page.locator("#session")).to_have_attribute("data-session", "off")
    expect(page.locator("#notice [data-words]")).to_contain_text("Tracking is off")
    page.get_by_role("button", name="Start tracking").click()
    expect(page.locator("#session")).to_have_attribute("data-session", "running")
    expect(page.locator("#notice")).to_be_hidden()


def test_what_is_refused_is_said(opened, stack):
    page = opened("anna")
    page.route(
        "**/pause/",
        lambda route: route.fulfill(status=409, json={"error": {"code": "x", "message": "Not now."}}),
    )
    page.get_by_role("button", name="Pause tracking").click()
    expect(page.locator(".toast")).to_have_text("Not now.")
    expect(page.get_by_role("button", name="Pause tracking")).to_be_enabled()


def test_viewers_see_no_way_to_the_system(opened):
    vera = opened("vera")
    expect(vera.get_by_role("link", name="System")).to_have_count(0)
    assert vera.goto("/system/").status == 403
    expect(vera.get_by_role("heading", name="You may not do that")).to_be_visible()
