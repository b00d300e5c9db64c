"""Checkpoints that come with this package."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "weights"


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
