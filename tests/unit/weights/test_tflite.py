"""TensorFlow Lite files, written with the flatbuffers package, and the real ones beside the project."""

import io
import json
import random
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tflite_writer import Model, Op, Tensor, conv, depthwise, written
from torch.nn import functional

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.weights.foreign import Foreign, read_foreign
from sprat.weights.formats.tflite import read
from sprat.weights.importing import import_weights
from sprat.weights.parse.flatbuffer import Flatbuffer
from sprat.zoo import build, config_from_dict
from sprat.zoo.end_padded import same_pad

INT8 = np.arange(-8, 10, dtype=np.int8).reshape(2, 1, 3, 3)
UINT8 = np.arange(240, 249, dtype=np.uint8).reshape(1, 3, 3, 1)
FLOAT = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)


def model(**changes: Any) -> Model:
    """A depthwise convolution of a grey image, a convolution by channel, a reshape and a fully-connected layer."""
    parts: dict[str, Any] = {
        "tensors": [
            Tensor("picture", (1, 6, 5, 1), "uint8", scale=[0.5], zero_point=[128]),
            Tensor("a;b/weights", UINT8.shape, "uint8", UINT8, [0.25], [244]),
            Tensor("bias of a", (1,), "int32", np.array([-3], np.int32), [0.125], [0]),
            Tensor("map", (1, 3, 3, 1), "int8", scale=[2.0], zero_point=[-1]),
            Tensor("filter", INT8.shape, "int8", INT8, [0.5, 4.0], [0, 1], axis=0),
            Tensor("bias without a scale", (2,), "int32", np.array([5, 7], np.int32)),
            Tensor("map 2", (1, 1, 1, 2), "int8", scale=[1.0], zero_point=[0]),
            Tensor("shape", (2,), "int32", np.array([1, 2], np.int32)),
            Tensor("flat", (1, 2), "int8"),
            Tensor("matrix", FLOAT.shape, "float32", FLOAT),
            Tensor("logits", (1, 4)),
        ],
        "ops": [
            Op("DEPTHWISE_CONV_2D", [0, 1, 2], [3], depthwise(stride=2, activation=3), 2),
            Op("CONV_2D", [3, 4, 5], [6], conv(padding=1, activation=1), 1),
            Op("RESHAPE", [6, 7], [8]),
            Op("FULLY_CONNECTED", [8, 9, -1], [10], [(0, "Int8", 0)], 8),
        ],
    }
    return Model(**{**parts, **changes})


def with_tensor(index: int, **changes: Any) -> Model:
    tensors = list(model().tensors)
    tensors[index] = replace(tensors[index], **changes)
    return model(tensors=tensors)


def read_bytes(tmp_path: Path, content: bytes) -> Foreign:
    path = tmp_path / "net.bin"
    path.write_bytes(content)
    return read(path)


def read_model(tmp_path: Path, made: Model) -> Foreign:
    return read_bytes(tmp_path, written(made))


@pytest.mark.parametrize("external", [False, True])
def test_numbers_are_what_they_stand_for(tmp_path: Path, external: bool) -> None:
    found = read_model(tmp_path, model(external=external)).tensors
    assert list(found) == [
        "depthwise_conv2d_0/weights",
        "depthwise_conv2d_0/bias",
        "conv2d_0/weights",
        "conv2d_0/bias",
        "fully_connected_0/weights",
    ]
    assert all(array.dtype == np.float32 for array in found.values())
    np.testing.assert_array_equal(
        found["depthwise_conv2d_0/weights"].ravel(), [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
    )
    np.testing.assert_array_equal(found["depthwise_conv2d_0/bias"], [-0.375])
    np.testing.assert_array_equal(found["conv2d_0/weights"][0], 0.5 * INT8[0].astype(np.float32))
    np.testing.assert_array_equal(found["conv2d_0/weights"][1], 4 * (INT8[1].astype(np.float32) - 1))
    np.testing.assert_array_equal(found["conv2d_0/bias"], [5 * 2 * 0.5, 7 * 2 * 4])  # scale of input times weights
    np.testing.assert_array_equal(found["fully_connected_0/weights"], FLOAT)


def test_the_notes_are_the_graph_as_json(tmp_path: Path) -> None:
    notes = read_model(tmp_path, model()).notes
    assert json.loads(json.dumps(notes, allow_nan=False)) == notes
    assert notes["inputs"] == [
        {"name": "picture", "shape": [1, 6, 5, 1], "type": "UINT8", "scale": 0.5, "zero_point": 128}
    ]
    assert notes["outputs"] == [
        {"name": "logits", "shape": [1, 4], "type": "FLOAT32", "scale": None, "zero_point": None}
    ]
    assert (notes["image"], notes["pixels"]) == ([1, 6, 5], {"mean": 128, "std": 2.0})
    assert notes["operators"][:2] == [
        {
            "op": "DEPTHWISE_CONV_2D",
            "inputs": ["picture", "a;b/weights", "bias of a"],
            "outputs": ["map"],
            "stride": [2, 2],
            "dilation": [1, 1],
            "padding": "SAME",
            "activation": "RELU6",
        },
        {
            "op": "CONV_2D",
            "inputs": ["map", "filter", "bias without a scale"],
            "outputs": ["map 2"],
            "stride": [1, 1],
            "dilation": [1, 1],
            "padding": "VALID",
            "activation": "RELU",
        },
    ]
    assert [operator["op"] for operator in notes["operators"][2:]] == ["RESHAPE", "FULLY_CONNECTED"]
    assert notes["names"]["conv2d_0/weights"] == "filter"
    assert notes["constants"] == [{"name": "shape", "shape": [2], "type": "INT32", "operator": "reshape_0"}]
    assert notes["description"] == "made in a test"


def test_a_signed_input_takes_pixels_from_black_at_its_least(tmp_path: Path) -> None:
    made = with_tensor(0, type="int8", scale=[1.0], zero_point=[-128])
    assert read_model(tmp_path, made).notes["pixels"] == {"mean": 0, "std": 1.0}


def test_weights_of_16_bits_are_found_behind_their_widening(tmp_path: Path) -> None:
    half = FLOAT.astype(np.float16)
    made = Model(
        [
            Tensor("x", (1, 2)),
            Tensor("half", half.shape, "float16", half),
            Tensor("wide", half.shape),
            Tensor("gain", (1,), "float32", np.array([3], np.float32)),
            Tensor("y", (1, 4)),
            Tensor("z", (1, 4)),
        ],
        [
            Op("DEQUANTIZE", [1], [2]),
            Op("FULLY_CONNECTED", [0, 2], [4], [(0, "Int8", 1)], 8),
            Op("MUL", [4, 3], [5], [(0, "Int8", 0)], 21),
        ],
    )
    found = read_model(tmp_path, made)
    np.testing.assert_array_equal(found.tensors["fully_connected_0/weights"], half.astype(np.float32))
    np.testing.assert_array_equal(found.tensors["mul_0/input_1"], [3])  # not passed over: a table has to know it
    assert found.notes["constants"] == []


def test_floats_need_no_scale_and_ignore_one(tmp_path: Path) -> None:
    made = with_tensor(9, scale=[0.5], zero_point=[3])
    np.testing.assert_array_equal(read_model(tmp_path, made).tensors["fully_connected_0/weights"], FLOAT)
    made = with_tensor(9, type="float64", data=FLOAT.astype(np.float64))
    np.testing.assert_array_equal(read_model(tmp_path, made).tensors["fully_connected_0/weights"], FLOAT)


def test_constants_no_operator_uses_are_listed(tmp_path: Path) -> None:
    made = model(ops=model().ops[:1], outputs=(3,))
    listed = read_model(tmp_path, made).notes["constants"]
    assert [entry["name"] for entry in listed] == ["filter", "bias without a scale", "shape", "matrix"]
    assert {entry["operator"] for entry in listed} == {None}


def test_operators_of_higher_numbers_do_not_matter(tmp_path: Path) -> None:
    ops = [*model().ops, Op(150, [10], [10]), Op(32, [10], [10], custom="Mine")]
    notes = read_model(tmp_path, model(ops=ops)).notes
    assert [operator["op"] for operator in notes["operators"][-2:]] == ["OPERATOR_150", "CUSTOM"]


def test_the_format_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(written(model()))
    assert read_foreign(path).format == "tflite"
    path.write_bytes(written(model(identifier=b"TFL2")))
    with pytest.raises(BadInput, match="none of the known formats"):
        read_foreign(path)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (with_tensor(4, sparse=True), "sparse"),
        (with_tensor(4, type=17), "INT4"),
        (with_tensor(4, type=18), "type 18"),
        (with_tensor(4, type=-1), "type -1"),
        (with_tensor(4, details=1), "way of its own"),
        (with_tensor(4, scale=[0.0, 1.0]), "above 0"),
        (with_tensor(4, scale=[-1.0, 1.0]), "above 0"),
        (with_tensor(4, scale=[float("nan"), 1.0]), "above 0"),
        (with_tensor(4, scale=[float("inf"), 1.0]), "above 0"),
        (with_tensor(4, scale=[1.0, 1.0, 1.0], zero_point=[]), "3 scales along axis 0"),
        (with_tensor(4, axis=1), "2 scales along axis 1"),
        (with_tensor(4, axis=-1), "axis -1"),
        (with_tensor(4, axis=4), "axis 4"),
        (with_tensor(4, zero_point=[0, 0, 0]), "3 zero points"),
        (with_tensor(4, zero_point=[2**62]), "huge"),
        (with_tensor(4, scale=[3e38, 3e38]), "beyond"),
        (with_tensor(9, type="float64", data=FLOAT.astype(np.float64) * 1e300), "beyond"),
        (with_tensor(4, scale=[], zero_point=[]), "without a scale"),
        (with_tensor(3, scale=[], zero_point=[]), "without a scale"),  # the bias has none of its own
        (with_tensor(5, shape=(1,), data=np.array([1], np.int32)), "2 scales along axis 0"),
        (with_tensor(4, shape=(2, 1, 3, -3)), "not usable"),
        (with_tensor(4, shape=(2, 1, 3, 4)), "24 bytes"),
        (with_tensor(4, shape=(2**30, 2**30, 2**30, 1)), "damaged"),
        (with_tensor(4, shape=[1] * 9), "at most 8"),
        (with_tensor(4, buffer=7), "buffer 7 of 7"),
        (with_tensor(4, buffer=2**32 - 1), "buffer 4294967295"),
        (with_tensor(4, name="n" * 70_000), "70,000 characters"),
        (model(version=2), "version 2"),
        (model(graphs=0), "no graph"),
        (model(inputs=(11,)), "tensor 11 of 11"),
        (model(inputs=(-2,)), "tensor -2"),
        (model(opcode_offset=4), "code 4 of 4"),
        (model(ops=[Op("CONV_2D", [3, 11, 5], [6], conv(), 1)]), "not among 11"),
        (model(ops=[Op("CONV_2D", [3, -2, 5], [6], conv(), 1)]), "not among 11"),
        (model(ops=[Op("CONV_2D", [3, 4], [-1], conv(), 1)]), "not among 11"),
        (model(ops=[Op("CONV_2D", [3, 4], [6], conv(), 2)]), "options of another"),
        (model(ops=[Op("CONV_2D", [3, 4], [6], conv(padding=2), 1)]), "option of value 2"),
        (model(ops=[Op("CONV_2D", [3, 4], [6], conv(activation=-1), 1)]), "option of value -1"),
        (model(ops=[Op("FULLY_CONNECTED", [8, 9], [10], [(1, "Int8", 1)], 8)]), "shuffled"),
        (model(ops=[Op("CONV_2D", [-1, 4, 5], [6], conv(), 1)]), "without a scale"),
        (model(ops=[Op("RESHAPE", [7] * 1001, [8])]), "1,001 numbers"),
    ],
)
def test_what_is_damaged_or_not_read_is_refused(tmp_path: Path, made: Model, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_model(tmp_path, made)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read(tmp_path / "absent.tflite")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="UTF-8"):
        read_bytes(tmp_path, written(model()).replace(b"filter", b"\xff\xfe\xff\xfe\xff\xfe"))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = written(model())
    for length in range(0, len(content) - 64, 3):
        with pytest.raises(BadInput):
            read_bytes(tmp_path, content[:length])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "truncated"),
        (struct.pack("<I4s", 2**32 - 1, b"TFL3"), "truncated"),
        (struct.pack("<I4si", 8, b"TFL3", 0), "vtable of 0 bytes"),  # its own vtable
        (struct.pack("<I4siHH", 8, b"TFL3", -4, 3, 4), "vtable of 3 bytes"),
        (struct.pack("<I4siHH", 8, b"TFL3", -4, 65_534, 4), "truncated"),
        (struct.pack("<I4si", 8, b"TFL3", 2**31 - 1), "truncated"),
        (struct.pack("<I4si", 8, b"TFL3", -(2**31)), "truncated"),
        # A table whose list of graphs says it has 4,294,967,295 entries.
        (struct.pack("<I4siHHHHHHII", 8, b"TFL3", -8, 10, 8, 4, 0, 0, 0, 3, 2**32 - 1), "version 0|truncated"),
    ],
)
def test_places_that_are_not_there(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_bytes(tmp_path, content)


def test_lists_longer_than_the_file_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    content = bytearray(written(model()))
    tracemalloc.start()
    for place in range(0, len(content) - 4, 4):
        changed = bytes(content[:place]) + b"\xff\xff\xff\x7f" + bytes(content[place + 4 :])
        try:
            read_bytes(tmp_path, changed)
        except BadInput:
            continue
    assert tracemalloc.get_traced_memory()[1] < 20 * len(content) + 2**20
    tracemalloc.stop()


def test_one_buffer_for_many_tensors_is_not_a_bomb(tmp_path: Path) -> None:
    """200 tensors of the same megabyte: fewer than it takes to read 8 times the file."""
    big = np.zeros(2**20, np.int8)
    first = Tensor("w", big.shape, "int8", big, [1.0])
    others = [Tensor(f"w{i}", big.shape, "int8", None, [1.0], buffer=1) for i in range(200)]
    ops = [Op("MUL", [i, i + 1], [0], [(0, "Int8", 0)], 21) for i in range(200)]
    tracemalloc.start()
    with pytest.raises(BadInput, match="over and over"):
        read_model(tmp_path, Model([first, *others], ops))
    assert tracemalloc.get_traced_memory()[1] < 2**20 * 64
    tracemalloc.stop()


def test_long_names_for_many_operators_are_not_a_bomb(tmp_path: Path) -> None:
    ops = [Op("RESHAPE", [0] * 1000, [0])] * 20
    with pytest.raises(BadInput, match="over and over"):
        read_model(tmp_path, Model([Tensor("n" * 60_000, (1,))], ops))


def test_a_list_of_too_many_tables_is_refused() -> None:
    """Field 0 of a table: a vector of 100,001 tables, for which the bytes are there."""
    vtable, table, vector = struct.pack("<HHH", 6, 8, 4), struct.pack("<iI", 6, 4), struct.pack("<I", 100_001)
    file = Flatbuffer(struct.pack("<I", 10) + vtable + table + vector + bytes(400_004), "net")
    with pytest.raises(BadInput, match="100,001 tables"):
        file.root().tables(0)


def test_mutations_give_a_result_or_bad_input(tmp_path: Path) -> None:
    chance = random.Random(0)
    originals = [written(model()), written(model(external=True))]
    results = 0
    for _ in range(4000):
        content = bytearray(chance.choice(originals))
        for _ in range(chance.choice((1, 1, 2, 8))):
            place = chance.randrange(len(content))
            how = chance.randrange(4)
            if how == 0:
                content[place] = chance.randrange(256)
            elif how == 1:
                value = chance.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(content)))
                content[place : place + 4] = struct.pack("<I", value)
            elif how == 2:
                del content[place : place + chance.randrange(1, 9)]
            else:
                content[place:place] = content[: chance.randrange(1, 9)]
        try:
            found = read_bytes(tmp_path, bytes(content))
        except BadInput:
            continue
        results += 1
        json.dumps(found.notes, allow_nan=False)
        assert sum(array.nbytes for array in found.tensors.values()) <= 64 * len(content) + 2**20
    assert 50 < results < 3900


REAL = {
    "mobilenet_v1_0.25_128_quant.tflite": ("mobilenet_v1_0.25_relu6", 56, (3, 128, 128), 1000),
    "mobilenet_v2_1.0_224_quant.tflite": ("mobilenet_v2_1.0", 106, (3, 224, 224), 1000),
    "mlperftiny_pretrainedResnet_quant.tflite": ("resnet_cifar_8", 20, (3, 32, 32), 10),
}


def logits_of_the_graph(found: Foreign, x: torch.Tensor) -> torch.Tensor:
    """The graph of the notes, operator by operator, with floats."""
    maps, counts = {found.notes["inputs"][0]["name"]: x}, dict.fromkeys(("conv2d", "depthwise_conv2d"), 0)
    for operator in found.notes["operators"]:
        y = maps[operator["inputs"][0]]
        kind = operator["op"].lower().replace("_2d", "2d")
        if kind in counts:
            weight = torch.from_numpy(found.tensors[f"{kind}_{counts[kind]}/weights"])
            bias = torch.from_numpy(found.tensors[f"{kind}_{counts[kind]}/bias"])
            counts[kind] += 1
            weight = weight.permute(0, 3, 1, 2) if kind == "conv2d" else weight.permute(3, 0, 1, 2)
            if operator["padding"] == "SAME":
                y = same_pad(y, weight.shape[2:], operator["stride"], 0.0)
            y = functional.conv2d(y, weight, bias, operator["stride"], groups=y.shape[1] // weight.shape[1])
        elif kind == "average_pool2d":
            y = functional.avg_pool2d(y, operator["kernel"], operator["stride"])
        elif kind == "add":
            y = y + maps[operator["inputs"][1]]
        elif kind == "fully_connected":
            weight, bias = (
                torch.from_numpy(found.tensors[f"fully_connected_0/{name}"]) for name in ("weights", "bias")
            )
            y = functional.linear(y, weight, bias)
        elif kind == "reshape":
            y = y.flatten(1)
        elif kind == "softmax":
            return y
        y = {"RELU": torch.relu, "RELU6": functional.relu6}.get(operator.get("activation", ""), lambda z: z)(y)
        maps[operator["outputs"][0]] = y
    raise AssertionError("the graph has no softmax")


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_computes_the_same_as_its_own_graph(shared: Path, name: str) -> None:
    path = shared / "weights" / name
    preset, num_tensors, image, num_classes = REAL[name]
    found, imported = read(path), import_weights(path)
    assert (imported.model, len(found.tensors)) == (preset, num_tensors)
    assert (imported.manifest.image, len(imported.manifest.classes)) == (image, num_classes)
    preprocess = imported.manifest.preprocessing
    pixels = found.notes["pixels"]
    assert preprocess is not None
    assert (preprocess["mean"], preprocess["std"]) == ([pixels["mean"]] * 3, [pixels["std"]] * 3)
    net = build(config_from_dict(imported.manifest.architecture), ImageSpec(*image), num_classes).eval()
    state = {key: torch.from_numpy(value) for key, value in imported.state.items()}
    assert not net.load_state_dict(state, strict=False).unexpected_keys
    torch.manual_seed(0)
    x = (torch.randint(0, 256, (1, *image)).float() - pixels["mean"]) / pixels["std"]
    with torch.no_grad():
        ours, theirs = net(x), logits_of_the_graph(found, x)[:, -num_classes:]
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_the_real_resnet_8_knows_its_images(shared: Path) -> None:
    """75.5 % on the whole set, of the original; the first 500 of it."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(shared / "data" / "cifar10-test.parquet").slice(0, 500)
    column = "img" if "img" in rows.column_names else "image"
    pictures = [np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in rows[column].to_pylist()]
    labels = torch.tensor(rows["label"].to_pylist())
    imported = import_weights(shared / "weights" / "mlperftiny_pretrainedResnet_quant.tflite")
    net = build(config_from_dict(imported.manifest.architecture), ImageSpec(3, 32, 32), 10).eval()
    net.load_state_dict({key: torch.from_numpy(value) for key, value in imported.state.items()}, strict=False)
    with torch.no_grad():
        right = net(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()).argmax(1) == labels
    assert right.float().mean() > 0.70
