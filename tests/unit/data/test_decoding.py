"""sprat.data.decode and .integrity: every kind of file people have is read right or refused with a reason."""

import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from sprat.data import decode
from sprat.data.decode import MAX_PIXELS
from sprat.errors import BadInput

Encode = Callable[..., bytes]
Picture = Callable[..., Image.Image]
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}, "PPM": {}}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind: str, picture: Picture, encode: Encode) -> None:
    image = picture(1)
    assert (decode(encode(image, kind, **LOSSLESS[kind])) == np.asarray(image)).all()


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", "AVIF", "WEBP", "MPO"])
def test_lossy_formats_agree_with_pillow(kind: str, picture: Picture, encode: Encode) -> None:
    content = encode(picture(2), kind)
    assert (decode(content) == np.asarray(Image.open(BytesIO(content)).convert("RGB"))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation_is_applied_once(kind: str, orientation: int, picture: Picture, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(picture(3), kind, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(content))).convert("RGB"))
    assert upright.shape == ((10, 12, 3) if orientation < 5 else (12, 10, 3))
    assert (decode(content) == upright).all()


def test_damaged_exif_does_not_cost_the_image(picture: Picture, encode: Encode) -> None:
    content = encode(picture(4), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert decode(content).shape == (10, 12, 3)


def test_grey_stays_one_channel(encode: Encode) -> None:
    ramp = np.arange(120, dtype=np.uint8).reshape(10, 12)
    assert (decode(encode(Image.fromarray(ramp))) == ramp[:, :, None]).all()


def test_one_bit_becomes_black_and_white(encode: Encode) -> None:
    board = np.indices((6, 6)).sum(0) % 2 == 0
    assert (decode(encode(Image.fromarray(board)))[:, :, 0] == np.where(board, 255, 0)).all()


@pytest.mark.parametrize(("alpha", "expected"), [(0, [255, 255, 255]), (255, [200, 100, 0]), (128, [227, 177, 127])])
def test_alpha_lies_over_white(alpha: int, expected: list[int], encode: Encode) -> None:
    pixels = decode(encode(Image.new("RGBA", (3, 2), (200, 100, 0, alpha))))
    assert pixels.shape == (2, 3, 3)
    assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 1


def test_grey_alpha_lies_over_white_and_stays_grey(encode: Encode) -> None:
    image = Image.new("LA", (3, 2), (40, 0))
    image.putpixel((0, 0), (40, 255))
    assert decode(encode(image))[0].tolist() == [[40], [255], [255]]


def test_palette_and_its_transparency(encode: Encode) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert decode(encode(image))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    assert decode(encode(image, transparency=0))[0].tolist() == [[255, 255, 255], [40, 50, 60]]
    assert decode(encode(image, transparency=bytes([255, 0])))[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_palette_with_alpha(encode: Encode) -> None:
    image = Image.new("PA", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), (1, 255))
    image.putpixel((1, 0), (1, 0))
    assert decode(encode(image, "TIFF"))[0].tolist() == [[40, 50, 60], [255, 255, 255]]


def test_named_transparent_value(encode: Encode) -> None:
    grey = Image.fromarray(np.array([[7, 9]], np.uint8))
    assert decode(encode(grey, transparency=7))[0].tolist() == [[255], [9]]
    color = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert decode(encode(color, transparency=(1, 2, 3)))[0].tolist() == [[255, 255, 255], [4, 5, 6]]


def test_cmyk_and_adobes_inverted_cmyk(encode: Encode) -> None:
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for kind in ("TIFF", "JPEG"):  # Pillow writes JPEG in the inverted way, with Adobe's marker
        assert np.abs(decode(encode(cmyk, kind))[8, 8].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_is_scaled_not_cut(kind: str, encode: Encode) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 51400, 65535]], np.uint16)
    assert decode(encode(Image.fromarray(values), kind)).ravel().tolist() == [0, 0, 1, 1, 128, 200, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 17, 255]], np.int32), [0, 17, 255]),
        (np.array([[0, 32768, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 2**31 - 1]], np.int32), [0, 255]),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 127.4, 255]], np.float32), [0, 127, 255]),
        (np.array([[0, 65535]], np.float32), [0, 255]),
    ],
)
def test_wide_pixels_are_scaled_by_their_range(values: np.ndarray, expected: list[int], encode: Encode) -> None:
    pixels = decode(encode(Image.fromarray(values), "TIFF"))
    assert pixels.shape[2] == 1
    assert pixels.ravel().tolist() == expected


@pytest.mark.parametrize("values", [[[-1.0, 2.0]], [[0.0, float("nan")]], [[0.0, 1e9]]])
def test_floats_without_a_known_range_are_refused(values: list[list[float]], encode: Encode) -> None:
    with pytest.raises(BadInput, match="pixel values from"):
        decode(encode(Image.fromarray(np.array(values, np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_animations_and_documents(kind: str, encode: Encode) -> None:
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "lime", "blue")]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(decode(content).astype(int) - [255, 0, 0]).max() <= 8


FILES = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("WEBP", {}),
]


@pytest.mark.parametrize(("kind", "options"), FILES)
def test_a_truncated_file_is_refused_or_whole_never_half_grey(
    kind: str, options: dict[str, bool], picture: Picture, encode: Encode
) -> None:
    content = encode(picture(5, 60, 50), kind, **options)
    whole = decode(content)
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 40)):
        try:
            pixels = decode(content[:length])
        except BadInput:
            refused += 1
        else:
            assert (pixels == whole).all()
    assert refused > 30


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_tail_of_zeros_is_refused(kind: str, picture: Picture, encode: Encode) -> None:
    content = encode(picture(5, 60, 50), kind)
    with pytest.raises(BadInput, match=r"missing|truncated"):
        decode(content[: len(content) // 2].ljust(len(content), b"\0"))


def test_what_follows_a_jpegs_end_does_not_matter(picture: Picture, encode: Encode) -> None:
    content = encode(picture(6), "JPEG")
    assert (decode(content + b"\xff\xda\0\x08 motion photo \xff\xd8") == decode(content)).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"hello, this is no image\n", "text file"),
        (b"\0" * 5000, "zero bytes"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG"),
        (b"%PDF-1.7\n\x93\x8c", "PDF"),
        (b"PK\x03\x04\x14\0\0\0", "ZIP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "text file"),
        (bytes(range(256)) * 9, "not an image"),
    ],
)
def test_what_is_no_image_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        decode(content)


def test_a_decompression_bomb_is_refused_before_it_unpacks(encode: Encode) -> None:
    side = int(MAX_PIXELS**0.5) + 100
    content = bytearray(encode(Image.new("1", (8, 8)), "PNG"))
    for height in (side, 2**30):
        content[16:24] = side.to_bytes(4, "big") + height.to_bytes(4, "big")
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
        with pytest.raises(BadInput, match="limit"):
            decode(bytes(content))


def test_no_warning_of_pillow_leaks_and_filters_are_put_back(
    picture: Picture, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encode(picture(8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns of images over its own limit
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(BytesIO(content))
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside = list(warnings.filters)
        assert decode(content).shape == (10, 12, 3)
        assert warnings.filters == inside
    assert caught == []
    assert list(warnings.filters) == before


def test_warning_filters_are_put_back_after_many_threads(picture: Picture, encode: Encode) -> None:
    content = encode(picture(7), "JPEG")
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [content] * 200))
    assert list(warnings.filters) == before


@given(st.data())
def test_mutated_files_are_refused_or_read(data: st.DataObject) -> None:
    stream = BytesIO()
    Image.linear_gradient("L").resize((9, 9)).save(
        stream, data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP"]))
    )
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = decode(bytes(content))
    except BadInput:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] in (1, 3)
