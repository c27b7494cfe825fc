#!/usr/bin/env python3
"""The reference experiment in JAX, in the style of PureJaxRL: a round and a training session are one compiled function
each, and everything stays on the device."""

import functools
import math
import os
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

import harness
import workload
from workload import NUM_CLUSTERS, TD3, TOP_K

# Networks: plain functions over trees of arrays.


class Layer(NamedTuple):
    """A Linear layer, and the BatchNorm that follows it in all but the last."""

    weight: Any  # [in, out]
    bias: Any
    scale: Any = None
    shift: Any = None


class Network(NamedTuple):
    layers: list
    statistics: list  # BatchNorm's running (mean, variance)


def make_network(arrays):
    layers = [Layer(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in arrays]
    # Each array is one of its own, as a donated buffer must not occur twice.
    statistics = [(jnp.zeros_like(layer.bias), jnp.ones_like(layer.bias)) for layer in layers[:-1]]
    batch_norms = [{"scale": jnp.ones_like(layer.bias), "shift": jnp.zeros_like(layer.bias)} for layer in layers[:-1]]
    hidden = [layer._replace(**batch_norm) for layer, batch_norm in zip(layers, batch_norms)]
    return Network([*hidden, layers[-1]], statistics)


def forward(network, inputs):
    """Returns the outputs in evaluation mode."""
    x = inputs
    for layer, (mean, variance) in zip(network.layers, network.statistics):
        x = jax.nn.relu(normalize(x @ layer.weight + layer.bias, mean, variance, layer))
    return x @ network.layers[-1].weight + network.layers[-1].bias


def forward_training(network, inputs, key, dropout):
    """Returns the outputs in training mode, and the running statistics after it."""
    x, statistics, num_rows = inputs, [], len(inputs)
    for index, (layer, (running_mean, running_variance)) in enumerate(zip(network.layers, network.statistics)):
        x = x @ layer.weight + layer.bias
        mean, variance = x.mean(0), x.var(0)
        unbiased = variance * num_rows / (num_rows - 1)
        statistics.append((0.9 * running_mean + 0.1 * mean, 0.9 * running_variance + 0.1 * unbiased))
        x = jax.nn.relu(normalize(x, mean, variance, layer))
        if dropout > 0:
            bits = random.bits(random.fold_in(key, index), x.shape, jnp.uint16)  # 16 bits for each unit
            x = jnp.where(bits >= round(dropout * 65536), x / (1 - dropout), 0)
    return x @ network.layers[-1].weight + network.layers[-1].bias, statistics


def normalize(x, mean, variance, layer):
    return (x - mean) * (lax.rsqrt(variance + workload.BATCH_NORM_EPSILON) * layer.scale) + layer.shift


class Adam(NamedTuple):
    mean: Any
    square: Any
    step: Any


def make_adam(parameters):
    return Adam(jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters), jnp.zeros(()))


def take_step(parameters, gradients, adam):
    """Clips the gradients to a global norm of TD3.max_grad_norm and steps. Returns parameters and Adam's state."""
    norm = jnp.sqrt(sum(jnp.vdot(gradient, gradient) for gradient in jax.tree.leaves(gradients)))
    clip = jnp.minimum(1, TD3.max_grad_norm / (norm + 1e-6))
    step = adam.step + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * clip * g, adam.mean, gradients)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * (clip * g) ** 2, adam.square, gradients)

    def moved(parameter, m, v):
        return parameter - TD3.learning_rate * (m / (1 - 0.9**step)) / (jnp.sqrt(v / (1 - 0.999**step)) + 1e-8)

    return jax.tree.map(moved, parameters, mean, square), Adam(mean, square, step)


# TD3. The target networks and Q1 in the actor's loss are in evaluation mode, and the targets follow BatchNorm's
# statistics too.


class Agent(NamedTuple):
    actor: Network
    critics: tuple
    target_actor: Network
    target_critics: tuple
    actor_adam: Adam
    critic_adam: Adam


def make_agent():
    weights = workload.make_weights()
    actor = make_network(weights["actor"])
    critics = make_network(weights["q1"]), make_network(weights["q2"])
    targets = jax.tree.map(jnp.copy, (actor, critics))
    return Agent(actor, critics, *targets, make_adam(actor.layers), make_adam(layers_of(critics)))


def layers_of(critics):
    return tuple(critic.layers for critic in critics)


def act(actor, states):
    return jnp.tanh(forward(actor, states))


def update(agent, minibatch, key, with_policy, policy_noise=TD3.policy_noise, dropout=TD3.dropout):
    """One update of the critics, and of the actor and the targets if `with_policy`. Returns the agent and the loss."""
    states, actions, next_states, rewards = minibatch
    noise_key, actor_key, *critic_keys = random.split(key, 4)
    noise = jnp.clip(policy_noise * random.normal(noise_key, actions.shape), -TD3.noise_clip, TD3.noise_clip)
    next_actions = jnp.clip(act(agent.target_actor, next_states) + noise, -1, 1)
    next_inputs = jnp.concatenate([next_states, next_actions], 1)
    next_values = (forward(critic, next_inputs) for critic in agent.target_critics)
    returns = rewards + TD3.discount * jnp.minimum(*next_values)
    inputs = jnp.concatenate([states, actions], 1)

    def critic_loss(layers):
        networks = [critic._replace(layers=own) for critic, own in zip(agent.critics, layers)]
        passes = [forward_training(network, inputs, own, dropout) for network, own in zip(networks, critic_keys)]
        return sum(((values - returns) ** 2).mean() for values, _ in passes), [statistics for _, statistics in passes]

    (loss, statistics), gradients = jax.value_and_grad(critic_loss, has_aux=True)(layers_of(agent.critics))
    layers, critic_adam = take_step(layers_of(agent.critics), gradients, agent.critic_adam)
    agent = agent._replace(critics=tuple(map(Network, layers, statistics)), critic_adam=critic_adam)
    return (update_policy(agent, states, actor_key, dropout) if with_policy else agent), loss


def update_policy(agent, states, key, dropout):
    def actor_loss(layers):
        outputs, statistics = forward_training(agent.actor._replace(layers=layers), states, key, dropout)
        return -forward(agent.critics[0], jnp.concatenate([states, jnp.tanh(outputs)], 1)).mean(), statistics

    gradients, statistics = jax.grad(actor_loss, has_aux=True)(agent.actor.layers)
    layers, actor_adam = take_step(agent.actor.layers, gradients, agent.actor_adam)
    agent = agent._replace(actor=Network(layers, statistics), actor_adam=actor_adam)
    online, targets = (agent.actor, agent.critics), (agent.target_actor, agent.target_critics)
    target_actor, target_critics = jax.tree.map(lambda target, x: target + TD3.tau * (x - target), targets, online)
    return agent._replace(target_actor=target_actor, target_critics=target_critics)


def train_session(agent, replay, num_transitions, key):
    """Returns the agent after TD3.gradient_steps updates on random rows, each TD3.policy_freq-th with the policy."""

    def updates(agent, key):
        for number in range(1, TD3.policy_freq + 1):
            row_key, update_key = random.split(random.fold_in(key, number))
            rows = random.randint(row_key, (TD3.batch_size,), 0, num_transitions)
            minibatch = [column[rows] for column in replay[:4]]
            agent, _ = update(agent, minibatch, update_key, number == TD3.policy_freq)
        return agent, None

    return lax.scan(updates, agent, random.split(key, TD3.gradient_steps // TD3.policy_freq))[0]


class ItemSearch:
    """Exact search for the TOP_K items with the largest inner products.

    Variants: `plain` is one matrix product and one top-k, `approx` the same with XLA's approximate top-k at a recall of
    1; `block` takes the maximum of each block of 64 scores, and then the best of the TOP_K blocks with the largest
    maxima, which hold the best items. `block-100` does so for 100 queries at a time.
    """

    VARIANTS = ("plain", "plain-100", "approx", "approx-100", "block", "block-50", "block-100", "block-200")
    BLOCK_LEN = 64

    def __init__(self, items):
        num_items = len(items)
        self.num_blocks = math.ceil(num_items / self.BLOCK_LEN)
        padding = self.num_blocks * self.BLOCK_LEN - num_items
        self.items = jnp.asarray(items.T)
        self.padded_items = jnp.asarray(np.pad(items.T, ((0, 0), (0, padding))))
        self.penalty = np.repeat(np.float32([0, -np.inf]), [num_items, padding])
        self.use("plain")

    def use(self, variant):
        """Takes the variant of that name."""
        searches = {"plain": self.search_plain, "approx": self.search_approx, "block": self.search_blocks}
        kind, self.chunk_len = harness.parse_variant(variant, searches)
        self.search = searches[kind]
        self.variant = variant

    def use_fastest(self, queries):
        """Times all variants, takes the fastest and returns the milliseconds of each."""
        milliseconds = {}
        for variant in self.VARIANTS:
            self.use(variant)
            compiled = jax.jit(lambda queries: self(queries))  # a new function, which has no trace of another variant
            call = lambda: compiled(queries).block_until_ready()
            milliseconds[variant] = min(harness.time_calls(call, lambda: None, 3)[1])
        self.use(min(milliseconds, key=milliseconds.get))
        return {variant: round(time, 2) for variant, time in milliseconds.items()}

    def __call__(self, queries):
        """Returns indices [_, TOP_K], best first."""
        if self.chunk_len is None or len(queries) <= self.chunk_len:
            return self.search(queries)
        whole = len(queries) // self.chunk_len * self.chunk_len
        chunks = queries[:whole].reshape(-1, self.chunk_len, queries.shape[1])
        found = lax.map(self.search, chunks).reshape(-1, TOP_K)
        return found if whole == len(queries) else jnp.concatenate([found, self.search(queries[whole:])])

    def search_plain(self, queries):
        return lax.top_k(queries @ self.items, TOP_K)[1]

    def search_approx(self, queries):
        return lax.approx_max_k(queries @ self.items, TOP_K, recall_target=1.0)[1]

    def search_blocks(self, queries):
        scores = queries @ self.padded_items + self.penalty
        scores = scores.reshape(len(queries), self.num_blocks, self.BLOCK_LEN)
        blocks = lax.top_k(scores.max(2), TOP_K)[1]
        candidates = jnp.take_along_axis(scores, blocks[:, :, None], 1).reshape(len(queries), -1)
        best = lax.top_k(candidates, TOP_K)[1]
        return self.BLOCK_LEN * jnp.take_along_axis(blocks, best // self.BLOCK_LEN, 1) + best % self.BLOCK_LEN


class JaxPeer:
    """What harness.py times and checks."""

    def __init__(self, world, arguments):
        self.num_users = len(world.users)
        self.batch_size = min(arguments.batch, self.num_users)
        self.users, self.initial_beliefs = jnp.asarray(world.users), jnp.asarray(world.beliefs)
        self.clusters, self.target = jnp.asarray(world.clusters), jnp.asarray(workload.TARGET)
        self.attraction = jnp.asarray(np.maximum(0, 1 - world.distances / workload.MAX_DISTANCE))
        self.key = random.key(0)

        self.item_search, self.search_times = ItemSearch(world.items), {}
        if arguments.topk == "auto":
            queries = random.normal(random.key(1), (self.batch_size, workload.DIMENSIONS))
            self.search_times = self.item_search.use_fastest(queries)
        else:
            self.item_search.use(arguments.topk)
        self.search_all = jax.jit(self.trace_search)
        self.pretrained_items = self.search_all(self.users)
        self.pretrained = np.asarray(self.pretrained_items)

        # Rounds are written as a whole, so that the replay buffer holds a whole number of them.
        if self.num_users > TD3.buffer_size:
            sys.exit(f"the replay buffer holds {TD3.buffer_size:,} transitions: give no more --users")
        self.capacity = TD3.buffer_size - TD3.buffer_size % self.num_users
        widths = (workload.STATE_DIM, workload.DIMENSIONS, workload.STATE_DIM, 1, 1)
        self.replay = [jnp.zeros((self.capacity, width)) for width in widths]
        self.offset, self.num_transitions = 0, 0
        self.agent = make_agent()
        self.explore_all = jax.jit(self.trace_explore)
        self.step_all = jax.jit(self.trace_steps, donate_argnums=(0, 1))
        self.round = jax.jit(self.trace_round, donate_argnums=(1, 2))
        self.session = jax.jit(train_session, donate_argnums=0)
        self.reset()

    def synchronize(self):
        jax.block_until_ready((self.agent, self.replay, self.beliefs))

    def next_key(self):
        self.key, key = random.split(self.key)
        return key

    # Rounds. What is named `trace_` is compiled, and works on all users, a batch at a time.

    def reset(self):
        self.beliefs = jnp.copy(self.initial_beliefs)

    def collect(self):
        arguments = self.agent.actor, self.beliefs, self.replay, self.offset, self.next_key()
        self.beliefs, self.replay, acceptance_rate = self.round(*arguments)
        self.offset = (self.offset + self.num_users) % self.capacity
        self.num_transitions = min(self.num_transitions + self.num_users, self.capacity)
        return acceptance_rate

    def trace_round(self, actor, beliefs, replay, offset, key):
        def body(carry, start, size):
            states = self.observe(carry[0], start, size)
            explore_key, step_key = random.split(random.fold_in(key, start))
            actions = explore(actor, states, explore_key)
            found = self.item_search(actions)
            return self.step(carry, offset, start, states, actions, found, step_key), None

        (beliefs, replay, num_accepted), _ = self.scan_batches(body, (beliefs, replay, 0))
        return beliefs, replay, num_accepted / (workload.SLATE_LEN * self.num_users)

    def scan_batches(self, body, carry):
        """Calls body(carry, start, size) -> (carry, rows) for each batch, and returns the carry and all rows."""
        size = self.batch_size
        num_whole, rest = divmod(self.num_users, size)
        carry, rows = lax.scan(lambda carry, index: body(carry, index * size, size), carry, jnp.arange(num_whole))
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)
        if rest:
            carry, last = body(carry, num_whole * size, rest)
            rows = jax.tree.map(lambda *parts: jnp.concatenate(parts), rows, last)
        return carry, rows

    def observe(self, beliefs, start, size):
        return jnp.concatenate([rows_of(beliefs, start, size), rows_of(self.users, start, size)], 1)

    def step(self, carry, offset, start, states, actions, found, key):
        """Serves the slates of the users from `start` on. The carry is beliefs, replay columns and accepted items."""
        beliefs, replay, num_accepted = carry
        slates = jnp.concatenate([found, rows_of(self.pretrained_items, start, len(found))], 1)
        own_beliefs, users = states[:, :NUM_CLUSTERS], states[:, NUM_CLUSTERS:]
        accepted, next_beliefs, rewards = self.compute_response(own_beliefs, slates, random.uniform(key, slates.shape))
        columns = states, actions, jnp.concatenate([next_beliefs, users], 1), rewards, jnp.zeros_like(rewards)
        replay = [write_rows(buffer, rows, offset + start) for buffer, rows in zip(replay, columns)]
        return write_rows(beliefs, next_beliefs, start), replay, num_accepted + accepted.sum()

    def compute_response(self, beliefs, slates, uniforms):
        """As workload.respond, with rewards [_, 1]."""
        clusters = self.clusters[slates]
        belief_response = jax.nn.sigmoid(workload.SIGMOID_SCALE * jnp.take_along_axis(beliefs, clusters, 1))
        # Draws are in [0, 1): the probability need not be clamped.
        accepted = uniforms < self.attraction[slates] * belief_response + workload.BASELINE_RATE
        counts = jnp.sum(accepted[:, :, None] & (clusters[:, :, None] == jnp.arange(NUM_CLUSTERS)), 1)
        raised = jnp.maximum(beliefs + workload.BELIEF_INCREMENT * counts, 0)
        next_beliefs = jnp.minimum(raised / jnp.maximum(raised.sum(1, keepdims=True), 1), self.target)
        improvements = jnp.abs(self.target - beliefs) - jnp.abs(self.target - next_beliefs)
        rewards = workload.REWARD_SCALE * jnp.maximum(improvements, 0).sum(1, keepdims=True)
        return accepted, next_beliefs, jnp.minimum(rewards, workload.MAX_REWARD)

    def stages(self):
        actions = self.explore_all(self.agent.actor, self.beliefs, self.next_key())
        found = self.search_all(actions)

        def step():
            arguments = self.beliefs, self.replay, actions, found, self.next_key()
            self.beliefs, self.replay, _ = self.step_all(*arguments)

        def explore_users():
            jax.block_until_ready(self.explore_all(self.agent.actor, self.beliefs, self.next_key()))

        return {
            "actor": explore_users,
            "topk": lambda: jax.block_until_ready(self.search_all(actions)),
            "step": step,
        }

    def trace_explore(self, actor, beliefs, key):
        def body(carry, start, size):
            return carry, explore(actor, self.observe(beliefs, start, size), random.fold_in(key, start))

        return self.scan_batches(body, None)[1]

    def trace_search(self, queries):
        def body(carry, start, size):
            return carry, self.item_search(rows_of(queries, start, size))

        return self.scan_batches(body, None)[1]

    def trace_steps(self, beliefs, replay, actions, found, key):
        def body(carry, start, size):
            states, batch_key = self.observe(carry[0], start, size), random.fold_in(key, start)
            own_actions, own_found = rows_of(actions, start, size), rows_of(found, start, size)
            return self.step(carry, 0, start, states, own_actions, own_found, batch_key), None

        return self.scan_batches(body, (beliefs, replay, 0))[0]

    # Training.

    def prepare_training(self):
        """The first session compiles."""

    def train(self):
        self.agent = self.session(self.agent, self.replay, self.num_transitions, self.next_key())

    # The check.

    def actor(self, states):
        return np.asarray(act(self.agent.actor, jnp.asarray(states)))

    def top_k(self, queries):
        return np.asarray(jax.jit(lambda rows: self.item_search(rows))(jnp.asarray(queries)))

    def respond(self, beliefs, slates, uniforms):
        response = self.compute_response(*map(jnp.asarray, (beliefs, slates, uniforms)))
        accepted, next_beliefs, rewards = map(np.asarray, response)
        return accepted, next_beliefs, rewards[:, 0]

    def critic_losses(self, minibatch, num_updates):
        compiled = jax.jit(functools.partial(update, policy_noise=0.0, dropout=0.0), static_argnames="with_policy")
        minibatch, losses = [jnp.asarray(array) for array in minibatch], []
        for number in range(1, num_updates + 1):
            with_policy = number % TD3.policy_freq == 0
            self.agent, loss = compiled(self.agent, minibatch, self.next_key(), with_policy=with_policy)
            losses.append(float(loss))
        return losses


def explore(actor, states, key):
    actions = act(actor, states)
    return jnp.clip(actions + TD3.exploration_noise * random.normal(key, actions.shape), -1, 1)


def rows_of(array, start, size):
    return lax.dynamic_slice_in_dim(array, start, size)


def write_rows(array, rows, start):
    return lax.dynamic_update_slice_in_dim(array, rows, start, 0)


def limit_threads(num_threads):
    """Pins the process to that many CPUs: XLA starts a thread for each CPU that it may run on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:num_threads])


def main():
    parser = harness.options(__doc__)
    generators = ["rbg", "unsafe_rbg", "threefry2x32"]
    parser.add_argument("--prng", default="rbg", choices=generators, help="random number generator")
    precisions = "jax_default_matmul_precision: tensorfloat32 on CUDA is not exact"
    parser.add_argument("--precision", default="highest", help=precisions)
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        limit_threads(arguments.threads)
    jax.config.update("jax_platforms", arguments.device)
    jax.config.update("jax_default_prng_impl", arguments.prng)
    jax.config.update("jax_default_matmul_precision", arguments.precision)
    world = workload.make_world(arguments.users)
    peer = JaxPeer(world, arguments)
    harness.json_line(
        phase="setup",
        peer="jax",
        version=jax.__version__,
        device=str(jax.devices()[0]),
        threads=arguments.threads,
        users=arguments.users,
        topk=peer.item_search.variant,
        topk_ms_per_batch=peer.search_times,
        precision=arguments.precision,
        prng=arguments.prng,
    )
    harness.run(arguments, world, peer, "jax")


if __name__ == "__main__":
    main()
