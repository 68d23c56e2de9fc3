"""`sprat import` by the command line, and what every other command does with the file it writes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from sprat.export import load

pytestmark = pytest.mark.slow

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def resnet20() -> dict[str, np.ndarray]:
    """Random weights of the CIFAR ResNet-20 by the names and shapes of its paper and repository."""
    rng = np.random.default_rng(0)
    state: dict[str, np.ndarray] = {}

    def conv(name: str, out: int, inside: int) -> None:
        state[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / (9 * inside)), (out, inside, 3, 3)).astype(np.float32)

    def norm(name: str, channels: int) -> None:
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            state[f"{name}.{part}"] = np.full(channels, value, np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(7, np.int64)

    conv("module.conv1", 16, 3)
    norm("module.bn1", 16)
    before = 16
    for stage, width in ((1, 16), (2, 32), (3, 64)):
        for unit in range(3):
            for part in (1, 2):
                conv(f"module.layer{stage}.{unit}.conv{part}", width, before)
                norm(f"module.layer{stage}.{unit}.bn{part}", width)
                before = width
    state["module.linear.weight"] = rng.normal(0, 0.1, (10, 64)).astype(np.float32)
    state["module.linear.bias"] = rng.normal(0, 0.1, 10).astype(np.float32)
    return state


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, cli: Any) -> Path:
    """A folder with theirs.safetensors, ten classes of images, and the file that importing one on the other wrote."""
    folder = tmp_path_factory.mktemp("import")
    safetensors.numpy.save_file(resnet20(), folder / "theirs.safetensors")
    rng = np.random.default_rng(1)
    for name in CIFAR:
        (folder / "data" / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
                folder / "data" / name / f"{index}.png"
            )
    said = cli(
        "import", "theirs.safetensors", "--check", "data", "--out", "ours.safetensors", "--json", cwd=folder
    )  # fmt: skip
    assert said.code == 0, said.err
    (folder / "said.json").write_text(said.out)
    return folder


def test_it_says_what_it_found(place: Path):
    said = json.loads((place / "said.json").read_text())
    assert (said["model"], said["origin"]["network"]) == ("resnet_cifar_20", "akamaster/resnet_cifar")
    assert said["params"] == sum(
        value.size for name, value in resnet20().items() if not name.endswith(("mean", "var", "tracked"))
    )
    assert said["num_classes"] == 10
    assert said["licence"] == "BSD-2-Clause"
    assert said["score"]["num"] == 30
    assert 0 < said["bytes"] == (place / "ours.safetensors").stat().st_size


def test_the_score_in_the_file_is_that_of_eval(place: Path, cli: Any):
    found = cli("eval", "ours.safetensors", "data", "--split", "all", "--json", cwd=place).json()
    kept = cli("inspect", "ours.safetensors", "--json", cwd=place).json()["manifest"]["scores"]["imported"]
    assert (kept["num"], kept["top1"]) == (found["num"], round(found["accuracy"], 5))
    assert kept["data"] == "data"


@pytest.mark.parametrize("to", ["onnx", "sprat", "safetensors"])
def test_every_format_answers_the_same(place: Path, cli: Any, to: str, tmp_path: Path):
    target = tmp_path / f"net.{to}"
    assert cli("export", "ours.safetensors", "--to", to, "--out", str(target), cwd=place).code == 0
    picture = np.asarray(Image.open(place / "data" / "cat" / "0.png"))
    there, here = load(target), load(place / "ours.safetensors")
    assert there.classes == here.classes == CIFAR
    assert np.abs(there.predict([picture]) - here.predict([picture])).max() < 1e-5


def test_compress_without_a_limit_keeps_every_bit(place: Path, cli: Any, tmp_path: Path):
    from sprat.export import read_network

    said = cli("compress", "ours.safetensors", "--out", str(tmp_path / "net.sprat"), "--json", cwd=place).json()
    assert said["lossless"]
    assert said["size_bytes"] == (tmp_path / "net.sprat").stat().st_size < said["original_bytes"]
    left, right = (read_network(path)[1] for path in (place / "ours.safetensors", tmp_path / "net.sprat"))
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name]) for name in left)


def test_compress_with_a_limit_fine_tunes(own: Any, cli: Any):
    said = cli(
        "compress", "run/float.sprat", "--max-size", "30KB", "--finetune", "photos", "--epochs", "1", "--out", "small",
        "--json", cwd=own.folder,
    )  # fmt: skip
    assert said.code == 0, said.err
    result = said.json()
    assert result["size_bytes"] == (own.folder / "small" / "model.sprat").stat().st_size <= 30_000
    assert result["image"] == [3, 24, 24]
    assert (own.folder / "small" / "report.html").is_file()


def test_train_starts_from_it(place: Path, cli: Any, make_photos: Any, tmp_path: Path):
    make_photos(tmp_path / "photos")
    shutil.copy(place / "ours.safetensors", tmp_path)
    command = ("train", "photos", "--from", "ours.safetensors", "--epochs", "2", "--out", "trained", "--json")
    said = cli(*command, cwd=tmp_path)
    assert said.code == 0, said.err
    result = said.json()
    assert result["classes"] == ["ring", "square", "triángulo"]
    assert len(result["transfer"]["tried"]) == 4
    best = min(result["transfer"]["tried"], key=lambda entry: entry["val_loss"])
    assert result["transfer"]["chosen"] == best["way"]
    assert result["test_accuracy"] > 0.4  # chance is a third
    again = cli(*command, cwd=tmp_path)
    assert again.json() == result
    score = cli("eval", "trained/model.safetensors", "photos", "--json", cwd=tmp_path).json()
    assert score["accuracy"] == pytest.approx(result["test_accuracy"])

    manifest = cli("inspect", "trained/model.safetensors", "--json", cwd=tmp_path).json()["manifest"]
    assert manifest["origin"]["from"]["file"] == "ours.safetensors"
    assert manifest["licence"] == "BSD-2-Clause"
    before = cli("inspect", "ours.safetensors", "--json", cwd=tmp_path).json()["manifest"]["preprocessing"]
    assert (manifest["preprocessing"]["mean"], manifest["preprocessing"]["std"]) == (before["mean"], before["std"])


def test_fit_starts_from_a_file_of_fit(own: Any, cli: Any):
    said = cli(
        "fit", "photos", "--from", "run/float.sprat", "--max-size", "30KB", "--epochs", "1", "--out", "again", "--json",
        cwd=own.folder,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json()["size_bytes"] <= 30_000
    manifest, before = (
        cli("inspect", f"{run}/model.sprat", "--json", cwd=own.folder).json()["manifest"] for run in ("again", "run")
    )
    assert manifest["origin"]["from"]["file"] == "float.sprat"
    assert (manifest["preprocessing"], manifest["image"]) == (before["preprocessing"], before["image"])


def test_other_weights_under_the_same_name_are_another_request(place: Path, cli: Any, make_photos: Any, tmp_path: Path):
    make_photos(tmp_path / "photos")
    shutil.copy(place / "ours.safetensors", tmp_path)
    command = ("train", "photos", "--from", "ours.safetensors", "--epochs", "1", "--out", "trained")
    assert cli(*command, cwd=tmp_path).code == 0
    state = resnet20()
    state["module.conv1.weight"] += 1
    safetensors.numpy.save_file(state, tmp_path / "theirs.safetensors")
    assert cli("import", "theirs.safetensors", "--out", "ours.safetensors", cwd=tmp_path).code == 0
    said = cli(*command, cwd=tmp_path)
    assert said.code == 2
    assert "start_sha256" in said.line()


def broken(**changes: Any) -> dict[str, np.ndarray]:
    state = resnet20()
    for name, value in changes.items():
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (broken(**{"module.bn1.bias": None}), ["1 missing", "bn1.bias"]),
        (broken(**{"extra.weight": np.zeros(3, np.float32)}), ["unused", "extra.weight"]),
        (broken(**{"module.conv1.weight": np.zeros((16, 3, 5, 5), np.float32)}), ["conv1.weight", "(16, 3, 5, 5)"]),
    ],
)
def test_a_tensor_too_many_or_too_few_is_named(
    cli: Any, tmp_path: Path, state: dict[str, np.ndarray], words: list[str]
):
    safetensors.numpy.save_file(state, tmp_path / "net.safetensors")
    said = cli("import", "net.safetensors", "--model", "resnet_cifar_20", cwd=tmp_path)
    assert said.code == 1
    line = said.line()
    assert all(word in line for word in words), line
    assert not (tmp_path / "resnet_cifar_20.safetensors").exists()


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["import", "nothing.h5"], 1, ["nothing.h5"]),
        (["import", "photo.png"], 1, ["photo.png", "known formats"]),
        (["import", "torchvision/squeezenet9"], 2, ["torchvision/squeezenet9", "did you mean"]),
        (["import", "theirs.safetensors", "--classes", "a,b"], 1, ["2 classes are named", "10 outputs"]),
        (["import", "theirs.safetensors", "--model", "resnet_cifar20"], 2, ["resnet_cifar20", "did you mean"]),
        (["train", "data"], 1, ["--model", "--from"]),
        (["train", "data", "--model", "mobilenet_v1_0.25", "--from", "ours.safetensors"], 1, ["both", "--model"]),
        (["train", "data", "--from", "theirs.safetensors"], 1, ["another tool", "sprat import"]),
        (["compress", "ours.safetensors", "--max-size", "9KB"], 1, ["--finetune"]),
        (["export", "ours.safetensors", "--to", "safetensors", "--out", "ours.safetensors"], 1, ["itself"]),
        (["eval", "ours.safetensors", "nowhere", "--split", "all"], 2, ["nowhere"]),
    ],
)
def test_what_cannot_be_done_is_one_line(place: Path, cli: Any, command: list[str], code: int, words: list[str]):
    Image.new("RGB", (8, 8)).save(place / "photo.png")
    said = cli(*command, cwd=place)
    assert said.code == code, said.err
    line = said.line()
    assert all(word in line for word in words), line


def killed_when(command: list[str], folder: Path, seen: Path) -> None:
    """Start a command and kill it as soon as a file is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sprat", *command],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while not seen.exists():
        assert process.poll() is None, f"it ended before {seen.name} was there"
        assert time.monotonic() < deadline, f"no {seen.name}"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_transfer_ends_in_the_same_bytes(place: Path, cli: Any, make_photos: Any, tmp_path: Path):
    make_photos(tmp_path / "photos")
    shutil.copy(place / "ours.safetensors", tmp_path)
    command = ["train", "photos", "--from", "ours.safetensors", "--epochs", "2", "--out"]
    assert cli(*command, "whole", cwd=tmp_path).code == 0
    run = tmp_path / "killed"
    killed_when([*command, "killed"], tmp_path, run / "plan.json")  # before or in the trial
    assert not (run / "transfer.json").exists()
    killed_when([*command, "killed"], tmp_path, run / "transfer.json")
    killed_when([*command, "killed"], tmp_path, run / "checkpoint.safetensors")
    assert not (run / "result.json").exists()
    assert cli(*command, "killed", cwd=tmp_path).code == 0
    assert (run / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()


def test_a_score_that_cannot_be_had_leaves_the_file_as_it_was(place: Path, cli: Any, tmp_path: Path):
    shutil.copy(place / "ours.safetensors", tmp_path)
    shutil.copy(place / "theirs.safetensors", tmp_path)
    before = (tmp_path / "ours.safetensors").read_bytes()
    write_dog(tmp_path / "dogs")
    for data, words in (("nodata", "nodata"), ("dogs", "does not know")):
        said = cli("import", "theirs.safetensors", "--check", data, "--out", "ours.safetensors", cwd=tmp_path)
        assert said.code != 0
        assert words in said.err
    assert (tmp_path / "ours.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dogs", "ours.safetensors", "theirs.safetensors"]


def write_dog(folder: Path) -> None:
    for name in ("poodle", "beagle"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(folder / name / "one.png")


@pytest.mark.parametrize("command", ["import", "compress"])
def test_nothing_is_replaced_by_what_is_read_from_it(place: Path, cli: Any, tmp_path: Path, command: str):
    name = "theirs.safetensors" if command == "import" else "ours.safetensors"
    shutil.copy(place / name, tmp_path)
    said = cli(command, name, "--out", name, cwd=tmp_path)
    assert said.code == 1
    assert "would be replaced" in said.line()
    assert (tmp_path / name).read_bytes() == (place / name).read_bytes()


@pytest.mark.parametrize("out", ["folder", "/proc/nowhere/net.safetensors"])
def test_an_output_that_cannot_be_written_is_one_line(place: Path, cli: Any, tmp_path: Path, out: str):
    (tmp_path / "folder").mkdir()
    shutil.copy(place / "theirs.safetensors", tmp_path)
    said = cli("import", "theirs.safetensors", "--out", out, cwd=tmp_path)
    assert said.code == 1
    assert "Traceback" not in said.err


def test_a_full_disk_is_one_line(place: Path, cli: Any, tmp_path: Path):
    """A file may not grow over 100 blocks: what a full disk says."""
    shutil.copy(place / "theirs.safetensors", tmp_path)
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 100; {sys.executable} -m sprat import theirs.safetensors --out net.safetensors"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "net.safetensors" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.safetensors"]


def test_a_file_of_sprats_is_said_to_be_one(place: Path, cli: Any):
    said = cli("import", "ours.safetensors", cwd=place)
    assert said.code == 1
    assert "sprat's already" in said.line()
