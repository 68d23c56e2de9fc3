"""Read: the TOML file of a paper as values. Keys that are not known are refused."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from sprat.errors import BadInput, UnknownName
from sprat.image import ImageSpec
from sprat.ledger.measure import SCOPES
from sprat.ledger.row import Claim, Misprint, Paper, Row

OTHERS = ("yardsticks",)  # TOML files of this package that are not papers
_CLAIMS = {"quoted": "quoted", "not_attempted": "not attempted", "definition": "definition"}
_OURS = {"trained_here": "trained here", "re_scored": "re-scored"}
_SOURCE = {"title": str, "ref": str, "code": list, "says": str}
_MISPRINT = {"where": str, "printed": str, "right": str}
_FILE = {"source": dict, "row": list, "misprint": list, **dict.fromkeys(_CLAIMS, dict)}
_ROW = {
    "id": str,
    "where": str,
    "csv": str | list,
    "preset": str,
    "config": dict,
    "image": int | list,
    "classes": int,
    "dataset": str,
    "scope": dict,
    "by": str,
    "given": dict,
    "printed": dict,
    "differs": dict,
    "stands_in": str,
    "note": str,
    **dict.fromkeys((*_CLAIMS, *_OURS), dict),
}


def paper_names() -> list[str]:
    """The papers of the ledger, sorted."""
    names = (entry.name for entry in files("sprat.ledger").iterdir())
    return sorted(name[:-5] for name in names if name.endswith(".toml") and name[:-5] not in OTHERS)


def read_paper(name: str) -> Paper:
    """A paper of the ledger.

    Raises:
        UnknownName: there is none of that name.
        BadInput: its file is not as it must be; the message says where.
    """
    if name not in paper_names():
        raise UnknownName(f"the ledger has no paper {name!r}; it has {', '.join(paper_names())}")
    return parse_paper(name, (files("sprat.ledger") / f"{name}.toml").read_text(encoding="utf-8"))


def parse_paper(name: str, text: str) -> Paper:
    """The paper that a TOML text describes.

    Raises:
        BadInput: the text is not TOML, or a key is missing, unknown or of the wrong type.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"ledger of {name} is not TOML: {error}") from None
    _check(document, _FILE, ("source", "row"), f"ledger of {name}")
    source = document["source"]
    _check(source, _SOURCE, tuple(_SOURCE), f"source of {name}")
    misprints = document.get("misprint", [])
    for entry in misprints:
        _check(entry, _MISPRINT, tuple(_MISPRINT), f"misprint of {name}")
    rows = tuple(_row(values, f"row {number} of {name}") for number, values in enumerate(document["row"], 1))
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise BadInput(f"ledger of {name} has two rows called {row.id!r}; give each its own id")
        seen.add(row.id)
    return Paper(
        name=name,
        title=source["title"],
        ref=source["ref"],
        says=source["says"].strip(),
        code=tuple(source["code"]),
        claims=_claims(document, f"ledger of {name}"),
        misprints=tuple(Misprint(**entry) for entry in misprints),
        rows=rows,
    )


def _row(values: Mapping[str, Any], where: str) -> Row:
    _check(values, _ROW, ("id", "where", "printed"), where)
    where = f"{where} ({values['id']})"
    for key in ("printed", "differs", "scope"):
        _texts(values.get(key, {}), f"{key} of {where}")
    for column, scope in values.get("scope", {}).items():
        if scope not in SCOPES:
            raise BadInput(f"scope of {where} is {scope!r}; it must be one of: {', '.join(SCOPES)}")
        if column not in values["printed"]:
            raise BadInput(f"scope of {where} names the column {column!r}, which is not printed")
    claims = _claims(values, where)
    for key in (*values.get("differs", {}), *(column for column in claims if column != "*")):
        if key not in values["printed"]:
            raise BadInput(f"{where} speaks of the column {key!r}, which is not printed")
    if ways := [key for key in ("preset", "config", "by") if key in values][1:]:
        raise BadInput(f"{where} has more than one way to be counted; take away {' and '.join(ways)}")
    csv = values.get("csv", [])
    return Row(
        id=values["id"],
        where=values["where"],
        printed=values["printed"],
        preset=values.get("preset", ""),
        config=values.get("config", {}),
        image=_image(values.get("image", 224), where),
        classes=values.get("classes", 1000),
        dataset=values.get("dataset", ""),
        scope=values.get("scope", {}),
        by=values.get("by", ""),
        given=values.get("given", {}),
        differs=values.get("differs", {}),
        claims=claims,
        stands_in=values.get("stands_in", ""),
        note=values.get("note", ""),
        csv=(csv,) if isinstance(csv, str) else tuple(csv),
    )


def _claims(values: Mapping[str, Any], where: str) -> dict[str, Claim]:
    claims: dict[str, Claim] = {}
    found: list[tuple[str, Claim]] = []
    for key, status in _CLAIMS.items():
        reasons = _texts(values.get(key, {}), f"{key} of {where}")
        found += [(column, Claim(status, reason)) for column, reason in reasons.items()]
    for key, status in _OURS.items():
        found += [(column, _ours(status, entry, where)) for column, entry in values.get(key, {}).items()]
    for column, claim in found:
        if column in claims or column in values.get("differs", {}):
            raise BadInput(f"{where} says two things of the column {column!r}; keep one")
        if not claim.reason:
            raise BadInput(f"{where}: {claim.status!r} of the column {column!r} needs a reason")
        claims[column] = claim
    return claims


def _ours(status: str, entry: Any, where: str) -> Claim:
    keys = {"ours": str, "data": str}
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where}: {status!r} must have {' and '.join(keys)}; it is {entry!r}")
    _check(entry, keys, tuple(keys), f"{status!r} of {where}")
    return Claim(status, entry["data"], entry["ours"])


def _image(image: int | list[int], where: str) -> ImageSpec:
    shape = [3, image, image] if isinstance(image, int) else image
    if len(shape) != 3 or not all(type(side) is int for side in shape):
        raise BadInput(f"image of {where} is {image!r}; write [3, 224, 224], or 224 for a square colour image")
    return ImageSpec(*shape)


def _texts(values: Mapping[str, Any], where: str) -> Mapping[str, str]:
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            raise BadInput(f"{where} has {key!r} = {value!r}; it must be a text")
    return values


def _check(values: Mapping[str, Any], known: Mapping[str, Any], needed: tuple[str, ...], where: str) -> None:
    for key, value in values.items():
        if key not in known:
            raise BadInput(f"{where} has the unknown key {key!r}; known: {', '.join(known)}")
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise BadInput(f"{where}: {key!r} cannot be {value!r}")
    if absent := [key for key in needed if key not in values]:
        raise BadInput(f"{where} lacks {', '.join(absent)}")
