"""One variant of a PyTorch step, timed: ``python torch_steps.py VARIANT NETWORK BATCH``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import torch
from measure import report
from sizes import CLASSES, CLIP_NORM, INPUTS, LEARNING_RATE, MOMENTUM, NOISE_MULTIPLIER, VOCABULARY
from torch import nn
from torch_networks import network

Step = Callable[[], object]


def plain(net, loss_fn, optimizer, x, y) -> Step:
    """The ordinary step."""

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_fn(net(x), y).backward()
        optimizer.step()

    return step


def opacus_hooks(net, loss_fn, optimizer, x, y) -> Step:
    """Opacus' gradients of every example from hooks."""
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    return plain(
        GradSampleModule(net),
        loss_fn,
        DPOptimizer(optimizer, noise_multiplier=NOISE_MULTIPLIER, max_grad_norm=CLIP_NORM, expected_batch_size=len(x)),
        x,
        y,
    )


def opacus_ghost(net, loss_fn, optimizer, x, y) -> Step:
    """Opacus' ghost clipping: norms alone in a first backward pass."""
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
    from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    module = GradSampleModuleFastGradientClipping(net, max_grad_norm=CLIP_NORM, use_ghost_clipping=True)
    private = DPOptimizerFastGradientClipping(
        optimizer, noise_multiplier=NOISE_MULTIPLIER, max_grad_norm=CLIP_NORM, expected_batch_size=len(x)
    )
    return plain(module, DPLossFastGradientClipping(module, private, loss_fn), private, x, y)


def functorch(net, loss_fn, optimizer, x, y) -> Step:
    """``vmap(grad)`` written by hand."""
    from torch.func import functional_call, grad, vmap

    weights = dict(net.named_parameters())

    def of_one(values, image, label):
        return loss_fn(functional_call(net, values, (image[None],)), label[None])

    every = vmap(grad(of_one), in_dims=(None, 0, 0), randomness="different")

    def step():
        values = {k: v.detach() for k, v in weights.items()}
        samples = every(values, x, y)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in samples.values()]).norm(dim=0)
        factors = (CLIP_NORM / (norms + 1e-6)).clamp(max=1)
        for k, w in weights.items():
            summed = torch.einsum("b,b...->...", factors, samples[k])
            w.grad = (summed + NOISE_MULTIPLIER * CLIP_NORM * torch.randn_like(summed)) / len(x)
        optimizer.step()

    return step


def fastdp(net, loss_fn, optimizer, x, y) -> Step:
    """fastDP's book-keeping, from a checkout on ``PYTHONPATH``."""
    from fastDP import PrivacyEngine

    engine = PrivacyEngine(
        net, batch_size=len(x), sample_size=60_000, epochs=1, max_grad_norm=CLIP_NORM,
        noise_multiplier=NOISE_MULTIPLIER, clipping_mode="MixOpt", clipping_fn="Abadi",
        loss_reduction="mean",
    )  # fmt: skip
    engine.attach(optimizer)
    return plain(net, loss_fn, optimizer, x, y)


VARIANTS = {
    "plain": plain,
    "Opacus hooks": opacus_hooks,
    "Opacus ghost": opacus_ghost,
    "functorch": functorch,
    "fastDP": fastdp,
}


def main() -> None:
    """Prints what `measure.report` says."""
    variant, name, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(1)
    shape = (batch, *INPUTS[name].shape)
    x = torch.randint(VOCABULARY, shape) if INPUTS[name].tokens else torch.rand(shape)
    y = torch.randint(CLASSES, (batch,))
    net = network(name).train()
    optimizer = torch.optim.SGD(net.parameters(), LEARNING_RATE, MOMENTUM)
    report(VARIANTS[variant](net, nn.CrossEntropyLoss(), optimizer, x, y))


main()
