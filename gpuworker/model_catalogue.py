"""The weights that SpotOn can download: where they come from officially, their checksums and their licences.

Sources: the addresses are those of the projects' own releases (YOLOX's demo/ONNXRuntime/README.md, Ultralytics'
utils/downloads.py, torchvision's and open_clip's tables of weights). The checksums of CLIP stand in its own addresses,
the first eight digits of torchvision's in its file names; the others are what several public repositories that
download and check the same release files agree on.
"""

from dataclasses import dataclass

YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"
ULTRALYTICS = "https://github.com/ultralytics/assets/releases/download"
TORCHVISION = "https://download.pytorch.org/models"
CLIP = "https://openaipublic.azureedge.net/clip/models"

APACHE, BSD, MIT = "Apache-2.0", "BSD-3-Clause", "MIT"
AGPL = "AGPL-3.0: offering it over a network obliges you to publish, or to buy a licence"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One file of weights.

    Attributes:
        name: what it is asked for by.
        use: how it is named as a detector or an embedder.
        url: official.
        sha256: of the file, hexadecimal.
        licence: of the weights.
    """

    name: str
    use: str
    url: str
    sha256: str
    licence: str

    @property
    def file_name(self) -> str:
        """Give the name of the file in the folder of models."""
        return self.url.rpartition("/")[2]


def _yolox(size: str, sha256: str) -> CatalogueEntry:
    return CatalogueEntry(
        f"yolox_{size}", f"onnx:yolox_{size}.onnx", f"{YOLOX}/yolox_{size}.onnx", sha256, APACHE
    )


def _yolo(name: str, release: str, sha256: str) -> CatalogueEntry:
    return CatalogueEntry(name, f"yolo:{name}", f"{ULTRALYTICS}/{release}/{name}.pt", sha256, AGPL)


def _rcnn(name: str, file: str, sha256: str) -> CatalogueEntry:
    use = f"faster_rcnn:{file}" if name != "faster_rcnn" else "faster_rcnn"
    return CatalogueEntry(name, use, f"{TORCHVISION}/{file}", sha256, BSD)


def _clip(name: str, sha256: str) -> CatalogueEntry:
    return CatalogueEntry(f"clip_{name}", f"clip:{name}", f"{CLIP}/{sha256}/{name}.pt", sha256, MIT)


CATALOGUE: tuple[CatalogueEntry, ...] = (
    _yolox("nano", "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d"),
    _yolox("tiny", "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7"),
    _yolox("s", "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063"),
    _yolo("yolo11n", "v8.3.0", "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1"),
    _yolo("yolo11s", "v8.3.0", "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5"),
    _yolo("yolo11m", "v8.3.0", "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95"),
    _yolo("yolo26n", "v8.4.0", "9b09cc8bf347f0fc8a5f7657480587f25db09b34bf33b0652110fb03a8ad4fef"),
    _yolo("yolo26s", "v8.4.0", "646f8bc3fe0a656803d95c294f7852321748cb29d13466a1af8862e2db384a1b"),
    _yolo("yolo26m", "v8.4.0", "401cea9ab23ad19246ff7744859816bc599f350e93c9dd30367b6f0a0745d0b7"),
    _rcnn(
        "faster_rcnn",
        "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        "fb6a3cc702b1df54c18a44b26708cd083614211062d0c36d2ca7bf9270df3533",
    ),
    _rcnn(
        "faster_rcnn_320",
        "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
        "907ea3f91ff92242bc1baea8049276a3e76bca48ce7560bd268cc029f37977b5",
    ),
    _rcnn(
        "faster_rcnn_resnet50",
        "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        "258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384",
    ),
    _rcnn(
        "faster_rcnn_resnet50_v2",
        "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        "dd69338a24b8d7381807e247652bdc356325bcbaf1cd3e092e00e0a1a58706bf",
    ),
    _clip("ViT-B-32", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    _clip("ViT-B-16", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
)
