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
from dnagpt_hf.interpretation.attention import AttentionMaps
from dnagpt_hf.interpretation.attribution import Attribution
from dnagpt_hf.interpretation.mutagenesis import BASES, Mutagenesis


def attention_arrays(
    maps: AttentionMaps, answer: AttentionMaps, column: str
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Name the arrays of attention, and describe them.

    Args:
        maps: the maps.
        answer: the attention of the answer, of the same layers.
        column: the column of DNA whose bases are the coordinates.

    Returns:
        `weights` `(layers, heads, tokens, tokens)`, `received` `(layers, heads, bases)`, `layers`
        from 1, and the tokens: `token_text`, `token_kind`, `token_column` (empty for the text of
        the template), `token_start`, `token_end` and `bases_of_token`, `(tokens,)` each. The
        description has the record, its column of DNA, `heads`, and `views`, the number of views of
        the task, of which this is the first.
    """
    arrays, description = _record_arrays(maps.record, column)
    arrays |= {
        "weights": maps.weights,
        "received": answer.in_bases(column),
        "layers": np.array(maps.layers),
    }
    return arrays, {**description, "heads": maps.heads, "views": maps.num_views}


def track_arrays(
    tracks: Sequence[Attribution | Mutagenesis], column: str
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Name the arrays of gradients and mutagenesis of one record, and describe them.

    Args:
        tracks: at most one of each kind.
        column: the column of DNA whose bases are the coordinates.

    Returns:
        The tokens as in [`attention_arrays`]; `gradient` and `integrated` `(tokens,)`,
        `gradient_by_base` and `integrated_by_base` `(bases,)`, `number_gradients` `(tokens,)`, and
        `effects` `(mutated bases, 4)`, if they are among the tracks. The description has the
        answer, its score, the number of views of which it is the mean, and the range of the mutated
        bases.
    """
    scored = tracks[0].scored
    arrays, description = _record_arrays(scored.tokenized, column)
    description |= {"answer": scored.answer, "kind": scored.kind, "score": scored.score}
    description["views"] = len(scored.views)
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
        ValueError: the name has another ending.
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
    named: dict[str, Any] = {**arrays, "description": json.dumps(description, ensure_ascii=False)}
    # NumPy adds an ending to a name, but not to a stream
    with new_file(path, overwrite=overwrite) as partial, open(partial, "wb") as stream:
        np.savez(stream, **named)


def _record_arrays(
    tokenized: TokenizedRecord, column: str
) -> tuple[dict[str, Array], dict[str, Any]]:
    tokens, record = tokenized.tokens, tokenized.record
    arrays: dict[str, Array] = {
        "token_text": np.array([token.text for token in tokens]),
        "token_kind": np.array([token.kind for token in tokens]),
        "token_column": np.array([token.column or "" for token in tokens]),
        "token_start": np.array([token.start for token in tokens]),
        "token_end": np.array([token.end for token in tokens]),
        "bases_of_token": tokenized.bases_of_token,
    }
    description = {
        "record": record.name,
        "source": record.source,
        "column": column,
        "bases": tokenized.columns[column].bases,
    }
    return arrays, description
