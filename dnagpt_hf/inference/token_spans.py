"""Token spans: the column and the bases of a record that each token covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from dnagpt_hf.genomes.bases import normalize_bases
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Slot
from dnagpt_hf.tasks.encoding import EncodedRecord, RecordEncoder
from dnagpt_hf.tasks.preparation import SequenceCut
from dnagpt_hf.tasks.views import View
from dnagpt_hf.tokenization_dnagpt import NUMBER_TOKEN

Array = np.ndarray[Any, Any]
TokenKind = Literal["sequence", "number", "property"]


@dataclass(frozen=True)
class TokenSpan:
    """One token of a record, and the part of the record that it covers.

    Args:
        text: its bases, a property token such as `<R>`, or `<number>`.
        kind: `"sequence"`, `"number"` or `"property"`.
        column: its column of the record; `None` for text of the template. A token with the end of
            one column and the start of the next belongs to the first.
        start: its first base in that column, from 0, or the index of a number in the column.
        end: the base behind its last one. Bases between the two may have been cut out.
    """

    text: str
    kind: TokenKind
    column: str | None = None
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class DNAColumn:
    """A column of DNA, base by base.

    Args:
        bases: its letters A, C, G, T and N as they stand in the record.
        token: index of the token of each base, int64 `(bases,)`; −1 where it was not read: cut out
            or off, or dropped.
        offset: index of each base in its token, int64 `(bases,)`; −1 likewise.
    """

    bases: str
    token: Array
    offset: Array


@dataclass(frozen=True)
class TokenizedRecord:
    """A record as the model reads it, token by token and base by base.

    Args:
        encoded: its ids and numbers.
        tokens: its tokens, `(tokens,)`.
        columns: its columns of DNA.
        bases_of_token: how many bases of the text each token holds, int64 `(tokens,)`.
    """

    encoded: EncodedRecord
    tokens: tuple[TokenSpan, ...]
    columns: Mapping[str, DNAColumn]
    bases_of_token: Array

    @property
    def record(self) -> Record:
        """Return the record itself."""
        return self.encoded.record

    def column(self, name: str | None = None) -> str:
        """Return the name of a column of DNA; by default the longest one.

        Raises:
            RecordError: there is no such column, or none at all.
        """
        if not self.columns:
            raise self.record.error("no column of it in the template holds DNA")
        if name is None:
            return max(self.columns, key=lambda column: len(self.columns[column].bases))
        if name not in self.columns:
            raise self.record.error(
                f"column {name!r} is no DNA in the template: choose {', '.join(self.columns)}"
            )
        return name

    @property
    def is_reverse(self) -> bool:
        """Tell whether the tokens hold the reverse complement of the record."""
        return self.encoded.view.is_reverse

    def per_base(self, values: Array, column: str) -> Array:
        """Spread values of tokens over bases; that of a token is divided evenly among its bases.

        Args:
            values: floats of shape `(..., tokens)`.
            column: one of `columns`.

        Returns:
            Floats of shape `(..., bases)`; 0 where a base was not read.
        """
        return self.at_bases(self.shares(values), column, elsewhere=0.0)

    def shares(self, values: Array) -> Array:
        """Divide the values of tokens by their numbers of bases, `(..., tokens)`."""
        return values / np.maximum(self.bases_of_token, 1).astype(values.dtype)

    def at_bases(self, values: Array, column: str, elsewhere: float) -> Array:
        """Give each base the value of its token, `(..., bases)`; `elsewhere` where it has none."""
        tokens = self.columns[column].token
        return np.where(tokens >= 0, values[..., tokens], np.asarray(elsewhere, values.dtype))


def tokenize_views(
    encoder: RecordEncoder, record: Record, cuts: Mapping[str, SequenceCut] | None = None
) -> tuple[TokenizedRecord, ...]:
    """Encode a record in all views, and find the span of each of its tokens in them.

    Arguments and errors are those of [`tokenize_record`].
    """
    return tuple(find_spans(encoder, encoded, cuts) for encoded in encoder.in_views(record))


def tokenize_record(
    encoder: RecordEncoder, record: Record, cuts: Mapping[str, SequenceCut] | None = None
) -> TokenizedRecord:
    """Encode a record in its first view, and find the span of each of its tokens.

    Args:
        encoder: turns the record into ids.
        record: the record.
        cuts: the part of each sequence that the encoder reads, by column. Spans are those of the
            whole sequence.

    Raises:
        RecordError: it cannot be encoded, or a column of DNA stands twice in the template.

    Example:

        >>> from dnagpt_hf import DNAGPTTokenizer
        >>> from dnagpt_hf.records.templates import Template
        >>> encoder = RecordEncoder(DNAGPTTokenizer(), Template("<R>{sequence}<=><M>"), 512)
        >>> record = Record({"sequence": "acgtacgta"}, "a", "a.fa", 1, 1)
        >>> tokenized = tokenize_record(encoder, record)
        >>> [(token.text, token.column, token.start, token.end) for token in tokenized.tokens[:3]]
        [('<R>', None, 0, 0), ('ACGTAC', 'sequence', 0, 6), ('GTA', 'sequence', 6, 9)]
        >>> tokenized.per_base(np.array([9.0, 6.0, 3.0, 9.0, 9.0]), "sequence").tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    return find_spans(encoder, encoder(record), cuts)


def find_spans(
    encoder: RecordEncoder, encoded: EncodedRecord, cuts: Mapping[str, SequenceCut] | None = None
) -> TokenizedRecord:
    """Find the spans of the tokens of an encoded record, as [`tokenize_record`] does."""
    record, tokenizer = encoded.record, encoder.tokenizer
    texts = encoder.template.texts(encoded.values)
    text = "".join(texts)
    extents = tokenizer(text, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    names = tokenizer.convert_ids_to_tokens(encoded.input_ids.tolist())
    tokens = [TokenSpan(name, token_kind(name)) for name in names]
    # of each letter: whether it is a base, the token of the base, and its index in the token
    is_base = np.array([not letter.isspace() for letter in text], bool)
    token, offset = np.full(len(text), -1, np.int64), np.full(len(text), -1, np.int64)
    for number, (one, (start, end)) in enumerate(zip(tokens, extents, strict=True)):
        # the answers <A> and <N> are tokens of DNA, too
        is_dna = one.kind == "sequence" and text[start] != "<"
        token[start:end] = number if is_dna else -1
        is_base[start:end] &= is_dna
    read = np.flatnonzero(is_base & (token >= 0))
    bases_of_token = np.bincount(token[read], minlength=len(tokens))
    # tokens follow each other in the text
    first = np.cumsum(bases_of_token) - bases_of_token
    offset[read] = np.arange(len(read)) - first[token[read]]
    columns: dict[str, DNAColumn] = {}
    end = 0
    for part, part_text in zip(encoder.template.parts, texts, strict=True):
        start, end = end, end + len(part_text)
        if not isinstance(part, Slot):
            continue
        if part.is_number:
            here = (n for n, (at, _) in enumerate(extents) if start <= at < end)
            numbers = [number for number in here if tokens[number].kind == "number"]
            for index, number in enumerate(numbers):
                tokens[number] = TokenSpan(
                    tokens[number].text, "number", part.column, index, index + 1
                )
            continue
        bases = start + np.flatnonzero(is_base[start:end])
        if not len(bases):
            continue
        if part.column in columns:
            raise record.error(f"its column {part.column!r} stands twice in the template")
        letters = "".join(text[at] for at in bases.tolist())
        column = DNAColumn(_normalized(letters), token[bases], offset[bases])
        cut = (cuts or {}).get(part.column)
        value = record.values[part.column]
        columns[part.column] = _restored(column, value, cut, encoder, encoded.view)
        _span_bases(tokens, columns[part.column].token, part.column)
    return TokenizedRecord(encoded, tuple(tokens), columns, bases_of_token)


def token_kind(name: str) -> TokenKind:
    """Return the kind of a token by its name.

    Example:

        >>> token_kind("<R>"), token_kind("ACG"), token_kind("<number>")
        ('property', 'sequence', 'number')
    """
    if name == NUMBER_TOKEN:
        return "number"
    return "property" if name.startswith("<") else "sequence"


def _normalized(letters: str) -> str:
    return normalize_bases(letters.encode()).tobytes().decode()


def _restored(
    column: DNAColumn, value: str, cut: SequenceCut | None, encoder: RecordEncoder, view: View
) -> DNAColumn:
    """Restore the bases of a column that were not read, and the order of the record."""
    text = "".join(value.split())
    # a column with tokens in it is not cut
    if "<" in text:
        return column
    kept = np.arange(len(text)) if cut is None else cut.positions(len(text))
    kept = kept[view.positions(len(kept), encoder.unit)]
    count = len(column.bases)
    kept = kept[len(kept) - count :] if encoder.cuts_start(view) else kept[:count]
    token, offset = np.full(len(text), -1, np.int64), np.full(len(text), -1, np.int64)
    token[kept], offset[kept] = column.token, column.offset
    return DNAColumn(_normalized(text), token, offset)


def _span_bases(tokens: list[TokenSpan], token_of_base: Array, column: str) -> None:
    read = np.flatnonzero(token_of_base >= 0)
    owners, first, count = np.unique(token_of_base[read], return_index=True, return_counts=True)
    for owner, start, last in zip(
        owners.tolist(), read[first].tolist(), read[first + count - 1].tolist(), strict=True
    ):
        if tokens[owner].column is None:
            tokens[owner] = replace(tokens[owner], column=column, start=start, end=last + 1)
