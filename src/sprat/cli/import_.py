"""`sprat import`: trained weights of another framework into a network of sprat's, scored on arrival."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "import"
EXAMPLES = """[bold]Examples[/bold]

sprat import squeezenet.net --check photos/

sprat import mobilenet_v1_1.0_224.tgz --out mobilenet.safetensors

sprat import model.h5 --model "resnet*" --classes cat,dog --image 96

sprat import torchvision/squeezenet1_1 --check photos/"""


def command(
    file: Annotated[
        str,
        typer.Argument(
            help="A file of trained weights (its format is told by its content), or a published name to download.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Preset or pattern it is, or an entry such as tf_slim/mobilenet_v1; found if not given."),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(help="Labelled images to score it on; the score goes into the file.", metavar="DATA"),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Input, where not the published one: 160, 3x96x96.", show_default=False)
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Class names in the order of the outputs: a,b,c, or a file of one a line."),
    ] = None,
    resize: Annotated[
        int | None,
        typer.Option(
            help="Side before the centre crop, 0 to see whole images; the published protocol if not given.", min=0
        ),
    ] = None,
    antialias: Annotated[
        bool | None,
        typer.Option(
            "--antialias/--four-nearest",
            help="How larger images are resized; as the source did if not given.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write.  [default: NAME.safetensors]", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Read trained weights of another framework, put them into a network of the zoo, and write a .safetensors file.

    Every tensor is accounted for. The file carries preprocessing, classes, source, licence and score; eval, predict,
    fit --from, train --from, compress, export and bench take it.
    """
    from sprat.cli.show import Screen, print_json
    from sprat.image import parse_image

    with Screen() as screen:
        from sprat.receive import receive

        result = receive(
            file,
            model=model,
            check=check,
            image=None if image is None else parse_image(image),
            classes=None if classes is None else _names(classes),
            resize=resize,
            antialias=antialias,
            out=out,
            watch=screen,
        )
    if json:
        print_json(result)
        return 0
    print(f"{result['out']}  {result['model']} from {result['origin']['network']}, {result['params']:,} parameters")
    if result["score"] is not None:
        score = result["score"]
        print(
            f"top-1 {score['top1']:.4f} +- {score['standard_error']:.4f}, top-5 {score['top5']:.4f}  "
            f"({score['num']:,} images of {score['data']})"
        )
    return 0


def _names(text: str) -> tuple[str, ...]:
    """Class names as written on the command line, or in a file of one a line."""
    path = Path(text)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else text.split(",")
    return tuple(line.strip() for line in lines if line.strip())
