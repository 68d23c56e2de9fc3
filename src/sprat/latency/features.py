"""Features: what a kernel's time depends on, from its row."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

NUM_WORKS, NUM_PLACES = 10, 13


def work(rows: Rows) -> Floats:
    """(n, 10) amounts of work, none negative: a time is a weighted sum of them, whatever the kind of kernel.

    They are a constant, multiply-adds, elements written, elements read, weights, weights that are
    not in a cache, elements added on the way, elements
    under the window, elements read again for every 64 channels written, and groups.
    """
    columns = rows.T.astype(np.float64)
    _, in_channels, out_channels, kernel_h, kernel_w, stride, groups, height, width, extra, pressure = columns
    per_group, window = in_channels / groups, kernel_h * kernel_w
    weights = per_group * window * out_channels
    written = out_channels * height * width
    read = in_channels * height * width * stride**2
    return np.stack(
        [
            np.ones(len(rows)),
            per_group * window * written,
            written,
            read,
            weights,
            weights * np.clip((pressure - 36) / 16, 0, 1),
            extra * written,
            window * in_channels * height * width,
            np.ceil(out_channels / 64) * read,
            groups,
        ],
        axis=1,
    )


def place(rows: Rows) -> Floats:
    """(n, 13) coordinates in which kernels that are near each other are about equally efficient; octaves, mostly."""
    values = rows.T.astype(np.float64)
    _, in_channels, out_channels, kernel_h, kernel_w, stride, groups, height, width, extra, pressure = values
    per_group, out_per_group = in_channels / groups, out_channels / groups
    octaves = [
        np.log2(value) for value in (per_group, out_per_group, groups, height, width, kernel_h, kernel_w, stride)
    ]
    # Kernels write up to 4 blocks of 16 channels and some 6 pixels of a row at once; what is left over runs slower.
    left_channels = np.where(out_per_group < 256, np.ceil(out_per_group / 16) % 4, 0) / 4
    left_pixels = np.where(width < 32, width % 6, 0) / 6
    unaligned = (np.maximum(out_per_group, per_group) % 16 > 0).astype(np.float64)
    scales = (0.5, 0.5, 0.4, 0.5, 0.5, 1.0, 1.0, 1.0, 0.7, 0.7, 0.5, 0.5, 0.2)
    columns = [*octaves, np.minimum(extra, 8), left_channels, left_pixels, unaligned, pressure]
    result: Floats = np.stack(columns, axis=1) * np.array(scales)
    return result
