"""The dataset of a run: found where it was or where it is now, and compared with the run's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.data.sources.super_resolution import parts_of
from common.errors import UserError
from common.images.inventory import Inventory, Names
from common.io import records
from common.signatures import pick
from common.training.run_folder import Run

PLACES = ("dataset", "photos", "embeddings")  # options that name files or folders of data
SHOWN = 3  # files that an error names


def open_data(data_class: type, run: Run, options: dict) -> tuple[Any, dict[str, str], Inventory]:
    """Opens the dataset of a run, new or old.

    With `skip_bad_images`, images of an old run that are missing now keep their places: they are
    skipped whenever they are due, so the order of the others and the splits stay as they were.

    Args:
        data_class: class of the dataset.
        run: the run, new or old, or trained weights.
        options: options of the dataset, and others. Those of `PLACES` and `data_dir` may differ
            from the run's if the data were moved.

    Returns:
        The dataset, its fingerprint and the inventory of its files.

    Raises:
        UserError: it cannot be found, or is not the run's.
    """
    if run.is_new:
        inventory = Inventory()
        with inventory.recording():
            data = data_class(**pick(data_class, options))
        return data, data.fingerprint(), inventory
    config = run.config()
    before = config["options"]
    moved = [name for name in PLACES if options.get(name) != before.get(name)]
    _check_places(run, {name: before.get(name) for name in PLACES if name not in moved})
    expected = relocated(records.read_json(run.images_file), before, options)
    inventory = Inventory(expected, keep=bool(options.get("skip_bad_images")))
    with inventory.recording():
        data = data_class(**pick(data_class, options))
    fingerprint = data.fingerprint()
    where = {name: options[name] for name in moved}
    _check_equal(run, config.get("data", {}), fingerprint, where, inventory)
    return data, fingerprint, inventory


def relocated(names: Names, before: dict, now: dict) -> Names:
    """An inventory of a run's files with their folders at their present places.

    Args:
        names: files by folder when the run was last started.
        before: options of the run then.
        now: options with the present places.
    """
    options = (*PLACES, "data_dir")
    pairs = [pair for name in options for pair in _moves(before.get(name), now.get(name))]

    def place(folder: str) -> str:
        for old, new in pairs:
            if Path(folder).is_relative_to(old):
                return str(Path(new, Path(folder).relative_to(old)).resolve())
        return folder

    return {place(folder): listed for folder, listed in names.items()}


def store_places(run: Run, options: dict):
    """Writes the present places of a run's data to its config.json, if they have changed."""
    if not run.config_file.exists():
        return
    config = run.config()
    now = {name: options[name] for name in (*PLACES, "data_dir") if name in options}
    if now != {name: config["options"].get(name) for name in now}:
        records.write_json(run.config_file, config | {"options": config["options"] | now})


def _moves(before: str | None, now: str | None) -> Iterator[tuple[str, str]]:
    """Old and new place of each folder that an option names."""
    if before and now and before != now:
        yield from zip(parts_of(before), parts_of(now), strict=False)


def _check_places(run: Run, places: dict[str, str | None]):
    """Raises a UserError if the data of a run are no longer where they were."""
    for option, value in places.items():
        for part in parts_of(value) if value else ():
            if Path(part).is_absolute() and not Path(part).exists():
                raise UserError(
                    f"{run.folder}: --{option} of the run is {value}, but {part} is not there any "
                    f"more; put it back, or give its new place with --{option}"
                )


def _check_equal(
    run: Run,
    before: dict[str, str],
    now: dict[str, str],
    moved: dict[str, str],
    inventory: Inventory,
):
    """Raises a UserError if the dataset is not that of the run's start, with what differs."""
    differing = [split for split in before | now if before.get(split) != now.get(split)]
    if not before or not differing:
        return
    split = differing[0]
    changed = (
        f"{split} had {before.get(split)} (a hash of the content) when the run started and has "
        f"{now.get(split)} now"
    )
    if inventory.missing:
        changed += f"; missing: {_listed(inventory.missing)}"
    if inventory.new:
        changed += f"; new: {_listed(inventory.new)}"
    if moved:
        given = " ".join(f"--{option} {value}" for option, value in moved.items())
        raise UserError(
            f"{given}: not the data of {run.folder}: {changed}; give the run's own data at their "
            "new place, or start a new run"
        )
    remedies = ["restore the images"]
    if inventory.new:
        remedies = ["take out what is new"]
        remedies += ["put back what is missing"] if inventory.missing else []
    elif inventory.missing:
        remedies = ["put them back", "skip them with --skip_bad_images"]
    raise UserError(f"{run.folder}: {changed}; {', or '.join(remedies)}, or start a new run")


def _listed(paths: list[Path]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(map(str, paths[:SHOWN])) + more
