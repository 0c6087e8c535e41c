"""The pages in a real browser, over real processes, with the simulator's cameras."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)

# the share of a picture that is not its most frequent colour: 0 for an empty canvas
VARIETY = """canvas => {
  const {width, height} = canvas;
  if (!width || !height) return 0;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const counts = new Map();
  for (let i = 0; i < data.length; i += 64) {
    const colour = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return 1 - Math.max(...counts.values()) / (data.length / 64);
}"""


@pytest.fixture
def live(page: Page, sign_in, stack) -> Page:
    """Give the live page of the plaza, connected."""
    stack.start_worker()
    sign_in(page)
    page.goto("/environments/plaza/live/")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    return page


def wait_for_pictures(page: Page) -> None:
    for camera in ("c1", "c2", "c3", "c4"):
        expect(page.locator(f'.tile[data-camera="{camera}"] .tile-facts')).to_contain_text("fps")


def wait_for_people(page: Page) -> None:
    page.wait_for_function("() => Number(document.getElementById('people-count').textContent) > 0")


def test_wrong_password_gives_one_message(page, stack):
    page.goto("/environments/plaza/live/")
    expect(page).to_have_url(f"{stack.url}/accounts/login/?next=/environments/plaza/live/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()

    alert = page.get_by_role("alert")
    expect(alert).to_have_text("That user name and password do not match. Check both and try again.")
    expect(page.get_by_label("User name")).to_have_value("admin")

    page.get_by_label("Password").fill(stack.password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{stack.url}/environments/plaza/live/")


def test_landing_shows_the_place_alive_and_leads_to_it(page, sign_in, stack):
    stack.start_worker()
    sign_in(page)
    card = page.locator('a[href="/environments/plaza/live/"]')
    expect(card.locator("canvas.is-live")).to_have_count(4)
    expect(card.locator("[data-cameras-up]")).to_have_text("4")
    expect(card.locator("[data-people]")).to_have_text(re.compile(r"\d+"))
    card.click()
    expect(page).to_have_url(f"{stack.url}/environments/plaza/live/")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def test_pictures_arrive_with_rate_and_delay(live):
    wait_for_pictures(live)
    for canvas in live.locator(".tile canvas").all():
        assert canvas.evaluate(VARIETY) > 0.5
    expect(live.locator("#cameras-up")).to_have_text("4")
    expect(live.locator("[data-vital=p50]")).to_contain_text("ms")
    expect(live.locator("[data-vital=rate]")).to_have_text(re.compile(r"\d+"))
    expect(live.locator("#notice")).to_be_hidden()


def test_somebody_moves_on_the_map_and_is_followed(live):
    wait_for_people(live)
    assert live.locator(".map-people").last.evaluate(VARIETY) > 0.0005
    row = live.locator(".person-row").first
    number = row.locator(".chip").inner_text()
    row.click()
    expect(live.locator("#person [data-part=chip]")).to_have_text(number)
    expect(live.locator("#person [data-part=stop]")).to_be_visible()

    live.wait_for_function(
        """() => {
          window.places ??= new Set();
          document.querySelectorAll('[data-fact="fact.position"]').forEach((p) => places.add(p.textContent));
          return places.size >= 3;
        }"""
    )
    live.keyboard.press("Escape")
    expect(live.locator("#person [data-part=stop]")).to_be_hidden()


def test_map_shows_plan_views_zones_and_cameras(live):
    expect(live.locator("img.map-plan")).to_have_js_property("complete", True)
    assert live.locator("img.map-plan").evaluate("image => image.naturalWidth") > 0
    expect(live.locator(".map-camera")).to_have_count(4)
    expect(live.locator("path.map-view")).to_have_count(4)
    expect(live.locator("path.map-zone").first).to_be_visible()
    live.get_by_role("button", name="Cameras and what they see").click()
    expect(live.locator("path.map-view")).to_have_count(0)


def test_one_camera_by_tab_and_back_by_keyboard(live):
    wait_for_pictures(live)
    live.get_by_role("button", name="c2", exact=True).click()
    expect(live.locator(".tile:visible")).to_have_count(1)
    expect(live.locator(".tile:visible")).to_have_attribute("data-camera", "c2")
    expect(live.locator(".tile:visible .tile-facts")).to_contain_text("quality")
    live.keyboard.press("Escape")
    expect(live.locator(".tile:visible")).to_have_count(4)


def test_page_says_that_the_server_is_gone_and_recovers(live, stack, complaints):
    wait_for_pictures(live)
    stack.stop("web")
    expect(live.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    expect(live.locator("#connection [data-words]")).to_contain_text("Reconnecting")
    expect(live.locator("#notice [data-words]")).to_have_text(
        "The connection to the server is lost. What you see is old."
    )
    expect(live.get_by_role("button", name="Try now")).to_be_visible()

    stack.start_web()
    expect(live.locator("#connection")).to_have_attribute("data-state", "live")
    expect(live.locator("#notice")).to_be_hidden()
    live.evaluate(
        "() => document.querySelectorAll('.tile-facts').forEach((facts) => (facts.textContent = ''))"
    )
    wait_for_pictures(live)
    assert all("WebSocket connection to" in complaint for complaint in complaints), complaints
    complaints.clear()


def test_page_says_that_redis_is_away_and_recovers(live, stack):
    wait_for_pictures(live)
    stack.stop_redis()
    expect(live.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    expect(live.locator("#notice [data-words]")).to_contain_text(
        "The live service is out of order for the moment."
    )

    stack.start_redis()
    expect(live.locator("#connection")).to_have_attribute("data-state", "live")
    expect(live.locator("#notice")).to_be_hidden()
    live.evaluate(
        "() => document.querySelectorAll('.tile-facts').forEach((facts) => (facts.textContent = ''))"
    )
    wait_for_pictures(live)


def test_page_says_when_the_login_has_ended(live):
    other = live.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Sign out").click()
    expect(live.locator("#connection")).to_have_attribute("data-state", "signed-out")
    expect(live.locator("#notice").get_by_role("link", name="Sign in")).to_have_attribute(
        "href", "/accounts/login/?next=/environments/plaza/live/"
    )


SENT = """
  window.sent = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    window.sent.push(JSON.parse(text));
    return send.call(this, text);
  };
"""
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_hidden_tab_asks_for_no_pictures(page, sign_in, stack):
    page.add_init_script(SENT)
    stack.start_worker()
    sign_in(page)
    page.goto("/environments/plaza/live/")
    wait_for_pictures(page)

    page.evaluate(HIDE, True)
    unsubscribed = page.wait_for_function("() => window.sent.find(({type}) => type === 'unsubscribe')")
    assert sorted(unsubscribed.json_value()["cameras"]) == ["c1", "c2", "c3", "c4"]

    page.evaluate("() => (window.sent.length = 0)")
    page.evaluate(HIDE, False)
    page.wait_for_function("() => window.sent.some(({type}) => type === 'subscribe')")
    page.wait_for_function("() => window.sent.some(({type}) => type === 'ack')")


def test_theme_is_dark_until_chosen(page):
    page.emulate_media(color_scheme="light")
    page.goto("/accounts/login/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_theme_toggle_outlives_the_page(live):
    before = live.locator("html").get_attribute("data-theme")
    live.get_by_role("button", name="Switch between dark and light").click()
    expect(live.locator("html")).not_to_have_attribute("data-theme", before)
    live.reload()
    expect(live.locator("html")).not_to_have_attribute("data-theme", before)


def test_unknown_environment_is_friendly(page, sign_in, complaints):
    sign_in(page)
    page.goto("/environments/no-such-place/live/")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    page.get_by_role("link", name="All environments", exact=True).click()
    expect(page.get_by_role("heading", name="Beyond watching")).to_be_visible()
    assert all("404" in complaint for complaint in complaints), complaints
    complaints.clear()
