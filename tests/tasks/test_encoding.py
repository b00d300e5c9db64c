"""Records as ids and numbers: standardisation, and what is named in errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnagpt_hf import DNAGPTTokenizer
from dnagpt_hf.records.files import RecordError
from dnagpt_hf.records.reading import Record
from dnagpt_hf.records.templates import Template
from dnagpt_hf.tasks.encoding import RecordEncoder


def record(**values: Any) -> Record:
    return Record(values, "r1", "a.csv", 1, 2)


def test_numbers_are_standardised_in_their_order(tiny_tokenizer: DNAGPTTokenizer) -> None:
    template = Template("<R>{a}<+><M>{x}<+><M>{y}<=><M>")
    scales = [(5.0, 2.0), (-1.0, 0.5)]
    encoder = RecordEncoder(tiny_tokenizer, template, 64, standardization=scales)
    encoded = encoder(record(a="ACGT", x="9", y="0"))
    is_number = encoded.input_ids == tiny_tokenizer.number_token_id
    assert encoded.number_values[is_number].tolist() == [2.0, 2.0]
    assert not encoded.number_values[~is_number].any()
    assert encoded.number_values.dtype == np.float32


@pytest.mark.parametrize("numbers", ["1", "1 2 3"])
def test_another_count_of_numbers_is_an_error(
    tiny_tokenizer: DNAGPTTokenizer, numbers: str
) -> None:
    encoder = RecordEncoder(
        tiny_tokenizer, Template("<M>{x}<=><M>"), 64, standardization=[(0, 1), (0, 1)]
    )
    wanted = (
        r"^a\.csv, record r1 \(line 2\): it holds [13] numbers?, where the training data have 2"
    )
    with pytest.raises(RecordError, match=wanted):
        encoder(record(x=numbers))


def test_a_token_that_does_not_exist_is_named(tiny_tokenizer: DNAGPTTokenizer) -> None:
    encoder = RecordEncoder(tiny_tokenizer, Template("<{species}>{a}"), 64)
    with pytest.raises(RecordError, match=r"a\.csv, record r1 \(line 2\): .*<H>"):
        encoder(record(species="H", a="ACGT"))


def test_what_is_prepared_is_read(tiny_tokenizer: DNAGPTTokenizer) -> None:
    def shortened(values: Any) -> dict[str, Any]:
        return {**values, "a": values["a"][:6]}

    encoder = RecordEncoder(tiny_tokenizer, Template("{a}"), 64, prepare=shortened)
    # what is not read may be anything
    assert tiny_tokenizer.decode(encoder(record(a="ACGTAC???")).input_ids) == "ACGTAC"
