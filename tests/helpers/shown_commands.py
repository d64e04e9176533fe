"""Commands shown in a text, parsed by the models' real parsers."""

import re
import shlex
from functools import cache

from common import cli, registry


def blocks(text, language):
    """Contents of the code blocks of a language in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def commands(text):
    """Every call of a Python script in lines of a shell, as [script, argument, ...].

    Lines that end with a backslash are joined; brackets around optional arguments and a final &
    are dropped.
    """
    text = text.replace("\\\n", " ").replace("&& .venv/bin/python ", "\npython3 ")
    found = []
    for line in text.splitlines():
        words = [word.strip("[]") for word in shlex.split(line, comments=True)]
        if "python3" in words and ".py" in line:
            found.append([word for word in words[words.index("python3") + 1 :] if word != "&"])
    return found


@cache
def parser(name, verb):
    """The parser of a model's verb."""
    task = registry.task_of(name)
    program = f"python3 {name}/{name}.py"
    if verb == "train":
        return cli.train_parser(task.model_class, task, program)
    return cli.verb_parser(getattr(task, verb), program)


def parse(arguments):
    """Options of a command, `pix2pix/pix2pix.py ...`; raises UserError if they are invalid."""
    script, *rest = arguments
    folder, file = script.split("/")
    assert file == f"{folder}.py" and folder in registry.NAMES, script
    verb, rest = (rest[0], rest[1:]) if rest and rest[0] in cli.VERBS else ("train", rest)
    if verb == "train":
        task = registry.task_of(folder)
        return cli.train_options(parser(folder, verb), task.model_class, task, rest)
    return cli.verb_options(parser(folder, verb), rest)
