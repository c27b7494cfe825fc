"""Writes the results of a few TD3 updates in PyTorch, with which `recsim_conformance::td3` compares backends.

    python3 scripts/td3_fixture.py testdata        # needs torch, numpy, safetensors

Networks, autograd, Adam and gradient clipping are PyTorch's. The random draws are recsim's, repeated in NumPy, so that
weights and transitions need not be stored. Dropout is off, because PyTorch's draws differ from recsim's.

Every case runs twice: in float64, which gives the expected results, and in float32, whose errors measure float32
accuracy. `td3_pytorch.safetensors` contains each case's buffers, flat, in the layout of `recsim_core::td3::net` (every
STRIDE-th value of large networks). `td3_pytorch.json` contains sizes, losses and errors.
"""

import itertools
import json
import pathlib
import sys
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
import torch
from torch import nn

STRIDE = 397
# Rounding decides the gradient of a unit near ReLU's kink. A case's seed is the first that keeps all units this far.
KINK_DISTANCE = 2e-6
LEARNING_RATE, DISCOUNT, TAU, ACTION_L2, MAX_ACTION = 1e-3, 0.95, 0.05, 0.01, 2.0
POLICY_NOISE, NOISE_CLIP = 0.2, 0.3
INITIAL, SAMPLE, TARGET_NOISE, WORLD = 3, 4, 5, 7  # recsim_core::model::rng::Purpose
NETWORKS = ["actor", "critic_1", "critic_2"]


@dataclass
class Case:
    name: str
    clusters: int
    dimensions: int
    hidden_sizes: list[int]
    batch_norm: bool
    batch_size: int
    users: int
    updates: int
    policy_freq: int
    stride: int
    shown: list[int]  # the updates after which every buffer is written
    max_grad_norm: float = 1.0


CASES = [
    Case("small", 3, 4, [8, 8, 6], True, 16, 40, 6, 2, 1, [1, 2, 6]),
    Case("plain", 3, 4, [8, 8, 6], False, 16, 40, 6, 2, 1, [1, 2, 6]),
    Case("odd", 2, 3, [5], True, 7, 11, 4, 1, 1, [1, 4], 0.05),  # small enough to clip the actor's gradient too
    Case("reference", 5, 64, [512, 512, 256], True, 512, 1000, 1, 1, STRIDE, [1]),
]


# --- recsim_core::model::rng ------------------------------------------------------------------------------------------
def fold_in(key, *coordinates):
    """Folds coordinates into a key, each an integer or an array: SplitMix64's output with that index."""
    key = np.asarray(key, np.uint64)
    with np.errstate(over="ignore"):
        for coordinate in coordinates:
            z = key + (np.asarray(coordinate, np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            key = z ^ (z >> np.uint64(31))
    return key


def uniform(key):
    return (key >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def symmetric(key):
    return np.float32(2) * uniform(key) - np.float32(1)


def index(key, length):
    return np.array([int(bits) * length >> 64 for bits in key])


def normal(rows, columns, key):
    """`[rows, columns]` of standard normal numbers, two from every key `key.fold_in(row).fold_in(column / 2)`."""
    bits = fold_in(fold_in(key, np.arange(rows))[:, None], np.arange((columns + 1) // 2))
    high, low = (bits >> np.uint64(32)).astype(np.float32), (bits & np.uint64(0xFFFFFFFF)).astype(np.float32)
    radius = np.sqrt(np.float32(-2) * np.log((high + np.float32(1)) * np.float32(2**-32)))
    angle = low * np.float32(np.float32(2**-32) * np.float32(2 * np.pi))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(rows, -1)[:, :columns]


# --- networks ---------------------------------------------------------------------------------------------------------
def network(case, inputs, outputs):
    layers = []
    for width in case.hidden_sizes:
        norm = [nn.BatchNorm1d(width)] if case.batch_norm else []
        layers += [nn.Linear(inputs, width), *norm, nn.ReLU(), nn.Dropout(0.0)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def parameters(net, value=lambda tensor: tensor):
    """The flat buffer of parameters: PyTorch's order is recsim's."""
    return torch.cat([value(p).detach().flatten() for p in net.parameters()])


def running_stats(net):
    running = [s for m in net if isinstance(m, nn.BatchNorm1d) for s in (m.running_mean, m.running_var)]
    return torch.cat([*running, torch.zeros(0)])


def initialize(net, seed, number):
    """`MlpLayout::initial_weights`, then random offsets to BatchNorm's scales, shifts and running statistics."""
    key, offset_key = fold_in(seed, INITIAL, number), fold_in(seed, WORLD, 5, number)
    offset, running = 0, 0
    for module in net:
        for tensor in module.parameters():
            draws = np.arange(offset, offset + tensor.numel())
            if isinstance(module, nn.Linear):
                bound = np.float32(1) / np.sqrt(np.float32(module.in_features))
                values = symmetric(fold_in(key, draws)) * bound
            else:
                values = np.float32(tensor[0].item()) + np.float32(0.5) * symmetric(fold_in(offset_key, draws))
            tensor.data = torch.from_numpy(values).reshape(tensor.shape).to(tensor.dtype)
            offset += tensor.numel()
        if isinstance(module, nn.BatchNorm1d):
            for tensor in (module.running_mean, module.running_var):
                draws = fold_in(offset_key, 1_000_000 + running + np.arange(tensor.numel()))
                tensor += torch.from_numpy(np.float32(0.5) * symmetric(draws))
                running += tensor.numel()
    return net


# --- the updates ------------------------------------------------------------------------------------------------------
def transitions(case, seed, dtype):
    """The content of the replay buffer: one transition per user."""
    def matrix(number, columns, draw):
        keys = fold_in(seed, WORLD, number, np.arange(case.users * columns))
        return torch.from_numpy(draw(keys)).reshape(-1, columns)

    k, d = case.clusters, case.dimensions
    embedding, before, after = matrix(0, d, symmetric), matrix(1, k, uniform), matrix(2, k, uniform)
    state, next_state = torch.cat([before, embedding], 1), torch.cat([after, embedding], 1)
    return [t.to(dtype) for t in (state, matrix(3, d, symmetric), matrix(4, 1, symmetric), next_state)]


def run(case, seed, dtype):
    """The losses of every update, the buffers after some, and the smallest distance of a unit from ReLU's kink."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    state, action, reward, next_state = transitions(case, seed, dtype)
    reward = reward * MAX_ACTION
    s, d = case.clusters + case.dimensions, case.dimensions
    sizes = [(s, d), (s + d, 1), (s + d, 1)]
    online = [initialize(network(case, *size), seed, n) for n, size in enumerate(sizes)]
    target = [initialize(network(case, *size), seed + 1, n).eval() for n, size in enumerate(sizes)]
    actor, critics = online[0], online[1:]
    critic_parameters = list(itertools.chain(*(c.parameters() for c in critics)))
    adam = {
        "critics": torch.optim.Adam(critic_parameters, LEARNING_RATE),
        "actor": torch.optim.Adam(actor.parameters(), LEARNING_RATE),
    }
    moments = lambda n: adam["critics" if n else "actor"].state
    losses, buffers, gradients, nearest = [], {}, {}, [np.inf]
    for relu in (module for net in online for module in net if isinstance(module, nn.ReLU)):
        relu.register_forward_hook(lambda _, inputs, __: nearest.append(inputs[0].detach().abs().min().item()))
    act = lambda net, states: MAX_ACTION * torch.tanh(net(states))
    q = lambda net, states, actions: net(torch.cat([states, actions], 1))

    def adam_step(loss, name, nets, params):
        adam[name].zero_grad()
        loss.backward()
        for net in nets:
            zero_bias_gradients(net)
        norm = nn.utils.clip_grad_norm_(params, case.max_grad_norm)
        adam[name].step()
        gradients.update({net: parameters(net, lambda p: p.grad) for net in nets})
        return norm.item()

    for update in range(1, case.updates + 1):
        rows = index(fold_in(seed, SAMPLE, update, np.arange(case.batch_size)), case.users)
        noise = torch.from_numpy(normal(case.batch_size, d, fold_in(seed, TARGET_NOISE, update))).to(dtype)
        with torch.no_grad():
            noise = (noise * POLICY_NOISE * MAX_ACTION).clamp(-NOISE_CLIP * MAX_ACTION, NOISE_CLIP * MAX_ACTION)
            next_action = (act(target[0], next_state[rows]) + noise).clamp(-MAX_ACTION, MAX_ACTION)
            y = reward[rows] + DISCOUNT * torch.min(*(q(t, next_state[rows], next_action) for t in target[1:]))
        values = [q(critic.train(), state[rows], action[rows]) for critic in critics]
        loss = sum(nn.functional.mse_loss(value, y) for value in values)
        norm = adam_step(loss, "critics", critics, critic_parameters)
        report = {"critic_loss": loss.item(), "q_value": values[0].mean().item(), "target_value": y.mean().item()}
        report["critic_gradient_norm"] = norm
        is_policy_update = update % case.policy_freq == 0
        if is_policy_update:
            policy_action = act(actor.train(), state[rows])
            loss = ACTION_L2 * policy_action.square().mean() - q(critics[0].eval(), state[rows], policy_action).mean()
            norm = adam_step(loss, "actor", [actor], list(actor.parameters()))
            report |= {"actor_loss": loss.item(), "actor_gradient_norm": norm}
            with torch.no_grad():
                for t, o in zip(target, online):
                    tensors = [itertools.chain(net.parameters(), net.buffers()) for net in (t, o)]
                    for a, b in zip(*tensors):
                        a += (TAU * (b - a)).to(a.dtype)
        losses.append(report)
        for n, net in enumerate(online if update in case.shown else []):
            if n > 0 or is_policy_update:
                buffers[update, n, "gradient"] = gradients[net]
                buffers[update, n, "second"] = parameters(net, lambda p: moments(n)[p]["exp_avg_sq"])
            buffers[update, n, "parameters"], buffers[update, n, "statistics"] = parameters(net), running_stats(net)
            buffers[update, n, "target_parameters"] = parameters(target[n])
            buffers[update, n, "target_statistics"] = running_stats(target[n])
    name = lambda update, n, buffer: f"{case.name}/{update}/{NETWORKS[n]}/{buffer}"
    named = {name(*key): values.double().numpy() for key, values in buffers.items()}
    return losses, named, min(nearest)


def zero_bias_gradients(net):
    """Zeroes the gradients of biases before BatchNorm, which cancels them. Autograd returns rounding noise there, which
    Adam would scale up to full steps."""
    largest = max(p.grad.abs().max() for p in net.parameters())
    for linear, following in zip(net, net[1:]):
        if isinstance(following, nn.BatchNorm1d):
            assert linear.bias.grad.abs().max() < 1e-5 * largest
            linear.bias.grad.zero_()


def main(folder):
    tensors, cases = {}, []
    for case in CASES:
        seed = next(seed for seed in itertools.count(7) if run(case, seed, torch.float64)[2] > KINK_DISTANCE)
        losses, exact, _ = run(case, seed, torch.float64)
        losses_32, rounded, _ = run(case, seed, torch.float32)
        errors = {name: float(np.abs(rounded[name] - values).max(initial=0)) for name, values in exact.items()}
        norms = {name: float(np.linalg.norm(values)) for name, values in exact.items()}
        errors |= {key: max(abs(a[key] - b[key]) for a, b in zip(losses, losses_32) if key in a) for key in losses[-1]}
        tensors |= {name: values[:: case.stride].astype(np.float32) for name, values in exact.items()}
        td3 = {
            "batch_size": case.batch_size, "hidden_sizes": case.hidden_sizes, "batch_norm": case.batch_norm,
            "dropout": 0.0, "policy_freq": case.policy_freq, "learning_rate": LEARNING_RATE, "discount": DISCOUNT,
            "tau": TAU, "max_grad_norm": case.max_grad_norm, "action_l2": ACTION_L2, "policy_noise": POLICY_NOISE,
            "noise_clip": NOISE_CLIP,
        }
        cases.append({
            "name": case.name, "seed": seed, "clusters": case.clusters, "dimensions": case.dimensions,
            "users": case.users, "max_action": MAX_ACTION, "td3": td3, "stride": case.stride, "shown": case.shown,
            "losses": losses, "errors": errors, "norms": norms,
        })
    folder = pathlib.Path(folder)
    safetensors.numpy.save_file(tensors, folder / "td3_pytorch.safetensors")
    (folder / "td3_pytorch.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
