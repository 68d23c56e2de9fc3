"""The OpenVINO reader: IRs written here by the format's description, the real one, and damaged or hostile ones."""

import random
from pathlib import Path

import numpy as np
import pytest

from sprat.errors import BadInput
from sprat.weights.foreign import READERS, first_bytes, read_foreign
from sprat.weights.formats.openvino import read
from sprat.weights.importing import import_weights
from sprat.weights.parse.xml_tree import MAX_DEPTH


def port(*dims: int) -> str:
    return f"<port id='0'>{''.join(f'<dim>{dim}</dim>' for dim in dims)}</port>"


def layer(number: int, name: str, kind: str, inside: str, precision: str = "FP16") -> str:
    return f"<layer id='{number}' name='{name}' precision='{precision}' type='{kind}'>{inside}</layer>"


def net(layers: str, version: int = 6, name: str = "small") -> str:
    return f"<?xml version='1.0' ?>\n<net batch='1' name='{name}' version='{version}'><layers>{layers}</layers></net>"


def input_layer(*dims: int) -> str:
    return layer(0, "data", "Input", f"<output>{port(*dims)}</output>")


def conv(
    number: int, name: str, in_channels: int, out: int, kernel: str, weights: tuple[int, int], biases: tuple[int, int],
    group: int = 1, precision: str = "FP16",
) -> str:  # fmt: skip
    return layer(
        number,
        name,
        "Convolution",
        f"<data group='{group}' kernel='{kernel}' output='{out}' strides='1,1'/>"
        f"<input>{port(1, in_channels, 8, 8)}</input><blobs><weights offset='{weights[0]}' size='{weights[1]}'/>"
        f"<biases offset='{biases[0]}' size='{biases[1]}'/></blobs>",
        precision,
    )


def save(folder: Path, xml: str, data: bytes) -> Path:
    (folder / "m.xml").write_text(xml)
    (folder / "m.bin").write_bytes(data)
    return folder / "m.xml"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A convolution, one in groups, and a fully-connected layer."""
    values = np.arange(24 + 4 + 24 + 4 + 12 + 3).astype("<f2")
    fully = (
        f"<data out-size='3'/><input>{port(1, 4, 1, 1)}</input>"
        "<blobs><weights offset='112' size='24'/><biases offset='136' size='6'/></blobs>"
    )
    layers = (
        input_layer(1, 2, 8, 8)
        + conv(1, "conv1", 2, 4, "1,3", (0, 48), (48, 8))
        + conv(2, "dw/conv", 4, 4, "2,3", (56, 48), (104, 8), group=4)
        + layer(3, "fc", "FullyConnected", fully)
    )
    return save(tmp_path, net(layers), values.tobytes())


@pytest.mark.parametrize("ending", [".xml", ".bin"])
def test_tensors_by_offset_and_shape(small: Path, ending: str) -> None:
    foreign = read_foreign(small.with_suffix(ending))
    assert foreign.format == "openvino"
    assert {name: value.shape for name, value in foreign.tensors.items()} == {
        "conv1/weights": (4, 2, 1, 3),
        "conv1/bias": (4,),
        "dw/conv/weights": (4, 1, 2, 3),
        "dw/conv/bias": (4,),
        "fc/weights": (3, 4),
        "fc/bias": (3,),
    }
    assert {value.dtype for value in foreign.tensors.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(
        np.concatenate([value.reshape(-1) for value in foreign.tensors.values()]), np.arange(71)
    )
    assert foreign.notes == {
        "name": "small",
        "version": "6",
        "input": [1, 2, 8, 8],
        "image": [2, 8, 8],
        "layers": [["data", "Input"], ["conv1", "Convolution"], ["dw/conv", "Convolution"], ["fc", "FullyConnected"]],
    }


def test_no_other_reader_takes_it(small: Path) -> None:
    for path in (small, small.with_suffix(".bin")):
        head = first_bytes(path)
        assert [name for name in READERS if READERS.get(name).recognises(path, head)] == ["openvino"]


def test_a_bin_without_its_xml_is_not_recognised(small: Path) -> None:
    small.unlink()
    with pytest.raises(BadInput, match="in none of the known formats"):
        read_foreign(small.with_suffix(".bin"))


def test_an_xml_without_its_bin(small: Path) -> None:
    small.with_suffix(".bin").unlink()
    with pytest.raises(BadInput, match=r"the .xml and .bin belong together"):
        read_foreign(small)


def test_constants_of_version_10(tmp_path: Path) -> None:
    def const(number: int, name: str, kind: str, shape: str, offset: int, size: int) -> str:
        data = f"<data element_type='{kind}' shape='{shape}' offset='{offset}' size='{size}'/>"
        return f"<layer id='{number}' name='{name}' type='Const' version='opset1'>{data}</layer>"

    weights, target = np.arange(6, dtype="<f4"), np.array([0, -1], "<i8")
    layers = (
        f"<layer id='0' name='x' type='Parameter'><data shape='?,3,8,8'/><output>{port(-1, 3, 8, 8)}</output></layer>"
        + const(1, "conv.weight", "f32", "2, 3, 1, 1", 0, 24)
        + const(2, "again", "f32", "6", 0, 24)
        + const(3, "shape", "i64", "2", 24, 16)
        + const(4, "scalar", "f16", "", 40, 2)
    )
    data = weights.tobytes() + target.tobytes() + np.array(0.5, "<f2").tobytes()
    foreign = read_foreign(save(tmp_path, net(layers, 11), data))
    np.testing.assert_array_equal(foreign.tensors["conv.weight"], weights.reshape(2, 3, 1, 1))
    np.testing.assert_array_equal(foreign.tensors["again"], weights)
    np.testing.assert_array_equal(foreign.tensors["shape"], target)
    assert foreign.tensors["scalar"] == 0.5
    assert foreign.tensors["scalar"].shape == ()
    assert foreign.notes["input"] == [-1, 3, 8, 8]
    assert foreign.notes["image"] == [3, 8, 8]


def test_full_precision_and_the_names_of_version_2(tmp_path: Path) -> None:
    inside = (
        f"<data kernel-x='2' kernel-y='1' output='1' group='1'/><input>{port(1, 3, 4, 4)}</input>"
        "<weights offset='0' size='24'/><biases offset='24' size='4'/>"
    )
    text = net(layer(0, "c", "Convolution", inside, precision="FP32"), 2)
    foreign = read_foreign(save(tmp_path, text, np.arange(7, dtype="<f4").tobytes()))
    np.testing.assert_array_equal(foreign.tensors["c/weights"], np.arange(6).reshape(1, 3, 1, 2))


def test_the_real_network(shared: Path) -> None:
    folder = shared / "weights" / "squeezenet1.1-openvino"
    foreign = read_foreign(folder / "squeezenet1.1.xml")
    assert len(foreign.tensors) == 52
    assert sum(value.size for value in foreign.tensors.values()) == 1_235_496
    assert foreign.notes["image"] == [3, 227, 227]
    imported = import_weights(folder / "squeezenet1.1.bin")
    assert imported.model == "squeezenet_1.1"
    assert imported.manifest.image == (3, 227, 227)
    np.testing.assert_array_equal(imported.state["head.1.bias"], foreign.tensors["conv10/bias"])
    np.testing.assert_array_equal(imported.state["stem.0.weight"], foreign.tensors["conv1/weights"][:, ::-1])


BILLION_LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE net [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<net name="x" version="6"><layers><layer name="&c;"/></layers></net>"""
OTHER_FILE = """<?xml version="1.0"?>
<!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/hostname">]>
<net name="x" version="6"><layers>&a;</layers></net>"""


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (BILLION_LAUGHS, "has a document type"),
        (OTHER_FILE, "has a document type"),
        ("<!DOCTYPE net SYSTEM 'x.dtd'><net name='x' version='6'/>", "has a document type"),
        ("<net name='x' version='6'>" + "<a>" * 100_000, f"or {MAX_DEPTH} levels"),
        ("<net name='x' version='6'><layers>" + "<layer/>" * 300_001 + "</layers></net>", "over 300,000 elements"),
        ("<net name='x' version='6'><layers></net>", "no well-formed XML: mismatched tag"),
        ("<net name='x' version='6'><layers>&nope;</layers></net>", "no well-formed XML: undefined entity"),
        ("<net name='x' version='6'/>", "a <net> with <layers> was expected"),
        (net(conv(1, "c", 2, 4, "1,3", (0, 48), (90, 8))), r"c/bias lies at 90 to 98 of the \.bin, which has 56 bytes"),
        (net(conv(1, "c", 2, 4, "1,3", (0, 48), (10**17, 8))), "lies at 100,000,000,000,000,000"),
        (net(conv(1, "c", 2, 4, "1,3", (-8, 48), (48, 8))), "the offset of <weights> is '-8'"),
        (net(conv(1, "c", 2, 4, "1,3", (0, 46), (48, 8))), "48 bytes, but the file holds 46"),
        (net(conv(1, "c", 10**15, 10**15, "1,3", (0, 48), (48, 8))), r"declares the shape \(1000000000000000, "),
        (net(conv(1, "c", 2, 4, "1,x", (0, 48), (48, 8))), "the kernel of c is 'x'"),
        (net(conv(1, "c", 3, 4, "1,3", (0, 48), (48, 8), group=2)), "2 groups for 3 channels"),
        (net(conv(1, "c", 3, 4, "1,3", (0, 48), (48, 8), group=0)), "0 groups for 3 channels"),
        (
            net(conv(1, "c", 2, 4, "1,3", (0, 48), (48, 8)) + conv(2, "d", 2, 4, "1,3", (2, 48), (40, 8))),
            "d/weights overlaps other tensors",
        ),
        (net(conv(1, "c", 2, 4, "1,3", (0, 48), (48, 8)) * 2), "two tensors are called 'c/weights'"),
        (net(conv(1, "c", 2, 4, "1,3", (0, 48), (48, 8), precision="BF16")), "is of type 'BF16'"),
        (net(layer(0, "c", "Input", f"<output>{port(10**20)}</output>")), "the dimension of c is"),
    ],
)
def test_damaged_and_hostile_files(tmp_path: Path, xml: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read(save(tmp_path, xml, bytes(56)))


def test_an_absurd_input_is_no_image(tmp_path: Path) -> None:
    path = save(tmp_path, net(input_layer(1, 3, 10**9, 10**9)), b"")
    assert "image" not in read(path).notes


def test_fuzz(small: Path) -> None:
    """Any change of the XML gives BadInput or tensors no larger than the .bin makes them."""
    rng, original = random.Random(5), small.read_bytes()
    outcomes = set()
    digits = [index for index, byte in enumerate(original) if chr(byte).isdigit()]
    for _ in range(2000):
        data = bytearray(original)
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.5:
                data[rng.choice(digits)] = rng.choice(b"0123456789-,")
            else:
                data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        small.write_bytes(data)
        head = first_bytes(small)
        assert READERS.get("openvino").recognises(small, head) in (True, False)
        try:
            foreign = read(small)
        except BadInput:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert sum(value.size for value in foreign.tensors.values()) <= 71
    assert outcomes == {"refused", "read"}
