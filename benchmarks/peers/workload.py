#!/usr/bin/env python3
"""The reference workload: world, initial weights, and a plain NumPy implementation of one round.

It needs NumPy only, so that every peer starts from the same arrays and is checked against the same reference. Arrays
are float32 unless stated. Sizes: U users, I items, K = 5 clusters, D = 64 dimensions, S = K + D state components.

    python3 benchmarks/peers/workload.py --check

checks the generated arrays and the reference itself, in a few seconds.
"""

import argparse
import math
import sys
from typing import NamedTuple

import numpy as np

CLUSTER_SIZES = (13_383, 1_355, 1_413, 1_381, 1_598)
NUM_ITEMS = sum(CLUSTER_SIZES)
NUM_CLUSTERS = len(CLUSTER_SIZES)
DIMENSIONS = 64
STATE_DIM = NUM_CLUSTERS + DIMENSIONS
HIDDEN_SIZES = (512, 512, 256)
TOP_K = 10
SLATE_LEN = 20

TARGET = np.array([0.69958, 0.07083, 0.07386, 0.07219, 0.08353], np.float32)
MAX_DISTANCE = 5.0
BASELINE_RATE = 0.1
SIGMOID_SCALE = 1e4
BELIEF_INCREMENT = 0.01
REWARD_SCALE = 100.0
MAX_REWARD = 100.0
BATCH_NORM_EPSILON = 1e-5


class Td3(NamedTuple):
    """Settings of the agent and of its training."""

    batch_size: int = 512
    gradient_steps: int = 10  # updates in a training session
    policy_freq: int = 2
    train_frequency: int = 3  # rounds between training sessions
    warmup_transitions: int = 100_000
    buffer_size: int = 1_000_000
    discount: float = 0.95
    tau: float = 0.005
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    exploration_noise: float = 0.1
    learning_rate: float = 3e-4
    max_grad_norm: float = 1.0
    dropout: float = 0.1


TD3 = Td3()


class World(NamedTuple):
    """What is simulated."""

    items: np.ndarray  # [I, D], rows of length 1
    clusters: np.ndarray  # [I] int32
    distances: np.ndarray  # [I], to the centre of the item's cluster, in [0, MAX_DISTANCE]
    users: np.ndarray  # [U, D]
    beliefs: np.ndarray  # [U, K], at the start of an episode


def make_world(num_users, seed=0):
    """Returns the world of `num_users` users. A seed gives the same items for every number of users."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(NUM_CLUSTERS), CLUSTER_SIZES)
    rng.shuffle(clusters)
    centres = unit_rows(rng.normal(size=(NUM_CLUSTERS, DIMENSIONS)))
    items = unit_rows(centres[clusters] + 0.1 * rng.normal(size=(NUM_ITEMS, DIMENSIONS)))
    distances = np.clip(rng.gamma(4.0, 0.5, NUM_ITEMS), 0, MAX_DISTANCE)
    users = 0.3 * rng.normal(size=(num_users, DIMENSIONS))
    beliefs = 8e-4 * rng.random((num_users, NUM_CLUSTERS))
    beliefs[rng.random((num_users, NUM_CLUSTERS)) >= 0.5] = 0
    floats = (array.astype(np.float32) for array in (distances, users, beliefs))
    return World(items.astype(np.float32), clusters.astype(np.int32), *floats)


def unit_rows(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_weights(seed=1):
    """Returns the Linear layers of `actor`, `q1` and `q2`: lists of (weight [in, out], bias [out]).

    Both are uniform in +-1/sqrt(in), as in PyTorch's nn.Linear.
    """
    rng = np.random.default_rng(seed)
    shapes = {"actor": layer_sizes(STATE_DIM, DIMENSIONS)}
    shapes |= {critic: layer_sizes(STATE_DIM + DIMENSIONS, 1) for critic in ("q1", "q2")}
    return {name: [make_layer(rng, *shape) for shape in sizes] for name, sizes in shapes.items()}


def layer_sizes(num_inputs, num_outputs):
    """Returns (inputs, outputs) of each layer."""
    sizes = (num_inputs, *HIDDEN_SIZES, num_outputs)
    return list(zip(sizes[:-1], sizes[1:]))


def make_layer(rng, num_inputs, num_outputs):
    bound = np.float32(np.sqrt(num_inputs))
    weight = rng.uniform(-1, 1, (num_inputs, num_outputs)).astype(np.float32) / bound
    bias = rng.uniform(-1, 1, num_outputs).astype(np.float32) / bound
    return weight, bias


def make_minibatch(seed=2):
    """Returns fixed states, actions, next states and rewards [batch_size, _], to compare TD3 updates of two peers."""
    rng = np.random.default_rng(seed)
    widths = (STATE_DIM, DIMENSIONS, STATE_DIM, 1)
    arrays = [(0.3 * rng.normal(size=(TD3.batch_size, width))).astype(np.float32) for width in widths]
    states, actions, next_states, rewards = arrays
    return states, np.clip(actions, -1, 1), next_states, np.abs(rewards)


# The reference.


def actor(layers, states):
    """Returns actions [_, D] in evaluation mode, with BatchNorm's initial statistics (mean 0, variance 1)."""
    x = states
    for weight, bias in layers[:-1]:
        x = np.maximum((x @ weight + bias) / math.sqrt(1 + BATCH_NORM_EPSILON), 0)
    weight, bias = layers[-1]
    return np.tanh(x @ weight + bias)


def top_k(queries, items):
    """Returns the indices [_, TOP_K] of the items with the largest inner products, descending, ties to the lower.

    Item rows have length 1, so that this is the order of cosine similarity too.
    """
    return np.argsort(-(queries @ items.T), axis=1, kind="stable")[:, :TOP_K]


def top_k_by_partition(queries, transposed_items, chunk_len=250):
    """Returns what `top_k` does, but for ties, `chunk_len` queries at a time so that the scores stay in cache."""
    indices = np.empty((len(queries), TOP_K), np.int64)
    for start in range(0, len(queries), chunk_len):
        scores = queries[start : start + chunk_len] @ transposed_items
        best = np.argpartition(scores, -TOP_K, axis=1)[:, -TOP_K:]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        indices[start : start + chunk_len] = np.take_along_axis(best, order, 1)
    return indices


def acceptance_probability(beliefs, distances):
    """Returns clamp(max(0, 1 - d / MAX_DISTANCE) * sigmoid(b * SIGMOID_SCALE) + BASELINE_RATE, 0, 1)."""
    attraction = np.maximum(0, 1 - distances / MAX_DISTANCE)
    return np.clip(attraction / (1 + np.exp(-beliefs * SIGMOID_SCALE)) + BASELINE_RATE, 0, 1)


def respond(world, beliefs, slates, uniforms):
    """Serves slates of item indices [_, SLATE_LEN]: an item is accepted if its uniform draw is below its probability.

    Returns accepted [_, SLATE_LEN] bool, next beliefs [_, K] and rewards [_]. The reward is the distance reward
    alone: REWARD_SCALE times what the distances |target - belief| fell by, cluster by cluster, at most MAX_REWARD.
    """
    clusters = world.clusters[slates]
    own_beliefs = np.take_along_axis(beliefs, clusters, 1)
    accepted = uniforms < acceptance_probability(own_beliefs, world.distances[slates])
    counts = (accepted[:, :, None] & (clusters[:, :, None] == np.arange(NUM_CLUSTERS))).sum(1)
    raised = np.maximum(beliefs + BELIEF_INCREMENT * counts, 0)
    shares = raised / np.maximum(raised.sum(1, keepdims=True), 1)
    next_beliefs = np.minimum(shares, TARGET).astype(np.float32)
    improvements = np.abs(TARGET - beliefs) - np.abs(TARGET - next_beliefs)
    rewards = np.minimum(REWARD_SCALE * np.maximum(improvements, 0).sum(1), MAX_REWARD)
    return accepted, next_beliefs, rewards


# Operations of the matrix products, in thousand millions.


def products(sizes):
    """Returns the multiplications of one row's way through a network."""
    return sum(num_inputs * num_outputs for num_inputs, num_outputs in sizes)


def actor_gflop(num_users):
    return 2e-9 * num_users * products(layer_sizes(STATE_DIM, DIMENSIONS))


def search_gflop(num_queries):
    return 2e-9 * num_queries * DIMENSIONS * NUM_ITEMS


def update_gflop():
    """Returns the mean of one TD3 update. A backward pass counts as two forward passes, a fixed critic's as one."""
    actor_products = products(layer_sizes(STATE_DIM, DIMENSIONS))
    critic_products = products(layer_sizes(STATE_DIM + DIMENSIONS, 1))
    policy_products = (3 * actor_products + 2 * critic_products) / TD3.policy_freq
    return 2e-9 * TD3.batch_size * (actor_products + 8 * critic_products + policy_products)


# The check of this file.


def check():
    """Raises AssertionError if the generated arrays or the reference are not as described."""
    world, weights = make_world(2000), make_weights()
    check_world(world)
    check_weights(weights)
    check_acceptance_probability()
    check_respond(world)
    check_actor(weights["actor"])
    check_top_k(world, weights["actor"])
    assert abs(update_gflop() - 5.393) < 1e-3


def check_world(world):
    assert [array.dtype for array in world] == [np.float32, np.int32, np.float32, np.float32, np.float32]
    assert np.bincount(world.clusters).tolist() == list(CLUSTER_SIZES)
    assert np.abs(np.linalg.norm(world.items, axis=1) - 1).max() < 1e-6
    assert world.distances.min() >= 0 and world.distances.max() <= MAX_DISTANCE
    assert (world.beliefs >= 0).all() and (world.beliefs <= TARGET).all() and abs(TARGET.sum() - 1) < 1e-4
    assert all(np.array_equal(*pair) for pair in zip(world, make_world(2000)))
    assert all(np.array_equal(*pair) for pair in zip(world[:3], make_world(7)[:3]))
    # Other figures mean that NumPy's generators changed, and that earlier measurements had another world.
    figures = [float(np.vdot(array, np.cos(np.arange(array.size)))) for array in world]
    expected = [104.153, 102.221, -207.992, 2.02126, 0.0166643]
    assert np.allclose(figures, expected, rtol=1e-4, atol=0), figures


def check_weights(weights):
    for layers in weights.values():
        for weight, bias in layers:
            bound = 1 / math.sqrt(len(weight))
            assert weight.dtype == bias.dtype == np.float32 and weight.shape[1:] == bias.shape
            assert 0.98 * bound < np.abs(weight).max() <= bound * (1 + 1e-6) >= np.abs(bias).max()


def check_acceptance_probability():
    rows = {6e-4: (0.8980, 0.4990, 0.2995, 0.1), 0: (0.5, 0.3, 0.2, 0.1), 2e-4: (0.8046, 0.4523, 0.2762, 0.1)}
    for belief, row in rows.items():
        for distance, expected in zip((1, 3, 4, 5), row):
            assert abs(acceptance_probability(belief, distance) - expected) < 5e-5


def check_respond(world):
    """Compares `respond` with a loop over users and items, and with cases worked out by hand."""
    rng = np.random.default_rng(5)
    slates, uniforms = rng.integers(0, NUM_ITEMS, (300, SLATE_LEN)), rng.random((300, SLATE_LEN))
    beliefs = world.beliefs[:300].copy()
    beliefs[::3] = TARGET * rng.random((100, 1))
    beliefs[::5] = TARGET
    rows = zip(beliefs, slates, uniforms, *respond(world, beliefs, slates, uniforms))
    for before, slate, draws, accepted, after, reward in rows:
        expected_accepted, expected_after, expected_reward = respond_to_one(world, before, slate, draws)
        assert accepted.tolist() == expected_accepted
        assert np.abs(after - expected_after).max() < 1e-6 and abs(reward - expected_reward) < 1e-3

    in_cluster = [np.flatnonzero(world.clusters == cluster) for cluster in range(NUM_CLUSTERS)]
    three = np.concatenate([in_cluster[4][:3], in_cluster[0][:17]])[None]
    only_three = np.array([[0.0] * 3 + [1.0] * 17])
    _, after, reward = respond(world, np.array([[0, 0, 0, 0, 0.001]], np.float32), three, only_three)
    assert np.allclose(after, [[0, 0, 0, 0, 0.031]]) and np.allclose(reward, 3, atol=1e-4)
    _, after, reward = respond(world, TARGET[None], three, np.ones((1, SLATE_LEN)))
    assert np.array_equal(after[0], TARGET) and reward == 0
    _, after, reward = respond(world, TARGET[None], three, only_three)
    assert after[0, 4] == TARGET[4] and np.allclose(after[0, :4], TARGET[:4] / (TARGET.sum() + 0.03)) and reward == 0


def respond_to_one(world, beliefs, slate, uniforms):
    """Returns what `respond` does for one user, written as loops of Python floats."""
    beliefs, target = [float(belief) for belief in beliefs], [float(share) for share in TARGET]
    accepted, after = [], list(beliefs)
    for item, uniform in zip(slate, uniforms):
        cluster = int(world.clusters[item])
        attraction = max(0.0, 1 - float(world.distances[item]) / MAX_DISTANCE)
        probability = attraction / (1 + math.exp(-beliefs[cluster] * SIGMOID_SCALE)) + BASELINE_RATE
        accepted.append(bool(uniform < probability))
        after[cluster] += BELIEF_INCREMENT * accepted[-1]
    total = max(1.0, sum(after))
    after = [min(belief / total, share) for belief, share in zip(after, target)]
    improvements = [abs(share - old) - abs(share - new) for share, old, new in zip(target, beliefs, after)]
    return accepted, after, min(REWARD_SCALE * sum(max(0.0, improvement) for improvement in improvements), MAX_REWARD)


def check_actor(layers):
    states = np.random.default_rng(6).normal(size=(100, STATE_DIM))
    x = states
    for weight, bias in layers[:-1]:
        x = np.einsum("ui,io->uo", x, weight.astype(np.float64)) + bias
        x = np.where(x > 0, x / math.sqrt(1.00001), 0)
    expected = np.tanh(np.einsum("ui,io->uo", x, layers[-1][0].astype(np.float64)) + layers[-1][1])
    actions = actor(layers, states.astype(np.float32))
    assert actions.shape == (100, DIMENSIONS) and np.abs(actions - expected).max() < 1e-5


def check_top_k(world, layers):
    states = np.concatenate([world.beliefs, world.users], 1)[:200]
    actions = actor(layers, states)
    best = top_k(actions, world.items)
    scores = np.einsum("ud,id->ui", actions, world.items)
    for row, indices in zip(scores, best):
        assert len(set(indices)) == TOP_K and (row > row[indices].min() + 1e-6).sum() < TOP_K
        assert (np.diff(row[indices]) <= 1e-6).all()
    partitioned = top_k_by_partition(actions, world.items.T.copy(), chunk_len=64)
    assert recall(partitioned, best) > 0.9995
    assert top_k(np.zeros((1, DIMENSIONS), np.float32), world.items).tolist() == [list(range(TOP_K))]


def recall(found, expected):
    """Returns the share of the expected indices that were found, row by row."""
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), expected.tolist())]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="check the generated arrays and the reference")
    arguments = parser.parse_args()
    if not arguments.check:
        parser.print_help()
        return 2
    check()
    print("workload: all checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
