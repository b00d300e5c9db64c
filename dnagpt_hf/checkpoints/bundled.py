"""Names of checkpoints: those that come with this package, and those on the Hugging Face Hub."""

import os
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "weights"


def bundled(name: str = "dnagpt-tiny") -> Path:
    """Find the folder of a checkpoint that comes with this package, so that no network is needed.

    It holds no code of its own: this package is its code. `save_pretrained` writes one that does.

    Raises:
        ValueError: there is no such checkpoint; the message lists those that exist.

    Example:

        >>> bundled("dnagpt-tiny").name
        'dnagpt-tiny'
    """
    folder = _FOLDER / name
    if not (folder / "config.json").is_file():
        names = ", ".join(bundled_names())
        raise ValueError(f"no checkpoint {name!r} comes with this package: choose one of {names}")
    return folder


def bundled_names() -> list[str]:
    """List the checkpoints that come with this package."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/config.json"))


def resolve_checkpoint(name: str | Path) -> str:
    """Replace the name of a bundled checkpoint by its folder; other names stay as they are.

    Args:
        name: a folder, the name of a checkpoint of this package, or a name on the Hub.

    Example:

        >>> Path(resolve_checkpoint("dnagpt-tiny")) == bundled("dnagpt-tiny")
        True
    """
    name = os.path.expanduser(name)
    here = _FOLDER / name
    if not Path(name).exists() and (here / "config.json").is_file():
        return str(here)
    return name


def is_hub_name(name: str | os.PathLike[str] | None) -> bool:
    """Tell a name of the Hub, ORG/NAME, from other names and from folders that exist.

    Example:

        >>> is_hub_name("ORG/dnagpt-m"), is_hub_name("dnagpt-m"), is_hub_name("/models/dnagpt-m")
        (True, False, False)
    """
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    text = "" if name is None else os.fspath(name)
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return text.count("/") == 1 and not Path(text).exists()
