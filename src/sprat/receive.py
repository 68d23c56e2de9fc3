"""receive(): what `sprat import` does: fetch, read, convert, write, score, write again with the score."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from sprat.errors import BadInput
from sprat.export.safetensors import first_bytes, has_manifest, is_safetensors
from sprat.image import ImageSpec
from sprat.predict import score
from sprat.preprocess import Preprocess
from sprat.watch import Watcher
from sprat.weights.fetch.download import fetch
from sprat.weights.fetch.published import Published, find, published, recognise
from sprat.weights.importing import Imported, import_weights

__all__ = ["receive"]


def receive(
    file: str,
    *,
    model: str | None = None,
    check: str | None = None,
    image: ImageSpec | None = None,
    classes: tuple[str, ...] | None = None,
    resize: int | None = None,
    antialias: bool | None = None,
    out: Path | None = None,
    watch: Watcher,
) -> dict[str, Any]:
    """Import a file or a published name, write the .safetensors file, and score it where `check` names data.

    The score is that of the written file, loaded afresh; it is then kept in the file's manifest.

    Args:
        file: path, or name in `sprat.weights.fetch.published`.
        model: see `import_weights`.
        check: labelled images to score it on.
        image: see `import_weights`.
        classes: see `import_weights`.
        resize: side before the centre crop, 0 for none; None for the published protocol.
        antialias: of the resize; None for what the source did.
        out: file to write; by default named after the model, in the working folder.
        watch: told what is going on.

    Returns:
        out, model, params, bytes, origin, licence, preprocessing, score (None without check).

    Raises:
        UnknownName, BadInput: no such file or name, no network that fits, or data that cannot be read.
    """
    path, entry = _path_of(file, watch)
    if is_safetensors(first_bytes(path)) and has_manifest(path):
        raise BadInput(f"{path} is sprat's already: `sprat eval`, predict, export and fit --from take it as it is")
    if entry is not None and image is None and entry.side is not None:
        image = ImageSpec(3, entry.side, entry.side)
    imported = import_weights(path, model=model, image=image, classes=classes)
    imported = _resized(imported, resize, antialias)
    if entry is not None:
        imported = _of(imported, entry)
    target = out or Path(f"{imported.model}.safetensors" if entry is None else f"{Path(entry.name).name}.safetensors")
    if target.exists() and path.exists() and target.samefile(path):
        raise BadInput(f"{path} would be replaced by what is read from it; give another --out")
    watch.say("import", f"{imported.model} from {imported.manifest.origin['network']}: every tensor accounted for")
    if imported.others:
        watch.say("import", f"note: {', '.join(imported.others)} would fit as well; --model tells them apart")
    result = None if check is None else _scored(imported, target, check, watch)
    if result is not None:
        manifest = dataclasses.replace(imported.manifest, scores={"imported": result})
        imported = dataclasses.replace(imported, manifest=manifest)
    manifest = imported.save(target)
    return {
        "out": str(target),
        "model": imported.model,
        "params": sum(v.size for k, v in imported.state.items() if not k.endswith(("running_mean", "running_var"))),
        "bytes": target.stat().st_size,
        "origin": manifest.origin,
        "licence": manifest.licence,
        "image": list(manifest.image),
        "num_classes": len(manifest.classes),
        "preprocessing": manifest.preprocessing,
        "score": result,
    }


def _scored(imported: Imported, target: Path, data: str, watch: Watcher) -> dict[str, Any]:
    """The score of a file with the imported network, loaded afresh; it lies beside the target until then.

    What cannot be scored leaves the target as it was.
    """
    trial = target.with_name(f".{target.name}.{os.getpid()}.unscored")
    try:
        imported.save(trial)
        scored = score(trial, data, split="all", seed=0, watch=watch)
    finally:
        trial.unlink(missing_ok=True)
    return {
        "data": Path(data).name,
        "num": scored["num"],
        "top1": round(scored["accuracy"], 5),
        "top5": round(scored["top5"], 5),
        "standard_error": round(scored["standard_error"], 5),
    }


def _path_of(file: str, watch: Watcher) -> tuple[Path, Published | None]:
    """The file, downloaded where a published name was given and no such file is there; and what is published of it."""
    path = Path(file)
    if path.exists() or Path(f"{file}.index").exists():
        return path, recognise(path)
    if file not in published() and ("/" not in file or path.parent.is_dir()):
        return path, None  # the reader says that there is no such file
    entry = find(file)
    return fetch(entry, on_progress=lambda done, total: _show(watch, done, total)), entry


def _show(watch: Watcher, done: int, total: int | None) -> None:
    watch.progress("download", done / total if total else 0.0, f"{done / 1e6:,.1f} MB")


def _resized(imported: Imported, resize: int | None, antialias: bool | None) -> Imported:
    """The imported network behind another resize than the published one, where one is asked for."""
    before = Preprocess.from_dict(imported.manifest.preprocessing)
    side = before.resize if resize is None else resize
    smooth = before.antialias if antialias is None else antialias
    after = dataclasses.replace(before, resize=side, keep_aspect=before.keep_aspect and side > 0, antialias=smooth)
    manifest = dataclasses.replace(imported.manifest, preprocessing=after.to_dict())
    return dataclasses.replace(imported, manifest=manifest)


def _of(imported: Imported, entry: Published) -> Imported:
    """The imported network with its published address and licence."""
    origin = {**imported.manifest.origin, "url": entry.url}
    return dataclasses.replace(
        imported, manifest=dataclasses.replace(imported.manifest, origin=origin, licence=entry.licence)
    )
