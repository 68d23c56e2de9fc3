"""`sprat bench`: how fast a network is on this machine, measured and predicted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sprat.latency import LatencyModel

NAME = "bench"
EXAMPLES = """[bold]Examples[/bold]

sprat bench mobilenet_v1_0.25 --image 3x96x96 --classes 10

sprat bench runs/demo/model.onnx

sprat bench --calibrate

sprat bench --check --networks 60 --json"""


def command(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model of `sprat zoo`; a .sprat, .safetensors, .onnx or architecture.json file; file.py:ClassName.",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Input, as 3x224x224 or 224.  [default: as published]", show_default=False)
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes.  [default: as published]", show_default=False)
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure kernels here, so that latency can be predicted.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for --calibrate.")] = 5.0,
    check: Annotated[
        bool, typer.Option("--check", help="Compare predictions with measurements of networks of the zoo.")
    ] = False,
    networks: Annotated[int, typer.Option(min=1, help="Networks for --check.")] = 60,
    table: Annotated[Path | None, typer.Option(help="Write the comparison of --check as CSV.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Measure the latency and memory of MODEL: ONNX Runtime, one image, one CPU thread; and what was predicted.

    Predictions need a calibration of this machine: `sprat bench --calibrate` times the kernels of some hundred random
    networks, and keeps the table in the user's cache folder. `sprat pick --max-latency` uses it. Let the machine rest
    meanwhile.
    """
    from sprat.errors import BadInput

    if sum((model is not None, calibrate, check)) != 1:
        raise BadInput("bench does one thing at a time: give a MODEL, --calibrate or --check")
    if calibrate:
        return _calibrate(minutes, json)
    if check:
        return _check(networks, table, json)
    assert model is not None
    return _measure(model, image, classes, json)


def _calibrate(minutes: float, json: bool) -> int:
    from sprat.bench.calibrate import calibrate
    from sprat.cli.show import Screen, print_json

    with Screen() as screen:
        made = calibrate(minutes, screen)
        path = made.save()
        conditions = dict(made.conditions)
        screen.say(
            "calibrate", f"{conditions['num_kernels']:,} kernels in {conditions['num_networks']} networks -> {path}"
        )
        if conditions["busy"]:
            screen.say("calibrate", f"the machine was busy (load {conditions['load_average']}); better again at rest")
    if json:
        print_json({"path": str(path), **conditions})
        return 0
    found = conditions["cross_validation"]
    print(
        f"cross-validated on {found['num']} networks left out: {100 * found['close']:.1f} % within 15 %, "
        f"median error {100 * found['median']:.1f} %, worst {100 * found['worst']:.0f} %"
    )
    return 0


def _check(num: int, table: Path | None, json: bool) -> int:
    from dataclasses import asdict

    from sprat.atomic import write_atomic
    from sprat.bench.check import check, held_out, summary
    from sprat.bench.check import table as as_csv
    from sprat.cli.show import Screen, print_json, print_rows
    from sprat.search.pool import pool

    model = _calibrated()
    checked = []
    with Screen() as screen:
        screen.progress("check", 0.0, "choosing networks")
        chosen = held_out(pool(), num)
        for one in check(model, chosen):
            checked.append(one)
            screen.progress("check", len(checked) / len(chosen), f"{one.name} at {one.image}")
    found = summary(checked)
    if table is not None:
        write_atomic(table, as_csv(checked))
    if json:
        print_json(
            {**asdict(found), "conditions": dict(model.conditions), "networks": [asdict(one) for one in checked]}
        )
        return 0
    print_rows(
        ["network", "image", "predicted ms", "measured ms", "error %"],
        [
            [one.name, one.image, f"{one.predicted_ms:.3f}", f"{one.measured_ms:.3f}", f"{100 * one.error:.1f}"]
            for one in checked
        ],
    )
    print(
        f"{found.num} networks: {100 * found.close:.1f} % within 15 %, median error {100 * found.median:.1f} %, "
        f"worst {100 * found.worst:.0f} %"
    )
    return 0


def _calibrated() -> "LatencyModel":
    from sprat.errors import BadInput
    from sprat.latency import LatencyModel

    model = LatencyModel.load()
    if model is None:
        raise BadInput("this machine has no calibration to check; run `sprat bench --calibrate` first")
    return model


def _measure(text: str, image: str | None, classes: int | None, json: bool) -> int:
    from sprat.bench.measure import measure_file, measure_net
    from sprat.cli.show import print_json
    from sprat.image import parse_image
    from sprat.subject import subject

    wanted = None if image is None else parse_image(image)
    found: dict[str, Any]
    if text.endswith(".onnx"):
        found = {"model": text, **measure_file(Path(text), wanted)}
    else:
        about = subject(text, wanted, classes)
        found = {"model": about.name, **measure_net(about.net, about.image)}
    if json:
        print_json(found)
        return 0
    latency, memory = found["latency"], found["memory"]
    print(f"{found['model']} at {'x'.join(map(str, found['image']))}")
    print(f"  measured   {latency['median_ms']:>9.3f} ms   median; 90th percentile {latency['p90_ms']:.3f} ms")
    if found["predicted_ms"] is not None:
        error = found["predicted_ms"] / latency["median_ms"] - 1
        print(f"  predicted  {found['predicted_ms']:>9.3f} ms   {100 * error:+.1f} %")
    elif not text.endswith(".onnx"):
        print("  predicted          -        no calibration here: `sprat bench --calibrate`")
    print(f"  memory     {memory['network_rss_bytes']:>9,} bytes more than before the file was loaded")
    print(f"  {latency['runtime']}, {latency['cpu']}, 1 thread, load average {latency['load_average']}")
    return 0
