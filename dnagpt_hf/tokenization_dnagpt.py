"""The token language of DNAGPT: DNA, numbers and property tokens in one stream.

Text such as `<R>ATCGTA<+><M>-0.5 0.25<=><B>A` is read from left to right: names in angle
brackets are property tokens, letters are DNA cut into k-mers, and numbers stand right behind `<M>`.
"""

import importlib
import itertools
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AddedToken, BatchEncoding, PreTrainedTokenizer
from transformers.tokenization_utils_base import TOKENIZER_CONFIG_FILE, TruncationStrategy
from transformers.utils import PaddingStrategy, TensorType, is_torch_tensor, to_py_obj

from .configuration_dnagpt import IGNORED_TOKEN

PROPERTY_TOKENS: tuple[str, ...] = tuple(
    f"<{name}>" for name in [*"0123456789+-*/=&|!MBPRIKLOQSUVWYXZ"]
)
"""The 34 property tokens in the order of their ids."""

SPECIES: dict[str, str] = {
    "<R>": "Homo_sapiens",
    "<S>": "Mus_musculus",
    "<V>": "Bos_taurus",
    "<L>": "Danio_rerio",
    "<O>": "Drosophila_melanogaster",
    "<K>": "Caenorhabditis_elegans",
    "<I>": "Arabidopsis_thaliana",
    "<U>": "Saccharomyces_cerevisiae",
    "<Q>": "Escherichia_coli_gca_001721525",
}
"""Species of the DNA behind each instruction token."""

ALPHABET = "NAGCT"
NUMBER_TOKEN = "<number>"
NUMBER_INSTRUCTION = "<M>"
MAX_KMER_SIZE = 8
REMAINDERS = ("error", "drop", "pad")

WHITE_SPACE = " \t\n\r\v\f"
SYNONYMS = {"U": "T"} | dict.fromkeys("RYSWKMBDHV", "N")
_NOT_DNA = re.compile(rf"[^{ALPHABET}{''.join(SYNONYMS)}{WHITE_SPACE}]", re.IGNORECASE | re.ASCII)
_NOT_WHITE_SPACE = re.compile(rf"[^{WHITE_SPACE}]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DELETE_WHITE_SPACE = dict.fromkeys(map(ord, WHITE_SPACE))
# Values of padded positions; no loss counts the targets among them.
_FILL: dict[str, Any] = {
    "attention_mask": 0,
    "number_values": 0.0,
    "special_tokens_mask": 1,
    "offset_mapping": (0, 0),
    "labels": IGNORED_TOKEN,
    "number_labels": float("nan"),
}
_FLOATS = ("number_values", "number_labels")
# k-mers looked up at once: indices and sums of a block stay in a second-level cache.
_BLOCK = 1 << 14


class KmerVocabulary:
    """Ids of the token language: property tokens, then k-mers by length, then the number position.

    Args:
        kmer_size: longest k-mer, 1 to 8.
        dynamic_kmer: `True` if the shorter k-mers (1 … `kmer_size` - 1) have ids as well.
    """

    def __init__(self, kmer_size: int, dynamic_kmer: bool) -> None:
        self.kmer_size = kmer_size
        # length of a k-mer: id of the first k-mer of that length
        self.first_id: dict[int, int] = {}
        next_id = len(PROPERTY_TOKENS)
        for length in range(1 if dynamic_kmer else kmer_size, kmer_size + 1):
            self.first_id[length] = next_id
            next_id += len(ALPHABET) ** length
        self.number_token_id = next_id

    @cached_property
    def tokens(self) -> list[str]:
        """All tokens in the order of their ids."""
        kmers = (
            "".join(letters)
            for length in self.first_id
            for letters in itertools.product(ALPHABET, repeat=length)
        )
        return [*PROPERTY_TOKENS, *kmers, NUMBER_TOKEN]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Id of every token."""
        return {token: index for index, token in enumerate(self.tokens)}

    @cached_property
    def names(self) -> dict[str, int]:
        """Ids of what may stand in angle brackets in a text, without the brackets."""
        names = {token[1:-1]: index for index, token in enumerate(PROPERTY_TOKENS)}
        if 1 in self.first_id:
            names |= {base: self.first_id[1] + ALPHABET.index(base) for base in "AN"}
        return names


class DNACodec:
    """Look-up tables between DNA letters and k-mer ids.

    Two letters are looked up at once when the k-mer size is even, else one. The table of a column
    already holds the column's share of the id, so that an id is the sum of a few look-ups. The
    share of an invalid letter exceeds any valid sum: the largest sum tells whether all was DNA.
    """

    def __init__(self, vocabulary: KmerVocabulary) -> None:
        self.vocabulary = vocabulary
        k = vocabulary.kmer_size
        self.invalid = len(ALPHABET) ** k
        digits = np.full(256, -1, np.int64)
        for letter in ALPHABET + "".join(SYNONYMS):
            digit = ALPHABET.index(SYNONYMS.get(letter, letter))
            digits[[ord(letter), ord(letter.lower())]] = digit
        self.unit: np.dtype[Any] = np.dtype(np.uint8)
        base = 5
        if k % 2 == 0:
            self.unit, base = np.dtype("<u2"), 25
            first, second = np.tile(digits, 256), np.repeat(digits, 256)
            digits = np.where((first < 0) | (second < 0), -1, 5 * first + second)
        self.columns = k // self.unit.itemsize
        # Even with every column invalid the sum stays below the type's limit.
        total = np.uint16 if self.columns * self.invalid < 1 << 16 else np.uint32
        self.tables = [
            np.where(digits < 0, self.invalid, digits * base**power).astype(total)
            for power in reversed(range(self.columns))
        ]

    @cached_property
    def letters(self) -> np.ndarray:
        """Letters of every k-mer as bytes; shorter k-mers end in zeros."""
        # (k-mers, kmer_size)
        kmers = np.array(self.vocabulary.tokens[len(PROPERTY_TOKENS) : -1], dtype=np.bytes_)
        return kmers.view(np.uint8).reshape(len(kmers), -1)

    def fill(self, ids: np.ndarray, bases: str) -> bool:
        """Write the ids of full k-mers, and return `False` if a letter is not DNA.

        Args:
            ids: integers (k-mers,) to write to.
            bases: `kmer_size` ASCII letters for each of them.
        """
        k = self.vocabulary.kmer_size
        size = min(len(ids), _BLOCK)
        index = np.empty(size, np.intp)
        sums, share = np.empty((2, size), self.tables[0].dtype)
        for start in range(0, len(ids), _BLOCK):
            letters = bases[start * k : min(start + _BLOCK, len(ids)) * k]
            # (k-mers, columns)
            block = np.frombuffer(letters.encode("ascii"), self.unit).reshape(-1, self.columns)
            index, sums, share = index[: len(block)], sums[: len(block)], share[: len(block)]
            for column, table in enumerate(self.tables):
                index[:] = block[:, column]
                # In this mode NumPy writes to `out` without a copy; every index is in the table.
                table.take(index, out=share if column else sums, mode="clip")
                if column:
                    sums += share
            if sums.max() >= self.invalid:
                return False
            np.add(
                sums, self.vocabulary.first_id[k], out=ids[start : start + _BLOCK], dtype=ids.dtype
            )
        return True

    def shorten(self, kmer_id: int, length: int) -> int:
        """Look up the id of the first `length` letters of a full k-mer."""
        first, k = self.vocabulary.first_id, self.vocabulary.kmer_size
        return int(kmer_id - first[k]) // 5 ** (k - length) + first[length]

    def text(self, ids: np.ndarray) -> str:
        """Join the letters of k-mer ids."""
        letters = self.letters.take(ids - len(PROPERTY_TOKENS), axis=0)
        return letters.tobytes().translate(None, b"\0").decode("ascii")

    def lengths(self, ids: np.ndarray) -> np.ndarray:
        """Count the letters of each k-mer, `(ids,)`."""
        first = self.vocabulary.first_id
        return np.array(list(first))[np.searchsorted(list(first.values()), ids, "right") - 1]


@lru_cache(maxsize=8)
def _codec(kmer_size: int, dynamic_kmer: bool) -> DNACodec:
    # Kept outside the tokenizer, so that copies and pickles of it stay small.
    return DNACodec(KmerVocabulary(kmer_size, dynamic_kmer))


@lru_cache(maxsize=2)
def _integers(count: int) -> np.ndarray:
    # Sharing Python's integers makes lists of ids twice as fast as creating one for each token.
    integers = np.empty(count, dtype=object)
    integers[:] = range(count)
    return integers


def _segments(text: str) -> Iterator[tuple[int, str | None, int, str]]:
    """Offset and name of each token in angle brackets, offset and text of the stretch behind it."""
    head, *pieces = text.split("<")
    yield 0, None, 0, head
    at = len(head)
    for piece in pieces:
        name, bracket, stretch = piece.partition(">")
        if not bracket:
            raise ValueError(f"'<' at position {at + 1} is not closed: write a token as <name>")
        yield at, name, at + len(name) + 2, stretch
        at += len(piece) + 1


def _read_number(text: str, at: int) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(
            f"{text!r} at position {at + 1} is not a decimal number: only numbers separated by "
            f"white space stand behind {NUMBER_INSTRUCTION}"
        )
    try:
        value: float = struct.unpack("f", struct.pack("f", float(text)))[0]
    except OverflowError:
        value = float("inf")
    if abs(value) == float("inf"):
        raise ValueError(f"number {text} at position {at + 1} is not finite in float32")
    return value


def _write_number(value: float) -> str:
    # NumPy writes the fewest digits that give the same float32.
    single = np.float32(value)
    exponent = str(single).replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
    return min(np.format_float_positional(single, trim="-"), exponent, key=len)


def _check_dna(stretch: str, at: int) -> None:
    """Refuse a stretch that holds anything but letters of DNA and white space."""
    found = _NOT_DNA.search(stretch)
    if found is None:
        return
    character = found.group()
    hint = "DNA letters are ACGTUN and the IUPAC codes RYSWKMBDHV"
    if character in "0123456789+-.":
        hint += f", and numbers stand right behind {NUMBER_INSTRUCTION}"
    place = at + found.start() + 1
    raise ValueError(f"character {character!r} at position {place} is not DNA: {hint}")


class _Stream:
    """Token ids of several texts, one behind the other, and where each text and its numbers lie."""

    def __init__(self) -> None:
        self.length = 0
        self.ends: list[int] = []
        # for each text: (position in the text's tokens, value)
        self.numbers: list[list[tuple[int, float]]] = []
        self.slots: list[int] = []
        self.slot_ids: list[int] = []
        self.spans: list[tuple[int, int]] = []
        self.stretches: list[str] = []
        self.shorter: list[tuple[int, int]] = []
        self.kmer_count = 0
        self.undecided = False

    def add_token(self, token_id: int) -> None:
        self.slots.append(self.length)
        self.slot_ids.append(token_id)
        self.length += 1

    def ids(self, codec: DNACodec) -> np.ndarray | None:
        """All ids, or None where a stretch is not DNA; every stretch goes through one look-up."""
        bases = "".join(self.stretches)
        kmers: np.ndarray = np.empty(self.kmer_count, np.int32)
        if self.undecided or not bases.isascii() or not codec.fill(kmers, bases):
            return None
        for index, length in self.shorter:
            kmers[index] = codec.shorten(kmers[index], length)
        if not self.slots:
            return kmers
        ids: np.ndarray = np.empty(self.length, np.int32)
        ids[self.slots] = self.slot_ids
        done = 0
        for start, count in self.spans:
            ids[start : start + count] = kmers[done : done + count]
            done += count
        return ids


class DNAGPTTokenizer(PreTrainedTokenizer):
    """Reads and writes the token language of DNAGPT; no vocabulary file is needed.

    A number takes one position with the id `number_token_id`; its value stands in `number_values`
    (float32, as long as `input_ids`, 0 where there is no number).

    Args:
        kmer_size: bases in a DNA token, 1 to 8.
        dynamic_kmer: `True` if the remainder of a stretch of DNA, shorter than `kmer_size`, has an
            id of its own. The human model has a fixed vocabulary, the others a dynamic one.
        remainder: treatment of such a remainder in a fixed vocabulary: `"error"`, `"drop"` it, or
            `"pad"` it with N.
        pad_token: the token that pads.
        model_max_length: positions of the model, used where truncation is asked for.

    Example:
        >>> tokenizer = DNAGPTTokenizer()
        >>> encoding = tokenizer("<R>ATCGTA<+><M>-0.5<=><B>A")
        >>> encoding["input_ids"]
        [21, 10010, 10, 18, 19564, 14, 19, 35]
        >>> encoding["number_values"]
        [0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0, 0.0]
        >>> tokenizer.decode(encoding)
        '<R>ATCGTA<+><M>-0.5<=><B>A'
    """

    model_input_names = ["input_ids", "attention_mask", "number_values"]

    def __init__(
        self,
        kmer_size: int = 6,
        dynamic_kmer: bool = True,
        remainder: str = "error",
        pad_token: str | AddedToken = "<P>",
        model_max_length: int | None = None,
        **kwargs: Any,
    ) -> None:
        if type(kmer_size) is not int or not 1 <= kmer_size <= MAX_KMER_SIZE:
            raise ValueError(f"kmer_size is {kmer_size!r}: it must be 1 to {MAX_KMER_SIZE}")
        if not isinstance(dynamic_kmer, bool):
            raise ValueError(f"dynamic_kmer is {dynamic_kmer!r}: it must be True or False")
        if remainder not in REMAINDERS:
            raise ValueError(f"remainder is {remainder!r}: it must be one of {REMAINDERS}")
        self.kmer_size = kmer_size
        self.dynamic_kmer = dynamic_kmer
        self.remainder = remainder
        kwargs.setdefault("special_tokens_pattern", "none")
        super().__init__(
            kmer_size=kmer_size,
            dynamic_kmer=dynamic_kmer,
            remainder=remainder,
            pad_token=pad_token,
            model_max_length=model_max_length,
            **kwargs,
        )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *init_inputs: Any, **kwargs: Any
    ) -> Any:
        """Load a tokenizer as Transformers does, from a folder that states its vocabulary.

        Raises:
            ValueError: a folder has no `tokenizer_config.json`, and neither `kmer_size` nor
                `dynamic_kmer` is given.
        """
        folder = Path(pretrained_model_name_or_path, kwargs.get("subfolder") or "")
        is_stated = (folder / TOKENIZER_CONFIG_FILE).is_file() or bool(
            {"kmer_size", "dynamic_kmer"} & {*kwargs}
        )
        if folder.is_dir() and not is_stated:
            raise ValueError(
                f"{folder} has no {TOKENIZER_CONFIG_FILE}, which tells the vocabulary: copy it "
                "from where the model came from"
            )
        return super().from_pretrained(pretrained_model_name_or_path, *init_inputs, **kwargs)

    @property
    def _codec(self) -> DNACodec:
        return _codec(self.kmer_size, self.dynamic_kmer)

    @property
    def _vocabulary(self) -> KmerVocabulary:
        return self._codec.vocabulary

    @property
    def number_token(self) -> str:
        return NUMBER_TOKEN

    @property
    def number_token_id(self) -> int:
        return self._vocabulary.number_token_id

    @property
    def vocab_size(self) -> int:
        return self._vocabulary.number_token_id + 1

    def get_vocab(self) -> dict[str, int]:
        return self._vocabulary.ids | self.get_added_vocab()

    def _add_tokens(
        self, new_tokens: Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        reserved = {f"<{name}>" for name in self._vocabulary.names} - set(PROPERTY_TOKENS)
        for token in map(str, new_tokens):
            if not re.fullmatch(r"<[^<>\s]+>", token) or token in reserved | {NUMBER_TOKEN}:
                raise ValueError(
                    f"token {token!r} cannot be added: write it as <name>, without white space, "
                    f"and not as one of {sorted(reserved)} or {NUMBER_TOKEN}"
                )
        return super()._add_tokens(list(new_tokens), special_tokens=special_tokens)

    def _convert_token_to_id(self, token: str) -> int:
        spelling = token[1:-1] if token in ("<A>", "<N>") else token
        token_id = self._vocabulary.ids.get(spelling)
        if token_id is None:
            raise self._unknown(token)
        return token_id

    def _convert_id_to_token(self, index: int) -> str:
        if not 0 <= index < self.vocab_size:
            raise ValueError(f"id {index} is not in the vocabulary of {len(self)} tokens")
        return self._vocabulary.tokens[index]

    def _unknown(self, token: str, where: str = "") -> ValueError:
        added = [name for name in self.get_added_vocab() if name not in PROPERTY_TOKENS]
        if token in ("<A>", "<N>"):
            advice = "this fixed vocabulary has no 1-mers: use a dynamic one or add the token"
        elif token == NUMBER_TOKEN:
            advice = f"write the number itself, right behind {NUMBER_INSTRUCTION}"
        else:
            advice = " ".join(["the tokens are", *PROPERTY_TOKENS, *added])
            advice += " <A> <N>" if 1 in self._vocabulary.first_id else ""
        return ValueError(f"unknown token {token!r}{where}: {advice}")

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write `tokenizer.json` for other programs, where `dnagpt_hf` is imported.

        This class reads no such file, and the code that travels with a checkpoint writes none.

        Args:
            save_directory: an existing folder.
            filename_prefix: prefix of the name of the file, joined to it with a hyphen.

        Returns:
            The path of the file, or nothing.
        """
        if sys.modules.get("dnagpt_hf") is None:
            return ()
        files = importlib.import_module("dnagpt_hf.checkpoints.tokenizer_json")
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        path = files.write_tokenizer_json(self, Path(save_directory, f"{prefix}tokenizer.json"))
        return (str(path),)

    # -- text to ids -------------------------------------------------------------------------------

    def _read(
        self, texts: Sequence[str], batched: bool, as_lists: bool
    ) -> tuple[list[Any], list[list[tuple[int, float]]]]:
        """Ids of every text, as lists or arrays, and its numbers with their positions."""
        names = self._vocabulary.names | {
            token[1:-1]: index for token, index in self.get_added_vocab().items()
        }
        record, ids = 0, None
        try:
            # White space is rare and slow to look for: only what fails as it stands is stripped.
            for strip in (False, True):
                stream = _Stream()
                for record, text in enumerate(texts):  # noqa: B007
                    if not isinstance(text, str):
                        raise ValueError(f"text must be str, not {type(text).__name__}")
                    self._read_text(text, stream, names, strip)
                ids = stream.ids(self._codec)
                if ids is not None:
                    break
            for record, text in enumerate(texts if ids is None else ()):  # noqa: B007
                for _, name, begin, stretch in _segments(text):
                    if f"<{name}>" != NUMBER_INSTRUCTION:
                        _check_dna(stretch, begin)
            if ids is None:
                raise ValueError("text is not in the token language")
        except ValueError as error:
            raise ValueError(f"record {record}: {error}" if batched else str(error)) from None
        ids = _integers(len(self))[ids] if as_lists else ids
        rows = [ids[a:b] for a, b in zip([0, *stream.ends], stream.ends, strict=False)]
        return [row.tolist() for row in rows] if as_lists else rows, stream.numbers

    def _read_text(self, text: str, stream: _Stream, names: dict[str, int], strip: bool) -> None:
        start = stream.length
        numbers: list[tuple[int, float]] = []
        if "<" not in text and text:
            # bare DNA, the common case, goes the short way
            self._read_dna(text, 0, stream, strip)
            stream.numbers.append(numbers)
            stream.ends.append(stream.length)
            return
        for at, name, begin, stretch in _segments(text):
            if name is not None:
                token_id = names.get(name)
                if token_id is None:
                    raise self._unknown(f"<{name}>", f" at position {at + 1}")
                stream.add_token(token_id)
            if not stretch:
                continue
            if name == "M":
                for word in _NOT_WHITE_SPACE.finditer(stretch):
                    value = _read_number(word.group(), begin + word.start())
                    numbers.append((stream.length - start, value))
                    stream.add_token(self.number_token_id)
            else:
                self._read_dna(stretch, begin, stream, strip)
        stream.numbers.append(numbers)
        stream.ends.append(stream.length)

    def _read_dna(self, stretch: str, begin: int, stream: _Stream, strip: bool) -> None:
        bases = stretch.translate(_DELETE_WHITE_SPACE) if strip else stretch
        count, rest = divmod(len(bases), self.kmer_size)
        if rest and self.dynamic_kmer:
            stream.shorter.append((stream.kmer_count + count, rest))
        elif rest and not strip:
            stream.undecided = True
        elif rest and self.remainder != "pad":
            _check_dna(stretch, begin)
            if self.remainder == "error":
                raise ValueError(
                    f"the last {rest} bases of the DNA at position {begin + 1} have no token in "
                    f"the fixed {self.kmer_size}-mer vocabulary: cut them off, or choose "
                    "remainder='drop' or 'pad'"
                )
            bases, rest = bases[:-rest], 0
        if rest:
            count += 1
            bases += "N" * (self.kmer_size - rest)
        stream.stretches.append(bases)
        stream.spans.append((stream.length, count))
        stream.length += count
        stream.kmer_count += count

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        for at, name, begin, stretch in _segments(text):
            if name is not None:
                spans.append((at, begin))
            if name == "M":
                words = _NOT_WHITE_SPACE.finditer(stretch)
                spans.extend((begin + word.start(), begin + word.end()) for word in words)
                continue
            where = [begin + i for i, base in enumerate(stretch) if base not in WHITE_SPACE]
            if not self.dynamic_kmer and self.remainder == "drop":
                del where[len(where) - len(where) % self.kmer_size :]
            for start in range(0, len(where), self.kmer_size):
                last = min(start + self.kmer_size, len(where)) - 1
                spans.append((where[start], where[last] + 1))
        return spans

    def tokenize(self, text: str, *args: Any, **kwargs: Any) -> list[str]:
        """Cut a text into tokens; a number is written `<number>`."""
        rows, _ = self._read([text], batched=False, as_lists=True)
        return self.convert_ids_to_tokens(rows[0])

    def encode_dna(self, sequence: str | bytes | bytearray | memoryview | np.ndarray) -> np.ndarray:
        """Encode one stretch of DNA, without a Python object for each token.

        Args:
            sequence: letters as text, bytes or uint8 array; white space is ignored.

        Returns:
            int32 array (tokens,).

        Raises:
            ValueError: if anything but DNA stands in `sequence`.

        Example:
            >>> DNAGPTTokenizer().encode_dna("ATCGTANN").tolist()
            [10010, 39]
        """
        if isinstance(sequence, np.ndarray) and (sequence.dtype != np.uint8 or sequence.ndim != 1):
            raise ValueError(
                f"sequence is an array of {sequence.dtype} with shape {sequence.shape}: it must be "
                "one-dimensional uint8 (letters as ASCII codes)"
            )
        if not isinstance(sequence, str | bytes | bytearray | memoryview | np.ndarray):
            raise ValueError(f"sequence must be str, bytes or uint8, not {type(sequence).__name__}")
        text = sequence if isinstance(sequence, str) else bytes(sequence).decode("latin-1")
        for strip in (False, True):
            stream = _Stream()
            self._read_dna(text, 0, stream, strip)
            ids = stream.ids(self._codec)
            if ids is not None:
                return ids
        _check_dna(text, 0)
        raise ValueError("sequence is not DNA")

    # -- the calls of Transformers -----------------------------------------------------------------

    def _encode_plus(
        self,
        text: str | Sequence[str],
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding_strategy: PaddingStrategy = PaddingStrategy.DO_NOT_PAD,
        truncation_strategy: TruncationStrategy = TruncationStrategy.DO_NOT_TRUNCATE,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | TensorType | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool = False,
        **kwargs: Any,
    ) -> BatchEncoding:
        refused = {
            "text_pair": text_pair is not None,
            "is_split_into_words": is_split_into_words,
            "stride": stride != 0,
            "return_overflowing_tokens": return_overflowing_tokens,
            "return_token_type_ids": bool(return_token_type_ids),
            "split_special_tokens": split_special_tokens,
        }
        for name, asked in refused.items():
            if asked:
                raise ValueError(f"{name} has no meaning in the token language: leave it out")
        if not isinstance(text, str | list | tuple):
            raise ValueError(f"text must be str or a list of str, not {type(text).__name__}")
        if max_length is not None and max_length < 0:
            raise ValueError(f"max_length is {max_length}: give 0 or more")
        batched = not isinstance(text, str)
        texts = [text] if isinstance(text, str) else text
        rows, numbers = self._read(texts, batched, as_lists=not return_tensors)

        def filled(value: float) -> list[Any]:
            """Make rows with a value for each token."""
            if return_tensors:
                return [np.full(len(row), value) for row in rows]
            return [[value] * len(row) for row in rows]

        columns: dict[str, list[Any]] = {"input_ids": rows}
        if return_attention_mask is not False:
            columns["attention_mask"] = filled(1)
        columns["number_values"] = filled(0.0)
        for row, values in zip(columns["number_values"], numbers, strict=True):
            for position, value in values:
                row[position] = value
        if return_special_tokens_mask:
            columns["special_tokens_mask"] = filled(0)
        if return_offsets_mapping:
            columns["offset_mapping"] = [self._offsets(text) for text in texts]
        if truncation_strategy is not TruncationStrategy.DO_NOT_TRUNCATE and max_length is not None:
            kept = slice(-max_length if self.truncation_side == "left" else None, None)
            kept = slice(max_length) if self.truncation_side == "right" or not max_length else kept
            columns = {key: [row[kept] for row in rows] for key, rows in columns.items()}
        lengths = [len(row) for row in columns["input_ids"]]
        if max(lengths, default=0) > self.model_max_length:
            longest = range(max(lengths))
            self._eventual_warn_about_too_long_sequence(longest, max_length, verbose)
        width = _width(lengths, padding_strategy, max_length, pad_to_multiple_of, return_tensors)
        arrays = self._padded(columns, width, self._pads_left(padding_side), bool(return_tensors))
        if return_length:
            arrays["length"] = [len(row) for row in arrays["input_ids"]]
        if not batched and not return_tensors:
            arrays = {key: values[0] for key, values in arrays.items()}
        return BatchEncoding(arrays, tensor_type=return_tensors)

    def _padded(
        self, columns: dict[str, list[Any]], width: int, left: bool, as_arrays: bool
    ) -> dict[str, Any]:
        """Pad rows that have a value for each token, to lists or to arrays `(rows, width, …)`."""
        padded: dict[str, Any] = {}
        for key, rows in columns.items():
            fill = self.pad_token_id if key == "input_ids" else _FILL[key]
            if not as_arrays:
                padded[key] = rows
                if width > min(map(len, rows), default=0):
                    empty = [[fill] * (width - len(row)) for row in rows]
                    padded[key] = [
                        [*gap, *row] if left else [*row, *gap]
                        for gap, row in zip(empty, rows, strict=True)
                    ]
                continue
            kind = np.float32 if key in _FLOATS else np.int64
            padded[key] = np.full((len(rows), width, *np.shape(fill)), fill, kind)
            for filled, row in zip(padded[key], rows, strict=True):
                if len(row):
                    filled[width - len(row) if left else 0 :][: len(row)] = row
        return padded

    def _pads_left(self, side: str | None) -> bool:
        side = self.padding_side if side is None else side
        if side not in ("left", "right"):
            raise ValueError(f"padding_side is {side!r}: it must be 'left' or 'right'")
        return side == "left"

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | TensorType | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad one example or a batch, given as a dict of lists or a list of dicts.

        `labels` and `number_labels` with a value for each token are padded with -100 and NaN; other
        keys pass through as they are.
        """
        columns = _columns(encoded_inputs)
        ids = columns["input_ids"]
        single = len(ids) > 0 and np.ndim(ids[0]) == 0
        if return_tensors is None and len(ids):
            probe = ids if single else ids[0]
            return_tensors = "pt" if is_torch_tensor(probe) else None
            return_tensors = "np" if isinstance(probe, np.ndarray) else return_tensors
        columns = {key: to_py_obj([rows] if single else rows) for key, rows in columns.items()}
        ids = columns["input_ids"]
        if "attention_mask" not in columns and return_attention_mask is not False:
            columns["attention_mask"] = [[1] * len(row) for row in ids]
        strategy, _, max_length, _ = self._get_padding_truncation_strategies(
            padding=padding, max_length=max_length, verbose=verbose
        )
        lengths = [len(row) for row in ids]
        width = _width(lengths, strategy, max_length, pad_to_multiple_of, return_tensors)
        left = self._pads_left(padding_side)
        fills = {"input_ids", *_FILL}
        for key, rows in columns.items():
            if len(rows) != len(ids):
                raise ValueError(f"{key} has {len(rows)} rows, input_ids {len(ids)}")
            aligned = [
                isinstance(row, list) and len(row) == len(ids[i]) for i, row in enumerate(rows)
            ]
            if key == "labels" and not all(
                type(value) is int for row in rows for value in np.ravel(row).tolist()
            ):
                continue  # targets of whole records, even if they are as many as the tokens
            if key in fills and all(aligned):
                columns |= self._padded({key: rows}, width, left, bool(return_tensors))
            elif key in fills and key not in ("labels", "number_labels"):
                index = aligned.index(False)
                raise ValueError(f"{key} of example {index} is not as long as its input_ids")
        if single and not return_tensors:
            columns = {key: rows[0] for key, rows in columns.items()}
        return BatchEncoding(columns, tensor_type=return_tensors)

    # -- ids to text -------------------------------------------------------------------------------

    def decode_dna(self, ids: Sequence[int] | np.ndarray) -> str:
        """Join the bases of DNA tokens.

        Args:
            ids: k-mer ids (tokens,).

        Raises:
            ValueError: if an id is not a k-mer.
        """
        array = np.asarray(to_py_obj(ids) if is_torch_tensor(ids) else ids, dtype=np.int64).reshape(
            -1
        )
        wrong = np.flatnonzero((array < len(PROPERTY_TOKENS)) | (array >= self.number_token_id))
        if len(wrong):
            raise ValueError(f"id {array[wrong[0]]} at position {wrong[0]} is not a DNA token")
        return self._codec.text(array)

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        number_values: Any = None,
        **kwargs: Any,
    ) -> str | list[str]:
        """Write ids as text, with the numbers in their positions.

        Args:
            token_ids: ids of one text or of a batch, or an encoding or the output of `generate`,
                which bring their numbers along.
            skip_special_tokens: leave out padding and other tokens that are declared special.
            number_values: numbers, as long as `token_ids`; without them a number is written
                `<number>`.
        """
        if isinstance(token_ids, Mapping):
            if number_values is None:
                number_values = token_ids.get("number_values")
            ids_key = "sequences" if "sequences" in token_ids else "input_ids"
            token_ids = token_ids[ids_key]
        ids = to_py_obj(token_ids)
        numbers = to_py_obj(number_values)
        if not isinstance(ids, list | tuple):
            ids = [ids]
        if not ids or not isinstance(ids[0], list | tuple):
            return self._decode_row(ids, numbers, skip_special_tokens)
        if numbers is None:
            numbers = [None] * len(ids)
        if len(numbers) != len(ids):
            raise ValueError(f"number_values has {len(numbers)} rows, token_ids {len(ids)}")
        return [
            self._decode_row(row, values, skip_special_tokens)
            for row, values in zip(ids, numbers, strict=True)
        ]

    def batch_decode(self, sequences: Any, *args: Any, **kwargs: Any) -> list[str]:
        """Write a batch of ids as a list of texts, as `decode` does."""
        text = self.decode(sequences, *args, **kwargs)
        if isinstance(text, str):
            return [text] if text else []
        return text

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        return self._decode_row(np.array(self.convert_tokens_to_ids(tokens)), None, False)

    def _decode_row(self, row: Any, numbers: Sequence[float] | None, skip: bool) -> str:
        ids = np.array(row, dtype=np.int64).reshape(-1)
        values = None if numbers is None else np.array(numbers, dtype=np.float32).reshape(-1)
        if values is not None and len(values) != len(ids):
            raise ValueError(f"number_values has {len(values)} values for {len(ids)} ids")
        if skip:
            kept = ~np.isin(ids, self.all_special_ids)
            ids, values = ids[kept], None if values is None else values[kept]
        is_kmer = (ids >= len(PROPERTY_TOKENS)) & (ids < self.number_token_id)
        pieces: list[str] = []
        start = 0
        before = ""
        for at in [*np.flatnonzero(~is_kmer).tolist(), len(ids)]:
            if at > start:
                pieces.append(self._write_dna(ids[start:at], before in ("<M>", NUMBER_TOKEN)))
                before = ""
            if at < len(ids):
                token = self.convert_ids_to_tokens(int(ids[at]))
                separator = " " if token == before == NUMBER_TOKEN else ""
                before = token
                if token == NUMBER_TOKEN and values is not None:
                    token = _write_number(values[at])
                pieces.append(separator + token)
            start = at + 1
        return "".join(pieces)

    def _write_dna(self, ids: np.ndarray, behind_number: bool) -> str:
        """Write neighboring k-mers as letters; <A> and <N> where a letter would merge."""
        lengths = self._codec.lengths(ids)
        merges = self.kmer_size > 1 and bool((lengths[:-1] < self.kmer_size).any())
        if not merges and not behind_number:
            return self._codec.text(ids)
        pieces: list[str] = []
        in_stretch = behind_number
        for at, length in enumerate(lengths.tolist()):
            text = self._codec.text(ids[at : at + 1])
            if text in ("A", "N") and (in_stretch or (merges and at < len(ids) - 1)):
                pieces.append(f"<{text}>")
                in_stretch = False
            else:
                # Numbers and DNA do not follow each other in the language, but a model may do so.
                pieces.append(" " * (behind_number and at == 0) + text)
                in_stretch = length < self.kmer_size
        return "".join(pieces)


def _width(
    lengths: Sequence[int],
    strategy: PaddingStrategy,
    max_length: int | None,
    multiple: int | None,
    return_tensors: str | TensorType | None,
) -> int:
    """Return the length of padded rows; rows that do not make one tensor are an error."""
    longest = max(lengths, default=0)
    width = 0
    if strategy is PaddingStrategy.LONGEST or (return_tensors and len(set(lengths)) < 2):
        width = longest
    if strategy is PaddingStrategy.MAX_LENGTH and max_length is not None:
        width = max_length
    if multiple and strategy is not PaddingStrategy.DO_NOT_PAD:
        width = -(-width // multiple) * multiple
    if return_tensors and longest > width:
        raise ValueError(
            f"rows of {min(lengths)} to {longest} tokens do not make one tensor"
            f"{f' of {width}' if width else ''}: pass padding=True or truncation=True"
        )
    return width


def _columns(encoded_inputs: Any) -> dict[str, Any]:
    """Join a list of dicts to one dict; values that are None are left out."""
    if isinstance(encoded_inputs, list | tuple):
        keys = ["input_ids"]
        for index, example in enumerate(encoded_inputs):
            if not isinstance(example, Mapping):
                raise ValueError(f"example {index} is {type(example).__name__}: it must be a dict")
            keys = keys if index else list(example)
            if set(example) != set(keys):
                raise ValueError(
                    f"example {index} has the keys {sorted(example)}, example 0 {sorted(keys)}: "
                    "a batch needs the same keys in all"
                )
        encoded_inputs = {key: [example[key] for example in encoded_inputs] for key in keys}
    if not isinstance(encoded_inputs, Mapping) or "input_ids" not in encoded_inputs:
        raise ValueError("pad needs input_ids: pass a dict or a list of dicts that have them")
    return {key: rows for key, rows in encoded_inputs.items() if rows is not None}


DNAGPTTokenizer.register_for_auto_class("AutoTokenizer")

__all__ = ["DNAGPTTokenizer"]
