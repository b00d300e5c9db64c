"""Attention maps, gradients and mutagenesis as named arrays in an .npz file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnagpt_hf.atomic_files import new_file
from dnagpt_hf.inference.token_spans import Array, TokenizedRecord
from dnagpt_hf.interpretation.attention import AttentionMaps, ReceivedAttention
from dnagpt_hf.interpretation.attribution import Attribution
from dnagpt_hf.interpretation.mutagenesis import BASES, Mutagenesis


def attention_arrays(
    maps: AttentionMaps, received: ReceivedAttention
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays of attention, and their description.

    Returns:
        `weights` `(layers, heads, tokens, tokens)`, `received` `(layers, heads, bases)`, `layers`
        from 1, and the tokens: `token_text`, `token_kind`, `token_column` (empty where it is the
        template's), `token_start`, `token_end` and `bases_of_token`, `(tokens,)` each.
    """
    arrays = {
        "weights": maps.weights,
        "received": received.weights,
        "layers": np.array(maps.layers),
        **_token_arrays(maps.record),
    }
    return arrays, {**_description(maps.record, received.column), "heads": maps.heads}


def track_arrays(
    tracks: Sequence[Attribution | Mutagenesis], column: str
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays of gradients and mutagenesis of one record, and their description.

    Args:
        tracks: at most one of each kind.
        column: the column of DNA in whose bases they are.

    Returns:
        The tokens as in [`attention_arrays`]; `gradient` and `integrated` `(tokens,)`,
        `gradient_by_base` and `integrated_by_base` `(bases,)`, `number_gradients` `(tokens,)`, and
        `effects` `(mutated bases, 4)`, whichever there are. The description has the answer, its
        score, and which bases were mutated.
    """
    scored = tracks[0].scored
    arrays = _token_arrays(scored.placed)
    description = {
        **_description(scored.placed, column),
        "answer": scored.answer,
        "kind": scored.kind,
        "score": scored.score,
    }
    for one in tracks:
        if isinstance(one, Mutagenesis):
            arrays["effects"] = one.effects
            description |= {"letters": BASES, "start": one.start, "end": one.end}
            continue
        name = "gradient" if one.baseline_score is None else "integrated"
        arrays |= {name: one.values, f"{name}_by_base": one.per_base(column)}
        if one.number_gradients is not None:
            arrays["number_gradients"] = one.number_gradients
        if one.baseline_score is not None:
            description["baseline_score"] = one.baseline_score
    return arrays, description


def check_array_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name that does not end in .npz.

    Raises:
        ValueError: it ends in something else.
    """
    if Path(path).suffix.lower() != ".npz":
        raise ValueError(f"{os.fspath(path)}: arrays are written as .npz: choose such a name")


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    description: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> None:
    """Write named arrays, and their description as JSON in the array `description`.

    Raises:
        ValueError: the name does not end in .npz, or the file exists and `overwrite` is not given.

    Example:

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "maps.npz"
        >>> save_arrays(path, {"weights": np.zeros((2, 3))}, {"record": "first"})
        >>> with np.load(path) as arrays:
        ...     arrays["weights"].shape, json.loads(str(arrays["description"]))
        ((2, 3), {'record': 'first'})
    """
    check_array_name(path)
    text = json.dumps(description, ensure_ascii=False)
    named: dict[str, Any] = {**arrays, "description": np.array(text)}
    # given a stream, as NumPy would add an ending to a name
    with new_file(path, overwrite=overwrite) as partial, open(partial, "wb") as stream:
        np.savez(stream, **named)


def _token_arrays(placed: TokenizedRecord) -> dict[str, Array]:
    tokens = placed.tokens
    return {
        "token_text": np.array([token.text for token in tokens]),
        "token_kind": np.array([token.kind for token in tokens]),
        "token_column": np.array([token.column or "" for token in tokens]),
        "token_start": np.array([token.start for token in tokens]),
        "token_end": np.array([token.end for token in tokens]),
        "bases_of_token": placed.bases_of_token,
    }


def _description(placed: TokenizedRecord, column: str) -> dict[str, Any]:
    record = placed.record
    return {
        "record": record.name,
        "source": record.source,
        "column": column,
        "bases": placed.columns[column].bases,
    }
