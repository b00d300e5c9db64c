"""Predictions of a model for the three pre-training objectives."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnagpt_hf.configuration_dnagpt import IGNORED_TOKEN
from dnagpt_hf.genomes.bases import Bases
from dnagpt_hf.modeling_dnagpt import DNAGPTForMultiTask
from dnagpt_hf.pretraining.collator import DNAGPTDataCollator
from dnagpt_hf.pretraining.objectives import Record, RecordWriter
from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Batch = dict[str, torch.Tensor]


class ObjectiveReader:
    """Computes the predictions of a model for the objectives of pre-training.

    The model must be in evaluation mode. An answer is predicted at the position before it, and the
    answer in the record has no influence.

    Args:
        model: a trained model.
        tokenizer: its tokenizer.
        species: instruction token that records start with, such as `<U>` for yeast.
        batch_size: sequences of a batch.
    """

    def __init__(
        self,
        model: DNAGPTForMultiTask,
        tokenizer: DNAGPTTokenizer,
        species: str,
        batch_size: int = 16,
    ) -> None:
        self.model = model
        self.records = RecordWriter(tokenizer, species)
        self.collate = DNAGPTDataCollator(tokenizer)
        self.batch_size = batch_size
        vocabulary = tokenizer.get_vocab()
        self.reversed_id, self.forward_id = vocabulary["A"], vocabulary["N"]

    def loss_per_base(self, sequences: Sequence[Bases]) -> float:
        """Compute the cross-entropy of sequence tokens, in nats per base."""
        records = [self.records.next_token(bases) for bases in sequences]
        total = sum(
            float(outputs.token_loss) * int((batch["labels"][:, 1:] != IGNORED_TOKEN).sum())
            for batch, outputs in self._read(records)
        )
        return total / sum(map(len, sequences))

    def gc_contents(self, sequences: Sequence[Bases]) -> NDArray[np.float32]:
        """Predict the GC content of each sequence, `(sequences,)`."""
        records = [self.records.gc_content(bases) for bases in sequences]
        return self._answers(records, "number_predictions")

    def reversal_scores(self, sequences: Sequence[Bases]) -> NDArray[np.float32]:
        """Compute the log-odds of reversal, the logit of `A` minus that of `N`, `(sequences,)`."""
        records = [self.records.sequence_order(bases, False) for bases in sequences]
        logits = self._answers(records, "logits")
        return logits[:, self.reversed_id] - logits[:, self.forward_id]

    def _answers(self, records: Sequence[Record], output: str) -> NDArray[np.float32]:
        """Give an output of the model at the position before the last one of each record."""
        found = []
        for batch, outputs in self._read(records):
            real = batch["attention_mask"]
            # whichever side is padded
            last = (torch.arange(real.shape[1], device=real.device) * real).argmax(1)
            found.append(outputs[output][torch.arange(len(real)), last - 1].float())
        return torch.cat(found).cpu().numpy()

    @torch.inference_mode()
    def _read(self, records: Sequence[Record]) -> Iterator[tuple[Batch, Any]]:
        for start in range(0, len(records), self.batch_size):
            examples = records[start : start + self.batch_size]
            batch = {k: v.to(self.model.device) for k, v in self.collate(examples).items()}
            yield batch, self.model(**batch)
