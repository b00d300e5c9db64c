"""Duration of a pre-training, from its FLOPs and the utilization of the GPUs."""

from __future__ import annotations

# Bases that the presets were trained on (paper, section 3 and supplementary tables; for the mammals
# "about 200 billion")
PRETRAINING_BASES = {
    "dnagpt-h": 3_088_286_401,
    "dnagpt-m": 10_159_412_992,
    "dnagpt-s-512": 200_000_000_000,
    "dnagpt-b-512": 200_000_000_000,
}


def training_time(
    tokens: float, flops_per_token: float, gpus: int, rate: float, utilization: float
) -> dict[str, float]:
    """Estimate the duration of a training, without evaluation and writing of checkpoints.

    Args:
        tokens: tokens of all epochs.
        flops_per_token: model FLOPs of a training step for one token.
        gpus: number of GPUs.
        rate: operations per second of one GPU that count as full use.
        utilization: share of `rate` that model FLOPs reach, above 0, at most 1; it has to be
            assumed or measured.

    Returns:
        `tokens` that are trained on; model `flops` of the run; `tokens_per_second` of all GPUs
        together; `seconds`; and `gpu_hours`.

    Raises:
        ValueError: if the utilization is out of range.

    Example:

        >>> run = training_time(2e11 / 6, 6.67e8, gpus=8, rate=312e12, utilization=0.4)
        >>> format_duration(run["seconds"]), round(run["gpu_hours"])
        ('6.2 hours', 49)
    """
    if not 0 < utilization <= 1:
        raise ValueError(f"a utilization of {utilization} cannot be: give one above 0, at most 1")
    tokens_per_second = gpus * rate * utilization / flops_per_token
    seconds = tokens / tokens_per_second
    return {
        "tokens": tokens,
        "flops": tokens * flops_per_token,
        "tokens_per_second": tokens_per_second,
        "seconds": seconds,
        "gpu_hours": gpus * seconds / 3600,
    }


def format_duration(seconds: float) -> str:
    """Write a duration in the unit that suits it.

    Example:

        >>> [format_duration(each) for each in (90, 90 * 60, 200 * 3600, 400 * 86400)]
        ['2 minutes', '1.5 hours', '8.3 days', '400 days']
    """
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if hours < 1:
        return f"{minutes:.0f} minutes" if minutes >= 1 else f"{seconds:.0f} seconds"
    if days < 2:
        return f"{hours:.1f} hours"
    return f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"
