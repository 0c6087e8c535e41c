import cv2
import numpy as np
import pytest

from environments.geometry import CameraModel, Lens
from gpuworker.backends import make_detector
from gpuworker.backends.motion_shapes import make_shapes
from gpuworker.pipeline.boxes import iou
from gpuworker.pipeline.values import Site
from tests.gpuworker.backends.tiny_models import frame

WIDTH, HEIGHT, FPS = 640, 360, 10
RNG = np.random.default_rng(3)
FLOOR = cv2.GaussianBlur(RNG.integers(70, 190, (HEIGHT, WIDTH, 3)).astype(np.uint8), (0, 0), 3)


def make_camera(width: int = WIDTH, height: int = HEIGHT) -> CameraModel:
    """Give a camera 3.5 m high that looks along y, 20 degrees down; the floor begins 3 m before it."""
    pitch = np.radians(20)
    rotation = np.array([[1, 0, 0], [0, -np.sin(pitch), -np.cos(pitch)], [0, np.cos(pitch), -np.sin(pitch)]])
    translation = -rotation @ np.array([0, 0, 3.5])
    matrix = np.array([[0.8 * width, 0, width / 2], [0, 0.8 * width, height / 2], [0, 0, 1]])
    world_to_image = matrix @ np.column_stack([rotation[:, :2], translation])
    return CameraModel.create(
        camera_id="c1",
        width=width,
        height=height,
        h_image_to_world=np.linalg.inv(world_to_image),
        lens=Lens(matrix, np.zeros(5)),
        rotation=rotation,
        translation_m=translation,
    )


CAMERA = make_camera()


def person_box(x_m: float, y_m: float, height_m: float = 1.74) -> np.ndarray:
    at = np.array([[x_m, y_m]])
    (foot,), (head,) = CAMERA.to_picture(at), CAMERA.to_picture_at_height(at, height_m)
    half = 0.13 * (foot[1] - head[1])
    return np.array([foot[0] - half, head[1], foot[0] + half, foot[1]])


def draw_person(image, x_m, y_m, *, colour=(40, 40, 200), height_m=1.74, shadow=False) -> np.ndarray:
    """Draw legs, trunk and head as somebody at a place would show, and give the true box."""
    x0, y0, x1, y1 = box = person_box(x_m, y_m, height_m)
    tall, wide, middle = y1 - y0, x1 - x0, (x0 + x1) / 2
    if shadow:
        mask = np.zeros(image.shape[:2], np.uint8)
        cv2.ellipse(
            mask, (int(middle + 0.45 * tall), int(y1)), (int(0.45 * tall), int(0.07 * tall)), 0, 0, 360, 1, -1
        )
        image[mask > 0] = (image[mask > 0] * 0.6).astype(np.uint8)
    cv2.rectangle(image, (int(x0), int(y0 + 0.15 * tall)), (int(x1), int(y0 + 0.55 * tall)), colour, -1)
    cv2.rectangle(
        image,
        (int(x0 + 0.15 * wide), int(y0 + 0.5 * tall)),
        (int(x1 - 0.15 * wide), int(y1)),
        (90, 40, 30),
        -1,
    )
    cv2.circle(image, (int(middle), int(y0 + 0.075 * tall)), int(0.075 * tall), (120, 160, 220), -1)
    return box


def watch(pictures, *, camera: CameraModel | None = CAMERA, empty_s: float = 3.0, spec: str = "motion"):
    """Show an empty floor, then pictures at FPS; give the detections of each picture."""
    detector = make_detector(spec, site=Site({} if camera is None else {"c1": camera}))
    count = int(empty_s * FPS)
    for i in range(count):
        detector.detect([frame(noisy(FLOOR), at_s=i / FPS)])
    return [
        detector.detect([frame(noisy(picture), at_s=(count + i) / FPS)])[0]
        for i, picture in enumerate(pictures)
    ]


NOISE = [RNG.integers(-3, 4, (HEIGHT, WIDTH, 3)).astype(np.int8) for _ in range(5)]


def noisy(image: np.ndarray) -> np.ndarray:
    """Add the noise of a sensor; the floor keeps away from 0 and 255, so that nothing wraps."""
    noise = NOISE[int(RNG.integers(len(NOISE)))]
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8)


def picture(*people: tuple[float, float], **style) -> tuple[np.ndarray, np.ndarray]:
    """Draw people, the farthest first, and give the picture and their boxes in that order."""
    image = FLOOR.copy()
    boxes = [draw_person(image, x, y, **style) for x, y in sorted(people, key=lambda place: -place[1])]
    return image, np.array(boxes)


@pytest.mark.parametrize("place", [(0.0, 6.0), (-2.0, 9.0), (2.5, 12.0), (0.5, 16.0)])
def test_one_person_is_found_where_they_stand(place):
    image, truth = picture(place)
    found = watch([image])[0]
    assert len(found) == 1
    assert iou(truth, found.xyxy)[0, 0] > 0.65
    tall = truth[0, 3] - truth[0, 1]
    assert found.xyxy[0, 3] == pytest.approx(truth[0, 3], abs=0.04 * tall + 1.5)
    assert found.xyxy[0, 1] == pytest.approx(truth[0, 1], abs=0.04 * tall + 1.5)


@pytest.mark.parametrize("height_m", [1.58, 1.90])
def test_box_follows_the_real_height(height_m):
    image, truth = picture((0.0, 8.0), height_m=height_m)
    found = watch([image])[0]
    assert len(found) == 1
    tall = truth[0, 3] - truth[0, 1]
    assert found.xyxy[0, [1, 3]].tolist() == pytest.approx(truth[0, [1, 3]].tolist(), abs=0.04 * tall + 1.5)


@pytest.mark.parametrize(
    "places",
    [
        [(-0.3, 8.0), (0.3, 8.0)],  # shoulder to shoulder
        [(0.0, 6.5), (0.35, 9.0)],  # the farther half hidden
        [(-0.6, 8.0), (0.0, 8.2), (0.6, 8.0)],
    ],
)
def test_people_in_one_blob_are_told_apart(places):
    image, truth = picture(*places)
    found = watch([image])[0]
    assert len(found) == len(places)
    assert (iou(truth, found.xyxy).max(axis=1) > 0.5).all()


def test_shadow_is_not_part_of_the_person():
    image, truth = picture((0.0, 8.0), shadow=True)
    found = watch([image])[0]
    assert len(found) == 1
    assert iou(truth, found.xyxy)[0, 0] > 0.7


def test_light_that_is_switched_is_not_motion():
    image, truth = picture((0.0, 8.0))
    dark = (FLOOR * 0.7).astype(np.uint8)
    found = watch([image, (image * 0.7).astype(np.uint8), dark, (FLOOR * 0.75).astype(np.uint8)])
    assert [len(one) for one in found] == [1, 1, 0, 0]
    assert iou(truth, found[1].xyxy)[0, 0] > 0.7


def test_empty_floor_gives_nobody():
    assert [len(found) for found in watch([FLOOR] * 20)] == [0] * 20


def test_small_things_are_nobody():
    image = FLOOR.copy()
    cv2.rectangle(image, (300, 250), (330, 270), (0, 0, 255), -1)  # a bag
    assert len(watch([image])[0]) == 0


def test_walker_who_is_there_from_the_first_frame_is_soon_found():
    walk = [picture((-3.0 + 0.13 * i, 8.0)) for i in range(45)]
    found = watch([image for image, _ in walk], empty_s=0)
    for (_, truth), one in zip(walk[20:], found[20:], strict=True):
        assert len(one) == 1
        assert iou(truth, one.xyxy)[0, 0] > 0.5


def test_somebody_who_stops_stays_found():
    image, truth = picture((0.0, 8.0))
    found = watch([image] * 150)[-1]
    assert len(found) == 1
    assert iou(truth, found.xyxy)[0, 0] > 0.6


def test_nobody_stays_where_somebody_stood_at_the_start():
    standing, _ = picture((0.0, 8.0))
    found = watch([standing] * 40 + [FLOOR] * 20, empty_s=0)
    assert len(found[-1]) == 0


def test_each_camera_has_its_own_background():
    detector = make_detector("motion", site=Site({"c1": CAMERA}))
    for i in range(30):
        both = [frame(FLOOR, "c1", i / FPS), frame(255 - FLOOR, "c2", i / FPS)]
        found = detector.detect(both)
    assert [len(one) for one in found] == [0, 0]
    assert detector.detect([]) == []


def test_camera_without_calibration_gives_upright_blobs():
    image, truth = picture((-1.0, 8.0), (1.0, 7.0))
    cv2.rectangle(image, (50, 300), (200, 320), (0, 0, 255), -1)  # too wide
    found = watch([image], camera=None)[0]
    assert len(found) == 2
    assert (iou(truth, found.xyxy).max(axis=1) > 0.6).all()


def test_weak_people_are_left_out():
    image, truth = picture((0.0, 8.0))
    middle = int(truth[0, [1, 3]].mean())
    image[middle:] = FLOOR[middle:]  # as behind a counter
    assert len(watch([image], spec="motion?confidence=0.3")[0]) == 1
    assert len(watch([image], spec="motion?confidence=0.9")[0]) == 0


def test_picture_size_may_differ_from_the_calibrated_one():
    image, truth = picture((0.0, 8.0))
    detector = make_detector("motion", site=Site({"c1": make_camera(2 * WIDTH, 2 * HEIGHT)}))
    for i in range(30):
        detector.detect([frame(FLOOR, at_s=i / FPS)])
    found = detector.detect([frame(image, at_s=3.0)])[0]
    assert len(found) == 1
    assert iou(truth, found.xyxy)[0, 0] > 0.7


def test_shapes_are_as_tall_as_people_are():
    shapes = make_shapes(CAMERA, HEIGHT, WIDTH)
    assert shapes is not None
    inside = (shapes.box[:, 3] < HEIGHT) & (shapes.box[:, 3] > 100)
    foot = np.column_stack([shapes.box[inside, [0]], shapes.box[inside, 3]]).astype(float)
    foot[:, 0] = shapes.box[inside][:, [0, 2]].mean(axis=1)
    head = CAMERA.to_picture_at_height(CAMERA.to_floor(foot), 1.74)
    assert shapes.box[inside, 1] == pytest.approx(head[:, 1], abs=0.5)


def test_camera_that_looks_straight_down_has_no_shapes():
    camera = CameraModel.create(
        camera_id="c1", width=640, height=360, h_image_to_world=np.diag([0.01, 0.01, 1])
    )
    assert make_shapes(camera, 180, 320) is None
