"""Row: what the ledger knows of one line of a paper's table, before anything is counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sprat.image import ImageSpec

# What a cell can be, in the order of summaries. The first three are computed and agree with the print.
STATUSES = {
    "exact": "the network counts what is printed",
    "formula": "the printed formula or ratio evaluates to what is printed",
    "definition": "part of the definition; where something is counted, the network in the code follows it",
    "differs": "computed, and known not to be what is printed; it must go on differing",
    "re-scored": "released weights, scored here",
    "trained here": "trained here on the stated data",
    "quoted": "the paper quotes somebody else's result",
    "not attempted": "not reproduced here, with the reason",
    "surprise": "the ledger expected something else: a mistake in the code, the ledger or the paper",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a row says about a cell that is not compared.

    Args:
        status: one of STATUSES.
        reason: why, or whose figure it is.
        ours: our own figure, for "trained here" and "re-scored".
    """

    status: str
    reason: str
    ours: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table.

    Args:
        id: unique in the paper, such as "table6.0.25-224".
        where: where it is printed: "Table 6, 0.25 MobileNet-224".
        printed: column to what is printed there. The columns params, macs, size (in bytes), depth and image of a row
            with a network are counted; those of a row with `by` are computed; the rest need a claim.
        preset: name of the network, or
        config: the network as `sprat.zoo.config_from_dict` takes it.
        image: of the network.
        classes: of the network.
        dataset: on which the accuracies of the row were measured: "ImageNet" for the 1,000 classes of ILSVRC 2012.
        scope: column to the convention under which the print is reached, one of `sprat.ledger.measure.SCOPES`.
        by: name of the function that computes the columns, with
        given: its arguments.
        differs: column to the reason why the print is not reached.
        claims: column to what is said of a cell that is not compared; "*" is every column not named.
        stands_in: why the network is not the one whose accuracy is printed, where it is not.
        note: a remark on the row.
        csv: the lines of the tables it comes from, as "mobilenet_table6_width.csv:4".
    """

    id: str
    where: str
    printed: Mapping[str, str]
    preset: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    image: ImageSpec = ImageSpec(3, 224, 224)
    classes: int = 1000
    dataset: str = ""
    scope: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    differs: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    stands_in: str = ""
    note: str = ""
    csv: tuple[str, ...] = ()

    def claim(self, column: str) -> Claim | None:
        """What the row itself says of a column."""
        return self.claims.get(column) or (None if column in self.differs else self.claims.get("*"))

    @property
    def has_network(self) -> bool:
        """Whether it names a network."""
        return bool(self.preset or self.config)


@dataclass(frozen=True, slots=True)
class Misprint:
    """A figure that is wrong where it stands.

    Args:
        where: table or slide.
        printed: what stands there.
        right: what should.
    """

    where: str
    printed: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A paper and its rows.

    Args:
        name: of its file, such as "mobilenet".
        title: of the paper.
        ref: where it was published, as "arXiv:1704.04861".
        says: the paper in about ten lines.
        code: files of the repository that hold what it describes.
        claims: column to what holds for it in every row that says nothing else and computes nothing for it.
        misprints: of the slides this project starts from, and of the paper.
        rows: in the order of the tables.
    """

    name: str
    title: str
    ref: str
    says: str
    code: tuple[str, ...]
    claims: Mapping[str, Claim]
    misprints: tuple[Misprint, ...]
    rows: tuple[Row, ...]
