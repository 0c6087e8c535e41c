"""axe-core finds nothing serious on any page, dark or light; its script comes from a Python package."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)
SERIOUS = ("serious", "critical")


def follow_somebody(page: Page) -> None:
    expect(page.locator(".person-row .crop:not(.is-blank)").first).to_be_visible()
    page.locator(".person-row").first.click()
    page.locator(".event").first.wait_for()
    page.locator("#vitals-summary").click()
    expect(page.locator("#vitals td").first).to_be_visible()


def open_keys(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def see_somebody(page: Page) -> None:
    page.locator(".person-row").first.wait_for()


def see_figures(page: Page) -> None:
    page.locator("#cameras tr").first.wait_for()


def ask_for_a_time(page: Page) -> None:
    page.locator(".place-replay").first.click()


def nothing(page: Page) -> None:
    page.locator("main").wait_for()


PAGES: dict[str, tuple[str, str, Callable[[Page], None]]] = {
    "landing": ("anna", "/", ask_for_a_time),
    "landing without a place": ("nobody", "/", nothing),
    "live": ("anna", "/environments/hall/live/", follow_somebody),
    "keys": ("vera", "/environments/hall/live/", open_keys),
    "empty place": ("admin", "/environments/empty/live/", nothing),
    "replay": ("anna", "/environments/plaza/replay/", nothing),
    "system": ("admin", "/system/", see_figures),
    "not found": ("anna", "/no/such/page/", nothing),
}


@pytest.fixture(scope="module", autouse=True)
def _hall(stack):
    stack.start_feed()
    yield
    stack.stop("feed")


def complaints_of(page: Page) -> list[str]:
    """Give what axe finds serious, in a line each."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"][:3]
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_login_is_accessible(context, theme):
    context.add_init_script(f"localStorage.setItem('spoton-theme', '{theme}')")
    page = context.new_page()
    page.goto("/accounts/login/")
    assert complaints_of(page) == []
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert complaints_of(page) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(context, sign_in, name, theme):
    username, path, prepare = PAGES[name]
    context.add_init_script(f"localStorage.setItem('spoton-theme', '{theme}')")
    page = context.new_page()
    sign_in(page, username)
    page.goto(path)
    prepare(page)
    assert complaints_of(page) == []
