"""`tokenizer.json`: the token language for programs that know the `tokenizers` library alone.

It gives DNA and property tokens the ids that our tokenizer gives them. Numbers are an error in it,
since ids have no place for their values, and so is the remainder of a k-mer in a fixed vocabulary,
whatever the tokenizer's own `remainder` is.
"""

import json
from pathlib import Path
from typing import Any

from dnagpt_hf.tokenization_dnagpt import (
    ALPHABET,
    NUMBER_INSTRUCTION,
    SYNONYMS,
    WHITE_SPACE,
    DNAGPTTokenizer,
    KmerVocabulary,
)


def write_tokenizer_json(tokenizer: DNAGPTTokenizer, path: Path) -> Path:
    """Write the pipeline of a tokenizer to a file.

    Args:
        tokenizer: tokenizer whose vocabulary and added tokens are written.
        path: file in an existing folder; it is overwritten.

    Returns:
        The path.
    """
    path.write_text(json.dumps(tokenizers_pipeline(tokenizer)) + "\n", encoding="utf-8")
    return path


def tokenizers_pipeline(tokenizer: DNAGPTTokenizer) -> dict[str, Any]:
    """Express the token language as normalizer, pre-tokenizer, model and decoder of `tokenizers`.

    Args:
        tokenizer: tokenizer to express.

    Returns:
        The content of a `tokenizer.json`.

    Example:

        >>> from tokenizers import Tokenizer
        >>> pipeline = tokenizers_pipeline(DNAGPTTokenizer())
        >>> Tokenizer.from_str(json.dumps(pipeline)).encode("<R>ACGTAC").ids
        [21, 9297]
    """
    vocabulary = KmerVocabulary(tokenizer.kmer_size, tokenizer.dynamic_kmer)
    added = [
        {"id": index, "content": str(token), "special": token.special}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for index, token in sorted(tokenizer.added_tokens_decoder.items())
    ]
    # a letter behind "<" is the name of a token
    rewritten = [(rf"[{WHITE_SPACE}](?![^<]*>)", "")]
    for letter in ALPHABET:
        others = "".join(other for other, read in SYNONYMS.items() if read == letter)
        rewritten.append((f"(?<!<)[{others}{(letter + others).lower()}]", letter))
    # white space is gone by now, and can keep these letters apart from those beside them
    rewritten += [(f"<{name}>", f" {name} ") for name in vocabulary.names if name in "AN"]
    normalizers = [
        {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}
        for pattern, content in rewritten
    ]
    # numbers behind <M>, and each character that is left over, are pieces without a token
    kmer = f"[{ALPHABET}]{{1,{tokenizer.kmer_size}}}"
    pieces = f"{NUMBER_INSTRUCTION}[^<]+|<[^<>]>|{kmer}|."
    splits = [({"String": " "}, "Removed"), ({"Regex": pieces}, "Isolated")]
    pretokenizers = [
        {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}
        for pattern, behavior in splits
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": pretokenizers},
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        # the name of an unknown token is required; as there is none, it is an error
        "model": {"type": "WordLevel", "vocab": vocabulary.ids, "unk_token": "<unknown>"},
    }
