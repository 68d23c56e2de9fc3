"""TensorFlow's checkpoints: what was written is read, of both versions and however it is named."""

import base64
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
import tf_writer
from tf_cases import Write, same, sample_tensors
from tf_writer import BFLOAT16, STRING, write_tar, write_v1, write_v2

from sprat.errors import BadInput
from sprat.weights.foreign import READERS, first_bytes, read_foreign
from sprat.weights.formats.tf_checkpoint import read

# Written by TensorFlow 2.21: raw_ops.SaveSlices and raw_ops.SaveV2, "part" in the pieces [0:1] and [1:3].
_TF_V1 = (
    "c-muNXkp}PWaQG};z`cWE7LDe%}mcIDHakCV&Y(eVnz@x!KlQ+#Q=rET-@n7`ALa6@x>*n1wsrGoJtH_LR>5vi8*OPEMVorN=!h7DqJiDiA5zs96&K"
    "<s4;9@OahEt3_#;pI2Z+hsz6pSNZK(VJAi?ak)@#?0)=eQ90zxZl#-SL0~j>e0SS8s1_vN+0OAEed;o|a*fa9UBe|7<kwHin&Gk||L0muoLjfZrmng^"
    "^KnE}atrmuQ3g}EJ_AJ(hf`$fWMjjcEr+_M$8XAFWq@bRJdQ6H-iv#K?drlU$#wMT=csRiPEG48R094@sL_pjC#0wliS{OkDU-!h<aL$2G3pX$@GBYwv"
    "VTOzC+@>irlbK@~Gd}}C5dOQNTcy<fHURx$Ti5"
)
_TF_V2_DATA = "c-muN0D%TOAYsqI-~hx8K)e8m4*>B4`=9?IfWd;{00TrVP@KU5h=8~Oh!;2j04+%oLI"
_TF_V2_INDEX = (
    "c-muNVB=tvV&Y(A;1y*kNGvL0U}R)!Xl$tGU=-pI0*V7MlY)*0hbf<|zZ@rvXk!yxjtMMhq9I`VzL{Twfk!$yKd(%`JT)^tqof$9MgXP;W{!q}>HbSa"
    "GZ?se({u8Z5_95<OHvCsIE5G#6o3}odEmpvz#^EDn3KjKEW`pfTtkD!bh5s&F9VAl$Z=4MnL%<^Y+OtNj9d&>99%3Mi~>wt3?RS=BBE~{m=5P0__S~X"
    "10!=G!xcuj*m>rhnwyLq&lvd`2!in64c#iG?zaKy05Dn"
)


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b85decode(text))


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("compress", [False, True])
def test_version_2(tmp_path: Path, shards: int, compress: bool) -> None:
    prefix = write_v2(tmp_path / "model.ckpt", sample_tensors(), shards, pieces={"parted": 3}, compress=compress)
    found = read(prefix)
    assert same(found.tensors, sample_tensors())
    assert found.notes == {"version": 2, "shards": shards, "checksums": "verified"}
    assert found.format == "tf_checkpoint"
    for array in found.tensors.values():
        assert array.flags.writeable


@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_version_1(tmp_path: Path, content: bool, compress: bool) -> None:
    path = write_v1(tmp_path / "model.ckpt", sample_tensors(), pieces={"parted": 4}, compress=compress, content=content)
    found = read(path)
    assert same(found.tensors, sample_tensors())
    assert list(found.tensors) == list(sample_tensors())
    assert found.notes == {"version": 1, "shards": 1, "checksums": "verified"}
    for array in found.tensors.values():
        assert array.flags.writeable


@pytest.mark.parametrize("write", [write_v1, write_v2])
def test_many_tensors_in_many_blocks(tmp_path: Path, write: Write) -> None:
    rng = np.random.default_rng(1)
    tensors = {f"layer_{i:03d}/BatchNorm/gamma": rng.normal(size=i % 9).astype(np.float32) for i in range(500)}
    assert same(read(write(tmp_path / "m.ckpt", tensors)).tensors, tensors)


@pytest.mark.parametrize("write", [write_v1, write_v2])
def test_bfloat16_and_types_that_no_weights_have(tmp_path: Path, write: Write) -> None:
    values = np.array([1.0, -2.5, 0.0, np.inf], np.float32)
    tensors = {"b": (values.view(np.uint32) >> 16).astype(np.uint16), "flags": np.array([True]), "w": values}
    found = read(write(tmp_path / "m.ckpt", tensors, kinds={"b": BFLOAT16, "flags": STRING}))
    assert same(found.tensors, {"b": values, "w": values})
    assert found.notes["skipped"] == {"flags": "string"}


def test_files_of_tensorflow_itself(tmp_path: Path) -> None:
    (tmp_path / "v1").write_bytes(_unpacked(_TF_V1))
    (tmp_path / "v2.index").write_bytes(_unpacked(_TF_V2_INDEX))
    (tmp_path / "v2.data-00000-of-00001").write_bytes(_unpacked(_TF_V2_DATA))
    tensors = {
        "conv/weights": np.arange(8, dtype=np.float32).reshape(2, 2, 1, 2) / 4,
        "global_step": np.array(-7, np.int64),
        "half": np.array([0.5, -2], np.float16),
        "part": np.arange(6, dtype=np.float32).reshape(3, 2),
    }
    assert same(read(tmp_path / "v1").tensors, tensors)
    assert same(read(tmp_path / "v2").tensors, tensors)


def test_every_way_to_name_a_checkpoint(tmp_path: Path) -> None:
    tensors = sample_tensors()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    prefix = write_v2(tmp_path / "two" / "model.ckpt-7", tensors, 2)
    (tmp_path / "two" / "model.ckpt-7.meta").write_bytes(b"a graph")
    packed = write_tar(tmp_path / "released.tar.gz", sorted((tmp_path / "two").iterdir()))
    single = write_v1(tmp_path / "one" / "vgg.ckpt", tensors)
    packed_single = write_tar(tmp_path / "vgg.tgz", [single], root="folder/sub/")
    plain = tmp_path / "plain.tar"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    beside = [prefix.with_name(prefix.name + end) for end in (".index", ".data-00001-of-00002", ".meta")]
    for path in (prefix, *beside, prefix.parent, single, single.parent, packed, packed_single, plain):
        assert same(read_foreign(path).tensors, tensors), path
        claims = [name for name in READERS if READERS.get(name).recognises(path, first_bytes(path))]
        assert claims == ["tf_checkpoint"], path
    assert read(packed_single).notes["member"] == "folder/sub/vgg.ckpt"


def test_the_state_file_chooses_among_several(tmp_path: Path) -> None:
    write_v2(tmp_path / "model.ckpt-1", sample_tensors(1))
    write_v2(tmp_path / "model.ckpt-2", sample_tensors(2))
    with pytest.raises(BadInput, match=r"2 checkpoints \(model.ckpt-1.index, model.ckpt-2.index\)"):
        read(tmp_path)
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "/home/x/model.ckpt-2"\nall_model_checkpoint_paths: "1"\n'
    )
    assert same(read(tmp_path).tensors, sample_tensors(2))
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "../../model.ckpt-9"\n')
    with pytest.raises(BadInput, match="2 checkpoints"):
        read(tmp_path)


def test_what_is_no_checkpoint_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(300))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.index").write_bytes(b"no table")
    recognises = READERS.get("tf_checkpoint").recognises
    for path in (tmp_path / "x.bin", tmp_path / "folder", tmp_path / "absent", Path("/"), Path("a\0b")):
        assert not recognises(path, b"")
    with pytest.raises(BadInput, match="neither a whole file"):
        read(tmp_path / "absent")


def test_an_archive_with_something_else_says_what(tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(b"graph")
    with pytest.raises(BadInput, match=r"holds no TensorFlow checkpoint, only: graph\.pb"):
        read(write_tar(tmp_path / "a.tar.gz", [tmp_path / "graph.pb"]))
    (tmp_path / "m.ckpt.gz").write_bytes(gzip.compress(write_v1(tmp_path / "m.ckpt", sample_tensors()).read_bytes()))
    with pytest.raises(BadInput, match="is no tar archive; unpack it"):
        read(tmp_path / "m.ckpt.gz")


def test_another_table_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.ldb"
    path.write_bytes(tf_writer.table({b"key": b"value"}))
    with pytest.raises(BadInput, match="a table of something else"):
        read(path)
    path.write_bytes(tf_writer.table({}))
    with pytest.raises(BadInput, match="is empty"):
        read(path)
    index = write_v2(tmp_path / "m.ckpt", sample_tensors()).with_name("m.ckpt.index")
    with pytest.raises(BadInput, match="the index of a checkpoint of version 2"):
        read(index.rename(tmp_path / "other"))
