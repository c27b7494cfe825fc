#!/usr/bin/env python3
"""The rates that a machine reaches at best: matrix products in float32 and bfloat16, and copies, through PyTorch."""

import argparse

import torch

import harness
import workload

SQUARE_SIZES = (512, 1024, 2048, 4096)
PADDED_ITEMS = -(-workload.NUM_ITEMS // 64) * 64
# Rows, inner dimension and columns of the products that matter here: the search for items, and a hidden layer.
SHAPES = [(rows, workload.DIMENSIONS, PADDED_ITEMS) for rows in (250, 4000)]
SHAPES += [(rows, 512, 512) for rows in (512, 4000)]
COPIED_FLOATS = 1 << 28  # 1 GiB


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where everything runs")
    parser.add_argument("--threads", type=int, default=harness.num_cpus(), help="CPU threads")
    parser.add_argument("--reps", type=int, default=15, help="timed calls, after a first one that is reported apart")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    synchronize = torch.cuda.synchronize if arguments.device == "cuda" else lambda: None
    for dtype in (torch.float32, torch.bfloat16):
        for size in SQUARE_SIZES:
            calls = max(1, 2048 // size) ** 2
            time_product(arguments, synchronize, dtype, (size, size, size), calls, str(size))
    for rows, inner, columns in SHAPES:
        calls = max(1, round(2e9 / (rows * inner * columns)))
        time_product(arguments, synchronize, torch.float32, (rows, inner, columns), calls, f"{rows}x{inner}x{columns}")
    time_copy(arguments, synchronize)


def time_product(arguments, synchronize, dtype, shape, calls, name):
    """Reports one product of matrices as the mean of `calls`, so that small ones are timed well."""
    rows, inner, columns = shape
    left = torch.randn(rows, inner, device=arguments.device).to(dtype)
    right = torch.randn(inner, columns, device=arguments.device).to(dtype)
    out = torch.empty(rows, columns, device=arguments.device, dtype=dtype)

    def multiply():
        for _ in range(calls):
            torch.mm(left, right, out=out)

    first, milliseconds = harness.time_calls(multiply, synchronize, arguments.reps)
    each, gflop = [time / calls for time in milliseconds], 2e-9 * rows * inner * columns
    phase = f"gemm_{str(dtype).removeprefix('torch.')}_{name}"
    harness.report(phase, first / calls, each, gflop, peak_gflops=round(1e3 * gflop / min(each), 1))


def time_copy(arguments, synchronize):
    source = torch.ones(COPIED_FLOATS, device=arguments.device)
    target = torch.empty_like(source)
    first, milliseconds = harness.time_calls(lambda: target.copy_(source), synchronize, arguments.reps)
    gigabytes_per_second = round(2e-6 * source.nbytes / min(milliseconds), 1)
    harness.report("copy_1GiB", first, milliseconds, gb_per_s_read_plus_write=gigabytes_per_second)


if __name__ == "__main__":
    main()
