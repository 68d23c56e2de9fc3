"""digits: scikit-learn's 1,797 handwritten digits, inside that package; no download."""

import numpy as np

from sprat.data.source import Item, Listing, Pixels, dataset
from sprat.errors import BadInput


@dataset(
    "digits",
    understands="`digits` (the handwritten digits inside scikit-learn)",
    recognises=lambda source: source == "digits",
)
def read_digits(_source: str) -> Listing:
    """1,797 grey images 8x8 of 10 classes.

    Source: UCI Optical Recognition of Handwritten Digits, test part; values 0..16 are scaled to 0..255.

    Raises:
        BadInput: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise BadInput(
            "data 'digits' lies inside scikit-learn, which is not installed; pip install 'sprat[demo]'"
        ) from None
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    items = tuple(
        Item(f"{index:04d}", int(label), None, Pixels(image))
        for index, (image, label) in enumerate(zip(images, bunch.target, strict=True))
    )
    return Listing("digits", items, classes=tuple(str(digit) for digit in range(10)))
