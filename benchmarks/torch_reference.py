"""The same meta-training steps in PyTorch, as one would write them there first.

The optimizer's coordinates are the batch of `nn.LSTMCell`s, and autograd goes through the unroll.
Parameters of several tasks are stacked, so that PyTorch too does all tasks in one operation.
"""

import itertools

import torch
from torch import nn


class TorchRNNProp(nn.Module):
    """RNNProp with two LSTM cells of 20 units."""

    def __init__(self, hidden_size=20, decay=0.95):
        super().__init__()
        self.dense = nn.Linear(2, hidden_size)
        self.first = nn.LSTMCell(hidden_size, hidden_size)
        self.second = nn.LSTMCell(hidden_size, hidden_size)
        self.readout = nn.Linear(hidden_size, 1)
        self.hidden_size, self.decay = hidden_size, decay

    def init(self, count):
        zeros = torch.zeros(count, self.hidden_size)
        return (torch.zeros(count), torch.zeros(count), (zeros, zeros), (zeros, zeros), 0)

    def forward(self, gradient, state):
        first_moment, second_moment, first, second, step = state
        step += 1
        first_moment = self.decay * first_moment + (1 - self.decay) * gradient
        second_moment = self.decay * second_moment + (1 - self.decay) * gradient**2
        correction = 1 - self.decay**step
        scale = torch.sqrt(second_moment / correction) + 1e-8
        features = torch.stack([first_moment / correction / scale, gradient / scale], dim=1)
        first = self.first(nn.functional.elu(self.dense(features)), first)
        second = self.second(first[0], second)
        update = 0.01 * torch.tanh(self.readout(second[0])[:, 0])
        return update, (first_moment, second_moment, first, second, step)


class TorchGRU(nn.Module):
    """The component-wise GRU, reset before the product, with a learned initial state."""

    def __init__(self, hidden_size):
        super().__init__()
        self.gates = nn.Linear(1 + hidden_size, 2 * hidden_size)
        self.candidate = nn.Linear(1 + hidden_size, hidden_size)
        self.readout = nn.Linear(hidden_size, 1)
        self.initial_state = nn.Parameter(torch.zeros(hidden_size))

    def init(self, count):
        return self.initial_state.expand(count, -1)

    def forward(self, gradient, state):
        inputs = gradient[:, None]
        gates = torch.sigmoid(self.gates(torch.cat([inputs, state], dim=1)))
        update, reset = gates.chunk(2, dim=1)
        candidate = torch.tanh(self.candidate(torch.cat([inputs, reset * state], dim=1)))
        state = update * state + (1 - update) * candidate
        return 1e-3 * self.readout(state)[:, 0], state


def diagonal_loss(scales):
    """Half the scaled square norm, for a vector of parameters."""

    def loss(params, step):
        del step
        return 0.5 * (scales * params**2).sum()

    return loss


def quadratic_loss(hessians, linear):
    """Many small quadratics at once; parameters are (tasks * dimension,)."""
    num_tasks, dimension = linear.shape

    def loss(params, step):
        del step
        x = params.reshape(num_tasks, dimension)
        return (
            0.5 * (x * torch.einsum("tij,tj->ti", hessians, x)).sum(1) + (x * linear).sum(1)
        ).sum()

    return loss


def mlp_loss(inputs, labels, sizes):
    """Cross-entropy of one MLP a task; `inputs` is (steps, tasks, batch, features)."""
    num_tasks = inputs.shape[1]
    shapes = []
    for before, after in itertools.pairwise(sizes):
        shapes += [(before, after), (1, after)]

    def loss(params, step):
        parts = params.reshape(num_tasks, -1).split([a * b for a, b in shapes], dim=1)
        parts = [part.reshape(num_tasks, *shape) for part, shape in zip(parts, shapes, strict=True)]
        x = inputs[step]
        for layer in range(len(sizes) - 1):
            x = torch.baddbmm(parts[2 * layer + 1], x, parts[2 * layer])
            if layer < len(sizes) - 2:
                x = torch.relu(x)
        losses = nn.functional.cross_entropy(
            x.flatten(0, 1), labels[step].flatten(), reduction="none"
        )
        return losses.reshape(num_tasks, -1).mean(1).sum()

    return loss


def torch_meta_gradient(optimizer, loss, params, num_steps, *, exact=False):
    """One meta-gradient of the mean loss over an unroll; returns the meta-loss."""
    optimizer.zero_grad()
    state = optimizer.init(len(params))
    total = 0.0
    params = params.clone().requires_grad_()
    for step in range(num_steps + 1):
        value = loss(params, step)
        total = total + value
        if step == num_steps:
            break
        (gradient,) = torch.autograd.grad(value, params, create_graph=exact, retain_graph=True)
        update, state = optimizer(gradient if exact else gradient.detach(), state)
        params = params + update
    meta_loss = total / (num_steps + 1)
    meta_loss.backward()
    return meta_loss.detach()
