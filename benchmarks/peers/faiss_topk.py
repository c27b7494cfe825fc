#!/usr/bin/env python3
"""Exact search for each query's ten best items alone: faiss IndexFlatIP, NumPy, and the PyTorch peer's two ways."""

import argparse
import os
import subprocess
import sys

import numpy as np

import harness
import workload

BATCH_SIZE = 4000  # queries that PyTorch is given at a time, as in a round


def make_faiss(items, threads):
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(workload.DIMENSIONS)
    index.add(items)
    return lambda queries: index.search(queries, workload.TOP_K)[1]


def make_numpy(items, threads):
    transposed = items.T.copy()
    return lambda queries: workload.top_k_by_partition(queries, transposed)


def make_torch(items, threads, variant="plain-100"):
    import torch

    from torch_peer import ItemSearch

    torch.set_num_threads(threads)
    search = ItemSearch(items, torch.device("cpu"))
    search.use(variant)

    @torch.inference_mode()
    def run(queries):
        return torch.cat([search(batch) for batch in torch.from_numpy(queries).split(BATCH_SIZE)]).numpy()

    return run


def make_torch_block(items, threads):
    return make_torch(items, threads, "block-250")


METHODS = {"faiss": make_faiss, "numpy": make_numpy, "torch": make_torch, "torch_block": make_torch_block}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--queries", type=int, nargs="+", default=[4000, 50_000], help="numbers of queries")
    parser.add_argument("--threads", type=int, default=harness.num_cpus(), help="CPU threads")
    parser.add_argument("--reps", type=int, default=5, help="timed calls, after a first one that is reported apart")
    parser.add_argument("--only", choices=METHODS, help="one method; otherwise each in a process of its own")
    arguments = parser.parse_args()
    if arguments.only:
        time_method(arguments)
        return 0
    return max(run_alone(name, arguments.threads) for name in METHODS)


def run_alone(name, threads):
    """Times one method in a process of its own, without the threads and memory of the others. Returns its exit code."""
    limits = {variable: str(threads) for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, *sys.argv, "--only", name]
    return abs(subprocess.run(command, env=os.environ | limits).returncode)


def time_method(arguments):
    """Checks a method against NumPy's search and reports its time for each number of queries."""
    world = workload.make_world(max(arguments.queries))
    queries = make_queries(world)
    search = METHODS[arguments.only](world.items, arguments.threads)
    recall = workload.recall(search(queries[:500]), workload.top_k(queries[:500], world.items))
    if recall <= 0.999:
        sys.exit(f"{arguments.only} is not exact: recall {recall}")
    for num_queries in arguments.queries:
        batch, gflop = queries[:num_queries], workload.search_gflop(num_queries)
        first, milliseconds = harness.time_calls(lambda: search(batch), lambda: None, arguments.reps)
        rate = {"queries": num_queries, "queries_per_s": round(1e3 * num_queries / float(np.median(milliseconds)))}
        more = {"recall": round(recall, 5), "threads": arguments.threads}
        harness.report("topk_" + arguments.only, first, milliseconds, gflop, **rate, **more)


def make_queries(world):
    """Returns the actor's first actions with exploration noise, one for each user."""
    layers, rng = workload.make_weights()["actor"], np.random.default_rng(4)
    actions = workload.actor(layers, np.concatenate([world.beliefs, world.users], 1))
    actions += workload.TD3.exploration_noise * rng.normal(size=actions.shape).astype(np.float32)
    return np.clip(actions, -1, 1)


if __name__ == "__main__":
    sys.exit(main())
