#!/usr/bin/env python3
"""Turns the peers' workload into a recsim world, so that all are timed on the same data.

    python3 scripts/peers_world.py PEERS DIR [--users N] [--seed N] [--list N]

PEERS is the folder that holds the peers' `workload.py`. Needs numpy. The peers' fixed part of a slate is the ten items
with the largest inner product with the user's embedding; a pre-trained list is that, longer.
"""
import argparse
import hashlib
import json
import os
import struct
import sys

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers")
    parser.add_argument("dir")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", type=int, default=40)
    a = parser.parse_args()
    if os.path.exists(a.dir):
        sys.exit(f"{a.dir} is there already: name a new folder")
    sys.path.insert(0, a.peers)
    import workload

    data = workload.make_data(a.users, a.seed)
    tensors = {
        "item.cluster": data["cluster"].astype("<u4"),
        "item.distance": data["dist"],
        "item.embedding": data["item"],
        "target": workload.OPTIMAL,
        "user.belief": data["belief"],
        "user.embedding": data["emb"],
        "user.pretrained": best(data["emb"], data["item"], a.list),
    }
    items, dimensions = data["item"].shape
    about = {
        "format": "recsim-world",
        "version": 1,
        "checksums": {"world.json": "0" * 64, "world.safetensors": ""},
        "provenance": {"kind": "peers", "made_by": "scripts/peers_world.py", "seed": a.seed},
        "shape": {"users": a.users, "items": items, "clusters": workload.K, "dimensions": dimensions, "list": a.list},
        "names": {"clusters": [f"cluster {c}" for c in range(workload.K)]},
        "item_ids": [f"I{n + 1}" for n in range(items)],
        "user_ids": [f"U{n + 1}" for n in range(a.users)],
    }
    new = f"{a.dir}.new"
    os.makedirs(new)
    save(f"{new}/world.safetensors", tensors)
    with open(f"{new}/world.safetensors", "rb") as file:
        about["checksums"]["world.safetensors"] = hashlib.sha256(file.read()).hexdigest()
    # The file's own checksum is taken with zeros in its place.
    text = json.dumps(about, indent=2) + "\n"
    text = text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1)
    with open(f"{new}/world.json", "w") as file:
        file.write(text)
    os.rename(new, a.dir)
    print(f"{a.dir}: {a.users} users, {items} items")


def best(users, items, count):
    """The rows of `items` with the largest inner products, best first, ties to the lower index."""
    lists = np.empty((len(users), count), "<u4")
    for first in range(0, len(users), 500):
        scores = users[first:first + 500] @ items.T
        kept = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(-np.take_along_axis(scores, kept, 1), axis=1, kind="stable")
        lists[first:first + 500] = np.take_along_axis(kept, order, 1)
    return lists


def save(path, tensors):
    """A safetensors file: the header's length, the header, and the tensors one after the other."""
    header, end = {}, 0
    for name, array in tensors.items():
        kind = {"<u4": "U32", "<f4": "F32"}[array.dtype.str]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).data)


main()
