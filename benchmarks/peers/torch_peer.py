#!/usr/bin/env python3
"""The reference experiment in vectorised PyTorch, on CPU or CUDA."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

import harness
import workload
from workload import NUM_CLUSTERS, TD3, TOP_K


class ItemSearch:
    """Exact search for the TOP_K items with the largest inner products.

    Variants: `plain` is one matrix product and one top-k; `block` takes the maximum of each block of 64 scores, and
    then the best of the TOP_K blocks with the largest maxima, which hold the best items. `plain-100` and `block-250`
    do so for that many queries at a time, so that the scores stay in cache.
    """

    VARIANTS = ("plain", "plain-50", "plain-100", "block", "block-100", "block-250")
    BLOCK_LEN = 64

    def __init__(self, items, device):
        self.num_items, dimensions = items.shape
        self.num_blocks = math.ceil(self.num_items / self.BLOCK_LEN)
        transposed = torch.from_numpy(items).to(device).T
        self.items = transposed.contiguous()
        self.padded_items = torch.zeros(dimensions, self.num_blocks * self.BLOCK_LEN, device=device)
        self.padded_items[:, : self.num_items] = transposed
        self.buffers = {}
        self.use("plain")

    def use(self, variant):
        """Takes the variant of that name."""
        kind, self.chunk_len = harness.parse_variant(variant, ("plain", "block"))
        self.search = self.search_plain if kind == "plain" else self.search_blocks
        self.variant = variant

    def use_fastest(self, queries, synchronize):
        """Times all variants, takes the fastest and returns the milliseconds of each."""
        milliseconds = {}
        for variant in self.VARIANTS:
            self.use(variant)
            milliseconds[variant] = min(harness.time_calls(lambda: self(queries), synchronize, 3)[1])
        self.use(min(milliseconds, key=milliseconds.get))
        self.buffers.clear()
        return {variant: round(time, 2) for variant, time in milliseconds.items()}

    def __call__(self, queries):
        """Returns indices [_, TOP_K], best first."""
        if self.chunk_len is None:
            return self.search(queries)
        return torch.cat([self.search(chunk) for chunk in queries.split(self.chunk_len)])

    def search_plain(self, queries):
        return torch.topk(self.scores(queries, self.items), TOP_K).indices

    def search_blocks(self, queries):
        scores = self.scores(queries, self.padded_items)
        scores[:, self.num_items :] = -torch.inf
        scores = scores.view(len(queries), self.num_blocks, self.BLOCK_LEN)
        blocks = torch.topk(scores.amax(2), TOP_K, sorted=False).indices
        candidates = scores.gather(1, blocks.unsqueeze(2).expand(-1, -1, self.BLOCK_LEN)).flatten(1)
        best = torch.topk(candidates, TOP_K).indices
        return self.BLOCK_LEN * blocks.gather(1, best // self.BLOCK_LEN) + best % self.BLOCK_LEN

    def scores(self, queries, items):
        """Returns the inner products, in a buffer that the next call with the same shape overwrites."""
        shape = len(queries), items.shape[1]
        if shape not in self.buffers:
            self.buffers[shape] = torch.empty(shape, device=items.device)
        return torch.mm(queries, items, out=self.buffers[shape])


class ReplayBuffer:
    """A ring of transitions: state, action, next state, reward and done, a tensor each."""

    def __init__(self, device):
        widths = (workload.STATE_DIM, workload.DIMENSIONS, workload.STATE_DIM, 1, 1)
        self.columns = [torch.zeros(TD3.buffer_size, width, device=device) for width in widths]
        self.offset, self.len = 0, 0
        self.device_len = torch.zeros((), device=device)  # what a CUDA graph reads

    def push(self, *columns):
        num_rows = len(columns[0])
        until_end = min(num_rows, TD3.buffer_size - self.offset)
        for buffer, rows in zip(self.columns, columns):
            buffer[self.offset : self.offset + until_end] = rows[:until_end]
            buffer[: num_rows - until_end] = rows[until_end:]
        self.offset = (self.offset + num_rows) % TD3.buffer_size
        self.len = min(self.len + num_rows, TD3.buffer_size)

    def sample(self):
        """Returns states, actions, next states and rewards of uniformly drawn rows among the first `device_len`."""
        device = self.device_len.device
        rows = (torch.rand(TD3.batch_size, device=device) * self.device_len).long()
        return [column[rows] for column in self.columns[:4]]


class Agent:
    """TD3 with twin critics. The target networks and Q1 in the actor's loss are in evaluation mode, the targets follow
    BatchNorm's statistics too, and gradients are taken only of the parameters that are stepped."""

    def __init__(self, device, compiled):
        weights = workload.make_weights()
        self.actor = make_network(weights["actor"], nn.Tanh()).to(device)
        self.q1, self.q2 = (make_network(weights[name]).to(device) for name in ("q1", "q2"))
        self.networks = [self.actor, self.q1, self.q2]
        self.targets = [copy.deepcopy(network).eval().requires_grad_(False) for network in self.networks]
        self.online_tensors, self.target_tensors = float_tensors(self.networks), float_tensors(self.targets)
        self.actor_parameters = list(self.actor.parameters())
        self.critic_parameters = [*self.q1.parameters(), *self.q2.parameters()]
        self.actor_optimizer = make_adam(self.actor_parameters, device)
        self.critic_optimizer = make_adam(self.critic_parameters, device)
        self.policy_noise = TD3.policy_noise
        self.critic_loss = torch.compile(self.compute_critic_loss) if compiled else self.compute_critic_loss
        self.actor_loss = torch.compile(self.compute_actor_loss) if compiled else self.compute_actor_loss

    def explore(self, states):
        actions = self.actor(states)
        return (actions + TD3.exploration_noise * torch.randn_like(actions)).clamp_(-1, 1)

    def compute_critic_loss(self, states, actions, next_states, rewards):
        with torch.no_grad():
            actor, q1, q2 = self.targets
            noise = (self.policy_noise * torch.randn_like(actions)).clamp(-TD3.noise_clip, TD3.noise_clip)
            next_inputs = torch.cat([next_states, (actor(next_states) + noise).clamp(-1, 1)], 1)
            returns = rewards + TD3.discount * torch.minimum(q1(next_inputs), q2(next_inputs))
        inputs = torch.cat([states, actions], 1)
        return F.mse_loss(self.q1(inputs), returns) + F.mse_loss(self.q2(inputs), returns)

    def compute_actor_loss(self, states):
        return -self.q1(torch.cat([states, self.actor(states)], 1)).mean()

    def update(self, minibatch, with_policy):
        """One update of the critics, and of the actor and the targets if `with_policy`. Returns the critics' loss."""
        for network in self.networks:
            network.train()
        loss = self.critic_loss(*minibatch)
        take_step(loss, self.critic_parameters, self.critic_optimizer)
        if with_policy:
            self.q1.eval()
            take_step(self.actor_loss(minibatch[0]), self.actor_parameters, self.actor_optimizer)
            with torch.no_grad():
                torch._foreach_lerp_(self.target_tensors, self.online_tensors, TD3.tau)
        return loss.detach()

    def disable_noise(self):
        """Switches policy noise and dropout off."""
        self.policy_noise = 0.0
        for network in self.networks:
            for module in network:
                if isinstance(module, nn.Dropout):
                    module.p = 0.0


def make_network(layers, *output_activation):
    modules = []
    for weight, bias in layers:
        linear = nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T.copy()))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, nn.BatchNorm1d(len(bias)), nn.ReLU(), nn.Dropout(TD3.dropout)]
    return nn.Sequential(*modules[:-3], *output_activation)


def float_tensors(networks):
    """Returns parameters and BatchNorm's running statistics."""
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def make_adam(parameters, device):
    return torch.optim.Adam(parameters, TD3.learning_rate, fused=True, capturable=device.type == "cuda")


def take_step(loss, parameters, optimizer):
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(parameters, TD3.max_grad_norm)
    optimizer.step()


class TorchPeer:
    """What harness.py times and checks."""

    def __init__(self, world, arguments):
        self.device = torch.device(arguments.device)
        num_users, size = len(world.users), arguments.batch
        self.batches = [slice(start, min(start + size, num_users)) for start in range(0, num_users, size)]
        self.users, self.initial_beliefs = self.tensor(world.users), self.tensor(world.beliefs)
        self.beliefs = self.initial_beliefs.clone()
        self.clusters = self.tensor(world.clusters).long()
        self.attraction = (1 - self.tensor(world.distances) / workload.MAX_DISTANCE).clamp(min=0)
        self.target = self.tensor(workload.TARGET)

        self.search, self.search_times = ItemSearch(world.items, self.device), {}
        with torch.inference_mode():
            if arguments.topk == "auto":
                self.search_times = self.search.use_fastest(self.users[:size], self.synchronize)
            else:
                self.search.use(arguments.topk)
            self.pretrained_items = torch.cat([self.search(self.users[batch]) for batch in self.batches])
        self.pretrained = self.pretrained_items.cpu().numpy()

        self.agent, self.replay = Agent(self.device, arguments.compile), ReplayBuffer(self.device)
        self.serve = torch.compile(self.compute_response) if arguments.compile else self.compute_response
        self.with_cuda_graph, self.run_session = arguments.cudagraph, self.run_updates

    def tensor(self, array):
        return torch.from_numpy(array).to(self.device)

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    # Rounds.

    @property
    def num_transitions(self):
        return self.replay.len

    def reset(self):
        self.beliefs = self.initial_beliefs.clone()

    @torch.inference_mode()
    def collect(self):
        self.agent.actor.eval()
        num_accepted = 0
        for batch in self.batches:
            states = self.observe(batch)
            actions = self.agent.explore(states)
            num_accepted = num_accepted + self.step(batch, states, actions, self.search(actions))
        return num_accepted / (workload.SLATE_LEN * len(self.users))

    def observe(self, batch):
        return torch.cat([self.beliefs[batch], self.users[batch]], 1)

    def step(self, batch, states, actions, found):
        """Serves the slates, stores beliefs and transitions, and returns the number of accepted items."""
        beliefs, users = states[:, :NUM_CLUSTERS], states[:, NUM_CLUSTERS:]
        slates = torch.cat([found, self.pretrained_items[batch]], 1)
        uniforms = torch.rand(slates.shape, device=self.device)
        accepted, next_beliefs, rewards = self.serve(beliefs, slates, uniforms)
        self.beliefs[batch] = next_beliefs
        self.replay.push(states, actions, torch.cat([next_beliefs, users], 1), rewards, torch.zeros_like(rewards))
        return accepted.sum()

    def compute_response(self, beliefs, slates, uniforms):
        """As workload.respond, with rewards [_, 1]."""
        clusters = self.clusters[slates]
        belief_response = torch.sigmoid(workload.SIGMOID_SCALE * beliefs.gather(1, clusters))
        # Draws are in [0, 1): the probability need not be clamped.
        accepted = uniforms < self.attraction[slates] * belief_response + workload.BASELINE_RATE
        counts = torch.zeros_like(beliefs).scatter_add(1, clusters, accepted.float())
        raised = (beliefs + workload.BELIEF_INCREMENT * counts).clamp(min=0)
        next_beliefs = torch.minimum(raised / raised.sum(1, keepdim=True).clamp(min=1), self.target)
        improvements = (self.target - beliefs).abs() - (self.target - next_beliefs).abs()
        rewards = workload.REWARD_SCALE * improvements.clamp(min=0).sum(1, keepdim=True)
        return accepted, next_beliefs, rewards.clamp(max=workload.MAX_REWARD)

    @torch.inference_mode()
    def stages(self):
        self.agent.actor.eval()
        states = [self.observe(batch) for batch in self.batches]
        actions = [self.agent.explore(rows) for rows in states]
        found = [self.search(rows) for rows in actions]
        steps = list(zip(self.batches, states, actions, found))
        return {
            "actor": torch.inference_mode()(lambda: [self.agent.explore(rows) for rows in states]),
            "topk": torch.inference_mode()(lambda: [self.search(rows) for rows in actions]),
            "step": torch.inference_mode()(lambda: [self.step(*step) for step in steps]),
        }

    # Training.

    def train(self):
        self.replay.device_len.fill_(self.replay.len)
        self.run_session()

    def run_updates(self):
        for number in range(1, TD3.gradient_steps + 1):
            self.agent.update(self.replay.sample(), number % TD3.policy_freq == 0)

    def prepare_training(self):
        """Records a training session as one CUDA graph, if asked for."""
        if not self.with_cuda_graph:
            return
        self.replay.device_len.fill_(self.replay.len)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # graphs are recorded after a few calls on a stream of their own
            self.run_updates()
            self.run_updates()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.run_updates()
        self.run_session = graph.replay

    # The check.

    @torch.inference_mode()
    def actor(self, states):
        self.agent.actor.eval()
        return self.agent.actor(self.tensor(states)).cpu().numpy()

    @torch.inference_mode()
    def top_k(self, queries):
        return self.search(self.tensor(queries)).cpu().numpy()

    @torch.inference_mode()
    def respond(self, beliefs, slates, uniforms):
        response = self.compute_response(*map(self.tensor, (beliefs, slates, uniforms)))
        accepted, next_beliefs, rewards = (tensor.cpu().numpy() for tensor in response)
        return accepted, next_beliefs, rewards[:, 0]

    def critic_losses(self, minibatch, num_updates):
        self.agent.disable_noise()
        minibatch = [self.tensor(array) for array in minibatch]
        numbers = range(1, num_updates + 1)
        return [float(self.agent.update(minibatch, number % TD3.policy_freq == 0)) for number in numbers]


def main():
    parser = harness.options(__doc__)
    parser.add_argument("--compile", action="store_true", help="torch.compile the losses and a user's step")
    parser.add_argument("--cudagraph", action="store_true", help="replay a training session as one CUDA graph")
    precisions = "float32 products: high is TF32 on CUDA, medium bfloat16 on the CPU, and neither is exact"
    parser.add_argument("--precision", default="highest", choices=["highest", "high", "medium"], help=precisions)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision(arguments.precision)
    torch.manual_seed(0)
    world = workload.make_world(arguments.users)
    peer = TorchPeer(world, arguments)
    harness.json_line(
        phase="setup",
        peer="torch",
        version=torch.__version__,
        device=arguments.device,
        threads=arguments.threads,
        users=arguments.users,
        topk=peer.search.variant,
        topk_ms_per_batch=peer.search_times,
        precision=arguments.precision,
        compile=arguments.compile,
        cudagraph=arguments.cudagraph,
    )
    harness.run(arguments, world, peer, "torch")


if __name__ == "__main__":
    main()
