import numpy as np
import pytest

from gpuworker.backends import BackendError, make_embedder
from tests.gpuworker.backends.tiny_models import frame, grey_frame, save_model

BOXES = np.array([[0, 0, 20, 40], [20, 0, 40, 40], [-9, 50, 9, 70]], np.float32)


def embed(path, image_frame, boxes=BOXES):
    embedder = make_embedder(f"onnx:{path}", threads=1)
    assert embedder is not None
    return embedder.embed(image_frame, boxes)


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
