"""Stock CLIP for search by words: pictures of people and texts in one space, apart from what recognises people."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import open_clip
import torch

from gpuworker.backends.accelerator import accelerator_errors
from gpuworker.backends.checkpoints import read_checkpoint
from gpuworker.backends.clip import ClipEmbedder, ClipModel, make_clip_model, named, quiet_model
from gpuworker.backends.clip_weights import read_tower
from gpuworker.backends.crops import units
from gpuworker.backends.spec import BackendError, Spec
from gpuworker.pipeline.values import Floats32

JIT_EXTRAS = (
    "input_resolution",
    "context_length",
    "vocab_size",
)  # numbers that OpenAI keeps beside the weights


class ClipWords(ClipEmbedder):
    """Describes pictures of people and texts, so that a picture and a text that fits it are alike."""

    def __init__(self, model: ClipModel, dimension: int, *, texts: Any, tokenize: Any) -> None:
        super().__init__(model, dimension)
        self._texts = texts
        self._tokenize = tokenize

    def embed_texts(self, texts: Sequence[str]) -> Floats32:
        """Give unit embeddings of texts, (n, dimension); what is longer than 77 tokens is cut.

        Raises:
            AcceleratorFullError, AcceleratorLostError: the device cannot.
        """
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        with accelerator_errors(self.name), torch.inference_mode():
            tokens = self._tokenize(list(texts)).to(self._model.device)
            return units(np.asarray(self._texts.encode_text(tokens).float().cpu().numpy(), dtype=np.float32))


def make_clip_words(spec: Spec, *, device: str, threads: int | None) -> ClipWords:
    """Open a stock CLIP with both of its towers, its pictures square as it was trained.

    Raises:
        BackendError: as for :func:`gpuworker.backends.clip.make_clip_model`, or weights that know no words.
    """
    architecture, path = named(spec)
    if read_tower(path).is_reid:
        raise BackendError(
            f"{path} is fine-tuned for recognising people and knows no words: name stock CLIP weights"
        )
    state, is_script = read_checkpoint(path)
    whole = quiet_model(architecture, is_openai=is_script, size=None)
    square = {"height": str(whole.visual.image_size[0]), "width": str(whole.visual.image_size[1])}
    model = make_clip_model(replace(spec, options={**spec.options, **square}), device=device, threads=threads)
    if "positional_embedding" in state and not hasattr(whole, "positional_embedding"):
        state = open_clip.model.convert_to_custom_text_state_dict(state)
    try:
        whole.load_state_dict({name: value for name, value in state.items() if name not in JIT_EXTRAS})
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise BackendError(f"{path} holds no texts' tower of {architecture}: {line}") from error
    whole.visual = torch.nn.Identity()
    dimension = model.run(torch.zeros((1, 3, model.height, model.width), device=model.device)).shape[1]
    return ClipWords(
        model, dimension, texts=whole.eval().to(model.device), tokenize=open_clip.get_tokenizer(architecture)
    )
