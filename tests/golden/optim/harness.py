"""What the C++ tests and the reference implementations share: shapes, start values, gradients, file format.

Values come from an integer hash, so both sides have the same bits without sharing a file. A trace is plain text:

    case NAME
    options key=value ...
    parameters vector tall ...
    loss quadratic                (only for methods that evaluate a closure; `terms`: one loss for each number it asks for)
    step N
    vector v0 v1 ...
"""
import os

import numpy as np
import torch

torch.set_default_dtype(torch.float64)

SHAPES = {"vector": (7,), "tall": (8, 3), "wide": (3, 8), "square": (5, 5), "conv": (4, 3, 2, 2)}
INDEX = {name: k for k, name in enumerate(SHAPES)}
STEPS = 12
RECORDED = (1, 3, 12)


def hashed(k, t, count):
    """Numbers in [-1, 1) for tensor k at time t."""
    mask = 0xFFFFFFFF
    i = np.arange(count, dtype=np.uint64)
    h = (i * np.uint64(2654435761) + np.uint64(k * 40503 + t * 97531 + 12345)) & np.uint64(mask)
    for multiplier, shift in ((2246822519, 15), (3266489917, 13), (668265263, 16)):
        h ^= h >> np.uint64(shift)
        h = (h * np.uint64(multiplier)) & np.uint64(mask)
    h ^= h >> np.uint64(16)
    return h.astype(np.float64) / 2.0**31 - 1.0


def start(name):
    shape = SHAPES[name]
    return hashed(INDEX[name], 0, int(np.prod(shape))).reshape(shape)


def gradient(name, t):
    """Of step t = 1, 2, ...; its size changes from step to step."""
    shape = SHAPES[name]
    return (1 + t % 3) * hashed(INDEX[name], t, int(np.prod(shape))).reshape(shape)


def quadratic(name, t):
    """Curvatures in [0.5, 1.5) and a center for the loss sum(curvature * (w - center)^2) / 2 of step t."""
    shape = SHAPES[name]
    count = int(np.prod(shape))
    return (1 + hashed(INDEX[name], 1000 + t, count) / 2).reshape(shape), hashed(INDEX[name], 2000 + t, count).reshape(shape)


class File:
    """One method's traces."""

    def __init__(self, method, source):
        self.method = method
        self.lines = [f"# {method}: {source}"]

    def case(self, name, options, trace, parameters=tuple(SHAPES), loss=None):
        text = " ".join(f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in options.items())
        self.lines += [f"case {name}", f"options {text}".rstrip(), "parameters " + " ".join(parameters)]
        if loss:
            self.lines.append(f"loss {loss}")
        for t, values in trace:
            if t not in RECORDED:
                continue
            self.lines.append(f"step {t}")
            for key in parameters:
                self.lines.append(key + " " + " ".join(f"{v:.10g}" for v in np.asarray(values[key]).ravel()))
        return self

    def write(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), self.method + ".txt")
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(self.lines) + "\n")
        print(f"{self.method}: {os.path.getsize(path)} bytes")


def torch_trace(make, parameters=tuple(SHAPES), steps=STEPS, record=None):
    """Runs a torch-style optimizer: make(list of parameters) -> optimizer. `record` maps it to what is published."""
    tensors = {name: torch.nn.Parameter(torch.tensor(start(name))) for name in parameters}
    optimizer = make(list(tensors.values()))
    for t in range(1, steps + 1):
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradient(name, t))
        optimizer.step()
        yield t, {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def numpy_trace(step, parameters=tuple(SHAPES), steps=STEPS):
    """Runs step(t, weights, gradients, memory), which changes the arrays in `weights`; memory starts as {}."""
    weights = {name: start(name) for name in parameters}
    memory = {}
    for t in range(1, steps + 1):
        step(t, weights, {name: gradient(name, t) for name in parameters}, memory)
        yield t, {name: w.copy() for name, w in weights.items()}


def each(rule):
    """Turns a rule(t, w, g, memory) for one array, returning the new array, into a step over all."""

    def step(t, weights, gradients, memory):
        for name in weights:
            weights[name] = rule(t, weights[name], gradients[name], memory.setdefault(name, {}))

    return step
