"""Replay from history, the system page and landing, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)


@pytest.fixture
def replay(page, sign_in):
    """Give the map of the hall as it was a minute after its history began."""
    sign_in(page, "vera")
    page.goto("/environments/hall/replay/?at=2026-05-04T12:01:00Z")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#people-count")).to_have_text("3")
    return page


def test_a_past_time_is_on_the_map_with_who_was_there(replay):
    expect(replay.locator("#time")).to_have_text(re.compile("^12:01:"))
    expect(replay.locator(".person-row .chip")).to_have_text(["501", "502", "503"])
    expect(replay.locator(".person-row .cell-since").first).to_have_text(re.compile("^1:"))
    expect(replay.locator(".event")).to_have_count(1)
    expect(replay.locator(".event")).to_contain_text("entered Court")


def test_replay_plays_jumps_and_is_asked_for_another_time(replay):
    before = replay.locator("#time").inner_text()
    replay.get_by_role("button", name="Play").click()
    expect(replay.locator("#time")).not_to_have_text(before)
    replay.get_by_role("button", name="Pause").click()
    replay.locator(".event time").click()
    expect(replay.locator("#time")).to_have_text("12:00:30")
    replay.get_by_role("button", name="Ten seconds on").click()
    expect(replay.locator("#time")).to_have_text("12:00:40")
    expect(replay).to_have_url(re.compile("at=2026-05-04T12%3A00%3A40"))

    replay.get_by_label("Date and time at this place").fill("2026-05-04T13:00:00")
    replay.get_by_role("button", name="Go").click()
    expect(replay.locator("#time")).to_have_text("13:00:00")
    expect(replay.locator("#people-count")).to_have_text("0")
    expect(replay.locator(".event")).to_have_count(0)


def test_replay_follows_who_is_clicked(replay):
    replay.locator(".person-row").nth(1).click()
    expect(replay.locator(".person-row").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(replay).to_have_url(re.compile("person=502"))


def test_landing_asks_for_a_past_time(page, sign_in):
    sign_in(page, "vera")
    page.get_by_role("button", name="Replay Hall from history").click()
    page.get_by_label("Hall as it was at (UTC)").fill("2026-05-04T12:00")
    page.locator(":popover-open").get_by_role("button", name="Replay").click()
    expect(page.locator("#people-count")).to_have_text("3")
    expect(page.locator("#time")).to_have_text(re.compile("^12:00:"))


def test_system_page_tells_how_everything_is_doing(page, sign_in, stack):
    stack.start_feed()
    sign_in(page)
    page.get_by_role("link", name="System").click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#workers tr", has_text="feed")).to_contain_text("hall")
    expect(page.locator("#sessions tr", has_text="hall")).to_contain_text("Tracking")
    expect(page.locator("#stages tr", has_text="hall")).to_contain_text("4.0 / 4.0")
    row = page.locator("#cameras tr", has=page.get_by_text("hall", exact=True)).first
    expect(row).to_contain_text("online")
    expect(row).to_contain_text("ms")
    expect(page.locator("#database")).to_have_text("answers")
    expect(page.locator("#version")).to_have_text(re.compile(r"\d+\.\d+"))
    stack.stop("feed")
    expect(page.locator("#stages tr", has_text="hall")).to_have_count(0)
