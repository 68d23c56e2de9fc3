"""What `sprat cost` and its like may be asked about."""

import json
from pathlib import Path

import pytest

from sprat.cost import count
from sprat.errors import BadInput, UnknownName
from sprat.image import ImageSpec, parse_image
from sprat.subject import subject
from sprat.zoo import config_to_dict, get_preset

OWN = """
import torch
from torch import nn
from beside import CHANNELS


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 3)
        self.scale = float(torch.ones(3).sum())  # looks at contents, which the meta device has not

    def forward(self, x):
        return self.conv(x) * self.scale


class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()


def number():
    return 3
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("CHANNELS = 5\n")
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


def test_a_preset_has_its_published_input() -> None:
    about = subject("mobilenet_v1_0.25")
    assert (about.image, about.num_classes) == (ImageSpec(3, 224, 224), 1000)
    assert count(about.net, about.image).macs == 41_030_272


def test_image_and_classes_can_be_given() -> None:
    about = subject("mobilenet_v1_1.0", ImageSpec(3, 192, 192), 120)
    assert count(about.net, about.image).macs == 417_220_608


def test_a_class_of_the_users_own(own: Path) -> None:
    about = subject(f"{own}:Tiny", ImageSpec(3, 8, 8))
    assert count(about.net, about.image).macs == 36 * 5 * 27
    assert about.num_classes is None


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("Needs", r"without arguments.*width"),
        ("number", "gives a int, not a torch.nn.Module"),
        ("Absent", "has no class or function 'Absent'; it has Tiny, Needs"),
    ],
)
def test_what_is_no_network_is_refused(own: Path, attribute: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        subject(f"{own}:{attribute}")


def test_a_broken_or_absent_file_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_that_name\n")
    with pytest.raises(BadInput, match="cannot be imported: ModuleNotFoundError"):
        subject(f"{broken}:Net")
    with pytest.raises(BadInput, match="no file"):
        subject(f"{tmp_path / 'absent.py'}:Net")
    with pytest.raises(BadInput, match="name the class in it too"):
        subject(str(broken))


def test_an_architecture_file(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(json.dumps(config_to_dict(get_preset("squeezenet_1.1"))))
    assert count(subject(str(path)).net, ImageSpec(3, 224, 224)).params == 1_235_496
    path.write_text("[]")
    with pytest.raises(BadInput, match="holds no architecture"):
        subject(str(path))
    path.write_text("{")
    with pytest.raises(BadInput, match="is not JSON"):
        subject(str(path))


def test_a_name_that_is_several_or_none() -> None:
    with pytest.raises(BadInput, match=r"names \d+ models"):
        subject("mobilenet_v1")
    with pytest.raises(UnknownName, match="did you mean"):
        subject("mobilenet_v1_0.26")


@pytest.mark.parametrize(
    ("text", "shape"),
    [("3x224x224", (3, 224, 224)), ("1x28x28", (1, 28, 28)), ("224", (3, 224, 224)), ("96X64", (3, 96, 64))],
)
def test_images_as_written(text: str, shape: tuple[int, int, int]) -> None:
    assert parse_image(text).shape == shape


@pytest.mark.parametrize("text", ["", "x", "3x", "3x4x5x6", "-3", "3,4", "big", "0"])
def test_images_that_are_none(text: str) -> None:
    with pytest.raises(BadInput):
        parse_image(text)
