from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from sprat.export.onnx_input import preprocess_nodes
from sprat.preprocess import Preprocess


def graph_of(preprocess: Preprocess) -> Callable[[np.ndarray], np.ndarray]:
    nodes, constants = preprocess_nodes(preprocess, "image", "pixels")
    seen = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", preprocess.channels])
    made = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", *preprocess.to_dict().values()][:4])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [seen], [made], constants),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"image": images})[0]


def grey_levels(preprocess: Preprocess, images: np.ndarray, run: Callable[[np.ndarray], np.ndarray]) -> float:
    """The largest difference between graph and PyTorch, in units of pixel values 0..255."""
    difference = np.abs(run(images) - preprocess.apply(images).numpy())
    return float((difference * np.array(preprocess.std).reshape(1, -1, 1, 1)).max())


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (96, 80), (224, 224), (8, 8), (300, 260)])
def test_equals_the_preprocessing_on_photos_of_many_sizes(photos: list[np.ndarray], size: tuple[int, int]):
    preprocess = Preprocess(3, *size, (120.5, 110.25, 100.0), (60.0, 61.5, 55.0))
    run = graph_of(preprocess)
    sizes = [
        (224, 224),
        (480, 640),
        (100, 57),
        (33, 31),
        (65, 64),
        (223, 225),
        (30, 20),
        (17, 300),
        (1, 1),
        (2, 3),
        size,
    ]
    for index, (height, width) in enumerate(sizes):
        photo = Image.fromarray(photos[index % len(photos)]).resize((width, height), Image.Resampling.LANCZOS)
        assert grey_levels(preprocess, np.asarray(photo)[None], run) < 1e-3, (height, width)


def test_equals_the_preprocessing_on_a_photo_of_eight_megapixels(shared: Path):
    preprocess = Preprocess(3, 64, 64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    photo = np.asarray(Image.open(shared / "data" / "earth-blue-marble.jpg").convert("RGB"))
    assert photo.shape == (2048, 4096, 3)
    assert grey_levels(preprocess, photo[None], graph_of(preprocess)) < 1e-3


def test_equals_the_preprocessing_on_noise_in_a_grey_batch():
    preprocess = Preprocess(1, 28, 28, (33.3,), (78.6,))
    run = graph_of(preprocess)
    for height, width in [(28, 28), (29, 27), (200, 90), (8, 8)]:
        images = np.random.default_rng(height).integers(0, 256, (5, height, width, 1), dtype=np.uint8)
        assert run(images).shape == (5, 1, 28, 28)
        assert grey_levels(preprocess, images, run) < 1e-3


def test_an_image_of_the_right_size_is_not_resized_at_all():
    preprocess = Preprocess(3, 7, 9, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    images = np.random.default_rng(0).integers(0, 256, (2, 7, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(graph_of(preprocess)(images), images.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("resize", "keep_aspect", "antialias"),
    [(256, False, True), (256, True, True), (342, False, False), (227, True, False), (0, False, False)],
)
def test_equals_the_preprocessing_that_crops(photos: list[np.ndarray], resize: int, keep_aspect: bool, antialias: bool):
    preprocess = Preprocess(3, 227, 227, (123.0, 117.0, 104.0), (1.0, 1.0, 1.0), resize, keep_aspect, antialias)
    run = graph_of(preprocess)
    for index, (height, width) in enumerate([(256, 341), (375, 256), (227, 227), (480, 640), (30, 20), (17, 300)]):
        photo = Image.fromarray(photos[index % len(photos)]).resize((width, height), Image.Resampling.LANCZOS)
        assert run(np.asarray(photo)[None]).shape == (1, 3, 227, 227)
        assert grey_levels(preprocess, np.asarray(photo)[None], run) < 1e-3, (height, width)
