"""Writes what PyTorch makes of a few TD3 updates, for `recsim_conformance::td3` to hold backends to.

    python3 scripts/td3_fixture.py testdata        # needs torch, numpy, safetensors

Networks, autograd, Adam and gradient clipping are PyTorch's; only the draws are recsim's, done again in NumPy, so that
weights and transitions need not be stored. Dropout is off (its draws are no generator's but recsim's own).

Every case runs twice: in float64, whose results are the expected ones, and in float32, whose distance from them is the
measure of what float32 accuracy is. Both go to the files: `td3_pytorch.safetensors` holds a case's buffers, flat and in
the layout of `recsim_core::net` (of large networks every STRIDE-th number), `td3_pytorch.json` sizes, losses and errors.
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
MARGIN = 2e-6  # ReLU's kink is no place to compare roundings: a case's seed is the first to keep its units that far off
LEARNING_RATE, DISCOUNT, TAU, ACTION_L2, MAX_ACTION = 1e-3, 0.95, 0.05, 0.01, 2.0
POLICY_NOISE, NOISE_CLIP = 0.2, 0.3
INITIAL, SAMPLE, TARGET_NOISE, WORLD = 3, 4, 5, 7  # recsim_core::rng::Purpose
NETWORKS = ["actor", "critic_1", "critic_2"]


@dataclass
class Case:
    name: str
    clusters: int
    dimensions: int
    hidden: list[int]
    batch_norm: bool
    batch_size: int
    users: int
    updates: int
    policy_freq: int
    stride: int
    shown: list[int]  # the updates after which every buffer is written
    grad_clip_norm: float = 1.0


CASES = [
    Case("small", 3, 4, [8, 8, 6], True, 16, 40, 6, 2, 1, [1, 2, 6]),
    Case("plain", 3, 4, [8, 8, 6], False, 16, 40, 6, 2, 1, [1, 2, 6]),
    Case("odd", 2, 3, [5], True, 7, 11, 4, 1, 1, [1, 4], 0.05),  # so little that the actor's gradient is clipped too
    Case("reference", 5, 64, [512, 512, 256], True, 512, 1000, 1, 1, STRIDE, [1]),
]


# --- recsim_core::rng -------------------------------------------------------------------------------------------------
def at(key, *coordinates):
    """The sub-stream at some coordinates, each an integer or an array: SplitMix64's output that many steps on."""
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
    """`[rows, columns]` of standard normal numbers, two from every key `key.with(row).with(column / 2)`."""
    bits = at(at(key, np.arange(rows))[:, None], np.arange((columns + 1) // 2))
    high, low = (bits >> np.uint64(32)).astype(np.float32), (bits & np.uint64(0xFFFFFFFF)).astype(np.float32)
    radius = np.sqrt(np.float32(-2) * np.log((high + np.float32(1)) * np.float32(2**-32)))
    angle = low * np.float32(np.float32(2**-32) * np.float32(2 * np.pi))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(rows, -1)[:, :columns]


# --- networks ---------------------------------------------------------------------------------------------------------
def network(case, inputs, outputs):
    layers = []
    for width in case.hidden:
        norm = [nn.BatchNorm1d(width)] if case.batch_norm else []
        layers += [nn.Linear(inputs, width), *norm, nn.ReLU(), nn.Dropout(0.0)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def parameters(net, what=lambda tensor: tensor):
    """The flat buffer of parameters: PyTorch's order is recsim's."""
    return torch.cat([what(p).detach().flatten() for p in net.parameters()])


def statistics(net):
    running = [s for m in net if isinstance(m, nn.BatchNorm1d) for s in (m.running_mean, m.running_var)]
    return torch.cat([*running, torch.zeros(0)])


def initialise(net, seed, number):
    """`Layout::initial`, then scales, shifts and running statistics pushed off their 1 and 0."""
    key, push = at(seed, INITIAL, number), at(seed, WORLD, 5, number)
    place, running = 0, 0
    for module in net:
        for tensor in module.parameters():
            draws = np.arange(place, place + tensor.numel())
            if isinstance(module, nn.Linear):
                bound = np.float32(1) / np.sqrt(np.float32(module.in_features))
                values = symmetric(at(key, draws)) * bound
            else:
                values = np.float32(tensor[0].item()) + np.float32(0.5) * symmetric(at(push, draws))
            tensor.data = torch.from_numpy(values).reshape(tensor.shape).to(tensor.dtype)
            place += tensor.numel()
        if isinstance(module, nn.BatchNorm1d):
            for tensor in (module.running_mean, module.running_var):
                draws = at(push, 1_000_000 + running + np.arange(tensor.numel()))
                tensor += torch.from_numpy(np.float32(0.5) * symmetric(draws))
                running += tensor.numel()
    return net


# --- the updates ------------------------------------------------------------------------------------------------------
def transitions(case, seed, dtype):
    """What the ring holds: one transition of every user."""
    def table(number, columns, draw):
        return torch.from_numpy(draw(at(seed, WORLD, number, np.arange(case.users * columns)))).reshape(-1, columns)

    k, d = case.clusters, case.dimensions
    embedding, before, after = table(0, d, symmetric), table(1, k, uniform), table(2, k, uniform)
    tables = torch.cat([before, embedding], 1), table(3, d, symmetric), table(4, 1, symmetric), torch.cat([after, embedding], 1)
    return [t.to(dtype) for t in tables]


def run(case, seed, dtype):
    """The losses of every update, the buffers after some, and how near learning units came to ReLU's kink."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    state, action, reward, next_state = transitions(case, seed, dtype)
    reward = reward * MAX_ACTION
    s, d = case.clusters + case.dimensions, case.dimensions
    sizes = [(s, d), (s + d, 1), (s + d, 1)]
    online = [initialise(network(case, *size), seed, n) for n, size in enumerate(sizes)]
    target = [initialise(network(case, *size), seed + 1, n).eval() for n, size in enumerate(sizes)]
    actor, critics = online[0], online[1:]
    critic_parameters = list(itertools.chain(*(c.parameters() for c in critics)))
    adam = {"critics": torch.optim.Adam(critic_parameters, LEARNING_RATE), "actor": torch.optim.Adam(actor.parameters(), LEARNING_RATE)}
    moments = lambda n: adam["critics" if n else "actor"].state
    losses, buffers, gradients, nearest = [], {}, {}, [np.inf]
    for relu in (module for net in online for module in net if isinstance(module, nn.ReLU)):
        relu.register_forward_hook(lambda _, inputs, __: nearest.append(inputs[0].detach().abs().min().item()))
    act = lambda net, states: MAX_ACTION * torch.tanh(net(states))
    q = lambda net, states, actions: net(torch.cat([states, actions], 1))

    def descend(loss, who, nets, params):
        adam[who].zero_grad()
        loss.backward()
        for net in nets:
            quiet_biases(net)
        norm = nn.utils.clip_grad_norm_(params, case.grad_clip_norm)
        adam[who].step()
        gradients.update({net: parameters(net, lambda p: p.grad) for net in nets})
        return norm.item()

    for update in range(1, case.updates + 1):
        rows = index(at(seed, SAMPLE, update, np.arange(case.batch_size)), case.users)
        noise = torch.from_numpy(normal(case.batch_size, d, at(seed, TARGET_NOISE, update))).to(dtype)
        with torch.no_grad():
            noise = (noise * POLICY_NOISE * MAX_ACTION).clamp(-NOISE_CLIP * MAX_ACTION, NOISE_CLIP * MAX_ACTION)
            next_action = (act(target[0], next_state[rows]) + noise).clamp(-MAX_ACTION, MAX_ACTION)
            y = reward[rows] + DISCOUNT * torch.min(*(q(t, next_state[rows], next_action) for t in target[1:]))
        values = [q(critic.train(), state[rows], action[rows]) for critic in critics]
        loss = sum(nn.functional.mse_loss(value, y) for value in values)
        norm = descend(loss, "critics", critics, critic_parameters)
        report = {"critic_loss": loss.item(), "q_value": values[0].mean().item(), "target_value": y.mean().item(), "critic_gradient_norm": norm}
        policy = update % case.policy_freq == 0
        if policy:
            chosen = act(actor.train(), state[rows])
            loss = ACTION_L2 * chosen.square().mean() - q(critics[0].eval(), state[rows], chosen).mean()
            norm = descend(loss, "actor", [actor], list(actor.parameters()))
            report |= {"actor_loss": loss.item(), "actor_gradient_norm": norm}
            with torch.no_grad():
                for t, o in zip(target, online):
                    for a, b in zip(itertools.chain(t.parameters(), t.buffers()), itertools.chain(o.parameters(), o.buffers())):
                        a += (TAU * (b - a)).to(a.dtype)
        losses.append(report)
        for n, net in enumerate(online if update in case.shown else []):
            if n > 0 or policy:
                buffers[update, n, "gradient"] = gradients[net]
                buffers[update, n, "second"] = parameters(net, lambda p: moments(n)[p]["exp_avg_sq"])
            buffers[update, n, "parameters"], buffers[update, n, "statistics"] = parameters(net), statistics(net)
            buffers[update, n, "target_parameters"] = parameters(target[n])
            buffers[update, n, "target_statistics"] = statistics(target[n])
    named = {f"{case.name}/{update}/{NETWORKS[n]}/{what}": v.double().numpy() for (update, n, what), v in buffers.items()}
    return losses, named, min(nearest)


def quiet_biases(net):
    """BatchNorm takes a bias in front of it out again: its gradient is 0. What autograd finds is rounding noise, which
    Adam, dividing by its size, would turn into steps."""
    largest = max(p.grad.abs().max() for p in net.parameters())
    for linear, behind in zip(net, net[1:]):
        if isinstance(behind, nn.BatchNorm1d):
            assert linear.bias.grad.abs().max() < 1e-5 * largest
            linear.bias.grad.zero_()


def main(folder):
    tensors, cases = {}, []
    for case in CASES:
        seed = next(seed for seed in itertools.count(7) if run(case, seed, torch.float64)[2] > MARGIN)
        (losses, exact, _), (losses_32, rounded, _) = (run(case, seed, dtype) for dtype in (torch.float64, torch.float32))
        errors = {name: float(np.abs(rounded[name] - values).max(initial=0)) for name, values in exact.items()}
        norms = {name: float(np.linalg.norm(values)) for name, values in exact.items()}
        errors |= {key: max(abs(a[key] - b[key]) for a, b in zip(losses, losses_32) if key in a) for key in losses[-1]}
        tensors |= {name: values[:: case.stride].astype(np.float32) for name, values in exact.items()}
        td3 = {"batch_size": case.batch_size, "hidden": case.hidden, "batch_norm": case.batch_norm, "dropout": 0.0,
               "policy_freq": case.policy_freq, "learning_rate": LEARNING_RATE, "discount": DISCOUNT, "tau": TAU,
               "grad_clip_norm": case.grad_clip_norm, "action_l2": ACTION_L2, "policy_noise": POLICY_NOISE, "noise_clip": NOISE_CLIP}
        cases.append({"name": case.name, "seed": seed, "clusters": case.clusters, "dimensions": case.dimensions, "users": case.users,
                      "max_action": MAX_ACTION, "td3": td3, "stride": case.stride, "shown": case.shown,
                      "losses": losses, "errors": errors, "norms": norms})
    folder = pathlib.Path(folder)
    safetensors.numpy.save_file(tensors, folder / "td3_pytorch.safetensors")
    (folder / "td3_pytorch.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
