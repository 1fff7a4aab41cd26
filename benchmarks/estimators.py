"""Signal to noise of meta-gradients at equal processor time: `docs/how-to/estimators.md`.

    python benchmarks/estimators.py [PROCESSOR_SECONDS]

An estimator is called again and again, without an update. The mean over as many meta-steps as a
trajectory has windows is one sample; the spread of samples tells what a second's worth of them is.
"""

import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from l2o import metatrain, tasks
from l2o.metatraining import (
    ES,
    GPES,
    NRES,
    PES,
    Exact,
    FirstOrder,
    ForwardMode,
    InnerProblems,
    MetaLoss,
)
from l2o.objectives import MeanLoss
from l2o.optimizers import RNNProp

KEY = jax.random.key(0)
WINDOW, HORIZONS, NUM_TASKS, LEAST_SAMPLES = 20, (60, 300), 16, 6
FAMILY = tasks.image_mlp_family("digits", hidden=(8,), batch_size=32)
ESTIMATORS = {
    "`Exact`, whole horizon": (Exact(), None),
    "`ForwardMode`": (ForwardMode(), WINDOW),
    "`ES`, whole horizon": (ES(), None),
    "`NRES`": (NRES(), WINDOW),
    "`GPES(period=4)`": (GPES(period=4), WINDOW),
    "`PES`": (PES(), WINDOW),
    "`Exact`": (Exact(), WINDOW),
    "`FirstOrder`": (FirstOrder(), WINDOW),
    "`ES`": (ES(), WINDOW),
}


def sampler(optimizer, estimator, horizon, window):
    """A function of a state and a number that gives one sample and the next state."""
    # One inner problem of forward differentiation takes as long as many of others.
    num_tasks = 1 if isinstance(estimator, ForwardMode) else NUM_TASKS
    num_windows = horizon // window
    problems = InnerProblems(FAMILY, num_tasks, num_windows, window)

    @eqx.filter_jit
    def sample(optimizer, state, number):
        def step(state, index):
            number_of_step = number * num_windows + index
            key = jax.random.fold_in(KEY, number_of_step)
            found, state = estimator(
                optimizer, MetaLoss(MeanLoss()), problems, state, key, number_of_step
            )
            return state, ravel_pytree(found.gradient)[0]

        state, gradients = jax.lax.scan(step, state, jnp.arange(num_windows))
        return jnp.mean(gradients, axis=0), state

    begun = eqx.filter_jit(estimator.begin)(optimizer, problems, KEY)
    return lambda state, number: sample(optimizer, begun if state is None else state, number)


def measured(sample, seconds):
    """Samples, and the processor seconds that each took."""
    # The first has the trajectories that are cut short, and the second is compiled anew, for states
    # that lie elsewhere.
    state = None
    for number in range(2):
        _, state = jax.block_until_ready(sample(state, jnp.asarray(number)))
    samples, start = [], time.process_time()
    while len(samples) < LEAST_SAMPLES or time.process_time() - start < seconds:
        gradient, state = sample(state, jnp.asarray(len(samples) + 2))
        samples.append(np.asarray(gradient, np.float64))
    return np.array(samples), (time.process_time() - start) / len(samples)


def summary(samples, cost, reference):
    """Signal to noise of a processor second, and the cosine to the reference."""
    mean, variance = samples.mean(axis=0), np.sum(samples.var(axis=0, ddof=1))
    # The square of a noisy mean is too large by the variance of it.
    square = mean @ mean - variance / len(samples)
    certain = square > 4 * variance / len(samples)
    return {
        "samples": len(samples),
        "milliseconds": 1e3 * cost,
        "signal_to_noise": np.sqrt(max(square, 0) / (variance * cost)),
        "cosine": mean @ reference / np.sqrt(square * (reference @ reference)) if certain else None,
    }


def main(seconds):
    """Prints the table."""
    optimizer = metatrain(
        RNNProp(hidden_size=2, key=KEY),
        FAMILY,
        key=KEY,
        meta_steps=100,
        num_tasks=NUM_TASKS,
        horizon=60,
        truncation=WINDOW,
        meta_optimizer=optax.adam(1e-2),
    ).last_optimizer
    size = ravel_pytree(eqx.filter(optimizer, eqx.is_inexact_array))[0].size
    print(f"{size} meta-parameters, windows of {WINDOW}, {seconds:g} processor seconds each\n")
    columns = [
        f"{what}, {h} steps" for h in HORIZONS for what in ("signal to noise of a second", "cosine")
    ]
    print("| estimator |", " | ".join(columns), "|")
    print("| --- |" + " --- |" * len(columns))
    references = {}
    for name, (estimator, window) in ESTIMATORS.items():
        cells = []
        for horizon in HORIZONS:
            sample = sampler(optimizer, estimator, horizon, window or horizon)
            samples, cost = measured(sample, seconds)
            reference = references.setdefault(horizon, samples.mean(axis=0))
            row = summary(samples, cost, reference)
            print(name, horizon, row, file=sys.stderr, flush=True)
            cosine = "not told" if row["cosine"] is None else f"{row['cosine']:.2f}"
            cells += [f"{row['signal_to_noise']:.2f}", cosine]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
