"""Ridge and latent attacks, reference rows, and the run of all attacks on one model."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from mindveil.tools.attacks import (
    ATTACKS,
    CATALOGUE,
    REFERENCE_ROWS,
    SCORES,
    AttackSettings,
    Evaluator,
    LatentInversionAttack,
    ModelRunner,
    RidgeInverse,
    Targets,
    attack,
    evaluate,
    evaluate_references,
    not_tested,
    reference_rows,
    relative_l2,
)
from mindveil.tools.attacks.subspace import PrincipalSubspace

from .networks import constant, digits, leaking, lenet5, linear_classifier

SHAPE = (1, 32, 32)


@cache
def targets(count: int = 40, public: int = 1500) -> Targets:
    images, labels = digits()
    return Targets(images[:count], labels[:count], images[1000 : 1000 + public], labels[1000 : 1000 + public])


def test_ridge_recovers_images_from_an_invertible_linear_model() -> None:
    runner = ModelRunner.of(leaking(), "seen")
    inverse = RidgeInverse.fit(runner, targets().public_images, penalty=1e-6)
    assert relative_l2(targets().images, inverse.generate(runner(targets().images))).mean() < 0.1


def test_ridge_on_a_constant_model_is_the_mean_public_image() -> None:
    runner = ModelRunner.of(constant(), "seen")
    found = RidgeInverse.fit(runner, targets().public_images).generate(runner(targets().images))
    mean = targets().public_images.astype(np.float64).mean(0)
    np.testing.assert_allclose(found, np.broadcast_to(mean, found.shape), atol=1e-6)


def test_ridge_solves_its_normal_equations() -> None:
    runner = ModelRunner.of(lenet5(), "fc1")
    public = targets().public_images[:300]
    inverse = RidgeInverse.fit(runner, public, penalty=1e-2)
    inputs = inverse.whitening(runner(public))
    residual = public.reshape(300, -1) - inverse.mean - inputs @ inverse.weights
    np.testing.assert_allclose(inputs.T @ residual, 3.0 * inverse.weights, atol=1e-8)


def test_stronger_attacks_find_more_than_the_seed_attack_at_a_narrow_cut() -> None:
    results = attack(lenet5(), targets(), features="fc1", settings=AttackSettings(iterations=60, components=60))
    l2 = {name: result.scores["l2"].value for name, result in results.items()}
    found = {name: result.scores["identification_rate"].value for name, result in results.items()}
    assert l2["latent"] < l2["ridge"] < l2["seed"] - 0.2
    assert found["latent"] >= found["ridge"] > found["seed"] + 0.3


def test_the_latent_attack_lowers_its_own_distance_below_the_ridge_start() -> None:
    attacker = LatentInversionAttack(lenet5(), features="fc1", public_images=targets().public_images, components=60)
    seen = ModelRunner.of(lenet5(), "fc1")
    wanted = seen(targets().images)
    white = attacker.ridge.whitening

    def distance(images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
        return float(((white(seen(images)) - white(wanted)) ** 2).mean())

    assert distance(attacker.generate(wanted, 60)) < 0.5 * distance(attacker.ridge.generate(wanted))
    np.testing.assert_array_equal(attacker.generate(wanted, 5), attacker.generate(wanted, 5))


def test_a_constant_model_is_at_chance_for_every_attack() -> None:
    results = attack(constant(), targets(), features="seen", settings=AttackSettings(iterations=20, components=20))
    for name, result in results.items():
        assert result.scores["identification_rate"].value <= 0.05, name
        assert result.scores["l2"].value > 0.6, name


def test_too_many_components_are_refused() -> None:
    with pytest.raises(ValueError, match="components is 100; with 50 public images"):
        LatentInversionAttack(lenet5(), features="fc1", public_images=targets().public_images[:50])


@pytest.mark.parametrize("public", [3, 11, 40])
def test_every_attack_runs_with_few_public_images(public: int) -> None:
    images, labels = digits()
    few = Targets(images[:2], labels[:2], images[100 : 100 + public], labels[100 : 100 + public])
    results = attack(lenet5(), few, features="fc1", settings=AttackSettings(iterations=3))
    assert all(np.isfinite(result.reconstructions).all() for result in results.values())


@pytest.mark.parametrize("shape", [(60, 1, 6, 5), (20, 1, 6, 5)], ids=["more images", "more pixels"])
def test_the_subspace_is_that_of_the_singular_value_decomposition(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).random(shape)
    flat = images.reshape(len(images), -1)
    _, singular, right = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    found = PrincipalSubspace.fit(images, 8)
    np.testing.assert_allclose(found.spread, singular[:8] / np.sqrt(len(flat) - 1), rtol=1e-9)
    np.testing.assert_allclose(np.abs(np.einsum("kd,kd->k", found.directions, right[:8])), 1, rtol=1e-6)
    np.testing.assert_allclose(found.coordinates(images).std(0, ddof=1), 1, rtol=1e-9)


def test_the_subspace_of_large_images_keeps_nearly_as_much_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    images = digits()[0][:600]
    exact = PrincipalSubspace.fit(images, 30)
    monkeypatch.setattr("mindveil.tools.attacks.subspace.EXACT_UP_TO", 10)
    fast = PrincipalSubspace.fit(images, 30)
    np.testing.assert_allclose(fast.spread, exact.spread, rtol=1e-3)
    np.testing.assert_allclose(fast.directions @ fast.directions.T, np.eye(30), atol=1e-9)


def test_reference_rows_are_what_they_say() -> None:
    rows = reference_rows(targets())
    assert tuple(rows) == REFERENCE_ROWS
    assert not rows["black"].any()
    label = targets().labels[0]
    public = targets().public_images[targets().public_labels == label]
    np.testing.assert_allclose(rows["class_mean"][0], public.mean(0), atol=1e-6)
    assert any(np.array_equal(rows["random_same_class"][0], image) for image in public)


def test_scores_of_the_reference_rows() -> None:
    evaluator = Evaluator.of(linear_classifier())
    scores = {name: evaluation.scores for name, (evaluation, _) in evaluate_references(targets(), evaluator).items()}
    for row in scores.values():
        assert tuple(row) == tuple(SCORES)
    assert scores["original"]["l2"].value == 0
    assert scores["original"]["ssim"].value == pytest.approx(1)
    assert scores["original"]["identification_rate"].value == 1
    assert scores["black"]["l2"].value == pytest.approx(1)
    assert scores["black"]["evaluator_confidence"].value == pytest.approx(0.1, abs=0.01)
    # The class mean: a perfect label, and nobody identified. This is why confidence alone misleads.
    assert scores["class_mean"]["evaluator_accuracy"].value > 0.95
    assert scores["class_mean"]["identification_rate"].value < 0.1
    assert scores["original"]["evaluator_accuracy"].value > 0.75


def test_evaluation_of_equal_reconstructions_differs_by_nothing() -> None:
    first = evaluate(targets(), targets().images)
    assert first.compared_with(first, "l2").value == 0
    assert set(first.scores) == {"l2", "ssim", "identification_rate"}


def test_evaluator_refuses_labels_outside_its_classes() -> None:
    evaluator = Evaluator.of(linear_classifier())
    with pytest.raises(ValueError, match="labels reach from 0 to 10"):
        evaluator.confidence(digits()[0][:2], np.array([0, 10]))
    with pytest.raises(ValueError, match="3 labels for 2 images"):
        evaluator.correct(digits()[0][:2], np.array([0, 1, 2]))


def test_targets_refuse_a_public_image_that_is_a_target() -> None:
    images, labels = digits()
    with pytest.raises(ValueError, match="a target is among the public images"):
        Targets(images[:10], labels[:10], images[5:50], labels[5:50])


def test_targets_state_the_candidates_that_there_are_and_name_themselves() -> None:
    images, labels = digits()
    few = Targets(images[:10], labels[:10], images[10:50], labels[10:50])
    assert few.candidates == 50
    assert targets().candidates == 1000
    assert few.digest == Targets(images[:10], labels[:10], images[10:60], labels[10:60]).digest
    assert few.digest != Targets(images[1:11], labels[1:11], images[11:50], labels[11:50]).digest


def test_targets_that_were_trained_on_are_scored_apart() -> None:
    images, labels = digits()
    members = np.arange(20) < 8
    some = Targets(images[:20], labels[:20], images[1000:1400], labels[1000:1400], members=members)
    result = attack(lenet5(), some, features="fc1", attacks=["ridge"])["ridge"]
    hits = result.evaluation.records["identification_rate"]
    assert {name: (score.value, score.n) for name, score in result.groups.items()} == {
        "trained on": (hits[:8].mean(), 8),
        "never trained on": (hits[8:].mean(), 12),
    }
    assert not attack(lenet5(), targets(), features="fc1", attacks=["ridge"])["ridge"].groups
    with pytest.raises(ValueError, match="one truth value for 20 targets"):
        Targets(images[:20], labels[:20], images[1000:1400], labels[1000:1400], members=members[:5])


def test_a_class_without_public_image_is_refused() -> None:
    images, labels = digits()
    ones = labels[10:] != labels[0]
    with pytest.raises(ValueError, match="no public image"):
        reference_rows(Targets(images[:10], labels[:10], images[10:][ones], labels[10:][ones]))


def test_the_catalogue_lists_what_runs_and_what_does_not() -> None:
    assert {entry.name for entry in CATALOGUE if entry.available} == set(ATTACKS)
    missing = {entry.name for entry in not_tested(["seed"])}
    assert {"ridge", "latent", "membership-reference", "canary-audit"} <= missing
    assert "seed" not in missing
    with pytest.raises(ValueError, match="no attack 'sed'"):
        not_tested(["sed"])


def test_an_unknown_attack_is_refused() -> None:
    with pytest.raises(ValueError, match="choose at least one of seed, ridge, latent"):
        attack(lenet5(), targets(), features="fc1", attacks=["seeds"])
