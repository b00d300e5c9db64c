"""How long training takes and what it costs.

Time follows from the operations of a step (`dnagpt_hf.planning.flops`), the rate of the GPU
(`dnagpt_hf.planning.hardware`) and a utilisation, which has to be assumed or measured.

Example:

    >>> from dnagpt_hf.presets import preset_config
    >>> config = preset_config("dnagpt-s-512")
    >>> run = estimate_run(config, 512, bases=2e11, epochs=1, gpus=8, rate=312e12, utilisation=0.4)
    >>> duration(run.seconds), round(run.gpu_hours)
    ('6.2 hours', 49)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnagpt_hf.planning.flops import training_flops_per_token

if TYPE_CHECKING:
    from dnagpt_hf.configuration_dnagpt import DNAGPTConfig

# Bases that the presets were trained on (paper, section 3 and supplementary tables; for the mammals
# "about 200 billion")
PRETRAINING_BASES = {
    "dnagpt-h": 3_088_286_401,
    "dnagpt-m": 10_159_412_992,
    "dnagpt-s-512": 200_000_000_000,
    "dnagpt-b-512": 200_000_000_000,
}


@dataclass(frozen=True)
class Estimate:
    """Time and cost of a training run.

    Args:
        tokens: sequence tokens that are trained on.
        flops: model FLOPs of the run.
        tokens_per_second: of all GPUs together.
        seconds: duration.
        gpu_hours: duration times GPUs.
        cost: `gpu_hours` times the price, in its currency, or `None` without a price.
    """

    tokens: float
    flops: float
    tokens_per_second: float
    seconds: float
    gpu_hours: float
    cost: float | None


def estimate_run(
    config: DNAGPTConfig,
    positions: int,
    bases: float,
    epochs: float,
    gpus: int,
    rate: float,
    utilisation: float,
    price: float | None = None,
) -> Estimate:
    """Time and cost of `epochs` over `bases`.

    A token is `config.kmer_size` bases. Instructions, numbers and answers, a few in a row, are not
    counted; nor are starting up, evaluation and writing checkpoints.

    Args:
        config: sizes of the model.
        positions: tokens in a row.
        bases: base pairs in an epoch.
        epochs: passes over them.
        gpus: number of GPUs.
        rate: operations per second of one GPU that count as full use.
        utilisation: share of `rate` that model FLOPs reach, above 0, at most 1.
        price: of one GPU for an hour.

    Raises:
        ValueError: if a figure cannot be.
    """
    for name, value in {"bases": bases, "epochs": epochs, "gpus": gpus, "rate": rate}.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} is {value}: give more than 0")
    if not 0 < utilisation <= 1:
        raise ValueError(f"a utilisation of {utilisation} cannot be: give one above 0, at most 1")
    if price is not None and not 0 <= price < float("inf"):
        raise ValueError(f"a price of {price} cannot be: give 0 or more")
    per_token = training_flops_per_token(config, positions)
    tokens = bases * epochs / config.kmer_size
    tokens_per_second = gpus * rate * utilisation / per_token
    seconds = tokens / tokens_per_second
    gpu_hours = gpus * seconds / 3600
    cost = None if price is None else gpu_hours * price
    return Estimate(tokens, tokens * per_token, tokens_per_second, seconds, gpu_hours, cost)


def duration(seconds: float) -> str:
    """A duration in the unit that suits it.

    Example:

        >>> duration(90), duration(90 * 60), duration(200 * 3600), duration(400 * 86400)
        ('2 minutes', '1.5 hours', '8.3 days', '400 days')
    """
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if hours < 1:
        return f"{minutes:.0f} minutes" if minutes >= 1 else f"{seconds:.0f} seconds"
    if days < 2:
        return f"{hours:.1f} hours"
    return f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"
