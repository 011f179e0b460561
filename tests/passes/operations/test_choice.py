"""Ghost norms and instantiated terms: which is chosen, that both agree, and what float32 must not hide."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindveil.accountant import PrivacyWarning
from mindveil.passes.operations import convolution, embedding, product
from mindveil.passes.operations.cost import LARGEST, ghost_pays, ghost_pays_for_rows
from mindveil.passes.terms import Terms
from mindveil.runtime.step import PrivateStep

from .brute_force import Array, Case, compare, example_gradients, private_step
from .dense_cases import rows
from .normalisation_cases import ids

#: A network whose contraction the model clips by ghost norms, and one whose terms it makes.
GHOST = {
    "dense": Case(lambda: nn.Dense(16, 12), rows(5, 3, 16)),
    "convolution": Case(lambda: nn.Conv2d(8, 16, 3, pad_mode="valid"), rows(5, 8, 4, 4)),
    "embedding": Case(lambda: nn.Embedding(9, 6), ids(5, 4, below=9)),
}
MADE = {
    "dense": Case(lambda: nn.Dense(4, 3), rows(5, 12, 4)),
    "convolution": Case(lambda: nn.Conv2d(2, 3, 3), rows(5, 2, 6, 6)),
    "embedding": Case(lambda: nn.Embedding(2, 2), ids(5, 24, below=2)),
}
MODULES = {
    "dense": (product, "ghost_pays"),
    "convolution": (convolution, "ghost_pays"),
    "embedding": (embedding, "ghost_pays_for_rows"),
}


def update(case: Case, clip_norm: float = 1.0) -> list[Array]:
    """What one step without noise moves the parameters by."""
    ms.set_seed(1)
    network = case.build()
    step = private_step(case, network, clip_norm=clip_norm)
    return _moved(step, network.trainable_params(), case.rows, case.targets, np.ones(len(case.rows), np.float32))


def _decisions(monkeypatch: pytest.MonkeyPatch, family: str, forced: bool | None) -> list[bool]:
    module, name = MODULES[family]
    model: Callable[..., bool] = getattr(module, name)
    made: list[bool] = []

    def decide(*sizes: int) -> bool:
        made.append(model(*sizes) if forced is None else forced)
        return made[-1]

    monkeypatch.setattr(module, name, decide)
    return made


@pytest.mark.parametrize("family", MODULES)
@pytest.mark.parametrize("ghost", [True, False])
def test_the_cost_model_chooses_and_the_other_choice_agrees(
    monkeypatch: pytest.MonkeyPatch, family: str, ghost: bool
) -> None:
    monkeypatch.setattr(convolution, "available", lambda library: False)  # the choice is that of the plain graph
    case = (GHOST if ghost else MADE)[family]
    chosen = _decisions(monkeypatch, family, None)
    first = update(case)
    assert set(chosen) == {ghost}
    forced = _decisions(monkeypatch, family, not ghost)
    second = update(case)
    assert set(forced) == {not ghost}
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6 * float(np.abs(a).max()))


def test_gradients_that_a_kernel_computes_are_never_ghosts(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = _decisions(monkeypatch, "convolution", None)
    update(GHOST["convolution"])
    assert not chosen


def test_one_row_an_example_never_makes_the_term() -> None:
    assert ghost_pays(1, 2, 2, 4)


@pytest.mark.parametrize(("rows_", "m", "n"), [(16, 64, 64), (32, 128, 128), (64, 512, 512)])
def test_wide_layers_over_few_rows_are_ghosts(rows_: int, m: int, n: int) -> None:
    assert ghost_pays(rows_, m, n, 16)
    assert not ghost_pays(20 * rows_, m, n, 16)


def test_terms_that_do_not_fit_are_not_made_where_gram_matrices_do() -> None:
    rows_, m, n = 600, 1024, 1024
    batch = LARGEST // (m * n)
    assert not ghost_pays(rows_, m, n, batch)
    assert ghost_pays(rows_, m, n, batch + 1)


def test_a_look_up_in_a_large_table_is_a_ghost_and_in_a_tiny_one_is_made() -> None:
    assert ghost_pays_for_rows(128, 30_000, 512, 8)
    assert not ghost_pays_for_rows(128, 4, 16, 8)


def test_rows_that_cancel_do_not_hide_a_record_from_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    # The gradient of each record is dY (x_1 - x_2): two long rows that differ in their last digits. In float32 their
    # Gram matrix says nearly nothing of the difference, and could call the norm zero.
    x = np.full((4, 2, 16), 3000.0, np.float32)
    x[:, 1] += np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    case = Case(lambda: nn.Dense(16, 12, has_bias=False), x, np.ones((4, 1), np.float32), _difference)
    decisions = _decisions(monkeypatch, "dense", True)
    (total,) = update(case, clip_norm=0.5)
    assert decisions == [True]
    assert 0 < float(np.linalg.norm(total)) * 2 <= 4 * 0.5 * (1 + 1e-5)


def _difference(outputs: Tensor, labels: Tensor) -> Tensor:
    return ((outputs[:, 0] - outputs[:, 1]) * labels).sum(1) * 50


NETWORKS: dict[str, Case] = {
    "dense": Case(lambda: nn.Dense(4, 3), rows(4, 4)),
    "dense_rows": Case(lambda: nn.Dense(16, 12), rows(4, 3, 16)),
    "convolution": Case(lambda: nn.Conv2d(2, 3, 3, has_bias=True), rows(4, 2, 6, 6)),
    "layer_norm": Case(lambda: nn.LayerNorm((4,)), rows(4, 3, 4)),
    "group_norm": Case(lambda: nn.GroupNorm(2, 4), rows(4, 4, 3, 3)),
    "embedding": Case(lambda: nn.SequentialCell(nn.Embedding(7, 4), nn.Dense(4, 2)), ids(4, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_record_that_is_not_finite_adds_nothing_and_a_huge_one_no_more_than_the_bound(name: str) -> None:
    case, all_rows = NETWORKS[name], np.ones(4, np.float32)
    step, parameters = _step(case)
    without = _moved(step, parameters, case.rows, case.targets, np.array([1, 0, 1, 1], np.float32))
    for bad in (np.nan, np.inf, 1e38):
        x, y = case.rows.copy(), case.targets.copy()
        (y if name == "embedding" else x)[1] = bad
        got = _moved(step, parameters, x, y, all_rows)
        apart = np.concatenate([(a - b).ravel() for a, b in zip(got, without, strict=True)])
        bound = 0.5 if bad == 1e38 else 0.0
        assert np.linalg.norm(apart) <= bound + 1e-5


@pytest.mark.parametrize("clip_norm", [1e-2, 1e3])
def test_a_batch_of_one_record_is_clipped_by_its_own_norm(clip_norm: float) -> None:
    case = Case(lambda: nn.SequentialCell(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.LayerNorm((18,))), rows(1, 1, 3, 3))
    ms.set_seed(1)
    gradient = example_gradients(case, case.build())[0]
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradient))
    for got, g in zip(update(case, clip_norm), gradient, strict=True):
        np.testing.assert_allclose(got, g * min(1.0, clip_norm / norm) / 2, rtol=1e-4, atol=1e-5 * clip_norm)


def _step(case: Case) -> tuple[PrivateStep, list[Parameter]]:
    ms.set_seed(1)
    network = case.build()
    return private_step(case, network), network.trainable_params()


def _moved(step: PrivateStep, parameters: list[Parameter], x: Array, y: Array, weights: Array) -> list[Array]:
    """What a step moves the parameters by; they are put back."""
    before = [p.asnumpy().copy() for p in parameters]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivacyWarning)
        step(x, y, weights)
    moved = [b - p.asnumpy() for b, p in zip(before, parameters, strict=True)]
    for p, b in zip(parameters, before, strict=True):
        p.set_data(Tensor(b))
    return moved


def test_the_reference_sees_a_wrong_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The conformance suite's own oracle: halved squared norms must show."""
    squares = Terms.squares

    def halved(self: Terms, node: int) -> int:
        return self.build.binary("Mul", squares(self, node), self.build.scalar(0.5))

    monkeypatch.setattr(Terms, "squares", halved)
    assert compare(GHOST["dense"]).worst > 1e-2


@pytest.mark.parametrize(
    "case",
    [
        Case(lambda: nn.SequentialCell(nn.Dense(4, 3), nn.LayerNorm((3,))), rows(5, 6, 4)),
        Case(lambda: nn.SequentialCell(nn.Conv2d(2, 4, 3, has_bias=True), nn.GroupNorm(2, 4)), rows(5, 2, 6, 6)),
        Case(lambda: nn.SequentialCell(nn.Embedding(9, 6), nn.PReLU(4)), ids(5, 4, below=9)),
    ],
    ids=["layer_norm", "group_norm", "prelu"],
)
def test_the_clipped_sum_does_not_rest_on_terms_that_the_norm_made(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    norm = Terms.norm

    def elsewhere(self: Terms, node: int) -> int:
        return norm(Terms(self.build, dict(self.view.types), self.batch), node)

    monkeypatch.setattr(Terms, "norm", elsewhere)
    assert compare(case).worst < 1e-5
