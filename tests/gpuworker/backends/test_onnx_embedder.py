import numpy as np
import pytest

from gpuworker.backends import BackendError, make_embedder
from gpuworker.backends.onnx_embedder import make_onnx_embedder
from gpuworker.backends.onnx_session import OnnxModel
from gpuworker.backends.spec import parse_spec
from tests.gpuworker.backends.tiny_models import frame, grey_frame, save_model

BOXES = np.array([[0, 0, 20, 40], [20, 0, 40, 40], [-9, 50, 9, 70]], np.float32)


def embed(path, image_frame, boxes=BOXES):
    embedder = make_onnx_embedder(parse_spec(f"onnx:{path}"), device="cpu", threads=1)
    return embedder.embed([image_frame], [boxes])[0]


@pytest.mark.parametrize("batch", ["b", 1, 2, 8])
def test_embeddings_are_unit_vectors_of_their_own_crop(tmp_path, batch):
    path = save_model(tmp_path / "net.onnx", [np.array([3.0, 4.0, 0.0])], batch=batch, height=32, width=16)
    image = np.full((64, 64, 3), (103, 116, 124), np.uint8)  # ImageNet's mean: the net sees zeros
    image[:, 20:] = 255
    out = embed(path, frame(image))
    assert out.dtype == np.float32
    assert np.linalg.norm(out, axis=1) == pytest.approx([1, 1, 1])
    assert out[0] == pytest.approx([0.6, 0.8, 0], abs=0.01)
    assert out[2] == pytest.approx([0.6, 0.8, 0], abs=0.01)
    assert out[1, 2] > 0.3


def test_no_boxes_give_no_embeddings(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.ones(7)], batch="b", height=32, width=16)
    assert embed(path, grey_frame(), np.zeros((0, 4), np.float32)).shape == (0, 7)


def test_boxes_beside_the_picture_have_no_embedding(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.ones(7)], batch="b", height=32, width=16)
    boxes = np.array([[70, 0, 80, 20], [0, 0, 10, 10], [np.nan] * 4], np.float32)
    out = embed(path, grey_frame(), boxes)
    assert np.isnan(out).all(axis=1).tolist() == [True, False, True]


def test_many_boxes_are_embedded_in_order(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.array([1.0, 0.0])], batch="b", height=8, width=8)
    image = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2) * 4
    boxes = np.array([[i, 0, i + 1, 10] for i in range(40)], np.float32)
    out = embed(path, frame(image), boxes)
    assert (np.diff(out[:, 1] / out[:, 0]) > 0).all()


@pytest.mark.parametrize(
    ("outputs", "shapes"),
    [([np.ones((5, 7))], r"\(1, 5, 7\)"), ([np.ones(3), np.ones(4)], r"\(1, 3\), \(1, 4\)")],
)
def test_other_outputs_are_refused(tmp_path, outputs, shapes):
    path = save_model(tmp_path / "net.onnx", outputs)
    with pytest.raises(
        BackendError, match=r"expected one output \(1, dimension\) for 1 crops, got " + shapes
    ):
        make_embedder(f"onnx:{path}")


def test_a_model_that_tells_nobody_apart_is_refused(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.ones(7)], batch="b", height=32, width=16)
    with pytest.raises(
        BackendError, match=r"onnx:net@\w{8} does not tell people apart: .* weights are random"
    ):
        make_embedder(f"onnx:{path}")


def test_a_model_of_no_numbers_is_refused(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.full(7, np.nan)], batch="b", height=32, width=16)
    with pytest.raises(BackendError, match="gives embeddings that are no numbers"):
        make_embedder(f"onnx:{path}")


def test_crops_of_all_frames_are_embedded_in_one_batch(tmp_path, monkeypatch):
    path = save_model(tmp_path / "net.onnx", [np.array([1.0, 0.0])], batch="b", height=8, width=8)
    embedder = make_onnx_embedder(parse_spec(f"onnx:{path}"), device="cpu", threads=1)
    sizes = []
    run = OnnxModel.run

    def count(model, batch):
        sizes.append(len(batch))
        return run(model, batch)

    monkeypatch.setattr(OnnxModel, "run", count)
    frames = [grey_frame(level=level) for level in (0, 255)]
    none = np.zeros((0, 4), np.float32)
    dark, light, nobody = embedder.embed([*frames, frames[0]], [BOXES[:1], BOXES[:2], none])
    assert sizes == [3]
    assert (len(dark), len(light), len(nobody)) == (1, 2, 0)
    assert dark[0, 1] < light[0, 1] == pytest.approx(light[1, 1])
