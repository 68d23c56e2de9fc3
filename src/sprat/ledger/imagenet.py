"""Published: what accuracy on ImageNet the papers print for networks that we can count."""

from dataclasses import dataclass
from typing import Any

from sprat.image import ImageSpec
from sprat.ledger.measure import measure
from sprat.ledger.printed import Number, read_printed
from sprat.ledger.read import paper_names, read_paper
from sprat.ledger.row import Paper, Row
from sprat.ledger.verdict import config_of
from sprat.zoo import family_of

# Column to whether it is an error; a printed "29.4%" of top1_err is an accuracy of 0.706. Columns of other data or of
# altered networks have other names ("top1_err_5k", "top1_err_no_shuffle").
COLUMNS = {"top1": False, "top1_err": True}
DATASET = "ImageNet"


@dataclass(frozen=True, slots=True)
class Published:
    """A printed accuracy of a network.

    Args:
        name: of the preset, or of the family where the row gives a config.
        family: its name.
        config: the config value.
        image: for which accuracy and multiply-adds hold.
        classes: outputs of the classifier: 1,000, or 1,001 with a background class.
        params: as we count.
        macs: as we count.
        top1: accuracy as a fraction of 1, also where an error is printed.
        source: "MobileNet ..., Table 6, 0.25 MobileNet-224".
    """

    name: str
    family: str
    config: Any
    image: ImageSpec
    classes: int
    params: int
    macs: int
    top1: float
    source: str


def published() -> list[Published]:
    """Every top-1 on ImageNet (1,000 classes) in the ledger whose network can be counted.

    Rows whose network only stands in for the printed one are left out. A network at an image size appears once for each
    different accuracy that is printed; the first source is named.

    Raises:
        UnknownName: a network of the ledger is not in the zoo.
    """
    found: dict[tuple[Any, ImageSpec, float], Published] = {}
    for name in paper_names():
        paper = read_paper(name)
        for row in paper.rows:
            counts = row.has_network and not row.stands_in
            if counts and row.dataset == DATASET and COLUMNS.keys() & row.printed.keys():
                entry = _entry(paper, row)
                found.setdefault((entry.config, entry.image, entry.top1), entry)
    return list(found.values())


def _entry(paper: Paper, row: Row) -> Published:
    config = config_of(row)
    net = measure(config, row.image, row.classes)
    family = family_of(config).name
    return Published(
        name=row.preset or family,
        family=family,
        config=config,
        image=row.image,
        classes=row.classes,
        params=net.params,
        macs=net.macs,
        top1=top1_of(row),
        source=f"{paper.title}, {row.where}",
    )


def top1_of(row: Row) -> float:
    """The printed accuracy of a row that has one, as a fraction of 1."""
    column = next(column for column in COLUMNS if column in row.printed)
    number = read_printed(row.printed[column])
    assert isinstance(number, Number), f"{row.printed[column]} is a range"
    return float(1 - number.value if COLUMNS[column] else number.value)
