"""digits: 1,797 handwritten digits, the embedded default; no download and no further package."""

from importlib.resources import files

import numpy as np

from sprat.data.source import Item, Listing, Pixels, dataset


@dataset(
    "digits",
    understands="`digits` (1,797 handwritten digits, inside sprat)",
    recognises=lambda source: source == "digits",
)
def read_digits(_source: str) -> Listing:
    """1,797 grey images 8x8 of 10 classes, equal to scikit-learn's `load_digits` with values 0..16 scaled to 0..255.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, test
    part, CC BY 4.0. The file holds the values 0..16 as uint8 and the labels.
    """
    with files("sprat.data").joinpath("embedded/digits.npz").open("rb") as stream:
        content = np.load(stream, allow_pickle=False)
        values, labels = content["images"], content["labels"]
    images = np.rint(values * (255 / 16)).astype(np.uint8)[:, :, :, None]
    items = tuple(
        Item(f"{index:04d}", int(label), None, Pixels(image))
        for index, (image, label) in enumerate(zip(images, labels, strict=True))
    )
    return Listing("digits", items, classes=tuple(str(digit) for digit in range(10)))
