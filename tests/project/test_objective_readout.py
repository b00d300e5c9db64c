"""Reading the answers of pre-training against one record at a time, written as text."""

import numpy as np
import pytest
import torch
from objective_readout import ObjectiveReader

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer
from dnagpt_hf.genomes.bases import normalize_bases

TEXTS = ["ACGTACGGTTAC", "GGGTTTCCA", "TTGACANNACGTACCATGAT"]
SEQUENCES = [normalize_bases(text.encode()) for text in TEXTS]


@pytest.fixture(params=["left", "right"])
def tokenizer(request: pytest.FixtureRequest) -> DNAGPTTokenizer:
    return DNAGPTTokenizer(padding_side=request.param)


@pytest.fixture
def reader(tiny_model: DNAGPTForMultiTask, tokenizer: DNAGPTTokenizer) -> ObjectiveReader:
    return ObjectiveReader(tiny_model, tokenizer, "<U>", batch_size=2)


def test_loss_per_base(reader: ObjectiveReader, tokenizer: DNAGPTTokenizer) -> None:
    total = 0.0
    for text in TEXTS:
        inputs = tokenizer(f"<U>{text}", return_tensors="pt")
        with torch.inference_mode():
            scores = reader.model(**inputs).logits[0].log_softmax(-1)
        total -= sum(float(scores[i - 1, t]) for i, t in enumerate(inputs["input_ids"][0]) if i)
    assert reader.loss_per_base(SEQUENCES) == pytest.approx(total / sum(map(len, TEXTS)), rel=1e-4)


def test_gc_contents_and_reversal_scores(
    reader: ObjectiveReader, tokenizer: DNAGPTTokenizer
) -> None:
    a, n = tokenizer.convert_tokens_to_ids(["A", "N"])
    with torch.inference_mode():
        numbers, scores = [], []
        for text in TEXTS:
            outputs = reader.model(**tokenizer(f"<U>{text}<=><M>", return_tensors="pt"))
            numbers.append(float(outputs.number_predictions[0, -1]))
            logits = reader.model(**tokenizer(f"<U>{text}<=><B>", return_tensors="pt")).logits
            scores.append(float(logits[0, -1, a] - logits[0, -1, n]))
    np.testing.assert_allclose(reader.gc_contents(SEQUENCES), numbers, atol=1e-5)
    np.testing.assert_allclose(reader.reversal_scores(SEQUENCES), scores, atol=1e-5)
