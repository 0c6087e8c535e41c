import numpy as np
import pytest

from gpuworker.backends import BackendError, make_detector, make_embedder
from gpuworker.pipeline.values import Site
from tests.gpuworker.backends.tiny_models import save_model

SITE = Site({})
DETECTORS = "motion, onnx:PATH, yolo:PATH_OR_NAME, faster_rcnn[:PATH]"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", f"no detector '': choose one of {DETECTORS}"),
        ("yolox:x.pt", f"no detector 'yolox:x.pt': choose one of {DETECTORS}"),
        ("motion:here", "'motion:here': motion takes no path: write motion"),
        ("motion?speed=1", "'motion?speed=1': unknown option 'speed'; options of motion: confidence"),
        ("motion?confidence", "'motion?confidence': after the question mark write option=value, joined by &"),
        ("motion?confidence=1&confidence=1", "'motion?confidence=1&confidence=1': an option is given twice"),
        (
            "motion?confidence=2",
            "'motion?confidence=2': confidence must be a number from 0 to 1, got '2'",
        ),
        (
            "motion?confidence=nan",
            "'motion?confidence=nan': confidence must be a number from 0 to 1, got 'nan'",
        ),
        (
            "motion?confidence=high",
            "'motion?confidence=high': confidence must be a number from 0 to 1, got 'high'",
        ),
        ("onnx", "'onnx' names no file: write onnx:PATH"),
        (
            "onnx:/nowhere/a.onnx",
            "'onnx:/nowhere/a.onnx': no file at /nowhere/a.onnx: put the model there or name another path",
        ),
    ],
)
def test_make_detector_refuses_with_one_line(spec, message):
    with pytest.raises(BackendError) as error:
        make_detector(spec, site=SITE)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hsv", "no embedder 'hsv': choose one of colour, onnx:PATH, clip[:MODEL[:PATH]], none"),
        ("colour?bins=8", "'colour?bins=8': unknown option 'bins'; options of colour: none"),
        ("none:x", "'none:x': none takes no path: write none"),
        ("onnx:", "'onnx:' names no file: write onnx:PATH"),
    ],
)
def test_make_embedder_refuses_with_one_line(spec, message):
    with pytest.raises(BackendError) as error:
        make_embedder(spec)
    assert str(error.value) == message


def test_make_embedder_gives_none_for_none():
    assert make_embedder("none") is None


def test_make_detector_names_its_back_end(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.zeros((84, 5))], height=32, width=32)
    with pytest.raises(BackendError, match="of no known detector"):
        make_detector(f"onnx:{path}", site=SITE)
    path = save_model(tmp_path / "net.onnx", [np.zeros((10, 6))])
    assert make_detector(f"onnx:{path}?confidence=0.4", site=SITE, threads=1).name == "onnx:net"
    assert make_detector("motion?confidence=0.4", site=SITE).name == "motion"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 40])
def test_make_detector_refuses_a_file_that_is_no_model(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"broken\.onnx is not an ONNX model that can be loaded") as error:
        make_detector(f"onnx:{path}", site=SITE)
    assert "\n" not in str(error.value)
