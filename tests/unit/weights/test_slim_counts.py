"""The variables that `slim_variables` derives against the counts that TF-Slim's releases, tests and facts print."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from slim_cases import CASES, variables_of
from slim_graph import TRAINED, Shape
from slim_variables import mobilenet_v2

Shapes = Mapping[str, Shape]


def trainable(variables: Shapes) -> int:
    """Numbers in the weights, without side classifiers and what is not trained."""
    return sum(
        math.prod(shape)
        for name, shape in variables.items()
        if name.split("/")[-1] in TRAINED and "/AuxLogits/" not in name and not name.startswith("aux_")
    )


def absent_gains(variables: Shapes) -> int:
    """Channels of the norms that have no gamma, side classifiers left out."""
    betas = [name for name in variables if name.endswith("/beta") and "/AuxLogits/" not in name]
    return sum(variables[beta][0] for beta in betas if beta.removesuffix("beta") + "gamma" not in variables)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.row])
def test_variables_add_up_to_the_counts_of_the_released_models(name: str, shared: Path) -> None:
    """The column counts a gamma for every norm, and Inception v2's first layer with a norm in place of its bias."""
    with (shared / "facts" / "tables" / "tfslim_pretrained_models.csv").open() as stream:
        counted = {row["model"]: int(row["counted_params_trainable"]) for row in csv.DictReader(stream)}
    variables = variables_of(name)
    one_norm = 64 if name == "inception_v2" else 0
    assert trainable(variables) + absent_gains(variables) + one_norm == counted[CASES[name].row]


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("inception_v1", 5_607_184),
        ("inception_v2", 10_173_112),  # the bias of the separable layer: a norm there would be 128 more
        ("inception_v3", 21_802_784),
        ("mobilenet_v1_1.0", 3_217_920),
    ],
)
def test_variables_before_the_classifier_add_up_to_what_slims_own_tests_say(name: str, total: int) -> None:
    """nets/*_test.py, testModelHasExpectedNumberOfParameters; MobileNet's test builds norms without gamma."""
    base = {n: s for n, s in variables_of(name).items() if "Logits/" not in n and not n.endswith("/gamma")}
    assert sum(math.prod(shape) for shape in base.values()) == total


@pytest.mark.parametrize(("width", "printed"), [(1.4, 6.06), (1.0, 3.47), (0.75, 2.61), (0.5, 1.95), (0.35, 1.66)])
def test_mobilenet_v2_adds_up_to_the_millions_of_its_release(width: float, printed: float) -> None:
    """nets/mobilenet/README.md, which counts no norms and 1,000 classes."""
    variables = mobilenet_v2(width)
    features = variables["MobilenetV2/Logits/Conv2d_1c_1x1/weights"][2]
    count = trainable({n: s for n, s in variables.items() if "/BatchNorm/" not in n}) - (features + 1)
    assert round(count / 1e6, 2) == printed
