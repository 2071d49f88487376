"""Makes the files of this folder with the safetensors package (0.8.0) and torch (2.15), for tests/core/safetensors_test.cpp.

The tests read the files without Python; run this again only to change them:  python3 make.py
"""
import pathlib

import torch
from safetensors.torch import save_file

folder = pathlib.Path(__file__).parent

# Every dtype that is kept as it is, rank 0 to 3, an empty tensor, a name beyond ASCII.
save_file(
    {
        "fc.weight": torch.tensor([[1.0, -2.5, 3.25], [0.0, float("inf"), 1e-30]]),
        "fc.bias": torch.tensor([0.5, -0.5]),
        "scale": torch.tensor(0.125),
        "empty": torch.zeros(0, 4),
        "steps": torch.tensor([0, -1, 2**62]),
        "exact": torch.tensor([1 / 3, -1e300], dtype=torch.float64),
        "half": torch.tensor([[[1.0], [2.5]], [[-0.0], [3e38]]], dtype=torch.bfloat16),
        "größe": torch.tensor([7.0]),
    },
    folder / "mixed.safetensors",
    metadata={"format": "pt"},
)

# F16: normal, subnormal, largest, zero of both signs, infinite.
save_file(
    {"f16": torch.tensor([1.0, -1.5, 2.0**-24, 6.1e-5, 65504.0, 0.0, -0.0, float("inf")], dtype=torch.float16)},
    folder / "f16.safetensors",
)

# A type that gradus does not have.
save_file({"ids": torch.tensor([1, 2], dtype=torch.int32)}, folder / "i32.safetensors")

# A small model with one step of training data: for tests/nn/parity_test.cpp.
torch.manual_seed(1)
model = torch.nn.Sequential(
    torch.nn.Linear(5, 8), torch.nn.GELU(), torch.nn.Linear(8, 6, bias=False), torch.nn.Tanh(), torch.nn.Linear(6, 3)
)
x = torch.randn(4, 5)
labels = torch.tensor([2, 0, 1, 1])
save_file(model.state_dict(), folder / "mlp.safetensors")
logits = model(x)
loss = torch.nn.functional.cross_entropy(logits, labels)
loss.backward()
run = {"x": x, "labels": labels, "logits": logits.detach(), "loss": loss.detach()}
run.update({"grad." + name: p.grad for name, p in model.named_parameters()})
save_file(run, folder / "mlp_run.safetensors")
