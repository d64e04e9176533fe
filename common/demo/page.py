"""The page of a demo, drawn by Gradio: a tab for each panel."""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from common.demo.answers import KEPT, Answers, Predict
from common.demo.panels import Choice, Drawing, Field, Flag, Hole, Number, Panel, WholeNumber
from common.errors import UserError, one_line
from common.images import image_file

import numpy as np
from PIL import Image

HOST = "127.0.0.1"
MAX_UPLOAD = 10 * 2**20  # bytes
PRIVACY = f"Uploads are deleted after {KEPT // 60} minutes, and when this demo ends."
RESULT = "result"  # CSS class of images, which are shown large: many have 28 or 64 pixels
STYLE = "width: 100%; height: 360px; object-fit: contain; image-rendering: pixelated"
CSS = f".{RESULT} img {{ {STYLE} }}"
FONTS = ["system-ui", "sans-serif"]  # on the machine: the page needs no connection


def check_package():
    """Raises a UserError if Gradio is not installed."""
    if find_spec("gradio") is None:
        raise UserError("demo needs Gradio: pip install -r requirements-demo.txt")


@cache
def scratch_folder() -> tempfile.TemporaryDirectory:
    """The folder of this process for uploads and results, which is deleted when it ends.

    Gradio keeps its uploads there from now on, those of all pages.
    """
    scratch = tempfile.TemporaryDirectory(prefix="demo_")
    Path(scratch.name, "results").mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(Path(scratch.name, "uploads"))
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return scratch


def build(title: str, text: str, panels: list[Panel], predict: Predict, run: str):
    """Returns the page, a `gradio.Blocks`.

    Args:
        title: the heading.
        text: a line below it.
        panels: its tabs.
        predict: the verb, which takes its arguments in a list.
        run: its first argument.
    """
    scratch = Path(scratch_folder().name)  # before the import, which reads the environment
    import gradio as gr

    answers = Answers(predict, run, scratch / "results")
    examples = Path(tempfile.mkdtemp(prefix="examples_", dir=scratch))
    with gr.Blocks(title=title, delete_cache=(KEPT, KEPT), analytics_enabled=False) as page:
        gr.Markdown(f"# {title}\n{text}")
        for panel in panels:
            with gr.Tab(panel.title), gr.Row():
                with gr.Column():
                    inputs = [_image_input(panel)] if panel.image is not None else []
                    _add_examples(panel, inputs, examples)
                    inputs += [_widget(field) for field in panel.fields]
                    button = gr.Button(panel.button, variant="primary")
                with gr.Column():
                    outputs = [_output(panel), gr.Markdown()]
            click = {
                "fn": _function(answers, panel),
                "inputs": inputs,
                "outputs": outputs,
                "concurrency_limit": 1,  # one model, whose variables a call may set
                "concurrency_id": "model",
            }
            button.click(**click, api_name=api_name(panel))
            if panel.at_once:
                page.load(**click, api_visibility="private")
        gr.Markdown(PRIVACY)
    return page


def launch(
    page, port: int | None = None, share: bool = False, browser: bool = False, height: int = 800
) -> str:
    """Serves the page, and returns its address; in a notebook it also shows it.

    Args:
        page: the page.
        port: port; None for the first free one from 7860 up.
        share: give it a public address, too.
        browser: open it in the browser.
        height: height in pixels of its frame in a notebook.

    Raises:
        UserError: the port is not free.
    """
    import gradio as gr

    theme = gr.themes.Default(font=FONTS, font_mono=["monospace"])
    try:
        _, address, shared = page.launch(
            server_name=HOST,
            server_port=port,
            share=share,
            inbrowser=browser,
            prevent_thread_lock=True,
            max_file_size=MAX_UPLOAD,
            show_error=True,
            footer_links=["api"],
            ssr_mode=False,
            quiet=True,
            height=height,
            theme=theme,
            css=CSS,
        )
    except OSError as error:
        raise UserError(f"--port {port}: cannot be used ({one_line(error)})") from error
    return shared or address


def api_name(panel: Panel) -> str:
    """The name by which a client of the page's API calls a panel."""
    return panel.title.lower().replace(" ", "_")


def _widget(field: Field):
    """The widget of an option."""
    import gradio as gr

    common = {"label": field.label, "value": field.value}
    match field:
        case WholeNumber(least=int(), most=int()):
            return gr.Slider(field.least, field.most, step=1, **common)
        case WholeNumber():
            return gr.Number(precision=0, minimum=field.least, maximum=field.most, **common)
        case Number():
            return gr.Number(**common)
        case Flag():
            return gr.Checkbox(**common)
        case Choice():
            first = [] if field.none is None else [field.none]
            choices = [*first, *field.choices]
            return gr.Dropdown(choices, **common | {"value": field.value or choices[0]})
    return gr.Textbox(**common)


def _image_input(panel: Panel):
    """The widget of the input image."""
    import gradio as gr

    match panel.image:
        case Drawing(colours=colours, side=side):
            blank = Image.new("RGB", (side, side), colours[0])
            brush = gr.Brush(
                default_color=colours[1], colors=list(colours), color_mode="fixed", default_size=8
            )
            empty = {"background": blank, "layers": [], "composite": None}
            return _editor(label="draw", value=empty, brush=brush, canvas_size=(side, side))
        case Hole():
            brush = gr.Brush(default_color="#ffffff", colors=["#ffffff"], color_mode="fixed")
            return _editor(label="upload an image and paint over the part to fill", brush=brush)
    upload = gr.Image(label="image", type="filepath", sources=["upload", "clipboard"])
    # The file as it was uploaded: it is decoded by `predict`, which says what is wrong with it.
    upload.preprocess = lambda payload: payload and payload.path
    return upload


def _add_examples(panel: Panel, inputs: list, folder: Path):
    """Adds a row of images to choose from."""
    import gradio as gr

    if panel.image is None or not panel.image.examples:
        return
    files = [folder / f"{api_name(panel)}_{n}.png" for n in range(len(panel.image.examples))]
    for file, image in zip(files, panel.image.examples, strict=True):
        image_file.write(file, image)
    gr.Examples([[str(file)] for file in files], inputs[:1], label="examples")


def _editor(**options):
    import gradio as gr

    return gr.ImageEditor(
        type="pil",
        format="png",
        sources=["upload", "clipboard"],
        transforms=(),
        layers=False,
        **options,
    )


def _output(panel: Panel):
    """The widget of the result."""
    import gradio as gr

    match panel.result:
        case "images":
            return gr.Gallery(label="results", format="png", object_fit="scale-down")
        case "before and after":
            return gr.ImageSlider(label="bicubic interpolation and result", format="png")
        case "class":
            return gr.Label(label="class", num_top_classes=1)
    return gr.Image(
        label="result", type="filepath", format="png", interactive=False, elem_classes=RESULT
    )


def _answer(answers: Answers, panel: Panel, *values) -> tuple[Any, str]:
    """What the button of a panel does: values of its widgets to those of its outputs."""
    import gradio as gr

    try:
        image, mask, values = _files(answers, panel, values)
        answer = answers.answer(panel, list(values), image, mask)
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from error
    shown: Callable[[list], Any] = {
        "class": lambda _: answer.classes,
        "images": lambda files: [(file, Path(file).stem) for file in files],
        "before and after": tuple,
    }.get(panel.result, lambda files: files[0])
    return shown([str(path) for path in answer.images]), answer.note


def _function(answers: Answers, panel: Panel) -> Callable:
    """`_answer` for a panel, with the names of the values, which the page's API takes."""

    def answer(*values):
        return _answer(answers, panel, *values)

    names = ["image"] if panel.image is not None else []
    names += [field.option for field in panel.fields]
    answer.__signature__ = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    return answer


def _files(answers: Answers, panel: Panel, values: tuple) -> tuple[Path | None, Path | None, tuple]:
    """The files of the input image and of its mask, and the values of the fields."""
    if panel.image is None:
        return None, None, values
    given, *others = values
    if not isinstance(panel.image, Drawing | Hole):
        return given and Path(given), None, tuple(others)
    if given is None or given["background"] is None:  # `answer` says so
        return None, None, tuple(others)
    folder = answers.new_folder()
    if isinstance(panel.image, Drawing):
        drawn = given["composite"] or given["background"]
        return _written(folder / "drawing.png", drawn), None, tuple(others)
    painted = [np.array(layer.convert("RGBA"))[..., 3] > 0 for layer in given["layers"]]
    mask = np.any(painted, axis=0) if painted else np.zeros(given["background"].size[::-1], bool)
    image_file.write(folder / "mask.png", 255 * mask[..., None].astype(np.uint8))
    return _written(folder / "image.png", given["background"]), folder / "mask.png", tuple(others)


def _written(path: Path, image: Image.Image) -> Path:
    """Writes an image of the page as it is; `predict` puts it on white where it is transparent."""
    image.save(path)
    return path
