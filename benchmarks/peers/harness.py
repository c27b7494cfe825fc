"""What the peers share beside the workload: options, timed phases, JSON lines, and the check against the reference.

A peer is an object with

    pretrained                 [U, TOP_K] indices: each user's items with the largest inner products
    num_transitions            how many transitions the replay buffer holds
    synchronize()              waits until the device has done all that was asked
    reset()                    sets the beliefs to those at the start of an episode
    collect()                  one round of all users with exploration; returns the acceptance rate
    prepare_training()         called once, with a filled replay buffer, before the first timed `train`
    train()                    one training session: TD3.gradient_steps updates
    stages()                   the parts of a round, each a function without arguments over all users, by phase name
    actor(states), top_k(queries), respond(beliefs, slates, uniforms)
                               as in workload.py, from and to NumPy arrays
    critic_losses(minibatch, num_updates)
                               the losses of updates on one minibatch, without policy noise and dropout
"""

import argparse
import json
import os
import statistics
import sys
import time

import numpy as np

import workload
from workload import TD3

PHASES = ("split", "round", "td3", "experiment")


def options(description):
    """Returns a parser with the options that all peers have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--device", default="cpu", choices=["cpu", "cuda"], help="where everything runs")
    add("--threads", type=int, default=num_cpus(), help="CPU threads")
    add("--users", type=int, default=50_000, help="users in the world, all served in each round")
    add("--batch", type=int, default=4000, help="users served at a time")
    add("--reps", type=int, default=5, help="timed calls of each phase, after a first one that is reported apart")
    add("--topk", default="auto", help="search variant; auto times all of them and takes the fastest")
    add("--phases", default=",".join(PHASES), type=phase_list, help="what to time; split is actor, topk and step")
    add("--episodes", type=int, default=10, help="episodes of the experiment")
    add("--rounds", type=int, default=20, help="rounds in an episode")
    add("--run-rounds", type=int, default=20, help="experiment rounds run, the rest extrapolated; 0 runs all")
    add("--selfcheck", action="store_true", help="compare with the NumPy reference instead of timing phases")
    add("--expect", metavar="FILE", help="with --selfcheck: compare with another peer's saved --selfcheck line as well")
    return parser


def num_cpus():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def phase_list(text):
    phases = text.split(",")
    if unknown := [phase for phase in phases if phase not in PHASES]:
        raise argparse.ArgumentTypeError(f"unknown phase {', '.join(unknown)}: choose from {', '.join(PHASES)}")
    return phases


def parse_variant(text, kinds):
    """Returns the kind and the chunk length, or None, of a search variant: `block` or `block-250`."""
    kind, _, chunk_len = text.partition("-")
    if kind not in kinds or not (chunk_len.isdecimal() and int(chunk_len) > 0 or text == kind):
        kinds = ", ".join(kinds)
        sys.exit(f"unknown --topk {text}: give auto, or one of {kinds}, alone or with a chunk length as in block-250")
    return kind, int(chunk_len) if chunk_len else None


def run(arguments, world, peer, name):
    """Does what the options ask for."""
    if arguments.selfcheck:
        result = compare_with_reference(world, peer)
        if arguments.expect:
            compare_with_saved(result, arguments.expect)
        json_line(phase="selfcheck", ok=True, peer=name, device=arguments.device, **result)
    else:
        time_phases(arguments, peer)


# Timing.


def time_calls(call, synchronize, reps):
    """Returns the milliseconds of a first call, which may compile, and the list of those of `reps` more."""
    milliseconds = []
    for _ in range(1 + reps):
        synchronize()
        start = time.perf_counter()
        call()
        synchronize()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return milliseconds[0], milliseconds[1:]


def report(phase, first, milliseconds, gflop=None, **more):
    """Prints the JSON line of a timed phase. `gflop` is the work of one call."""
    median = statistics.median(milliseconds)
    line = {"phase": phase, "median_ms": round(median, 3), "min_ms": round(min(milliseconds), 3)}
    line |= {"n": len(milliseconds), "first_ms": round(first, 3)}
    if gflop is not None:
        line["gflops"] = round(1e3 * gflop / median, 1)
    json_line(**line, **more)


def json_line(**values):
    print(json.dumps(values), flush=True)


def time_phases(arguments, peer):
    phases, users = arguments.phases, arguments.users
    actor_gflop, search_gflop = workload.actor_gflop(users), workload.search_gflop(users)
    if "split" in phases:
        for name, call in peer.stages().items():
            gflop = {"actor": actor_gflop, "topk": search_gflop}.get(name)
            report(name, *time_calls(call, peer.synchronize, arguments.reps), gflop, users=users)
    if "round" in phases:
        peer.reset()
        timing = time_calls(peer.collect, peer.synchronize, arguments.reps)
        report("round", *timing, actor_gflop + search_gflop, users=users)
    if "td3" in phases or "experiment" in phases:
        while peer.num_transitions < TD3.warmup_transitions:
            peer.collect()
        peer.prepare_training()
    if "td3" in phases:
        first, sessions = time_calls(peer.train, peer.synchronize, max(arguments.reps, 5))
        updates = [milliseconds / TD3.gradient_steps for milliseconds in sessions]
        transitions = int(peer.num_transitions)
        report("td3_update", first, updates, workload.update_gflop(), batch=TD3.batch_size, replay=transitions)
    if "experiment" in phases:
        time_experiment(arguments, peer)


def time_experiment(arguments, peer):
    """Times the experiment's first rounds with their training sessions, and extrapolates the rest from the means."""
    rounds_total = arguments.episodes * arguments.rounds
    rounds_run = min(arguments.run_rounds or rounds_total, rounds_total)
    peer.collect()  # compiles
    peer.train()
    peer.synchronize()
    rounds, sessions, rates = [], [], []
    start = time.perf_counter()
    for round_number in range(1, rounds_run + 1):
        if round_number % arguments.rounds == 1 or arguments.rounds == 1:
            peer.reset()
        began = time.perf_counter()
        rates.append(peer.collect())
        peer.synchronize()
        rounds.append(time.perf_counter() - began)
        if trains_after(round_number, arguments.users):
            began = time.perf_counter()
            peer.train()
            peer.synchronize()
            sessions.append(time.perf_counter() - began)
    wall = time.perf_counter() - start
    sessions_left = sum(trains_after(number, arguments.users) for number in range(rounds_run + 1, rounds_total + 1))
    extrapolated = None  # not known if there are sessions left of which none was run
    if sessions or not sessions_left:
        left = (rounds_total - rounds_run) * statistics.mean(rounds)
        extrapolated = round(wall + left + sessions_left * statistics.mean(sessions or [0]), 1)
    json_line(
        phase="experiment",
        rounds_run=rounds_run,
        wall_s=round(wall, 2),
        sessions=len(sessions),
        rounds_total=rounds_total,
        extrapolated_s=extrapolated,
        round_ms=round(1e3 * statistics.median(rounds), 1),
        session_ms=round(1e3 * statistics.median(sessions), 1) if sessions else None,
        user_steps_per_s=round(rounds_run * arguments.users / wall),
        accept_first=round(float(rates[0]), 4),
        accept_last=round(float(rates[-1]), 4),
    )


def trains_after(round_number, num_users):
    is_due = round_number % TD3.train_frequency == 0
    return is_due and round_number * num_users >= TD3.warmup_transitions


# The check.


def compare_with_reference(world, peer, num_users=2000, num_rounds=3):
    """Returns what to report. Exits if the peer's results are not those of workload.py.

    The actor, the search and a user's step are compared on the same inputs; the acceptance rates of whole rounds,
    whose draws are the peer's own, within five standard errors.
    """
    rng = np.random.default_rng(3)
    layers, users = workload.make_weights()["actor"], world.users[:num_users]
    beliefs, pretrained = world.beliefs[:num_users], peer.pretrained[:num_users]
    num_users = len(users)

    states = np.concatenate([beliefs, users], 1)
    require(np.abs(peer.actor(states) - workload.actor(layers, states)).max() < 1e-4, "the actor differs")
    queries = rng.normal(size=(256, workload.DIMENSIONS)).astype(np.float32)
    recall = workload.recall(peer.top_k(queries), workload.top_k(queries, world.items))
    require(recall > 0.9995, f"the search is not exact: recall {recall}")  # a tie in the last bit may be swapped

    expected_rates, tolerances = [], []
    for _ in range(num_rounds):
        actions = workload.actor(layers, np.concatenate([beliefs, users], 1))
        actions += TD3.exploration_noise * rng.normal(size=actions.shape).astype(np.float32)
        found = workload.top_k(np.clip(actions, -1, 1), world.items)
        slates = np.concatenate([found, pretrained], 1)
        uniforms = rng.random(slates.shape).astype(np.float32)
        expected = workload.respond(world, beliefs, slates, uniforms)
        compare_responses(peer.respond(beliefs, slates, uniforms), expected)
        accepted, beliefs, _ = expected
        expected_rates.append(float(accepted.mean()))
        tolerances.append(5 * float(accepted.mean(1).std()) * (1 / num_users + 1 / len(world.users)) ** 0.5)

    peer.reset()
    rates = [float(peer.collect()) for _ in range(num_rounds)]
    for rate, expected_rate, tolerance in zip(rates, expected_rates, tolerances):
        message = f"acceptance rate {rate:.5f}, expected {expected_rate:.5f} +- {tolerance:.5f}"
        require(abs(rate - expected_rate) < tolerance, message)
    losses = peer.critic_losses(workload.make_minibatch(), 8)
    return {
        "topk_recall": recall,
        "accept_rates": [round(rate, 5) for rate in rates],
        "reference_rates": [round(rate, 5) for rate in expected_rates],
        "critic_losses": [round(float(loss), 6) for loss in losses],
    }


def compare_responses(found, expected):
    """Compares the users whose acceptances agree: a draw within rounding of its probability may go either way."""
    (accepted, beliefs, rewards), (expected_accepted, expected_beliefs, expected_rewards) = found, expected
    agree = (accepted == expected_accepted).all(1)
    require(agree.mean() > 0.995, "acceptances differ")
    require(np.abs(beliefs - expected_beliefs)[agree].max() < 1e-5, "next beliefs differ")
    require(np.abs(rewards - expected_rewards)[agree].max() < 1e-2, "rewards differ")


def compare_with_saved(result, path):
    """Compares acceptance rates and critic losses with those of another peer's --selfcheck line in the file `path`."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.startswith("{")]
    saved = next((line for line in lines if line.get("phase") == "selfcheck"), None)
    require(saved is not None, f"{path} has no selfcheck line")
    for ours, theirs in zip(result["accept_rates"], saved["accept_rates"]):
        require(abs(ours - theirs) < 0.003, f"acceptance rate {ours}, {path} has {theirs}")
    for ours, theirs in zip(result["critic_losses"], saved["critic_losses"]):
        require(abs(ours - theirs) < 2e-3 * abs(theirs), f"critic loss {ours}, {path} has {theirs}")


def require(condition, message):
    if not condition:
        sys.exit(f"selfcheck failed: {message}")
