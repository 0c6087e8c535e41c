import warnings

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from gpuworker.backends import BackendError, make_embedder
from gpuworker.backends.clip import PRECISIONS, make_clip_embedder
from gpuworker.backends.clip_weights import Grid, resize_positions
from gpuworker.backends.clip_words import make_clip_words
from gpuworker.backends.spec import parse_spec
from gpuworker.pipeline.seams import AcceleratorFullError, AcceleratorLostError
from tests.gpuworker.backends.tiny_clip import DIMENSION, WIDTH, architecture, reid_state, save, tiny_model
from tests.gpuworker.backends.tiny_models import frame

__all__ = ["architecture"]

BOXES = np.array([[5, 5, 45, 95], [70, 0, 130, 120], [-40, -40, -5, -5], [np.nan] * 4], np.float32)


def picture(seed=0, height=120, width=160):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)


def make(architecture, path, options=""):
    return make_clip_embedder(parse_spec(f"clip:{architecture}:{path}{options}"), device="cpu", threads=1)


def embed(embedder, boxes=BOXES, image=None):
    return embedder.embed([frame(picture() if image is None else image)], [boxes])[0]


@pytest.fixture
def stock(tmp_path, architecture):
    return save(tmp_path / "stock.pt", tiny_model(architecture).state_dict())


def test_stock_weights_give_unit_embeddings_of_the_boxes_in_the_picture(architecture, stock):
    embedder = make(architecture, stock)
    out = embed(embedder)
    assert (embedder.dimension, out.dtype, out.shape) == (DIMENSION, np.float32, (4, DIMENSION))
    assert np.linalg.norm(out[:2], axis=1) == pytest.approx([1, 1])
    assert np.isnan(out[2:]).all()
    assert embedder.name.startswith(f"clip:{architecture}@")
    assert len(embed(embedder, np.zeros((0, 4), np.float32))) == 0


def test_the_net_is_open_clips_own(architecture, stock):
    crops = torch.rand(3, 3, 224, 224) * 255
    got = make(architecture, stock, "?height=224&width=224")._model.run(crops)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    with torch.inference_mode():
        expected = tiny_model(architecture).visual((crops / 255 - mean) / std)
    assert got == pytest.approx(expected.numpy(), abs=1e-5)


def test_position_embeddings_are_interpolated_to_a_persons_shape(architecture, stock):
    model = make(architecture, stock)._model
    assert (model.height, model.width) == (256, 128)
    assert model.net.positional_embedding.shape == (1 + 16 * 8, WIDTH)


def test_positions_stay_in_order_and_the_class_token_untouched():
    down = torch.arange(14.0).repeat_interleave(14)
    positions = torch.cat([torch.tensor([-9.0]), down])[:, None]
    out = resize_positions(positions, Grid(14, 14, 16), Grid(16, 8, 16))[:, 0]
    rows = out[1:].reshape(16, 8)
    assert out[0] == -9.0
    assert (rows.diff(dim=0) > 0).all()
    assert torch.allclose(rows, rows[:, :1].expand(16, 8), atol=1e-4)
    same = torch.rand(1 + 196, 5)
    assert resize_positions(same, Grid(14, 14, 16), Grid(14, 14, 16)) is same


@pytest.mark.parametrize("start", ["image_encoder.", "base.", "module.image_encoder."])
def test_clip_reid_weights_give_both_features_behind_their_necks(tmp_path, architecture, start):
    visual = tiny_model(architecture, image_size=(256, 128), quick_gelu=True).visual
    state = reid_state(visual, start.removeprefix("module."))
    if start.startswith("module."):
        state = {f"module.{name}": value for name, value in state.items()}
    embedder = make(architecture, save(tmp_path / "reid.pth", state))
    assert embedder.dimension == WIDTH + DIMENSION
    crops = torch.rand(2, 3, 256, 128) * 255
    with torch.inference_mode():
        proj, visual.proj = visual.proj, None
        feature = visual((crops / 255 - 0.5) / 0.5)
        both = zip(("bottleneck", "bottleneck_proj"), (feature, feature @ proj), strict=True)
        bare = {name.removeprefix("module."): value for name, value in state.items()}
        expected = [
            functional.batch_norm(
                f,
                bare[f"{n}.running_mean"],
                bare[f"{n}.running_var"],
                weight=bare[f"{n}.weight"],
                bias=bare[f"{n}.bias"],
            )
            for n, f in both
        ]
    assert embedder._model.run(crops) == pytest.approx(torch.cat(expected, dim=1).numpy(), abs=1e-4)


def test_overlapping_patches_are_told_by_the_number_of_positions(tmp_path, architecture):
    visual = tiny_model(architecture, image_size=(256, 128)).visual
    state = reid_state(visual)
    state["image_encoder.positional_embedding"] = torch.rand(1 + 21 * 10, WIDTH)
    embedder = make(architecture, save(tmp_path / "overlapping.pth", state))
    assert embedder._model.net.visual.conv1.stride == (12, 12)
    assert np.isfinite(embed(embedder)[:2]).all()


def test_safetensors_and_script_archives_are_read_too(tmp_path, architecture, stock):
    expected = embed(make(architecture, stock))
    model = tiny_model(architecture)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "stock.safetensors")
    assert embed(make(architecture, tmp_path / "stock.safetensors"))[:2] == pytest.approx(
        expected[:2], abs=1e-6
    )
    quick = tiny_model(architecture, quick_gelu=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Tensors(quick.state_dict())).save(tmp_path / "openai.pt")
    crops = torch.rand(1, 3, 224, 224) * 255
    run = make(architecture, tmp_path / "openai.pt", "?height=224&width=224")._model.run
    plain = make(architecture, stock, "?height=224&width=224")._model.run(crops)
    assert np.abs(run(crops) - plain).max() > 1e-5  # OpenAI's activation is another one


class Tensors(torch.nn.Module):
    """Holds weights under their names, as a script archive does."""

    def __init__(self, state):
        super().__init__()
        for name, value in state.items():
            part, path = self, name.split(".")
            for step in path[:-1]:
                if not hasattr(part, step):
                    part.add_module(step, torch.nn.Module())
                part = getattr(part, step)
            part.register_buffer(path[-1], value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_half_precision_says_the_same(architecture, stock):
    full, half = embed(make(architecture, stock)), embed(make(architecture, stock, "?precision=bf16"))
    assert PRECISIONS["bf16"] is torch.bfloat16
    assert (full[:2] * half[:2]).sum(axis=1).min() > 0.995


def test_a_net_of_the_right_kind_whose_weights_are_random_is_refused(architecture, stock):
    with pytest.raises(BackendError, match=r"clip:tiny-clip@\w{8} does not tell people apart"):
        make_embedder(f"clip:{architecture}:{stock}", device="cpu", threads=1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.pt", b"these are no weights, but a text", "holds no weights that can be read"),
        ("pickle.pt", b"\x80\x02}q\x00(X\x01", "holds no weights that can be read"),
        ("empty.pt", b"", "holds no weights that can be read"),
        ("cut.pt", None, "holds no weights that can be read"),
        ("text.safetensors", b"these are no weights, but a text", "holds no weights that can be read"),
    ],
)
def test_files_that_are_no_weights_are_refused_with_one_line(
    tmp_path, architecture, stock, name, content, message
):
    path = tmp_path / name
    path.write_bytes(stock.read_bytes()[:5000] if content is None else content)
    with pytest.raises(BackendError, match=message) as error:
        make(architecture, path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "holds no weights by name"),
        ([1, 2], "holds no weights by name"),
        ({"layer.weight": torch.zeros(2)}, r"holds no image tower of CLIP \(it has layer.weight ...\)"),
        (
            {
                "visual.class_embedding": torch.zeros(WIDTH),
                "visual.positional_embedding": torch.zeros(100, WIDTH),
            },
            "99 position embeddings are of no input known",
        ),
        (
            {
                "visual.class_embedding": torch.zeros(WIDTH),
                "visual.positional_embedding": torch.zeros(197, WIDTH),
            },
            "holds other weights than those of tiny-clip: .*Missing key",
        ),
    ],
)
def test_other_checkpoints_are_refused(tmp_path, architecture, state, message):
    with pytest.raises(BackendError, match=message):
        make(architecture, save(tmp_path / "other.pt", state))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("clip:no-such-net:x.pt", "open_clip has no model 'no-such-net'"),
        ("clip:ViT-B-16:/nowhere/x.pt", "no file at /nowhere/x.pt"),
        (
            "clip:ViT-B-16:x.pt?speed=1",
            "unknown option 'speed'; options of clip: device, height, precision, width",
        ),
        ("clip:ViT-B-16:STOCK?precision=int8", "precision must be one of auto, fp32, fp16, bf16, got 'int8'"),
        ("clip:ViT-B-16:STOCK?device=tpu", "no device 'tpu': choose one of auto, cpu, cuda, cuda:N"),
    ],
)
def test_wrong_specs_are_refused_with_one_line(stock, spec, message):
    with pytest.raises(BackendError, match=message) as error:
        make_embedder(spec.replace("STOCK", str(stock)), threads=1)
    assert "\n" not in str(error.value)


class Broken(torch.nn.Module):
    """A net on an accelerator that fails."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, pictures):
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("Tried to allocate 2.00 GiB"), AcceleratorFullError),
        (torch.AcceleratorError("device-side assert triggered"), AcceleratorLostError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), AcceleratorLostError),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"), AcceleratorLostError),
        (RuntimeError("The size of tensor a (3) must match"), RuntimeError),
    ],
)
def test_errors_of_the_accelerator_are_told_apart(architecture, stock, error, expected):
    embedder = make(architecture, stock)
    object.__setattr__(embedder._model, "net", Broken(error))
    with pytest.raises(RuntimeError) as raised:
        embed(embedder)
    assert type(raised.value) is expected


def words(architecture, path):
    return make_clip_words(parse_spec(f"clip:{architecture}:{path}"), device="cpu", threads=1)


def test_texts_and_pictures_are_embedded_as_open_clip_does(architecture, stock):
    model, texts = tiny_model(architecture), ["a red jacket", "somebody with a bag"]
    describer = words(architecture, stock)
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer(architecture)(texts), normalize=True)
    assert describer.embed_texts(texts) == pytest.approx(expected.numpy(), abs=1e-5)
    assert embed(describer)[:2].shape == (2, DIMENSION)
    crops = torch.rand(1, 3, 224, 224) * 255
    whole = make(architecture, stock, "?height=224&width=224")._model.run(crops)
    assert describer._model.run(crops) == pytest.approx(whole, abs=1e-5)
    assert describer.embed_texts([]).shape == (0, DIMENSION)


def test_weights_without_words_are_refused(tmp_path, architecture):
    model = tiny_model(architecture, image_size=(256, 128))
    reid = save(tmp_path / "reid.pth", reid_state(model.visual))
    with pytest.raises(
        BackendError, match=r"reid.pth is fine-tuned for recognising people and knows no words"
    ):
        words(architecture, reid)
    picture_only = save(
        tmp_path / "half.pt", {f"visual.{k}": v for k, v in model.visual.state_dict().items()}
    )
    with pytest.raises(BackendError, match=r"half.pt holds no texts' tower of tiny-clip: .*Missing key"):
        words(architecture, picture_only)


@pytest.mark.gpu
def test_a_gpu_says_what_the_cpu_says(architecture, stock):
    here = embed(make(architecture, stock))
    there = embed(make_clip_embedder(parse_spec(f"clip:{architecture}:{stock}"), device="cuda", threads=1))
    assert np.isnan(there).any(axis=1).tolist() == np.isnan(here).any(axis=1).tolist()
    assert (here[:2] * there[:2]).sum(axis=1).min() > 0.99  # in half precision, crops cut by another filter
