"""Opens a world, a trace and a belief file: python3 examples/open_run.py WORLD TRACE RUN (needs numpy and safetensors)."""
import json, sys
from safetensors.numpy import load_file

world_folder, trace_file, run_folder = sys.argv[1:]
world = load_file(f"{world_folder}/world.safetensors")
trace = load_file(trace_file)
users = json.load(open(f"{run_folder}/results/current_user_beliefs.json"))["user_beliefs"]
print("world:", {name: tensor.shape for name, tensor in world.items()})
print("trace:", {name: tensor.shape for name, tensor in trace.items()})
print("acceptance by round:", trace["accepted"].mean(axis=(1, 2)).round(3))
print("mean distance to the target:", sum(sum(user["cluster_distances"]) for user in users.values()) / len(users))
