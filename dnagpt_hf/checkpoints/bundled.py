"""Checkpoints that come with this package."""

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "weights"


def bundled(name: str = "dnagpt-tiny") -> Path:
    """The folder of a checkpoint that comes with this package, so that no network is needed.

    It holds no code of its own: this package is its code. `save_pretrained` writes one that does.

    Raises:
        ValueError: there is no such checkpoint; the message lists those that exist.

    Example:

        >>> bundled("dnagpt-tiny").name
        'dnagpt-tiny'
    """
    folder = _FOLDER / name
    if not (folder / "config.json").is_file():
        names = ", ".join(sorted(path.parent.name for path in _FOLDER.glob("*/config.json")))
        raise ValueError(f"no checkpoint {name!r} comes with this package: choose one of {names}")
    return folder


def resolve_checkpoint(name: str | Path) -> str:
    """What a checkpoint is loaded from: a folder, one that comes with this package, or the Hub.

    Args:
        name: a folder, the name of a checkpoint of this package, or a name on the Hub.

    Example:

        >>> Path(resolve_checkpoint("dnagpt-tiny")) == bundled("dnagpt-tiny")
        True
    """
    here = _FOLDER / str(name)
    if not Path(name).exists() and (here / "config.json").is_file():
        return str(here)
    return str(name)
