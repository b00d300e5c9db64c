"""Fine-tune a DNAGPT classifier on your own table, with Transformers alone.

From a CSV file with the columns `sequence` and `label` (any number of classes):

    python examples/finetune_classification.py --train_file train.csv --test_file test.csv \
        --model dnagpt-tiny --output_dir classifier

As for any model on the Hub, the program uses a tokenizer, `AutoModelForSequenceClassification`,
`Trainer`, and a metric of `evaluate`; copy and change it. `dnagpt finetune` does the same and more
from a YAML file: answers in the token language, splits without leakage, adapters,
several seeds. Every argument of `TrainingArguments` works.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import evaluate
import numpy as np
from datasets import load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
    set_seed,
)

import dnagpt_hf  # noqa: F401  the Auto classes know DNAGPT
from dnagpt_hf.evaluation.metrics import METRICS
from dnagpt_hf.records.reading import is_missing


@dataclass
class Arguments:
    """The files and the model."""

    train_file: str = field(metadata={"help": "CSV file with the columns sequence and label."})
    test_file: str = field(metadata={"help": "The same for the test split."})
    model: str = field(default="dnagpt-tiny", metadata={"help": "Folder, or name on the Hub."})
    species: str = field(default="R", metadata={"help": "Token of the species, R for human."})


def main(arguments: Sequence[str]) -> None:
    parser = HfArgumentParser([Arguments, TrainingArguments], description=__doc__)
    own, training = parser.parse_args_into_dataclasses(arguments)
    set_seed(training.seed)
    files = {"train": own.train_file, "test": own.test_file}
    # NA is a missing label, but a sequence of two bases
    records = load_dataset("csv", data_files=files, keep_default_na=False)
    records = records.filter(lambda record: not is_missing(record["label"]))
    labels = sorted({str(label) for label in records["train"]["label"]})
    unknown = {str(label) for label in records["test"]["label"]} - set(labels)
    if unknown:
        raise ValueError(f"{own.test_file} has labels that {own.train_file} lacks: {unknown}")

    tokenizer = AutoTokenizer.from_pretrained(own.model)
    model = AutoModelForSequenceClassification.from_pretrained(
        own.model,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        problem_type="single_label_classification",
        classifier_pooling="mean",
    )
    # by which `dnagpt predict` and `evaluate` read records as this program does
    model.config.task = {"template": f"<{own.species}>{{sequence}}<=><B>{{label}}"}

    def encode(batch):
        texts = [f"<{own.species}>{sequence}" for sequence in batch["sequence"]]
        encoded = tokenizer(texts, truncation=True, max_length=model.config.max_position_embeddings)
        encoded["labels"] = [labels.index(str(label)) for label in batch["label"]]
        return encoded

    metric = evaluate.load(METRICS, "classification")

    def compute_metrics(prediction):
        probabilities = softmax(prediction.predictions)
        return metric.compute(references=prediction.label_ids, predictions=probabilities)

    training.label_names = ["labels"]
    trainer = Trainer(
        model,
        args=training,
        train_dataset=records["train"].map(encode, batched=True, remove_columns=["label"]),
        eval_dataset=records["test"].map(encode, batched=True, remove_columns=["label"]),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
    )
    trainer.train()
    for name, value in trainer.evaluate().items():
        print(f"{name:>24} {value:.4f}")
    trainer.save_model()


def softmax(logits):
    """Compute probabilities of the classes, `(records, classes)`."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"finetune_classification.py: error: {error}")
