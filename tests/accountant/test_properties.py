"""Laws that hold for every event and every parameter, over examples that Hypothesis chooses."""

import itertools
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindveil.accountant import (
    AdaptiveClipping,
    BallsInBins,
    BandedMatrix,
    ClippedTogether,
    Composed,
    Event,
    Gaussian,
    Laplace,
    MatrixMechanism,
    NonPrivate,
    NoOp,
    PerLayer,
    PoissonSampled,
    PureLoss,
    SampledWithoutReplacement,
    Sequence,
    ShuffledBatches,
    TreeAggregation,
    ZeroConcentrated,
    delta,
    epsilon,
    epsilon_bounds,
    event_from_json,
    event_to_json,
)
from mindveil.accountant.checks import RELATIONS, Relation, relation
from mindveil.accountant.guarantees import Method
from mindveil.accountant.rdp import curve_of, total_cumulant
from mindveil.accountant.serialise import EVENT_KINDS
from mindveil.accountant.terms import terms_of

law = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
few = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

noises = st.floats(math.log(0.3), math.log(200.0)).map(math.exp)
rates = st.floats(math.log(1e-6), 0.0).map(math.exp)
deltas = st.floats(math.log(1e-11), math.log(1e-2)).map(math.exp)
steps_ = st.floats(0.0, math.log(1e6)).map(lambda x: round(math.exp(x)))
relations = st.sampled_from(RELATIONS).map(relation)
small = st.integers(1, 6)

EVENTS: dict[str, Event] = {
    "Gaussian": Gaussian(1.1),
    "AdaptiveClipping": AdaptiveClipping(1.1, 5.0),
    "PerLayer": PerLayer((2.0, 3.0)),
    "ClippedTogether": ClippedTogether(2.0, 4),
    "Laplace": Laplace(2.0),
    "PureLoss": PureLoss(0.3),
    "ZeroConcentrated": ZeroConcentrated(0.05, 0.01),
    "PoissonSampled": PoissonSampled(0.02, Gaussian(0.9)),
    "SampledWithoutReplacement": SampledWithoutReplacement(500, 10, Gaussian(1.4)),
    "ShuffledBatches": ShuffledBatches(1.5, 20),
    "BallsInBins": BallsInBins(1.5, 20),
    "TreeAggregation": TreeAggregation(15, 4.0),
    "BandedMatrix": BandedMatrix(1.0, 4, 0.1, 20),
    "MatrixMechanism": MatrixMechanism(5.0, 3, 0.9),
    "Composed": Composed(Gaussian(3.0), 4),
    "Sequence": Sequence([Gaussian(2.0), Laplace(3.0)]),
    "NonPrivate": NonPrivate(),
    "NoOp": NoOp(),
}
COSTLY = [name for name in EVENTS if name not in ("NonPrivate", "NoOp")]

gaussians = st.one_of(
    noises.map(Gaussian),
    st.tuples(noises, noises).map(lambda pair: AdaptiveClipping(*pair)),
    st.lists(noises, min_size=1, max_size=3).map(lambda parts: PerLayer(tuple(parts))),
    st.tuples(noises, small).map(lambda pair: ClippedTogether(*pair)),
)
leaves: st.SearchStrategy[Event] = st.one_of(
    gaussians,
    noises.map(Laplace),
    st.floats(0, 2).map(PureLoss),
    st.tuples(rates, gaussians).map(lambda pair: PoissonSampled(*pair)),
    st.tuples(st.integers(1, 50), gaussians).map(lambda pair: SampledWithoutReplacement(100, *pair)),
    st.tuples(noises, small).map(lambda pair: ShuffledBatches(*pair)),
    st.just(NoOp()),
)
events: st.SearchStrategy[Event] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.integers(0, 50)).map(lambda pair: Composed(*pair)),
        st.lists(inner, max_size=3).map(Sequence),
    ),
    max_leaves=4,
)


def training(rate: float, noise: float, steps: int) -> Event:
    return Composed(PoissonSampled(rate, Gaussian(noise)), steps)


def test_the_table_of_examples_holds_every_kind_of_event() -> None:
    assert set(EVENTS) == set(EVENT_KINDS)
    assert all(type(event).__name__ == name for name, event in EVENTS.items())


@pytest.mark.parametrize("name", COSTLY)
@pytest.mark.parametrize("neighbouring", RELATIONS)
def test_one_more_copy_costs_more_and_nothing_is_nan(name: str, neighbouring: Relation) -> None:
    spent = [epsilon(Composed(EVENTS[name], n), 1e-5, neighbouring=neighbouring) for n in (0, 1, 2, 3, 10)]
    assert spent[0] == 0.0
    assert all(math.isfinite(value) for value in spent)
    assert all(less < more for less, more in itertools.pairwise(spent))


@pytest.mark.parametrize("name", COSTLY)
@pytest.mark.parametrize("neighbouring", RELATIONS)
def test_copies_at_once_cost_what_they_cost_one_by_one(name: str, neighbouring: Relation) -> None:
    at_once = epsilon(Composed(EVENTS[name], 7), 1e-5, neighbouring=neighbouring)
    one_by_one = epsilon(Sequence([EVENTS[name]] * 7), 1e-5, neighbouring=neighbouring)
    nested = epsilon(Composed(Composed(EVENTS[name], 7), 1), 1e-5, neighbouring=neighbouring)
    assert at_once == pytest.approx(one_by_one, rel=1e-9)
    assert at_once == nested


@pytest.mark.parametrize("name", COSTLY)
@pytest.mark.parametrize("neighbouring", RELATIONS)
def test_tight_bounds_lie_in_order_below_the_renyi_bound(name: str, neighbouring: Relation) -> None:
    event = Composed(EVENTS[name], 3)
    lower, upper = epsilon_bounds(event, 1e-4, neighbouring=neighbouring)
    assert 0 <= lower <= upper <= epsilon(event, 1e-4, neighbouring=neighbouring)
    assert epsilon(event, 1e-4, neighbouring=neighbouring, method="pld") == pytest.approx(upper, rel=1e-9)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_replacing_a_record_costs_at_least_as_much_as_zeroing_it(name: str) -> None:
    replaced = epsilon(EVENTS[name], 1e-5, neighbouring="replace_one")
    assert replaced >= epsilon(EVENTS[name], 1e-5, neighbouring="zero_out")


@law
@given(events)
def test_events_survive_json(event: Event) -> None:
    assert event_from_json(event_to_json(event)) == event


@law
@given(events, relations)
def test_order_does_not_matter_and_nothing_is_neutral(event: Event, neighbouring: Relation) -> None:
    other = PoissonSampled(0.1, Gaussian(2.0))
    one = epsilon(Sequence([event, other]), 1e-5, neighbouring=neighbouring)
    assert one == pytest.approx(epsilon(Sequence([other, NoOp(), event]), 1e-5, neighbouring=neighbouring), rel=1e-6)
    assert one >= epsilon(event, 1e-5, neighbouring=neighbouring) * (1 - 1e-6)


@law
@given(events, relations)
def test_what_is_not_private_makes_everything_infinite(event: Event, neighbouring: Relation) -> None:
    whole = Sequence([event, NonPrivate()])
    assert epsilon(whole, 1e-5, neighbouring=neighbouring) == math.inf
    assert epsilon(whole, 1e-5, neighbouring=neighbouring, method="pld") == math.inf
    assert delta(whole, 3.0, neighbouring=neighbouring) == 1.0
    assert epsilon(PoissonSampled(1e-6, NonPrivate()), 1e-5, neighbouring=neighbouring) == math.inf


@law
@given(rates, noises, steps_, deltas)
def test_epsilon_falls_with_noise_and_delta_and_rises_with_rate_and_steps(
    rate: float, noise: float, steps: int, at: float
) -> None:
    here = epsilon(training(rate, noise, steps), at)
    slack = 1 + 1e-5  # the order is settled to about 1e-6
    assert epsilon(training(rate, noise * 1.1, steps), at) <= here * slack
    assert epsilon(training(rate, noise, steps), at * 1.5) <= here * slack
    assert epsilon(training(rate, noise, steps + 1), at) * slack >= here
    assert epsilon(training(min(1.0, rate * 1.1), noise, steps), at) * slack >= here


@law
@given(rates, noises, steps_, deltas)
def test_epsilon_and_delta_undo_each_other_on_the_private_side(
    rate: float, noise: float, steps: int, at: float
) -> None:
    run = training(rate, noise, steps)
    spent = epsilon(run, at)
    if spent < 1e4:
        assert delta(run, spent) <= at * (1 + 1e-3)
    asked = 0.9 * min(spent, 1e4)
    proven = delta(run, asked)
    # Where delta comes from the total variation alone, epsilon knows of no better than 0 or the order's bound.
    if at <= proven < 1:
        assert epsilon(run, proven) <= asked * (1 + 1e-4) + 1e-9


@law
@given(rates, noises, st.sampled_from(["present", "replaced", "symmetrised"]))
def test_divergences_grow_with_the_order_and_cumulants_are_convex(rate: float, noise: float, pair: str) -> None:
    event: Event = PoissonSampled(rate, Gaussian(noise))
    neighbouring: Relation = "replace_one" if pair != "present" else "add_or_remove_one"
    if pair == "symmetrised":
        event = SampledWithoutReplacement(10**9, max(1, round(rate * 1e9)), Gaussian(noise))
    curve = curve_of(terms_of(event, neighbouring))
    orders = [1.01, 1.5, 2.0, 3.0, 5.0, 9.0, 20.0, 50.0]
    cumulants = [total_cumulant(curve, order) for order in orders]
    divergences = [k / (order - 1) for k, order in zip(cumulants, orders, strict=True)]
    assert all(less <= more * (1 + 3e-9) for less, more in itertools.pairwise(divergences))
    slopes = [(k2 - k1) / (b - a) for k1, k2, a, b in zip(cumulants, cumulants[1:], orders, orders[1:], strict=False)]
    assert all(less <= more * (1 + 1e-6) for less, more in itertools.pairwise(slopes))


@law
@given(noises, steps_, deltas, relations)
def test_unsampled_steps_are_one_step_of_less_noise(
    noise: float, steps: int, at: float, neighbouring: Relation
) -> None:
    methods: tuple[Method, ...] = ("rdp", "pld")
    for method in methods:
        many = epsilon(Composed(Gaussian(noise), steps), at, neighbouring=neighbouring, method=method)
        once = epsilon(Gaussian(noise / math.sqrt(steps)), at, neighbouring=neighbouring, method=method)
        assert many == pytest.approx(once, rel=1e-6)


@law
@given(noises, noises, deltas)
def test_sampling_everything_or_nothing(first: float, second: float, at: float) -> None:
    both = Sequence([Gaussian(first), Gaussian(second)])
    assert epsilon(PoissonSampled(1.0, both), at) == pytest.approx(epsilon(both, at), rel=1e-9)
    assert epsilon(PoissonSampled(0.0, both), at) == 0.0
    assert epsilon(PoissonSampled(0.5, PoissonSampled(0.2, both)), at) == epsilon(PoissonSampled(0.1, both), at)


@law
@given(rates, st.floats(1.0, 5.0), st.integers(2, 5), deltas)
def test_layers_on_one_batch_cost_more_than_on_batches_of_their_own(
    rate: float, noise: float, layers: int, at: float
) -> None:
    same = epsilon(Composed(PoissonSampled(rate, PerLayer((noise,) * layers)), 100), at)
    own = epsilon(Composed(PoissonSampled(rate, Gaussian(noise)), 100 * layers), at)
    assert same >= own * (1 - 1e-5)


@few
@given(rates, noises, steps_, deltas, st.sampled_from(["add_or_remove_one", "replace_one"]))
def test_tight_bounds_keep_their_order_everywhere(
    rate: float, noise: float, steps: int, at: float, neighbouring: Relation
) -> None:
    run = training(rate, noise, steps)
    lower, upper = epsilon_bounds(run, at, neighbouring=neighbouring)
    by_order = epsilon(run, at, neighbouring=neighbouring)
    assert 0 <= lower <= upper <= by_order
    if 1e-3 < upper < 300:
        assert lower >= 0.95 * upper


@few
@given(rates, noises, st.integers(1, 2000), st.integers(1, 2000), deltas)
def test_tight_composition_is_monotone_and_splittable(
    rate: float, noise: float, first: int, second: int, at: float
) -> None:
    together = epsilon_bounds(training(rate, noise, first + second), at)
    split = epsilon_bounds(Sequence([training(rate, noise, first), training(rate, noise, second)]), at)
    assert split[0] <= together[1]
    assert together[0] <= split[1]
    assert epsilon_bounds(training(rate, noise, first), at)[0] <= together[1]
