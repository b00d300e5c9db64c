"""The token loss without logits: the same losses and gradients as with them, in less memory."""

import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn
from transformers.utils import logging

from dnagpt_hf import DNAGPTConfig, DNAGPTForMultiTask, token_loss
from dnagpt_hf.token_loss import ChunkedCrossEntropy, chunked_token_loss

NUMBER = 100
ROWS = 7
CLOSE = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """Chunks of 7 positions, into which no batch of these tests can be divided evenly."""
    monkeypatch.setattr(token_loss, "_rows_of_chunk", lambda weight: ROWS)


def make_model(**overrides) -> DNAGPTForMultiTask:
    torch.manual_seed(0)
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
    return DNAGPTForMultiTask(DNAGPTConfig(**{**sizes, **overrides}))


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Three rows: two numbers, padding on both sides, targets left out, and one without any."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(34, NUMBER, (3, 15), generator=generator)
    ids[0, [3, 6]] = NUMBER
    mask = torch.ones_like(ids)
    mask[0, 12:] = 0
    mask[1, :4] = 0
    labels = ids.masked_fill(mask == 0, -100)
    labels[1, 6:9] = -100
    labels[2] = -100
    values = torch.randn(ids.shape, generator=generator).masked_fill(ids != NUMBER, 0.0)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "number_values": values,
        "labels": labels,
        "number_labels": torch.where(ids == NUMBER, values + 1, torch.nan),
    }


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def step(model, batch, **options):
    """Losses and gradients of a step, with the logits or without."""
    model.zero_grad()
    outputs = model(**batch, **options)
    outputs.loss.backward()
    return outputs, gradients(model)


def assert_same(actual, expected, atol=1e-5, rtol=1e-4):
    """The same losses and gradients, measured by the size of each gradient."""
    for name in ("loss", "token_loss", "number_loss", "token_losses", "number_predictions"):
        torch.testing.assert_close(
            actual[0][name], expected[0][name], atol=atol, rtol=rtol, check_dtype=False
        )
    assert actual[0].token_losses.dtype == torch.float32
    assert actual[0].logits is None and expected[0].logits is not None
    assert actual[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        scale = gradient.norm().clamp(min=1e-20)
        torch.testing.assert_close(
            actual[1][name] / scale, gradient / scale, atol=atol, rtol=rtol, msg=name
        )


class TestEquality:
    @pytest.mark.parametrize("tied", [True, False])
    @pytest.mark.parametrize("training", [True, False])
    def test_losses_and_gradients_are_those_of_the_logits(self, batch, tied, training):
        model = make_model(tie_word_embeddings=tied).train(training)
        assert_same(step(model, batch, token_loss_function=chunked_token_loss), step(model, batch))

    def test_rows_within_the_vocabulary_can_be_unused(self, batch):
        # tokens that were added stand behind the number position
        model = make_model(num_tokens=120)
        batch["labels"][0, 1] = 110
        assert_same(step(model, batch, token_loss_function=chunked_token_loss), step(model, batch))
        model.resize_token_embeddings(131)
        batch["labels"][0, 2] = 130
        assert_same(step(model, batch, token_loss_function=chunked_token_loss), step(model, batch))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_weights_of_low_precision(self, batch, dtype):
        model = make_model().to(dtype)
        actual = step(model, batch, token_loss_function=chunked_token_loss)
        assert_same(actual, step(model, batch), atol=3e-2, rtol=3e-2)
        assert actual[0].token_loss.dtype == torch.float32
        assert actual[1]["model.embed_tokens.weight"].dtype == dtype

    def test_autocast(self, batch):
        model = make_model()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = step(model, batch, token_loss_function=chunked_token_loss)
            # the weight that the loss has cast must not be taken for the one that has a gradient
            expected = step(model, batch)
        assert_same(actual, expected, atol=3e-2, rtol=3e-2)
        assert actual[1]["model.norm.weight"].dtype == torch.float32

    def test_half_precision_with_a_loss_scale(self, batch):
        model = make_model()
        expected = step(model, batch)
        model.zero_grad()
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
        with torch.autocast("cpu", dtype=torch.float16):
            outputs = model(**batch, token_loss_function=chunked_token_loss)
        scaler.scale(outputs.loss).backward()
        scaler.unscale_(torch.optim.SGD(model.parameters()))
        assert_same((outputs, gradients(model)), expected, atol=2e-2, rtol=2e-2)

    def test_gradient_checkpointing(self, batch):
        model = make_model()
        expected = step(model, batch)
        model.gradient_checkpointing_enable({"use_reentrant": False})
        assert_same(step(model, batch, token_loss_function=chunked_token_loss), expected)

    def test_gradients_add_up(self, batch):
        model = make_model()
        _, once = step(model, batch)
        model.zero_grad()
        outputs = [model(**batch, token_loss_function=chunked_token_loss) for _ in range(2)]
        outputs[0].loss.backward(retain_graph=True)
        outputs[0].loss.backward()
        (3 * outputs[1].loss).backward()
        for name, gradient in gradients(model).items():
            torch.testing.assert_close(gradient, 5 * once[name], atol=1e-3, rtol=1e-3)

    @pytest.mark.parametrize("frozen", ["token_head.out_proj", "token_head", "model", "layers.0"])
    def test_frozen_weights(self, batch, frozen):
        model = make_model(tie_word_embeddings=False)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(frozen not in name)
        actual = step(model, batch, token_loss_function=chunked_token_loss)
        assert_same(actual, step(model, batch))
        assert actual[1] and not any(frozen in name for name in actual[1])

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_without_gradients(self, batch, mode):
        model = make_model()
        with mode():
            outputs, expected = (
                model(**batch, token_loss_function=chunked_token_loss),
                model(**batch),
            )
        torch.testing.assert_close(outputs.loss, expected.loss, **CLOSE)
        torch.testing.assert_close(outputs.token_losses, expected.token_losses, **CLOSE)
        assert not outputs.loss.requires_grad

    def test_compiled_without_a_graph_break(self, batch):
        model = make_model()
        torch._dynamo.reset()
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        model.zero_grad()
        outputs = compiled(**batch, token_loss_function=chunked_token_loss)
        outputs.loss.backward()
        assert_same((outputs, gradients(model)), step(model, batch))

    def test_labels_that_are_shifted_already(self, batch):
        model = make_model()
        expected = step(model, batch)
        labels = batch.pop("labels")
        batch["shift_labels"] = nn.functional.pad(labels[:, 1:], (0, 1), value=-100)
        assert_same(step(model, batch, token_loss_function=chunked_token_loss), expected)

    def test_a_second_derivative_is_refused(self, batch):
        model = make_model()
        loss = model(**batch, token_loss_function=chunked_token_loss).token_loss
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(loss, model.model.norm.weight, create_graph=True)


def chunked(states, weight, targets, number_token_id=16, num_tokens=18, dtype=None):
    """Sum and losses of the function alone, whose products have the type of the weight."""
    dtype = weight.dtype if dtype is None else dtype
    return ChunkedCrossEntropy.apply(states, weight, targets, number_token_id, num_tokens, dtype)


class TestFunction:
    """The function alone, beside cross-entropy on all scores."""

    def inputs(self, positions=17, dtype=torch.float32):
        generator = torch.Generator().manual_seed(2)
        states = torch.randn(positions, 8, generator=generator).to(dtype).requires_grad_()
        weight = torch.randn(20, 8, generator=generator).to(dtype).requires_grad_()
        targets = torch.randint(0, 16, (positions,), generator=generator)
        targets[3:6] = -100
        return states, weight, targets

    def plain(self, states, weight, targets):
        scores = states @ weight.t()
        unused = torch.zeros(20, dtype=torch.bool)
        unused[[16, 18, 19]] = True
        scores = scores.masked_fill(unused, torch.finfo(scores.dtype).min)
        return nn.functional.cross_entropy(scores, targets, reduction="sum")

    def test_numerical_gradients(self):
        states, weight, targets = self.inputs(dtype=torch.float64)

        def total(states, weight):
            return chunked(states, weight, targets)[0]

        torch.testing.assert_close(total(states, weight), self.plain(states, weight, targets))
        assert torch.autograd.gradcheck(total, (states, weight))
        assert torch.autograd.gradcheck(lambda x: total(x, weight.detach()), (states,))
        assert torch.autograd.gradcheck(lambda x: total(states.detach(), x), (weight,))

    @pytest.mark.parametrize("positions", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS])
    def test_any_number_of_positions(self, positions):
        states, weight, targets = self.inputs(positions)
        expected = torch.autograd.grad(self.plain(states, weight, targets), (states, weight))
        total, losses = chunked(states, weight, targets)
        torch.testing.assert_close(torch.autograd.grad(total, (states, weight)), expected)
        assert losses.shape == (positions,)

    def test_a_loss_scale_beyond_half_precision(self):
        states, weight, targets = self.inputs()
        scale = 2.0**20
        expected = torch.autograd.grad(self.plain(states, weight, targets), (states, weight))
        total, _ = chunked(states, weight, targets, dtype=torch.float16)
        actual = torch.autograd.grad(total * scale, (states, weight))
        for ours, theirs in zip(actual, expected, strict=True):
            torch.testing.assert_close(ours / scale, theirs, atol=2e-2, rtol=2e-2)

    def test_a_position_without_a_target_reaches_nothing(self):
        states, weight, targets = self.inputs()
        expected = torch.autograd.grad(self.plain(states, weight, targets), (states, weight))
        poisoned = states.detach().clone()
        poisoned[targets == -100] = torch.nan
        poisoned.requires_grad_()
        total, losses = chunked(poisoned, weight, targets)
        torch.testing.assert_close(torch.autograd.grad(total, (poisoned, weight)), expected)
        assert losses.isfinite().all() and not losses[3:6].any()

    def test_probabilities_near_one_keep_their_gradient(self):
        # in bfloat16, 1 less a probability of 0.9999 is 0
        states = torch.tensor([[9.25]], dtype=torch.bfloat16, requires_grad=True)
        weight = torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.bfloat16)
        total, _ = chunked(states, weight, torch.tensor([0]), 2, 2)
        (gradient,) = torch.autograd.grad(total, states)
        expected = -torch.sigmoid(torch.tensor(-9.25))
        torch.testing.assert_close(gradient.float()[0, 0], expected, atol=0, rtol=1e-2)

    def test_the_gradient_by_the_weight_is_summed_in_full_precision(self):
        # 700 equal terms in 100 chunks, of which bfloat16 would lose most
        states = torch.full((700, 1), 0.01, dtype=torch.bfloat16)
        weight = torch.zeros(2, 1, dtype=torch.bfloat16, requires_grad=True)
        total, _ = chunked(states, weight, torch.zeros(700, dtype=torch.long), 1, 2)
        (gradient,) = torch.autograd.grad(total, weight)
        # one token is left, and with it nothing to learn
        assert not gradient.any()
        weight = torch.zeros(3, 1, dtype=torch.bfloat16, requires_grad=True)
        total, _ = chunked(states, weight, torch.zeros(700, dtype=torch.long), 2, 2)
        (gradient,) = torch.autograd.grad(total, weight)
        torch.testing.assert_close(gradient.float()[0, 0], torch.tensor(-3.5), atol=0.02, rtol=0)

    def test_no_position_at_all(self):
        states, weight, targets = self.inputs(0)
        total, losses = chunked(states, weight, targets)
        total.backward()
        assert total == 0 and losses.shape == (0,) and not weight.grad.any()


class TestOutput:
    def test_each_loss_stands_where_the_target_is_predicted(self, batch):
        model = make_model().eval()
        outputs = model(**batch, token_loss_function=chunked_token_loss)
        log_probabilities = model(**batch).logits.log_softmax(-1).tolist()
        for row in range(3):
            for position in range(15):
                target = int(batch["labels"][row, position + 1]) if position < 14 else -100
                expected = 0.0
                if target not in (-100, NUMBER):
                    expected = -log_probabilities[row][position][target]
                assert float(outputs.token_losses[row, position]) == pytest.approx(expected, 1e-4)
        assert not outputs.token_losses.requires_grad
        assert not model(**batch).token_losses.requires_grad

    def test_one_token_changes_the_losses_before_it_and_after_it(self, batch):
        model = make_model().eval()
        before = model(**batch, token_loss_function=chunked_token_loss).token_losses
        batch["input_ids"][0, 8] = batch["labels"][0, 8] = 50
        changed = (model(**batch, token_loss_function=chunked_token_loss).token_losses != before)[0]
        assert changed.nonzero()[:, 0].tolist() == [7, 8, 9, 10]

    @pytest.mark.parametrize("token_loss_function", [chunked_token_loss, None])
    def test_no_target(self, batch, token_loss_function):
        model = make_model()
        batch["labels"] = torch.full_like(batch["labels"], -100)
        outputs, gradient = step(model, batch, token_loss_function=token_loss_function)
        assert outputs.token_loss == 0 and not outputs.token_losses.any()
        assert not gradient["token_head.in_proj.weight"].any()
        assert all(one.isfinite().all() for one in gradient.values())

    @pytest.mark.parametrize("length", [1, 2])
    def test_the_shortest_rows(self, length):
        model = make_model()
        ids = torch.full((2, length), 50)
        outputs, _ = step(
            model, {"input_ids": ids, "labels": ids}, token_loss_function=chunked_token_loss
        )
        assert outputs.token_losses.shape == (2, length)
        assert (outputs.token_losses != 0).sum() == 2 * (length - 1)

    def test_poisoned_padding(self, batch):
        model = make_model()
        expected = step(model, batch)
        ids, values = batch.pop("input_ids"), batch.pop("number_values")
        embeds = model.model.embed(ids, values).detach()
        batch["inputs_embeds"] = embeds.masked_fill(
            batch["attention_mask"][..., None] == 0, torch.nan
        )
        actual = step(model, batch, token_loss_function=chunked_token_loss)
        real = batch["attention_mask"].bool()
        torch.testing.assert_close(actual[0].loss, expected[0].loss, **CLOSE)
        torch.testing.assert_close(
            actual[0].token_losses[real], expected[0].token_losses[real], **CLOSE
        )
        assert all(gradient.isfinite().all() for gradient in actual[1].values())

    def test_numbers_alone(self, batch):
        model = make_model()
        del batch["labels"]
        expected = model(**batch)
        outputs = model(**batch, token_loss_function=chunked_token_loss)
        assert outputs.logits is None and outputs.token_losses is None and outputs.token_loss == 0
        torch.testing.assert_close(outputs.loss, expected.loss)

    def test_what_is_refused(self, batch):
        model = make_model()
        with pytest.raises(ValueError, match="logits_to_keep"):
            model(**batch, token_loss_function=chunked_token_loss, logits_to_keep=2)
        del batch["labels"], batch["number_labels"]
        with pytest.raises(ValueError, match="token_loss_function leaves nothing without labels"):
            model(**batch, token_loss_function=chunked_token_loss)

    def test_outputs_without_names(self, batch):
        model = make_model()
        by_name = model(**batch, token_loss_function=chunked_token_loss, use_cache=False)
        outputs = model(
            **batch, token_loss_function=chunked_token_loss, use_cache=False, return_dict=False
        )
        loss, *_, numbers, losses = outputs
        assert len(outputs) == 5
        torch.testing.assert_close(loss, by_name.loss)
        torch.testing.assert_close(losses, by_name.token_losses)
        assert numbers.shape == losses.shape


class Adapter(nn.Module):
    """A linear layer with something added to it, as adapters of fine-tuning make it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.added = nn.Linear(layer.in_features, layer.out_features, bias=False)

    @property
    def weight(self) -> torch.Tensor:
        return self.layer.weight

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.layer(states) + self.added(states)


class TestHead:
    def test_an_adapter_on_the_last_map(self, batch, caplog):
        model = make_model()
        model.token_head.out_proj = Adapter(model.token_head.out_proj)
        logger = logging.get_logger("dnagpt_hf.token_loss")
        logger.addHandler(caplog.handler)
        logger.warning_once.cache_clear()
        actual = step(model, batch, token_loss_function=chunked_token_loss)
        logger.removeHandler(caplog.handler)
        assert_same(actual, step(model, batch))
        assert actual[1]["token_head.out_proj.added.weight"].any()
        assert "the logits are computed all the same" in caplog.text


MEMORY = """
    import resource, sys, torch
    from dnagpt_hf import DNAGPTForMultiTask
    from dnagpt_hf.presets import preset_config
    from dnagpt_hf.token_loss import chunked_token_loss

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    model = DNAGPTForMultiTask(preset_config("dnagpt-test"))
    ids = torch.randint(34, 19000, (64, 64))
    # what the first call loads is not counted
    model(ids[:1, :8], labels=ids[:1, :8], token_loss_function=chunked_token_loss).loss.backward()
    before = peak()
    model(ids, labels=ids, token_loss_function=chunked_token_loss).loss.backward()
    print(peak() - before)
"""


def run(code: str, *arguments, launcher=(sys.executable,), tmp_path) -> str:
    """What a program of its own prints."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [*launcher, str(program), *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak this way")
def test_the_logits_of_a_batch_never_exist(tmp_path):
    # macOS counts in bytes
    unit = 1 if sys.platform == "darwin" else 1024
    all_logits = 64 * 64 * 19_584 * 4
    # two chunks of 32 MB, and what a narrow layer keeps for its backward pass
    assert int(run(MEMORY, tmp_path=tmp_path)) * unit < all_logits / 2


PROCESSES = """
    import sys, torch
    from torch import distributed
    from dnagpt_hf import DNAGPTForMultiTask, token_loss

    method, folder = sys.argv[1:]
    token_loss._rows_of_chunk = lambda weight: 7
    distributed.init_process_group("gloo")
    rank, chunks = distributed.get_rank(), []
    rows = token_loss.ChunkedCrossEntropy.apply

    def counted(*inputs):
        chunks.append(len(inputs[0]))
        return rows(*inputs)

    token_loss.ChunkedCrossEntropy.apply = counted
    options = {"tp_plan": "auto"} if method == "tensor_parallel" else {}
    model = DNAGPTForMultiTask.from_pretrained(folder, **options).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    forward, backward = model, torch.Tensor.backward
    if method == "ddp":
        forward = torch.nn.parallel.DistributedDataParallel(model)
    elif method == "fsdp2":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        for module in (*model.model.layers, model):
            fully_shard(module, mesh=init_device_mesh("cpu", (2,)))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    elif method == "zero3":
        import deepspeed

        # no parameter is so small that every process keeps it whole
        zero = {"stage": 3, "stage3_param_persistence_threshold": 0}
        forward, optimizer, _, _ = deepspeed.initialize(
            model=model,
            optimizer=optimizer,
            config={
                "train_micro_batch_size_per_gpu": 1,
                "gradient_clipping": 0.0,
                "zero_allow_untested_optimizer": True,
                "zero_optimization": zero,
            },
        )
        backward = forward.backward
    batch = torch.load(f"{folder}/batch.pt")
    if method != "tensor_parallel":
        batch = {name: values[rank : rank + 1] for name, values in batch.items()}
    losses = []
    for _ in range(3):
        outputs = forward(**batch, token_loss_function=token_loss.chunked_token_loss)
        losses.append(outputs.loss.detach().clone())
        if method == "tensor_parallel":
            continue
        backward(outputs.loss)
        (forward if method == "zero3" else optimizer).step()
        (forward if method == "zero3" else optimizer).zero_grad()
    torch.save((torch.stack(losses), len(chunks)), f"{folder}/losses_{rank}.pt")
    distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ddp", "fsdp2", "zero3", "tensor_parallel"])
def test_two_processes_learn_what_one_learns(method, tmp_path, monkeypatch):
    if method == "zero3":
        pytest.importorskip("deepspeed")
        monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    model = make_model()
    model.save_pretrained(tmp_path)
    ids = torch.randint(34, NUMBER, (2, 30), generator=torch.Generator().manual_seed(3))
    ids[:, 5] = NUMBER
    values = torch.ones(ids.shape)
    batch = {"input_ids": ids, "labels": ids, "number_values": values, "number_labels": values}
    torch.save(batch, tmp_path / "batch.pt")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node", "2"]
    run(PROCESSES, method, tmp_path, launcher=launcher, tmp_path=tmp_path)

    optimizer, expected = torch.optim.SGD(model.parameters(), lr=0.1), []
    for _ in range(3):
        rows = [
            model(**{name: values[row : row + 1] for name, values in batch.items()}).loss
            for row in (0, 1)
        ]
        expected.append(torch.stack(rows))
        if method != "tensor_parallel":
            expected[-1].mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    for rank in (0, 1):
        losses, calls = torch.load(tmp_path / f"losses_{rank}.pt")
        if method == "tensor_parallel":
            # each process holds a part of the rows, so that the logits are gathered and kept
            assert calls == 0
            torch.testing.assert_close(losses, torch.stack(expected).mean(1), **CLOSE)
        else:
            assert calls == 3
            torch.testing.assert_close(losses, torch.stack(expected)[:, rank], **CLOSE)
            assert abs(float(losses[2] - losses[0])) > 0.01
