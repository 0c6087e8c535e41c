"""The live page over a feed whose truth is known: how soon, how smoothly and for how long it shows it."""

import re
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from gpuworker.pipeline.prediction import predict_paths
from gpuworker.pipeline.values import People
from tests.browser import feed
from tests.servers import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)
HALL = "/environments/hall/live/"

ALL_LIVE = """(count) => {
  const tiles = [...document.querySelectorAll(".tile")];
  const isLive = tiles.length === count && tiles.every((tile) => tile.querySelector(".tile-count b").textContent !== "\\u2013");
  return isLive && Number(document.getElementById("map").dataset.people) > 0 ? performance.now() : false;
}"""


@pytest.fixture(scope="module", autouse=True)
def _end(stack):
    yield
    if "feed" in stack.processes:
        stack.stop("feed")


@pytest.fixture
def hall(page: Page, sign_in, stack):
    """Give a function that starts a feed and opens the hall's page, signed in."""

    def hall(username: str = "admin", *, tiles: int = 4, **options: int) -> Page:
        if "worker" in stack.processes:  # two processors are for what is measured here
            stack.stop("worker")
        stack.start_feed(**options)
        sign_in(page, username)
        page.goto(HALL)
        page.wait_for_function(ALL_LIVE, arg=tiles)
        return page

    return hall


def test_all_tiles_and_the_map_are_live_within_three_seconds(hall):
    page = hall()  # the feed runs by now
    page.goto("/")
    page.goto(HALL)
    took_ms = page.wait_for_function(ALL_LIVE, arg=4, polling=50).json_value()  # since the navigation began
    assert took_ms < 3000
    expect(page.locator("#notice")).to_be_hidden()


def test_tiles_say_how_many_people_they_show(hall):
    page = hall()
    counts = [int(text) for text in page.locator(".tile-count b").all_inner_texts()]
    assert counts == [3, 3, 3, 3]
    expect(page.locator("#people-count")).to_have_text("12")
    bars = page.locator("#counts [data-camera] .bar-count")
    expect(bars).to_have_text(["3"] * 4)


ENTRIES = """() => {
  window.entries = [];
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const row of addedNodes) {
      const isEntry = row.dataset?.kind === "zone_enter" && row.dataset.person === "1";
      if (isEntry) window.entries.push([Date.now() / 1000, row.textContent]);
    }
  }).observe(document.getElementById("events"), { childList: true });
}"""


def test_a_zone_event_is_in_the_feed_within_a_second_of_the_crossing(hall):
    page = hall()
    began_s = time.time()
    page.evaluate(ENTRIES)
    page.wait_for_function("() => window.entries.length >= 2")
    told = page.evaluate("() => window.entries")
    for shown_s, words in told:
        true_s = max(feed.entries_s(began_s - 5, shown_s))
        assert 0 <= shown_s - true_s < 1.0
        assert "entered Court" in words


def test_a_person_stands_out_everywhere_and_is_followed(hall):
    page = hall()
    row = page.locator(".person-row", has=page.get_by_text("1", exact=True)).first
    expect(row.locator(".cell-cameras")).to_have_text("c1")
    row.hover()
    expect(row).to_have_class("person-row is-marked")
    row.click()
    expect(page.locator("#person [data-part=chip]")).to_have_text("1")
    expect(page.locator('.tile[data-camera="c1"]')).to_have_class("tile has-followed")
    expect(page).to_have_url(re.compile("person=1$"))
    expect(page.locator('[data-fact="fact.speed"]')).to_have_text("1.5 m/s")
    page.wait_for_function("() => document.querySelectorAll('[data-part=rows] tr').length >= 3")
    # the same colour in the list, on the card and, as the page draws it, in the picture
    colours = page.locator(".chip", has_text="1").evaluate_all(
        "chips => [...new Set(chips.filter((c) => c.textContent === '1').map((c) => getComputedStyle(c).backgroundColor))]"
    )
    assert len(colours) == 1

    page.reload()
    expect(page.locator("#person [data-part=chip]")).to_have_text("1")
    page.keyboard.press("Escape")
    expect(page.locator("#person [data-part=stop]")).to_be_hidden()


def test_the_camera_shown_large_changes_with_the_followed_person(hall, stack):
    page = hall()
    page.keyboard.press("2")
    expect(page.locator(".tile:visible")).to_have_attribute("data-camera", "c2")
    expect(page.locator("#strip .strip-person .chip")).to_have_text(["2", "6", "10"])
    page.get_by_role("button", name="Switch cameras along with the person").click()
    page.locator(".person-row").first.click()  # person 1, whom c1 alone sees
    expect(page.locator(".tile:visible")).to_have_attribute("data-camera", "c1")


def test_people_are_sorted_and_filtered(hall):
    page = hall()
    expect(page.locator(".person-row")).to_have_count(12)
    page.get_by_label("Order of people").select_option("fastest")
    speeds = [float(text.split()[0]) for text in page.locator(".cell-speed").all_inner_texts()]
    assert speeds == sorted(speeds, reverse=True)
    page.get_by_label("Show only people with this number, zone or camera").fill("c2")
    expect(page.locator(".person-row")).to_have_count(3)
    page.get_by_label("Show only people with this number, zone or camera").fill("no such thing")
    expect(page.locator("#people-empty")).to_have_text("Nobody fits this filter.")


def test_crops_show_who_is_listed(hall):
    page = hall()
    expect(page.locator(".person-row .crop:not(.is-blank)")).to_have_count(12)
    for number in (1, 2, 6, 11):
        crop = page.locator(".person-row").nth(number - 1).locator(".crop")
        blue, green, red = number * 53 % 200 + 50, number * 97 % 200 + 50, 200
        seen = crop.evaluate(
            "c => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
        )
        assert max(abs(a - b) for a, b in zip(seen, (red, green, blue), strict=False)) < 40


def test_feed_is_filtered(hall):
    page = hall()
    expect(page.locator('.event[data-kind="zone_enter"]').first).to_be_visible()
    page.get_by_label("Which events").select_option("cameras")
    expect(page.locator(".event:visible")).to_have_count(0)
    expect(page.locator("#events-empty")).to_be_visible()
    page.get_by_label("Which events").select_option("zones")
    expect(page.locator('.event[data-kind="zone_enter"]').first).to_be_visible()


def test_areas_and_lines_are_counted_on_the_map(hall):
    page = hall()
    labels = page.locator(".map-zone-label")
    expect(labels.filter(has_text="Court")).to_have_text(re.compile(r"Court \d+/3"))
    expect(labels.filter(has_text="Door")).to_have_text(re.compile(r"Door \d+ ⇄ \d+"))
    row = page.locator('#counts [data-zone="court"] .bar-count')
    expect(row).to_have_text(re.compile(r"\d+/3"))
    # person 1 crosses the door's line now and then
    page.wait_for_function(
        "() => /[1-9]/.test(document.querySelector('#counts [data-line=door] .bar-count').textContent)"
    )


def test_sixteen_cameras_are_side_by_side(hall, stack):
    enable = "from environments.models import Camera; Camera.objects.filter(environment__slug='hall', position__gte=4)"
    stack.manage("shell", "-c", f"{enable}.update(enabled=True)")
    try:
        page = hall(cameras=16, fps=5, tiles=16)
        expect(page.locator(".tile:visible")).to_have_count(16)
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".tile:visible")).to_have_attribute("data-camera", "c16")
    finally:
        stack.manage("shell", "-c", f"{enable}.update(enabled=False)")


def test_cameras_fill_the_screen(hall):
    page = hall()
    page.get_by_role("button", name="Cameras on the whole screen").click()
    page.wait_for_function("() => document.fullscreenElement?.id === 'cameras'")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")


def test_letters_can_be_switched_off(hall):
    page = hall()
    page.keyboard.press("?")
    page.get_by_label("Letters and digits work as keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("3")
    expect(page.locator(".tile:visible")).to_have_count(4)


def test_predicted_path_is_the_workers(hall):
    page = hall()
    person = {"x_m": 1.0, "y_m": 2.0, "vx_mps": 1.2, "vy_mps": -0.4}
    path = page.evaluate(
        """async (person) => {
          const { predictPath, HORIZONS_S } = await import("/static/tracking/live/predict.js");
          return [HORIZONS_S, predictPath(person)];
        }""",
        person,
    )
    horizons_s, places = path
    people = People(
        at=datetime.now(UTC),
        track=np.array([1]),
        person=np.array([1]),
        state=np.array([list(person.values())]),
        covariance=np.eye(4)[None],
        height_m=np.array([1.75]),
        confidence=np.array([0.9]),
        cameras=(("c1",),),
    )
    expected, _ = predict_paths(people, horizons_s)
    assert np.allclose(expected[0], places, atol=1e-9)


DRAW = """async () => {
  const { FloorMap } = await import("/static/tracking/live/map.js");
  const { Selection } = await import("/static/tracking/live/selection.js");
  const element = document.createElement("div");
  element.style.cssText = "position: fixed; inset: 0; width: 1200px; height: 800px";
  document.body.append(element);
  const floor = new FloorMap(element, new Selection());
  floor.setPlace({ cameras: [], zones: [], map: { image_url: "/favicon", width_px: 640, height_px: 360, metres_per_px: 0.05, origin_px: [0, 360] } });
  for (const layer of ["uncertainty", "paths"]) floor.show(layer, true);
  const people = (tick) => Array.from({ length: 200 }, (_, index) => {
    const angle = index + tick / 10;
    return {
      person: index + 1, track: index + 1, x_m: 16 + 14 * Math.cos(angle) * ((index % 9) + 1) / 9, y_m: 9 + 8 * Math.sin(angle),
      vx_mps: -Math.sin(angle), vy_mps: Math.cos(angle), std_m: 0.2, cov_m2: [0.04, 0.01, 0.03], cameras: ["c1"],
    };
  });
  for (let tick = 0; tick < 200; tick += 1) floor.setPositions(people(tick), 1e12 + tick * 100);
  const context = floor.canvas.getContext("2d");
  const view = { scale: 40, pixel: ([x, y]) => [x * 37.5, 800 - y * 37.5] };
  window.draw = (frames) => {
    for (let frame = 0; frame < frames; frame += 1) {
      context.clearRect(0, 0, 1200, 800);
      floor.walkers.draw(context, view, performance.now());
      // trails are drawn when positions arrive, ten times a second: every sixth frame
      if (frame % 6 === 0) floor.walkers.drawTrails(floor.trails.getContext("2d"), view, performance.now());
    }
  };
  window.draw(30);
}"""


def test_two_hundred_people_are_drawn_in_a_third_of_a_frame(hall):
    page = hall()
    page.evaluate(DRAW.replace('"/favicon"', '"/static/spoton/favicon.svg"'))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # others may use the processor too

    def spent_s() -> float:
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    before_s = spent_s()
    page.evaluate("() => window.draw(120)")
    ms_a_frame = 1000 * (spent_s() - before_s) / 120
    assert ms_a_frame < 16.7 / 3


GROWTH = ("JSHeapUsedSize", "Nodes", "JSEventListeners", "Documents")


def measured(page: Page, session) -> dict[str, float]:
    session.send("HeapProfiler.collectGarbage")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return {name: metrics[name] for name in GROWTH}


def test_memory_of_an_open_page_does_not_grow_with_who_comes_and_goes(hall):
    page = hall(people=20, churn_s=1, fps=10)  # nineteen newcomers a second
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.wait_for_timeout(25_000)  # until everything that is kept for a while is full
    before = measured(page, session)
    page.wait_for_timeout(20_000)
    after = measured(page, session)
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 2_000_000
    assert after["Nodes"] - before["Nodes"] < 500
    assert after["JSEventListeners"] - before["JSEventListeners"] < 200
    assert after["Documents"] == before["Documents"]


def test_page_says_that_nothing_is_heard_and_recovers(hall, stack):
    page = hall()
    stack.kill("feed")
    expect(page.locator("#notice [data-words]")).to_contain_text("The worker has sent nothing for")
    expect(page.locator(".tile-cover").first).to_contain_text("No picture for")
    stack.start_feed()
    expect(page.locator("#notice")).to_be_hidden()
    page.wait_for_function("() => document.querySelectorAll('.tile-cover:not([hidden])').length === 0")


def test_page_recovers_when_redis_is_killed_and_says_so(hall, stack):
    page = hall()
    stack.stop_redis()
    expect(page.locator("#connection")).to_have_attribute("data-state", "reconnecting")
    expect(page.locator("#notice [data-words]")).to_contain_text("The live service is out of order")
    stack.start_redis()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#notice")).to_be_hidden()
    at = page.evaluate("() => document.getElementById('people').textContent")
    wait_for(lambda: page.evaluate("() => document.getElementById('people').textContent") != at, timeout_s=60)
