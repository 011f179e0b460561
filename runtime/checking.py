"""Says why a network cannot be trained privately, all reasons at once, and offers a copy without BatchNorm."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Declared, infer, problems, where
from mindveil.passes.marker import read_marker
from mindveil.passes.pipeline import Compiled
from mindveil.passes.privacy import Many, Mixed, PrivacyError, Public, Summed
from mindveil.runtime.guard import Guard
from mindveil.runtime.losses import LossFn, example_losses
from mindveil.runtime.step_cell import Parts

__all__ = ["check", "with_group_norm"]

GROUPS = 8


def check(
    network: nn.Cell, loss_fn: LossFn, images: Any, labels: Any, *, public: Sequence[str] = ()
) -> tuple[str, ...]:
    """Every reason why the passes would refuse to train this network privately; empty if there is none.

    The training step is compiled for these examples, and not run.

    Args:
        images, labels: a few examples, as training would give them; what they hold does not matter.
        public: untrained Parameters that hold no private data, as in `DPSGD`.

    Raises:
        PluginError: the passes cannot be built on this machine.
    """
    training = network.training
    optimizer = nn.SGD(network.trainable_params(), 0.1)
    network.set_train(True)
    found: list[str] = []

    def collect(graph: StepGraph) -> Compiled:
        found.extend(_reasons(graph, frozenset(public)))
        raise PrivacyError("checked")

    parts = Parts(network, example_losses(loss_fn), optimizer, (), (), (), private=True)
    names = {"parameters": [p.name for p in optimizer.parameters], "controls": [], "masked": []}
    batch = (_tensor(images), _tensor(labels), Tensor(np.ones(len(images), np.float32)))
    try:
        Guard(parts, "update", names, collect).prepare(*batch)
    except PrivacyError as error:
        if str(error) != "checked":
            found.append(str(error))
    except (RuntimeError, ValueError, TypeError) as error:
        found.append(f"MindSpore itself cannot compile the step: {str(error).splitlines()[0]}")
    finally:
        network.set_train(training)
    return tuple(dict.fromkeys(found))


def _reasons(graph: StepGraph, public: frozenset[str]) -> list[str]:
    typed = infer(graph, Declared(public))
    found = []
    for name, gradient in read_marker(graph).gradients.items():
        kind = typed.types[gradient]
        if isinstance(kind, Mixed):
            found.append(f"{kind.why}{where(kind.node)}")
        elif not isinstance(kind, Summed | Public):
            found.append(f"the gradient of {name} is {kind}, not a sum over examples{where(gradient)}")
    # What the marker hands on is clipped and noised before an optimizer sees it; every other update is as it is.
    marker = read_marker(graph).node
    types = {**typed.types, marker.id: Many(tuple(Public() for _ in marker.type.elements or ()))}
    items = {user: Public() for user, _ in graph.users(marker.id)}
    found += problems(type(typed)(graph, types | items, typed.batch))
    if graph.subgraphs:
        found.append("a loop or a branch on a tensor makes a sub-graph, which cannot be followed")
    return found


def with_group_norm(network: nn.Cell, groups: int = GROUPS) -> nn.Cell:
    """A copy of a network in which GroupNorm stands for every BatchNorm; scales and shifts are taken over.

    BatchNorm normalises each example by its whole batch, so that no example's gradient is its own. GroupNorm looks at
    the channels of one example. The copy has to be trained: its outputs differ.

    Args:
        groups: most groups of channels; fewer where they do not divide the channels.

    Source: Wu and He 2018, "Group normalization".
    """
    same = copy.deepcopy(network)
    for parent_name, parent in [("", same), *same.cells_and_names()]:
        for name, cell in list(parent.name_cells().items()):
            if isinstance(cell, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                prefix = f"{parent_name}.{name}" if parent_name else name
                new = _group_norm(cell, prefix, groups)
                if isinstance(parent, nn.SequentialCell | nn.CellList):
                    parent[int(name)] = new  # a list of cells keeps them in an order of its own
                else:
                    setattr(parent, name, new)
    return same


def _group_norm(old: Any, prefix: str, groups: int) -> nn.Cell:
    channels = int(old.num_features)
    new = nn.GroupNorm(gcd(groups, channels), channels, eps=old.eps)
    for ours, theirs in ((new.gamma, old.gamma), (new.beta, old.beta)):
        ours.set_data(Tensor(theirs.asnumpy()))
    new.update_parameters_name(f"{prefix}.")
    return new


def _tensor(rows: Any) -> Tensor:
    return rows if isinstance(rows, Tensor) else Tensor(np.ascontiguousarray(rows))
