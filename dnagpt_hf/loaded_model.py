"""A model and its tokenizer behind verbs of the field: predict, embed, score, generate, attribute.

import dnagpt_hf

model = dnagpt_hf.load("dnagpt-tiny-pas")
model.predict("windows.fasta").to_pandas()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dnagpt_hf.inference.embedding_methods import EmbeddingMethods
from dnagpt_hf.likelihoods.methods import LikelihoodMethods

if TYPE_CHECKING:
    import torch

    from dnagpt_hf.checkpoints.opening import Checkpoint
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig
    from dnagpt_hf.inference.prediction import Prediction, Predictions
    from dnagpt_hf.interpretation.attention import AttentionMaps
    from dnagpt_hf.interpretation.attribution import Attribution
    from dnagpt_hf.interpretation.mutagenesis import Mutagenesis
    from dnagpt_hf.records.reading import Record
    from dnagpt_hf.tasks.encoding import Truncation
    from dnagpt_hf.tasks.task import Task
    from dnagpt_hf.tasks.views import ViewChoice
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer

Method = Literal["gradient", "integrated", "mutagenesis"]
Remainder = Literal["error", "drop", "pad"]


def load(
    source: str | Path | Checkpoint,
    *,
    model_class: type[Any] | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype | None = None,
    attention: str | None = None,
    remainder: Remainder | None = None,
    local_files_only: bool = False,
) -> LoadedModel:
    """Load a model with its tokenizer, ready for use.

    Args:
        source: a checkpoint folder or one of an adapter, the name of a bundled model, a name on
            the Hub, ORG/NAME, or an opened checkpoint.
        model_class: class of the model, such as [`DNAGPTModel`] for embeddings alone; by default
            the checkpoint's own.
        device: `"auto"` for CUDA, else MPS, else the CPU; or a device of PyTorch.
        dtype: data type of the weights; by default as stored.
        attention: implementation of attention, such as `"sdpa"`.
        remainder: treatment of bases that fill no token of a fixed vocabulary; by default that of
            the checkpoint.
        local_files_only: do not download what the local cache of the Hub lacks.

    Raises:
        CheckpointFolderError: there is no such checkpoint, or a file is missing or damaged.
        ValueError: the device does not exist.

    Example:

        >>> import dnagpt_hf
        >>> model = dnagpt_hf.load("dnagpt-tiny")
        >>> model.config.num_hidden_layers, model.task is None
        (4, True)
    """
    from dnagpt_hf.checkpoints.opening import open_checkpoint

    checkpoint = open_checkpoint(source, local_files_only=local_files_only)
    model = checkpoint.load_model(model_class, device=device, dtype=dtype, attention=attention)
    tokenizer = checkpoint.tokenizer
    if remainder is not None:
        tokenizer.remainder = remainder
    return LoadedModel(model, tokenizer)


@dataclass(frozen=True)
class LoadedModel(EmbeddingMethods, LikelihoodMethods):
    """A model with its tokenizer.

    Args:
        model: any of the package's models, in evaluation mode.
        tokenizer: its tokenizer.
    """

    model: Any
    tokenizer: DNAGPTTokenizer

    def __repr__(self) -> str:
        size = sum(weights.numel() for weights in self.model.parameters())
        task = f", template={self.task.template!r}" if self.task is not None else ""
        return (
            f"LoadedModel({self.config.name_or_path!r}, {type(self.model).__name__}, "
            f"parameters={size:,}{task})"
        )

    @property
    def config(self) -> DNAGPTConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def task(self) -> Task | None:
        """The task that the model was fine-tuned for, if its configuration has one."""
        from dnagpt_hf.inference.prediction_heads import checkpoint_task

        return checkpoint_task(self.config)

    def predict(self, data: Any, **options: Any) -> Predictions:
        """Predict classes, labels or numbers for records.

        Args:
            data: the path of a file, a list of sequences or of mappings, a `DataFrame`, or a
                `datasets.Dataset`.
            **options: as for [`iter_predictions`].

        Returns:
            `Predictions`: a list of [`Prediction`]s, with `to_pandas()`.

        Example:

            >>> import dnagpt_hf
            >>> model = dnagpt_hf.load("dnagpt-tiny")
            >>> predictions = model.predict(
            ...     ["ACGTACGTAC", "TTTTTTTT"], template="<R>{sequence}<=><M>"
            ... )
            >>> predictions.to_pandas().columns.tolist()
            ['name', 'predicted']
        """
        from dnagpt_hf.inference.prediction import Predictions

        return Predictions(self.iter_predictions(data, **options))

    def iter_predictions(
        self,
        data: Any,
        *,
        task: Task | None = None,
        template: str | None = None,
        answers: Mapping[str, str] | None = None,
        columns: Mapping[str, str] | None = None,
        set: Mapping[str, Any] | None = None,
        truncation: Truncation | None = None,
        views: ViewChoice = None,
        batch_size: int = 64,
        batch_tokens: int = 16_384,
    ) -> Iterator[Prediction]:
        """Predict records one after the other, in bounded memory.

        Args:
            data: as for [`predict`], or any iterator of records.
            task: template and answers; by default the task of the checkpoint.
            template: in place of a task: text of the token language with columns in braces, such
                as `<R>{sequence}<=><B>`.
            answers: label of each token that may follow, such as `{"A": "false", "N": "true"}`.
            columns: columns of the data to rename, `{NEW: OLD}`, as `{"sequence": "Sequence"}`.
            set: columns to add with one value for all records, as `{"species": "R"}`.
            truncation: `"left"` or `"right"` end at which too long a sequence is cut; by default
                such a sequence is an error.
            views: `"first"` for the sequences as they stand alone, or
                `{"phases": "all", "strands": "both"}` or a part of it; by default the views of the
                task. Scores are averaged over the views, which takes as many times the work.
            batch_size: most records of a batch, each as often as it has views.
            batch_tokens: most tokens of a batch, padding included.

        Raises:
            RecordError: a record cannot be read in the token language or is too long.
            ValueError: the model has no head, or template and answers do not fit it.
        """
        from dnagpt_hf.inference.prediction import predict_records
        from dnagpt_hf.records.reading import change_columns, to_records

        return predict_records(
            self.model,
            self.tokenizer,
            change_columns(to_records(data), columns, set),
            task=task,
            template=template,
            answers=answers,
            truncation=truncation,
            views=views,
            max_records=batch_size,
            max_tokens=batch_tokens,
        )

    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        num_bases: int | Sequence[int] | None = None,
        max_new_tokens: int | None = None,
        **options: Any,
    ) -> list[str]:
        """Continue prompts, with DNA of an exact length or in the whole token language.

        Args:
            prompts: records in the token language, such as `<R>ATGCCA`.
            num_bases: bases to write, for all prompts or for each.
            max_new_tokens: in place of bases: tokens to write, numbers included.
            **options: as for [`~dnagpt_hf.generate_dna`] or [`~dnagpt_hf.generate_records`]:
                `seed`, `num_return_sequences`, `temperature`, `top_k`, `top_p`, `do_sample` and
                `batch_size` among them.

        Returns:
            `list[str]`: the texts without their prompts; all continuations of the first prompt
            come first.

        Raises:
            ValueError: both or neither of `num_bases` and `max_new_tokens` are given, or a prompt
                cannot be continued.

        Example:

            >>> import dnagpt_hf
            >>> [dna] = dnagpt_hf.load("dnagpt-tiny").generate("<R>ATGCCA", num_bases=25, seed=1)
            >>> len(dna)
            25
        """
        from dnagpt_hf.generation import generate_dna, generate_records

        if num_bases is not None and max_new_tokens is None:
            return generate_dna(self.model, self.tokenizer, prompts, num_bases, **options)
        if max_new_tokens is not None and num_bases is None:
            return generate_records(self.model, self.tokenizer, prompts, max_new_tokens, **options)
        raise ValueError("give num_bases for DNA alone, or max_new_tokens for any tokens")

    def attention(
        self,
        record: Any,
        *,
        template: str | None = None,
        columns: Mapping[str, str] | None = None,
        set: Mapping[str, Any] | None = None,
        layers: Sequence[int] | None = None,
        heads: Literal["all", "mean"] = "all",
        queries: Literal["all", "answer"] = "all",
        truncation: Truncation | None = None,
    ) -> AttentionMaps:
        """Compute the attention maps of one record, in the first view of its task.

        Args:
            record: a sequence, a mapping of columns to values, or a [`Record`].
            template: as for [`iter_predictions`].
            columns: as there.
            set: as there.
            layers: from 1, or −1 (the last) and below; by default all.
            heads: `"all"` heads apart, or their `"mean"`.
            queries: `"all"` tokens, or the position of the `"answer"` alone.
            truncation: end at which too long a sequence is cut; by default it is an error.

        Returns:
            `AttentionMaps`: `weights` is float32 `(layers, heads, queries, tokens)`.

        Example:

            >>> import dnagpt_hf
            >>> model = dnagpt_hf.load("dnagpt-tiny")
            >>> model.attention("ACGTACGTA", template="<R>{sequence}<=><M>").weights.shape
            (4, 4, 6, 6)
        """
        from dnagpt_hf.interpretation.attention import attention_maps

        return attention_maps(
            self.model,
            self.tokenizer,
            _one_record(record, columns, set),
            template=template,
            layers=layers,
            heads=heads,
            queries=queries,
            truncation=truncation,
        )

    def attribute(
        self,
        record: Any,
        method: Method = "mutagenesis",
        *,
        start: int = 0,
        end: int | None = None,
        steps: int = 64,
        columns: Mapping[str, str] | None = None,
        set: Mapping[str, Any] | None = None,
        **question: Any,
    ) -> Attribution | Mutagenesis:
        """Attribute the score of an answer to the bases of one record.

        Args:
            record: a sequence, a mapping of columns to values, or a [`Record`].
            method: `"gradient"` times input, `"integrated"` gradients, or `"mutagenesis"`, which
                replaces every base by each of the three others.
            start: first base that mutagenesis replaces, from 0.
            end: end of the bases that it replaces, excluded; by default that of the sequence.
            steps: steps of integrated gradients.
            columns: as for [`iter_predictions`].
            set: as there.
            **question: `template`, `answers`, `answer` (the column), `target` (the label),
                `truncation` and `views`, as for
                [`~dnagpt_hf.inference.scored_records.score_answer`].

        Returns:
            `Attribution` or `Mutagenesis`: the score is the log-odds of a class in nats, or a
            number.

        Example:

            >>> import dnagpt_hf
            >>> model = dnagpt_hf.load("dnagpt-tiny")
            >>> found = model.attribute("ACGTACGTA", start=3, template="<R>{sequence}<=><M>")
            >>> found.effects.shape
            (6, 4)
        """
        from dnagpt_hf.inference.scored_records import score_answer

        one = _one_record(record, columns, set)
        scored = score_answer(self.model, self.tokenizer, one, **question)
        if method == "mutagenesis":
            from dnagpt_hf.interpretation.mutagenesis import in_silico_mutagenesis

            return in_silico_mutagenesis(scored, start=start, end=end)
        from dnagpt_hf.interpretation.attribution import input_gradients, integrated_gradients

        if method == "gradient":
            return input_gradients(scored)
        if method == "integrated":
            return integrated_gradients(scored, steps=steps)
        raise ValueError(f"method is {method!r}: choose gradient, integrated or mutagenesis")


def _one_record(
    record: Any, columns: Mapping[str, str] | None, set: Mapping[str, Any] | None
) -> Record:
    from dnagpt_hf.records.reading import change_columns, to_records

    return next(change_columns(to_records([record]), columns, set))
