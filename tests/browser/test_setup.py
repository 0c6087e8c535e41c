"""A place is set up by clicks, from nothing to people on its map, while the worker runs."""

import io
import re
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gpuworker.sources.sim.scene import plaza
from tests import servers
from tests.environments.test_pictures import png_claiming

pytestmark = [pytest.mark.browser, pytest.mark.slow]
expect.set_options(timeout=60_000)

SITE = plaza()
CAMERA = SITE.cameras[1]  # c2
PLACES = [(2, 2), (14, 4), (4, 12), (12, 12), (8, 6), (6, 2), (10, 10)]
MOST_S = 120.0
TRACKED_S = 90.0


@pytest.fixture(scope="module")
def celery(stack):
    stack.start_worker()
    stack.start_celery()
    yield
    stack.stop("celery")
    stack.stop("worker")


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "plan.png"
    path.write_bytes(SITE.plan_png)
    return path


def plan_px(place: tuple[float, float]) -> tuple[float, float]:
    u, v = SITE.plan_origin_px
    return place[0] / SITE.metres_per_px + u, v - place[1] / SITE.metres_per_px


def plan_size() -> tuple[int, int]:
    return Image.open(io.BytesIO(SITE.plan_png)).size


def camera_px(place: tuple[float, float]) -> tuple[float, float]:
    u, v = CAMERA.to_picture(np.array([place], dtype=float))[0]
    return float(u), float(v)


def on_screen(
    page: Page, board: str, size: tuple[int, int], point: tuple[float, float]
) -> tuple[float, float]:
    """Give where a pixel of a picture that is shown whole lies on the screen."""
    page.locator(board).scroll_into_view_if_needed()
    box = page.locator(board).bounding_box()
    assert box is not None
    scale = min(box["width"] / size[0], box["height"] / size[1])
    return (
        box["x"] + (box["width"] - size[0] * scale) / 2 + point[0] * scale,
        box["y"] + (box["height"] - size[1] * scale) / 2 + point[1] * scale,
    )


def click(page: Page, board: str, size: tuple[int, int], point: tuple[float, float]) -> None:
    page.mouse.click(*on_screen(page, board, size, point))


def click_pair(page: Page, place: tuple[float, float], *, mirrored: bool = False) -> None:
    click(page, "#picture", (CAMERA.width, CAMERA.height), camera_px(place))
    u, v = plan_px(place)
    click(page, "#plan", plan_size(), (plan_size()[0] - u if mirrored else u, v))


def ask(page: Page, method: str, address: str, body: Any = None) -> Any:
    """Ask the REST interface as the page does."""
    return page.evaluate(
        """async ([method, address, body]) => {
          const token = document.querySelector("input[name=csrfmiddlewaretoken]").value;
          const headers = {"Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": token};
          const answer = await fetch(address, {method, headers, body: body && JSON.stringify(body)});
          return answer.status === 204 ? null : answer.json();
        }""",
        [method, address, body],
    )


def put_in_plan(page: Page, plan_file) -> None:
    page.locator("#file").set_input_files(plan_file)
    expect(page.locator("#hint")).to_contain_text("one end of something")
    click(page, "#board", plan_size(), plan_px((0, 0)))
    click(page, "#board", plan_size(), plan_px((20, 0)))
    page.get_by_label("A to B").fill("20")
    page.get_by_role("button", name="Place the origin").click()
    click(page, "#board", plan_size(), plan_px((0, 0)))
    expect(page.locator("#covers")).to_contain_text(re.compile(r"covers 2[23]\.\d . 1[67]\.\d m"))
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#hint")).to_contain_text("Saved. Next")


def add_camera(page: Page, place: int) -> None:
    page.goto(f"/admin/environments/camera/add/?environment={place}")
    page.locator("#id_key").fill("c9")
    page.locator("#id_source_url").fill("rtsp://me:s3cret@127.0.0.1:1/stream")
    page.get_by_role("button", name="Test this address").click()
    said = page.locator("[data-part=said]")
    expect(said).to_contain_text("refused the connection: check host and port")
    expect(said).not_to_contain_text("s3cret")
    page.locator("#id_source_url").fill("sim://plaza/c2?people=12")
    page.get_by_role("button", name="Test this address").click()
    expect(said).to_have_text("It works. Size and rate are filled in below.")
    expect(page.locator("#id_width")).to_have_value(str(CAMERA.width))
    expect(page.locator("#id_fps")).to_have_value("10")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Calibrate c9")).to_be_visible()


def test_place_is_set_up_from_nothing_and_tracked_while_the_worker_runs(
    page, sign_in, stack, celery, plan_file
):
    worker = stack.processes["worker"].pid
    sign_in(page)
    began_s = time.monotonic()
    page.goto("/admin/environments/environment/add/")
    page.locator("#id_name").press_sequentially("Yard")  # the short name is made from it
    page.get_by_role("button", name="Save", exact=True).click()
    put_in_plan(page, plan_file)
    place = int(page.url.split("/")[-3])

    add_camera(page, place)
    # tracked already, and not on the map yet
    ask(page, "POST", "/api/v1/sessions/", {"environment": "yard"})
    expect(page.locator("#no-picture")).to_be_hidden()
    for pair in PLACES:
        click_pair(page, pair)
    expect(page.locator("#pairs tr")).to_have_count(len(PLACES))
    expect(page.locator("#grade")).to_have_text("good")
    expect(page.locator("#warnings li")).to_have_count(0)
    page.get_by_role("button", name="Save and use").click()
    expect(page.locator("#said")).to_have_text("Saved. The worker uses it within a few seconds.")
    assert time.monotonic() - began_s < MOST_S

    page.reload()
    expect(page.locator("#pairs tr")).to_have_count(len(PLACES))
    expect(page.locator("#pairs tr").first.locator("[data-error=error_m]")).to_contain_text("cm")
    expect(page.locator("#versions li")).to_have_count(1)
    kept = ask(page, "GET", "/api/v1/cameras/?environment=yard")["results"][0]
    assert kept["is_calibrated"]
    errors = ask(page, "GET", f"/api/v1/cameras/{kept['id']}/calibration/")["errors"]
    assert max(error["error_m"] for error in errors) < 0.1

    def somebody_is_on_the_map() -> bool:
        return bool(ask(page, "GET", "/api/v1/positions/?environment=yard")["results"])

    servers.wait_for(somebody_is_on_the_map, timeout_s=TRACKED_S)
    assert stack.processes["worker"].pid == worker
    assert stack.processes["worker"].poll() is None


def test_area_that_is_drawn_is_watched_by_the_running_worker(page, sign_in, stack):
    sign_in(page)
    page.goto("/admin/")
    place = place_of(page, "yard")
    page.goto(f"/admin/environments/environment/{place}/zones/")
    page.get_by_role("button", name="Draw an area").click()
    for corner in [(1, 1), (17, 1), (17, 14), (1, 14), (1, 1)]:
        click_map(page, corner)
    page.get_by_label("Name", exact=True).fill("All of it")
    page.get_by_label("How many people fit").fill("40")
    expect(page.locator("#seen li").first).to_contain_text(re.compile(r"c9\s*\d+ %"))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#said")).to_have_text("Saved. The worker uses it within a few seconds.")
    expect(page.locator(".zone-row")).to_contain_text("All of it")

    page.get_by_role("button", name="Draw a line").click()
    for end in [(4, 8), (14, 8)]:
        click_map(page, end)
    expect(page.locator("#direction-words")).to_have_text(
        "In is downwards, as the arrow points; the other way is out."
    )
    page.get_by_role("button", name="Turn around").click()
    expect(page.locator("#direction-words")).to_contain_text("In is upwards")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".zone-row")).to_have_count(2)
    stored = {zone["kind"]: zone for zone in ask(page, "GET", "/api/v1/zones/?environment=yard")["results"]}
    assert (stored["polygon"]["name"], stored["polygon"]["capacity"]) == ("All of it", 40)
    assert len(stored["polygon"]["points_m"]) == 4
    np.testing.assert_allclose(stored["line"]["points_m"], [(14, 8), (4, 8)], atol=0.1)

    def somebody_went_in() -> bool:
        address = f"/api/v1/events/?environment=yard&kind=zone_enter&zone={stored['polygon']['key']}"
        return bool(ask(page, "GET", address)["results"])

    servers.wait_for(somebody_went_in, timeout_s=TRACKED_S)


def on_map(page: Page, place: tuple[float, float]) -> tuple[float, float]:
    """Give where a place lies on the Leaflet map, whose bounds show the whole plan."""
    box = page.locator("#map img.map-plan").bounding_box()
    assert box is not None
    u, v = plan_px(place)
    return box["x"] + u * box["width"] / plan_size()[0], box["y"] + v * box["height"] / plan_size()[1]


def click_map(page: Page, place: tuple[float, float]) -> None:
    """Click as people do: what Leaflet.draw takes clicks by follows the mouse a moment later."""
    x, y = on_map(page, place)
    page.mouse.move(x, y, steps=3)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.mouse.click(x, y)


def place_of(page: Page, slug: str) -> int:
    page.goto("/admin/environments/environment/")
    address = page.get_by_role("link", name=slug.capitalize(), exact=True).get_attribute("href")
    return int(str(address).split("/")[-3])


def test_pairs_are_corrected_by_mouse_keys_and_undo(page, sign_in, stack):
    sign_in(page)
    page.goto("/admin/environments/camera/2/calibrate/")
    expect(page.locator("#no-picture")).to_be_hidden()
    for pair in PLACES[:3]:
        click_pair(page, pair)
    expect(page.locator("#hint")).to_have_text("Good. 1 more to go: near and far, left and right.")
    expect(page.locator("#save")).to_be_disabled()
    for pair in PLACES[3:6]:
        click_pair(page, pair)
    expect(page.locator("#grade")).to_have_text("good")

    # a drag with the magnifier, and back
    marker = page.locator("#plan [data-point=p6]")
    box = marker.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 14, box["y"] + 14)
    page.mouse.down()
    page.mouse.move(box["x"] + 94, box["y"] + 14, steps=4)
    expect(page.locator("#plan .board-loupe")).to_be_visible()
    page.mouse.up()
    expect(page.locator("#plan .board-loupe")).to_be_hidden()
    expect(page.locator("#warnings")).to_contain_text("Show it")
    expect(page.locator("#pairs tr.is-outlier")).to_have_count(1)
    page.keyboard.press("Control+z")
    expect(page.locator("#warnings li")).to_have_count(0)
    page.keyboard.press("Control+Shift+z")
    expect(page.locator("#warnings li")).not_to_have_count(0)
    page.get_by_role("button", name="Undo").click()

    # from a file of another tool: used at once, and its pairs are shown
    rows = [(*camera_px(place), *place) for place in PLACES]
    content = "u,v,x,y\n" + "\n".join(",".join(str(number) for number in row) for row in rows)
    file = {"name": "pairs.csv", "mimeType": "text/csv", "buffer": content.encode()}
    page.get_by_label("A file of another tool").set_input_files(file)
    expect(page.locator("#said")).to_have_text(
        "pairs.csv is in use: look whether the grid lies on the floor."
    )
    expect(page.locator("#pairs tr")).to_have_count(len(PLACES))
    expect(page.locator("#versions li").first).to_contain_text("7 pairs")
    page.locator("#versions li").nth(1).get_by_role("button", name="Use this version").click()
    expect(page.locator("#said")).to_have_text("That version is in use again.")

    # by keys: a pixel, ten, and gone
    u = page.get_by_label("Pair 1: pixels from the left")
    before = float(u.input_value())
    page.locator("#picture .board-point").first.focus()
    page.keyboard.press("ArrowRight")
    expect(u).to_have_value(f"{before + 1:g}")
    page.keyboard.press("Shift+ArrowLeft")
    expect(u).to_have_value(f"{before - 9:g}")
    page.keyboard.press("Delete")
    expect(page.locator("#pairs tr")).to_have_count(6)
    page.locator("#picture").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#hint")).to_have_text("Now click the same spot on the plan.")
    page.get_by_role("button", name="Remove pair 7").click()
    page.get_by_role("button", name="Move pair 2 up").click()
    expect(page.get_by_label("Pair 1: x in metres")).to_have_value(re.compile(r"^(4|3\.9\d*|4\.0\d*)$"))
    leave(page)


def test_what_cannot_be_right_is_said_at_once_and_cannot_be_saved(page, sign_in, stack, tmp_path, complaints):
    sign_in(page)
    page.goto("/admin/environments/camera/2/calibrate/")
    expect(page.locator("#no-picture")).to_be_hidden()
    for pair in PLACES[:5]:
        click_pair(page, pair, mirrored=True)
    expect(page.locator("#warnings [data-tone=bad]")).to_contain_text("mirrored")
    expect(page.locator("#save")).to_be_disabled()
    leave(page)

    page.goto(f"/admin/environments/environment/{place_of(page, 'plaza')}/plan/")
    (tmp_path / "notes.png").write_text("a text, and no picture")
    (tmp_path / "huge.png").write_bytes(png_claiming(20_000, 20_000))
    for name, sentence in [
        ("notes", "This is no picture that can be read: use a PNG, JPEG or WebP file."),
        ("huge", "The picture has more than 50 million pixels: make it smaller."),
    ]:
        page.locator("#file").set_input_files(tmp_path / f"{name}.png")
        expect(page.locator("#said")).to_have_text(sentence)
    expect(page.locator("#save")).to_be_disabled()
    assert all("400 (Bad Request)" in complaint for complaint in complaints)
    complaints.clear()


def leave(page: Page) -> None:
    """Go without saving: the page asks, and is told yes."""
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto("/admin/")
