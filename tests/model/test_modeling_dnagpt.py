"""The three model classes: what a position sees, what is lost, what a batch must not change."""

import math
import re

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from transformers import StaticCache, Trainer, TrainingArguments, pipeline
from transformers.utils import logging

from dnagpt_hf import (
    DNAGPTConfig,
    DNAGPTForMultiTask,
    DNAGPTForSequenceClassification,
    DNAGPTModel,
    DNAGPTTokenizer,
)
from dnagpt_hf.modeling_dnagpt import CACHE_NAME

NUMBER = 100
PAD = 20
IMPLEMENTATIONS = ["eager", "sdpa", pytest.param("flex_attention", marks=pytest.mark.slow)]
CLOSE = {"atol": 2e-5, "rtol": 0.0}


def make_config(**overrides) -> DNAGPTConfig:
    sizes = {
        "vocab_size": 128,
        "num_tokens": NUMBER + 1,
        "number_token_id": NUMBER,
        "hidden_size": 32,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "max_position_embeddings": 40,
        "initializer_range": 0.3,
    }
    return DNAGPTConfig(**{**sizes, **overrides})


def make_model(model_class=DNAGPTForMultiTask, attention="sdpa", **overrides):
    torch.manual_seed(0)
    model = model_class(make_config(**overrides)).eval()
    model.set_attn_implementation(attention)
    return model


def make_rows() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Records of 5, 9, 12 and 1 positions; the second and third hold two numbers."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for length in (5, 9, 12, 1):
        ids = torch.randint(34, NUMBER, (length,), generator=generator)
        values = torch.zeros(length)
        if length > 5:
            ids[[3, 6]] = NUMBER
            values[[3, 6]] = torch.tensor([1.5, -2.0])
        rows.append((ids, values))
    return rows


def pad_rows(rows, side: str, length: int = 14) -> dict[str, torch.Tensor]:
    inputs = {
        "input_ids": torch.full((len(rows), length), PAD),
        "number_values": torch.zeros(len(rows), length),
        "attention_mask": torch.zeros(len(rows), length, dtype=torch.long),
    }
    for row, (ids, values) in enumerate(rows):
        where = slice(0, len(ids)) if side == "right" else slice(length - len(ids), length)
        inputs["input_ids"][row, where] = ids
        inputs["number_values"][row, where] = values
        inputs["attention_mask"][row, where] = 1
    return inputs


@pytest.fixture
def rows():
    return make_rows()


class TestBatches:
    @pytest.mark.parametrize("attention", IMPLEMENTATIONS)
    @pytest.mark.parametrize("side", ["left", "right"])
    @torch.no_grad()
    def test_a_row_alone_and_in_a_padded_batch(self, rows, side, attention):
        model = make_model(attention=attention)
        batch = pad_rows(rows, side)
        together = model(**batch, output_hidden_states=True)
        for row, (ids, values) in enumerate(rows):
            alone = model(ids[None], number_values=values[None], output_hidden_states=True)
            real = batch["attention_mask"][row].bool()
            torch.testing.assert_close(together.logits[row, real], alone.logits[0], **CLOSE)
            torch.testing.assert_close(
                together.number_predictions[row, real], alone.number_predictions[0], **CLOSE
            )
            for ours, theirs in zip(together.hidden_states, alone.hidden_states, strict=True):
                torch.testing.assert_close(ours[row, real], theirs[0], **CLOSE)

    @pytest.mark.parametrize("pooling", ["last", "mean"])
    @pytest.mark.parametrize("side", ["left", "right"])
    @torch.no_grad()
    def test_classification_of_a_row_alone_and_in_a_padded_batch(self, rows, side, pooling):
        model = make_model(DNAGPTForSequenceClassification, classifier_pooling=pooling)
        batch = pad_rows(rows, side)
        alone = torch.cat([model(i[None], number_values=v[None]).logits for i, v in rows])
        torch.testing.assert_close(model(**batch).logits, alone, **CLOSE)
        # padding is also found when only its id says so
        del batch["attention_mask"]
        torch.testing.assert_close(model(**batch).logits, alone, **CLOSE)

    @pytest.mark.parametrize("side", ["left", "right"])
    @torch.no_grad()
    def test_the_loss_is_that_of_the_rows(self, rows, side):
        model = make_model()
        batch = pad_rows(rows, side)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        # the position before a left-padded row must not predict its first token
        batch_loss = model(**batch, labels=labels).token_loss
        total, count = 0.0, 0
        for ids, values in rows:
            targets = int((ids[1:] != NUMBER).sum())
            loss = model(ids[None], number_values=values[None], labels=ids[None]).token_loss
            total, count = total + loss * targets, count + targets
        first = batch["attention_mask"].argmax(-1)
        if side == "right":
            torch.testing.assert_close(batch_loss, total / count, **CLOSE)
        else:
            labels[torch.arange(len(rows)), first] = -100
            torch.testing.assert_close(
                model(**batch, labels=labels).token_loss, total / count, **CLOSE
            )

    @pytest.mark.parametrize("attention", IMPLEMENTATIONS)
    @torch.no_grad()
    def test_nothing_leaks_from_padding(self, rows, attention):
        model = make_model(attention=attention)
        batch = pad_rows(rows, "left")
        mask = batch["attention_mask"]
        embeds = model.model.embed(batch["input_ids"], batch["number_values"])
        poisoned = embeds.masked_fill(mask[..., None] == 0, torch.nan)
        expected = model(**batch).logits[mask.bool()]
        actual = model(inputs_embeds=poisoned, attention_mask=mask).logits[mask.bool()]
        torch.testing.assert_close(actual, expected, **CLOSE)

    @pytest.mark.parametrize("attention", IMPLEMENTATIONS)
    @pytest.mark.parametrize(
        "model_class", [DNAGPTModel, DNAGPTForMultiTask, DNAGPTForSequenceClassification]
    )
    @torch.no_grad()
    def test_a_row_of_padding_is_finite(self, rows, model_class, attention):
        model = make_model(model_class, attention)
        batch = pad_rows(rows, "left")
        batch["attention_mask"][1] = 0
        assert torch.isfinite(model(**batch)[0]).all()

    @torch.no_grad()
    def test_the_mean_over_a_row_of_padding_is_zero(self, rows):
        model = make_model(DNAGPTForSequenceClassification, classifier_pooling="mean")
        batch = pad_rows(rows, "right")
        batch["attention_mask"][1] = 0
        logits = model(**batch).logits
        assert torch.isfinite(logits).all()
        assert logits[1].abs().max() == 0


class TestPacking:
    @pytest.mark.parametrize("attention", IMPLEMENTATIONS)
    @pytest.mark.parametrize("extra", [{}, {"use_cache": False}, {"mask": True}, {"pad": True}])
    @torch.no_grad()
    def test_packed_records_do_not_see_each_other(self, rows, attention, extra):
        if attention == "flex_attention" and "pad" in extra:
            pytest.skip("PyTorch's processor code for flex attention does not compile here")
        model = make_model(attention=attention)
        ids = torch.cat([i for i, _ in rows])[None]
        values = torch.cat([v for _, v in rows])[None]
        position_ids = torch.cat([torch.arange(len(i)) for i, _ in rows])[None]
        arguments = {"use_cache": extra.get("use_cache")}
        if extra.get("pad"):
            ids = torch.nn.functional.pad(ids, (0, 3), value=PAD)
            values = torch.nn.functional.pad(values, (0, 3))
            position_ids = torch.nn.functional.pad(position_ids, (0, 3))
        if extra.get("pad") or extra.get("mask"):
            arguments["attention_mask"] = (ids != PAD).long()
        packed = model(ids, number_values=values, position_ids=position_ids, **arguments)
        start = 0
        for record_ids, record_values in rows:
            alone = model(record_ids[None], number_values=record_values[None])
            here = slice(start, start + len(record_ids))
            torch.testing.assert_close(packed.logits[0, here], alone.logits[0], **CLOSE)
            start += len(record_ids)

    @torch.no_grad()
    def test_one_row_of_positions_serves_a_batch(self):
        model, ids = make_model(), torch.arange(40, 52).view(2, 6)
        position_ids = torch.tensor([[0, 1, 2, 0, 1, 2]])
        packed = model(ids, position_ids=position_ids, attention_mask=torch.ones_like(ids)).logits
        torch.testing.assert_close(packed[:, 3:], model(ids[:, 3:]).logits, **CLOSE)

    @torch.no_grad()
    def test_given_positions_that_do_not_start_again_are_no_packing(self, rows):
        model = make_model()
        ids, values = rows[2]
        given = model(ids[None], number_values=values[None], position_ids=torch.arange(12)[None])
        torch.testing.assert_close(
            given.logits, model(ids[None], number_values=values[None]).logits, **CLOSE
        )


class TestCache:
    # PyTorch's processor code for flex attention does not compile for fewer queries than keys
    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    @pytest.mark.parametrize("static", [False, True])
    @torch.no_grad()
    def test_chunks_with_left_padding_equal_one_pass(self, rows, attention, static):
        model = make_model(attention=attention)
        batch = pad_rows(rows, "left")
        expected = model(**batch, use_cache=False)
        cache = StaticCache(config=model.config, max_cache_len=20) if static else None
        logits, numbers, start = [], [], 0
        for size in (6, 3, 1, 1, 2, 1):
            here = slice(start, start + size)
            outputs = model(
                batch["input_ids"][:, here],
                number_values=batch["number_values"][:, here],
                attention_mask=batch["attention_mask"][:, : start + size],
                use_cache=True,
                **{CACHE_NAME: cache},
            )
            cache, start = outputs[CACHE_NAME], start + size
            logits.append(outputs.logits)
            numbers.append(outputs.number_predictions)
        real = batch["attention_mask"].bool()
        torch.testing.assert_close(torch.cat(logits, 1)[real], expected.logits[real], **CLOSE)
        torch.testing.assert_close(
            torch.cat(numbers, 1)[real], expected.number_predictions[real], **CLOSE
        )

    @torch.no_grad()
    def test_logits_to_keep(self, rows):
        model = make_model()
        batch = pad_rows(rows, "left")
        everything = model(**batch)
        last = model(**batch, logits_to_keep=2)
        torch.testing.assert_close(last.logits, everything.logits[:, -2:], **CLOSE)
        torch.testing.assert_close(
            last.number_predictions, everything.number_predictions[:, -2:], **CLOSE
        )
        with pytest.raises(ValueError, match="logits_to_keep"):
            model(**batch, labels=batch["input_ids"], logits_to_keep=2)


class TestAttention:
    @torch.no_grad()
    def test_maps_are_causal_distributions(self, rows):
        model = make_model(attention="eager")
        ids, values = rows[2]
        maps = model(ids[None], number_values=values[None], output_attentions=True).attentions
        assert len(maps) == 2
        for attention in maps:
            assert attention.shape == (1, 4, 12, 12)
            torch.testing.assert_close(attention.sum(-1), torch.ones(1, 4, 12))
            assert attention.triu(1).abs().max() == 0

    @torch.no_grad()
    def test_attention_without_maps_says_so(self, rows, caplog):
        logger = logging.get_logger("transformers")
        caplog.set_level("WARNING", logger.name)
        logger.addHandler(caplog.handler)
        logger.warning_once.cache_clear()
        outputs = make_model(attention="sdpa")(rows[0][0][None], output_attentions=True)
        logger.removeHandler(caplog.handler)
        assert not outputs.attentions
        assert "`eager`" in caplog.text


class TestLength:
    @torch.no_grad()
    def test_the_longest_sequence_works(self):
        assert torch.isfinite(make_model()(torch.full((1, 40), 50)).logits).all()

    @pytest.mark.parametrize(
        "inputs",
        [
            {"input_ids": torch.full((1, 41), 50)},
            {"input_ids": torch.full((1, 2), 50), "position_ids": torch.tensor([[0, 40]])},
            {
                "input_ids": torch.full((1, 41), 50),
                "attention_mask": torch.ones(1, 41, dtype=torch.long),
            },
        ],
    )
    @pytest.mark.parametrize(
        "model_class", [DNAGPTModel, DNAGPTForMultiTask, DNAGPTForSequenceClassification]
    )
    def test_a_longer_one_is_refused(self, model_class, inputs):
        with pytest.raises(ValueError, match=r"41 tokens \(up to 246 bp\).*40 positions"):
            make_model(model_class)(**inputs)

    def test_a_pipeline_refuses_it(self):
        tokenizer = DNAGPTTokenizer(kmer_size=2)
        size = {"number_token_id": tokenizer.number_token_id, "num_tokens": tokenizer.vocab_size}
        generator = pipeline(
            "text-generation", model=make_model(kmer_size=2, **size), tokenizer=tokenizer
        )
        with pytest.raises(ValueError, match=r"42 tokens .*40 positions"):
            generator("<R>" + "AC" * 40, max_new_tokens=1)

    @torch.no_grad()
    def test_padding_takes_no_position(self):
        ids = torch.full((1, 50), 50)
        mask = (torch.arange(50) >= 10).long()[None]
        logits = make_model()(ids, attention_mask=mask).logits
        torch.testing.assert_close(logits[:, 10:], make_model()(ids[:, 10:]).logits, **CLOSE)


class TestLoss:
    def reference(self, outputs, labels, number_labels):
        """Both losses position by position, in plain Python."""
        cross_entropy, squared = [], []
        for row in range(labels.shape[0]):
            for position in range(labels.shape[1] - 1):
                label = int(labels[row, position + 1])
                if label not in (-100, NUMBER):
                    log_probabilities = outputs.logits[row, position].double().log_softmax(-1)
                    cross_entropy.append(-float(log_probabilities[label]))
                target = float(number_labels[row, position + 1])
                if not math.isnan(target):
                    predicted = float(outputs.number_predictions[row, position])
                    squared.append((predicted - target) ** 2)
        return [sum(x) / len(x) if x else 0.0 for x in (cross_entropy, squared)]

    @pytest.mark.parametrize("case", ["both", "no numbers", "no tokens", "nothing"])
    @torch.no_grad()
    def test_equals_the_plain_reference(self, rows, case):
        model = make_model(number_loss_weight=0.3)
        batch = pad_rows(rows, "right")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        number_labels = torch.where(
            batch["input_ids"] == NUMBER, batch["number_values"] + 0.25, torch.nan
        )
        if case in ("no numbers", "nothing"):
            number_labels[:] = torch.nan
        if case in ("no tokens", "nothing"):
            labels[:] = -100
        outputs = model(**batch, labels=labels, number_labels=number_labels)
        token_loss, number_loss = self.reference(outputs, labels, number_labels)
        assert float(outputs.token_loss) == pytest.approx(token_loss, abs=1e-5)
        assert float(outputs.number_loss) == pytest.approx(number_loss, abs=1e-5)
        assert float(outputs.loss) == pytest.approx(0.3 * number_loss + token_loss, abs=1e-5)

    def test_nan_targets_give_finite_gradients_to_every_weight(self, rows):
        model = make_model().train()
        batch = pad_rows(rows, "right")
        number_labels = torch.where(batch["input_ids"] == NUMBER, batch["number_values"], torch.nan)
        model(**batch, labels=batch["input_ids"], number_labels=number_labels).loss.backward()
        for name, parameter in model.named_parameters():
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_the_row_of_the_number_position_is_not_trained(self, rows):
        model = make_model().train()
        batch = pad_rows(rows, "right")
        model(**batch, labels=batch["input_ids"]).loss.backward()
        assert model.model.embed_tokens.weight.grad[NUMBER].abs().max() == 0
        assert model.model.embed_tokens.weight[NUMBER].abs().max() == 0

    @torch.no_grad()
    def test_entries_that_are_no_tokens_carry_no_probability(self, rows):
        probabilities = make_model()(rows[0][0][None]).logits.softmax(-1)
        assert probabilities[..., NUMBER:].max() == 0
        assert probabilities[..., :NUMBER].min() > 0

    @torch.no_grad()
    def test_a_number_is_read(self, rows):
        model = make_model()
        ids, values = rows[1]
        before, after = (
            model(ids[None], number_values=v[None]).logits for v in (values, values + 1)
        )
        assert torch.equal(before[:, :3], after[:, :3])
        assert (before[:, 3:] - after[:, 3:]).abs().max() > 1e-3
        # a value where no number stands is ignored
        values_elsewhere = values.masked_fill(ids != NUMBER, 7.0)
        ignored = model(ids[None], number_values=values_elsewhere[None]).logits
        assert torch.equal(before, ignored)


class TestSequenceClassification:
    def test_classes(self, rows):
        model = make_model(DNAGPTForSequenceClassification, num_labels=3)
        batch, labels = pad_rows(rows, "right"), torch.tensor([0, 2, 1, 1])
        outputs = model(**batch, labels=labels)
        torch.testing.assert_close(
            outputs.loss, torch.nn.functional.cross_entropy(outputs.logits, labels)
        )

    def test_several_labels(self, rows):
        model = make_model(
            DNAGPTForSequenceClassification,
            num_labels=2,
            problem_type="multi_label_classification",
        )
        labels = torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]])
        outputs = model(**pad_rows(rows, "right"), labels=labels)
        expected = torch.nn.functional.binary_cross_entropy_with_logits(
            outputs.logits, labels.float()
        )
        torch.testing.assert_close(outputs.loss, expected)

    def test_one_number_in_either_shape(self, rows):
        model = make_model(DNAGPTForSequenceClassification, num_labels=1)
        batch, labels = pad_rows(rows, "right"), torch.tensor([0.1, -1.0, 2.0, 0.5])
        outputs = model(**batch, labels=labels)
        expected = ((outputs.logits[:, 0] - labels) ** 2).mean()
        torch.testing.assert_close(outputs.loss, expected)
        torch.testing.assert_close(model(**batch, labels=labels[:, None]).loss, expected)

    def test_unknown_numbers_are_ignored(self, rows):
        model = make_model(DNAGPTForSequenceClassification, num_labels=2)
        labels = torch.tensor([[0.1, torch.nan], [1.0, 2.0], [torch.nan, torch.nan], [0.0, 0.0]])
        outputs = model(**pad_rows(rows, "right"), labels=labels)
        torch.testing.assert_close(
            outputs.loss, (outputs.logits - labels)[~labels.isnan()].square().mean()
        )

    @pytest.mark.parametrize("num_labels", [1, 3])
    def test_labels_of_another_shape_are_refused(self, rows, num_labels):
        model = make_model(
            DNAGPTForSequenceClassification, num_labels=num_labels, problem_type="regression"
        )
        with pytest.raises(ValueError, match=r"\(4, 2\).*do not fit"):
            model(**pad_rows(rows, "right"), labels=torch.zeros(4, 2))


class TestTraining:
    @pytest.mark.parametrize("reentrant", [False, True])
    def test_gradient_checkpointing_changes_nothing(self, rows, reentrant):
        batch = pad_rows(rows, "left")
        gradients = []
        for checkpointing in (False, True):
            model = make_model().train()
            if checkpointing:
                model.gradient_checkpointing_enable({"use_reentrant": reentrant})
            loss = model(**batch, labels=batch["input_ids"]).loss
            loss.backward()
            gradients.append([loss, *(p.grad for p in model.model.parameters())])
        for plain, checkpointed in zip(*gradients, strict=True):
            torch.testing.assert_close(plain, checkpointed, **CLOSE)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision(self, rows, dtype):
        model = make_model(initializer_range=0.02).to(dtype)
        batch = pad_rows(rows, "left")
        outputs = model(**batch, labels=batch["input_ids"], number_labels=batch["number_values"])
        assert outputs.logits.dtype == dtype
        assert outputs.loss.dtype == torch.float32
        assert torch.isfinite(outputs.logits).all() and torch.isfinite(outputs.loss)
        # logarithms are those of the logits in full precision
        targets = batch["input_ids"][:, 1:]
        targets = targets.masked_fill(targets == NUMBER, -100).flatten()
        logits = outputs.logits[:, :-1].flatten(0, 1).double()
        expected = torch.nn.functional.cross_entropy(logits, targets)
        torch.testing.assert_close(outputs.token_loss.double(), expected, atol=1e-5, rtol=0)

    def test_tied_embeddings_are_one_tensor_after_loading(self, rows, tmp_path):
        model = make_model(tie_word_embeddings=True)
        assert model.token_head.out_proj.weight is model.model.embed_tokens.weight
        model.save_pretrained(tmp_path)
        loaded = DNAGPTForMultiTask.from_pretrained(tmp_path).eval()
        assert loaded.token_head.out_proj.weight is loaded.model.embed_tokens.weight
        ids = rows[0][0][None]
        torch.testing.assert_close(loaded(ids).logits, model(ids).logits)

    def test_compiles_to_one_graph_whatever_numbers_there_are(self, rows):
        model = make_model()
        counter = CompileCounter()
        torch._dynamo.reset()
        compiled = torch.compile(model, backend=counter, fullgraph=True)
        for numbers in (True, False):
            batch = pad_rows(rows, "left")
            if not numbers:
                batch["input_ids"][batch["input_ids"] == NUMBER] = 50
            labels = {
                "labels": batch["input_ids"].clone(),
                "number_labels": torch.where(
                    batch["input_ids"] == NUMBER, batch["number_values"], torch.nan
                ),
            }
            expected = model(**batch, **labels, use_cache=False)
            actual = compiled(**batch, **labels, use_cache=False)
            torch.testing.assert_close(actual.loss, expected.loss)
            torch.testing.assert_close(actual.logits, expected.logits, **CLOSE)
        assert counter.frame_count == 1


class TestTrainer:
    def test_evaluation_gives_the_loss_and_the_predictions(self, rows, tmp_path):
        batch = pad_rows(rows, "right")
        number_labels = torch.where(batch["input_ids"] == NUMBER, batch["number_values"], torch.nan)
        examples = [
            {**{name: values[row] for name, values in batch.items()}, "labels": ids}
            | {"number_labels": number_labels[row]}
            for row, ids in enumerate(batch["input_ids"])
        ]
        model = make_model()
        trainer = Trainer(
            model,
            TrainingArguments(
                tmp_path,
                per_device_eval_batch_size=2,
                eval_accumulation_steps=1,
                report_to="none",
                use_cpu=True,
            ),
            eval_dataset=examples,
            compute_metrics=lambda evaluation: {
                "shapes": [array.shape for array in evaluation.predictions]
            },
        )
        metrics = trainer.evaluate()
        halves = [
            model(
                **{name: values[half] for name, values in batch.items()},
                labels=batch["input_ids"][half],
                number_labels=number_labels[half],
            ).loss
            for half in (slice(0, 2), slice(2, 4))
        ]
        assert metrics["eval_loss"] == pytest.approx(float(sum(halves)) / 2, abs=1e-5)
        # logits and numbers, without caches and losses
        assert metrics["eval_shapes"] == [(4, 14, 128), (4, 14)]


class TestConfig:
    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            ({"hidden_size": 30}, "hidden_size 30 is not a multiple of num_attention_heads 4"),
            ({"hidden_size": "x"}, "hidden_size is 'x'"),
            ({"num_attention_heads": 0}, "num_attention_heads is 0"),
            ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
            ({"max_position_embeddings": -1}, "max_position_embeddings is -1"),
            ({"pad_token_id": 999}, "pad_token_id is 999: give a whole number, 0 to 127"),
            ({"number_token_id": 128}, "number_token_id is 128: give a whole number, 0 to 127"),
            ({"num_tokens": 129}, "num_tokens is 129"),
            ({"number_loss_weight": float("nan")}, "number_loss_weight is nan"),
            ({"classifier_pooling": "max"}, "classifier_pooling is 'max'"),
        ],
    )
    def test_fields_that_make_no_model(self, overrides, message):
        with pytest.raises(ValueError, match=message):
            make_config(**overrides)

    def test_fields_survive_a_file(self, tmp_path):
        config = make_config(num_labels=3, classifier_pooling="mean", kmer_size=4)
        config.save_pretrained(tmp_path)
        loaded = DNAGPTConfig.from_pretrained(tmp_path)
        assert loaded.to_dict() == config.to_dict()
        assert loaded.intermediate_size == 128


class TestVocabulary:
    def test_resizing_adds_tokens_that_can_be_generated(self, rows):
        model = make_model()
        before = model(rows[0][0][None]).logits
        model.resize_token_embeddings(130, pad_to_multiple_of=64)
        assert model.get_input_embeddings().weight.shape[0] == model.config.vocab_size == 192
        assert model.config.num_tokens == 130
        after = model(rows[0][0][None]).logits
        torch.testing.assert_close(after[..., :NUMBER], before[..., :NUMBER], **CLOSE)
        probabilities = after.softmax(-1)
        assert probabilities[..., NUMBER].max() == 0
        assert probabilities[..., NUMBER + 1 : 130].min() > 0
        assert probabilities[..., 130:].max() == 0

    def test_tokens_added_within_the_padding_rows(self, tmp_path):
        model = make_model()
        model.resize_token_embeddings(NUMBER + 3, pad_to_multiple_of=64)
        model.save_pretrained(tmp_path)
        assert DNAGPTForMultiTask.from_pretrained(tmp_path).config.num_tokens == NUMBER + 3


class TestInputs:
    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({}, "exclude each other"),
            (
                {"input_ids": torch.ones(1, 2).long(), "inputs_embeds": torch.ones(1, 2, 32)},
                "exclude each other",
            ),
            (
                {"number_values": torch.ones(1, 3), "inputs_embeds": torch.ones(1, 2, 32)},
                r"\(1, 3\) do not align",
            ),
            (
                {"number_values": torch.ones(1, 3), "input_ids": torch.ones(1, 2).long()},
                r"\(1, 3\) do not align",
            ),
        ],
    )
    def test_inputs_that_exclude_each_other(self, inputs, message):
        with pytest.raises(ValueError, match=message):
            make_model(DNAGPTModel)(**inputs)

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({"input_ids": torch.zeros(1, 0, dtype=torch.long)}, "hold no token"),
            ({"input_ids": torch.tensor([[50, 128]])}, "hold 128, but the model has 128 entries"),
            ({"input_ids": torch.tensor([[50, NUMBER]])}, "number_values is missing"),
            (
                {"input_ids": torch.tensor([[50, 51]]), "position_ids": torch.tensor([[-1, 0]])},
                "positions start at 0",
            ),
            (
                {
                    "input_ids": torch.tensor([[50, NUMBER]]),
                    "number_values": torch.tensor([[0.0, torch.nan]]),
                },
                "number nan at position 1 of row 0",
            ),
        ],
    )
    @pytest.mark.parametrize(
        "model_class", [DNAGPTModel, DNAGPTForMultiTask, DNAGPTForSequenceClassification]
    )
    def test_inputs_that_no_embedding_fits(self, model_class, inputs, message):
        with pytest.raises(ValueError, match=message):
            make_model(model_class)(**inputs)

    @pytest.mark.parametrize("name", ["labels", "number_labels"])
    @pytest.mark.parametrize("shape", [(1, 9), (2, 1), (2,), (2, 8)])
    def test_labels_that_do_not_align_are_refused(self, name, shape):
        labels = torch.zeros(shape) if name == "number_labels" else torch.zeros(shape).long()
        with pytest.raises(ValueError, match=rf"^{name} of shape .* do not align"):
            make_model()(torch.full((2, 9), 50), **{name: labels})

    @torch.no_grad()
    def test_embeddings_in_place_of_ids(self, rows):
        model = make_model()
        ids, values = (each[None] for each in rows[2])
        expected = model(ids, number_values=values).logits
        embeds = model.model.embed(ids, values)
        torch.testing.assert_close(model(inputs_embeds=embeds).logits, expected, **CLOSE)
        # as a library gives it that looks tokens up itself
        tokens = model.model.embed_tokens(ids)
        read = model(inputs_embeds=tokens, number_values=values).logits
        torch.testing.assert_close(read, expected, **CLOSE)

    @torch.no_grad()
    def test_numbers_behind_virtual_tokens(self, rows):
        model = make_model()
        ids, values = (each[None] for each in rows[2])
        virtual = torch.randn(1, 3, 32)
        virtual[0, 0] = 0
        numbers = values.masked_fill(ids != NUMBER, torch.nan)
        read = model(
            inputs_embeds=torch.cat([virtual, model.model.embed_tokens(ids)], 1),
            number_values=values,
            number_labels=numbers,
        )
        embeds = torch.cat([virtual, model.model.embed(ids, values)], 1)
        expected = model(
            inputs_embeds=embeds,
            number_labels=nn.functional.pad(numbers, (3, 0), value=torch.nan),
        )
        torch.testing.assert_close(read.logits, expected.logits, **CLOSE)
        torch.testing.assert_close(read.loss, expected.loss)


class TestLoading:
    def test_a_checkpoint_of_another_class_lacks_exactly_the_head(self, tmp_path):
        make_model().save_pretrained(tmp_path)
        _, info = DNAGPTForMultiTask.from_pretrained(tmp_path, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"]
        _, info = DNAGPTModel.from_pretrained(tmp_path, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"]
        _, info = DNAGPTForSequenceClassification.from_pretrained(
            tmp_path, output_loading_info=True
        )
        assert set(info["missing_keys"]) == {"score.weight"} and not info["unexpected_keys"]

    def test_a_model_without_heads_gets_new_ones(self, tmp_path):
        make_model(DNAGPTModel).save_pretrained(tmp_path)
        model, info = DNAGPTForMultiTask.from_pretrained(tmp_path, output_loading_info=True)
        assert {key.split(".")[0] for key in info["missing_keys"]} == {"token_head", "number_head"}
        assert all(torch.isfinite(p).all() for p in model.parameters())

    @torch.no_grad()
    def test_weights_are_all_there_is_to_a_model(self, rows):
        """Built without storage and then filled, it has no buffer that holds what was in memory."""
        model = make_model()
        with torch.device("meta"):
            bare = DNAGPTForMultiTask(model.config)
        bare.to_empty(device="cpu").load_state_dict(model.state_dict())
        batch = pad_rows(rows, "left")
        torch.testing.assert_close(bare.eval()(**batch).logits, model(**batch).logits)

    def test_names_that_others_split_the_model_by(self):
        model = make_model()
        assert list(model._no_split_modules) == [type(model.model.layers[0]).__name__]
        names = {re.sub(r"\d+", "*", name) for name, _ in model.model.named_modules()}
        assert set(model.config.base_model_tp_plan) <= names
        assert set(model.config.base_model_pp_plan) <= names

    def test_golden_values(self):
        """Logits of fixed weights; a change of them changes every checkpoint's results."""
        model = make_model(num_hidden_layers=1)
        with torch.no_grad():
            for index, (_, weight) in enumerate(sorted(model.named_parameters())):
                steps = torch.arange(weight.numel(), dtype=torch.float64).view(weight.shape)
                gain = 1.0 if weight.ndim == 1 else 0.0
                weight.copy_(gain + 0.2 * torch.sin(steps * 0.7 + index))
            model.model.embed_tokens.weight[NUMBER] = 0
            inputs = {
                "input_ids": torch.tensor([[21, 60, 18, NUMBER, 14, 18]]),
                "number_values": torch.tensor([[0, 0, 0, -0.5, 0, 0]]),
            }
            outputs = model(**inputs)
        logits = outputs.logits[0, [0, 3, 5]][:, [0, 50, 99]]
        torch.testing.assert_close(logits, torch.tensor(GOLDEN_LOGITS), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            outputs.number_predictions[0], torch.tensor(GOLDEN_NUMBERS), atol=1e-4, rtol=0
        )


GOLDEN_LOGITS = [
    [0.55629, -0.48978, 0.68996],
    [0.00789, 0.12273, -0.03644],
    [0.02369, -0.06056, 0.04353],
]
GOLDEN_NUMBERS = [-0.61448, 0.12111, 0.50484, 0.0152, 0.33287, -0.03992]
