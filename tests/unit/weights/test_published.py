"""The registry of published weights: complete rows, no made-up checksums, sums that agree with the originals here."""

import hashlib
import re
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sprat.errors import UnknownName
from sprat.weights.fetch.published import find, published
from sprat.weights.table import tables
from sprat.zoo import list_models

HERE = {  # file in ../shared/weights -> entry
    "compressed_SqueezeNet.net": "deep_compression/squeezenet_1.0",
    "mlperftiny_pretrainedResnet.h5": "mlperf_tiny/resnet8",
    "mlperftiny_pretrainedResnet_quant.tflite": "mlperf_tiny/resnet8_quant",
    "mlperftiny_vww_96.h5": "mlperf_tiny/visual_wake_words_96",
    "mobilenet_v1_0.25_128_quant.tflite": "tflite/mobilenet_v1_0.25_128_quant_coral",
    "mobilenet_v2_1.0_224_quant.tflite": "tflite/mobilenet_v2_1.0_224_quant_coral",
    "resnet20-cifar10.th": "akamaster/resnet_cifar_20",
}
WITHOUT_TABLE = ("keras/mobilenet_v2_*", "caffe/*")  # to be shortened as the tables come
DIGITS = {"sha384": 96, "sha256": 64, "sha1": 40, "md5": 32}


def test_every_row_is_complete() -> None:
    """Name, address, licence and where they were found; plain http only where a sha256 or sha384 proves the content."""
    models = set(list_models())
    for name, entry in published().items():
        pieces = urlsplit(entry.url)
        assert name == entry.name
        assert name.startswith(entry.source + "/"), name
        assert re.fullmatch(r"[a-z0-9_]+/[a-z0-9_.]+", name), name
        assert all((entry.title, entry.licence, re.match(r"[\w.-]+/[\w.-]+", entry.found))), name
        assert pieces.scheme == "https" or (pieces.scheme == "http" and entry.proves_content), name
        assert (bool(pieces.netloc), pieces.query, pieces.fragment) == (True, "", ""), name
        assert re.fullmatch(r"\w[\w.-]*\.(tar\.gz|tgz|h5|pth|th|caffemodel|net|tflite)", entry.file_name, re.ASCII), (
            name
        )
        assert entry.model in models, name


def test_every_entry_can_be_imported() -> None:
    """A table of its source, or of the framework it was saved with, has a network for its model."""
    for name, entry in published().items():
        sources = {"mlperf_tiny": ("keras", "tflite")}.get(entry.source, (entry.source,))
        patterns = [pattern for network in tables() if network.source in sources for pattern in network.models]
        known = any(fnmatchcase(entry.model, pattern) for pattern in patterns)
        assert known or any(fnmatchcase(name, pattern) for pattern in WITHOUT_TABLE), name


def test_names_in_the_cache_are_unique() -> None:
    """No two entries would lie in the same file of the cache, nor come from the same address."""
    entries = published().values()
    assert len({(entry.source, entry.file_name) for entry in entries}) == len(entries)
    assert len({entry.url for entry in entries}) == len(entries)


def test_checksums_have_their_lengths() -> None:
    """Hexadecimal digits, as many as the algorithm gives; sizes that a download accepts."""
    for name, entry in published().items():
        for algorithm in DIGITS:
            digits = getattr(entry, algorithm)
            assert digits is None or re.fullmatch(rf"[0-9a-f]{{{DIGITS[algorithm]}}}", digits), name
        prefix = entry.sha256_prefix
        assert prefix is None or re.fullmatch(r"[0-9a-f]{8}", prefix), name
        assert prefix is None or f"-{prefix}." in entry.file_name, name
        assert entry.size_bytes is None or 1000 < entry.size_bytes < 2 * 10**9, name


def test_accuracies_are_fractions() -> None:
    """Between those of the smallest and the largest network, top-1 below top-5."""
    for name, entry in published().items():
        for value in (entry.top1, entry.top5):
            assert value is None or 0.35 < value < 0.98, name
        assert entry.top5 is None or (entry.top1 is not None and entry.top1 < entry.top5), name


def test_sources_that_publish_no_checksum() -> None:
    """Keras' MobileNets and most of TF-Slim have none, and none is made up for them."""
    without = {entry.name for entry in published().values() if not entry.checksums}
    assert {entry.source for entry in map(find, without)} == {"keras", "tf_slim"}
    assert {name for name in without if name.startswith("keras/")} == {
        name for name in published() if name.startswith("keras/mobilenet")
    }
    assert find("keras/densenet121").md5 == "9d60b8095a5708f2dcce2bca79d332c7"


@pytest.mark.parametrize("name", ["1.0_224", "0.75_192", "0.5_160", "0.25_128"])
def test_the_sixteen_mobilenets(name: str) -> None:
    """As checkpoint, as 8 bit tflite and for Keras."""
    for pattern in ("tf_slim/mobilenet_v1_{}", "tflite/mobilenet_v1_{}_quant", "keras/mobilenet_v1_{}"):
        assert find(pattern.format(name)).model == f"mobilenet_v1_{name.split('_')[0]}_relu6"
    assert sum(bool(re.fullmatch(r"tf_slim/mobilenet_v1_[\d.]+_\d+", known)) for known in published()) == 16


def test_every_checkpoint_of_the_table(shared: Path) -> None:
    """Each network of TF-Slim's own table is here with the same file and accuracies, but for one never published."""
    table = (shared / "facts/tables/tfslim_pretrained_models.csv").read_text()
    rows = [line.split(",") for line in table.splitlines()[1:]]
    known = {entry.url.rpartition("/")[2]: entry for entry in published().values()}
    missing = [row[1] for row in rows if row[2] not in known]
    assert missing == ["ResNet V2 200"]
    for row in rows:
        if row[2] in known:
            entry = known[row[2]]
            assert (entry.top1, entry.top5) == pytest.approx((float(row[3]) / 100, float(row[4]) / 100)), row[1]


@pytest.mark.parametrize("file", HERE)
def test_sums_of_the_originals_here(shared: Path, file: str) -> None:
    """Where the original lies beside the project, its bytes have the published size and every checksum."""
    content = (shared / "weights" / file).read_bytes()
    entry = find(HERE[file])
    assert entry.size_bytes == len(content)
    assert entry.checksums
    for algorithm, digits in entry.checksums:
        assert hashlib.new(algorithm, content).hexdigest().startswith(digits)


def test_unknown_names() -> None:
    """Offer the same network of other sources, near spellings, or else the sources."""
    with pytest.raises(UnknownName, match=r"'vgg16'; did you mean tf_slim/vgg16 or keras/vgg16"):
        find("vgg16")
    with pytest.raises(UnknownName, match=r"did you mean .*keras/densenet121"):
        find("keras/densenet_121")
    for nonsense in ("", "/", "nonsense, surely"):
        with pytest.raises(UnknownName, match="names are source/name, of the sources tf_slim, tflite, keras"):
            find(nonsense)


def test_strongest_checksum_first() -> None:
    """All published sums are given, the strongest first; a prefix stands for the sha256 it begins."""
    assert [algorithm for algorithm, _ in find("caffe/squeezenet_v1.0").checksums] == ["sha384", "sha1"]
    assert find("torchvision/squeezenet1_1").checksums == (("sha256", "b8a52dc0"),)
    assert not find("torchvision/squeezenet1_1").proves_content


def test_the_page_of_weights_is_current():
    import importlib.util
    from pathlib import Path

    path = Path(__file__).parents[3] / "scripts/write_weights.py"
    spec = importlib.util.spec_from_file_location("write_weights", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run python scripts/write_weights.py"
