"""No page needs a script or style of its own text: everything works under the policy that the server sends."""

import re

import pytest
from playwright.sync_api import expect

expect.set_options(timeout=60_000)

ADMIN_PAGES = [
    "/admin/",
    "/admin/environments/environment/",
    "/admin/environments/environment/add/",
    "/admin/environments/camera/",
    "/admin/environments/calibration/add/",
    "/admin/environments/zone/add/",
    "/admin/tracking/trackingsession/",
    "/admin/tracking/trackpoint/",
    "/admin/accounts/user/add/",
    "/admin/accounts/auditentry/",
]


def test_every_page_forbids_scripts_of_its_own_text(page):
    answer = page.goto("/accounts/login/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("address", ADMIN_PAGES)
def test_admin_pages_keep_to_the_policy(page, sign_in, address):
    sign_in(page)
    assert page.goto(address).status == 200
    expect(page.locator("#content")).to_be_visible()


def test_description_is_shown_and_tried_from_here_alone(page, sign_in):
    elsewhere = []
    page.on("request", lambda request: elsewhere.append(request.url))
    sign_in(page)
    page.goto("/api/docs/")
    expect(page.locator(".opblock").first).to_be_visible()
    operation = page.locator("#operations-auth-auth_me_retrieve")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    assert [url for url in elsewhere if not re.match(r"(http://127\.0\.0\.1:|data:|blob:)", url)] == []


def test_interface_can_be_browsed(page, sign_in):
    sign_in(page)
    answer = page.goto("/api/v1/environments/")
    assert "text/html" in answer.headers["content-type"]
    expect(page.locator(".response-info")).to_contain_text('"slug": "plaza"')
    page.get_by_role("button", name="Filters").first.click()
    expect(page.locator("#filtersModal")).to_be_visible()
