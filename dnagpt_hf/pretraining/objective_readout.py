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
        total = 0.0
        records = [self.records.next_token(bases) for bases in sequences]
        for batch, outputs in self._read(records):
            total += float(outputs.token_loss) * int(
                (batch["labels"][:, 1:] != IGNORED_TOKEN).sum()
            )
        return total / sum(len(bases) for bases in sequences)

    def gc_contents(self, sequences: Sequence[Bases]) -> NDArray[np.float32]:
        """Predict the GC content of each sequence, `(sequences,)`."""
        records = [self.records.gc_content(bases) for bases in sequences]
        answers = []
        for batch, outputs in self._read(records):
            answers.append(outputs.number_predictions[self._before_answer(batch)].float())
        return torch.cat(answers).cpu().numpy()

    def reversal_scores(self, sequences: Sequence[Bases]) -> NDArray[np.float32]:
        """Compute the log-odds of reversal, the logit of `A` minus that of `N`, `(sequences,)`."""
        records = [self.records.sequence_order(bases, False) for bases in sequences]
        scores = []
        for batch, outputs in self._read(records):
            logits = outputs.logits[self._before_answer(batch)].float()
            scores.append(logits[:, self.reversed_id] - logits[:, self.forward_id])
        return torch.cat(scores).cpu().numpy()

    @torch.inference_mode()
    def _read(self, records: Sequence[Record]) -> Iterator[tuple[Batch, Any]]:
        for start in range(0, len(records), self.batch_size):
            examples = records[start : start + self.batch_size]
            batch = {k: v.to(self.model.device) for k, v in self.collate(examples).items()}
            yield batch, self.model(**batch)

    @staticmethod
    def _before_answer(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Index the position before the last one of each record."""
        real = batch["attention_mask"]
        # whichever side is padded
        last = (torch.arange(real.shape[1], device=real.device) * real).argmax(1)
        return torch.arange(len(real), device=real.device), last - 1
