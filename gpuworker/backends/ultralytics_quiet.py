"""Ultralytics without its side effects: it installs nothing, sends nothing and writes only into the data folder.

Import it from here, never by itself: it reads what it may do when it is imported.
"""

import importlib
import logging
import os
from typing import Any

import torch  # noqa: F401 - first: it would otherwise start with the one thread that Ultralytics asks for
from django.conf import settings
from PIL import Image

# Source: ultralytics/utils/__init__.py and utils/checks.py
QUIET = {
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "true",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "true",
    # a .pt file is a pickle, which runs what it likes; with this only known classes are made from it
    "ULTRALYTICS_SAFE_LOAD": "true",
}
# what its import sets for the whole process, threads of other libraries included
LEFT_ALONE = ("OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "NUMEXPR_MAX_THREADS")


def _import_quietly() -> Any:
    before = {name: os.environ.get(name) for name in LEFT_ALONE}
    image_open = Image.open  # which it replaces by one that wants further packages for what is no picture
    os.environ.update(QUIET, YOLO_CONFIG_DIR=str(settings.DATA_DIR))
    try:
        import ultralytics  # noqa: PLC0415 - after what it reads is set
        from ultralytics.utils import events  # noqa: PLC0415
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        Image.open = image_open
    logging.getLogger("ultralytics").setLevel(logging.WARNING)
    library: Any = ultralytics
    if library.SETTINGS["sync"]:
        library.SETTINGS.update({"sync": False})
    events.events.enabled = False
    return library


ultralytics = _import_quietly()
autobackend: Any = importlib.import_module("ultralytics.nn.autobackend")
