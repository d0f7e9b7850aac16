"""Metrics of any size of data, against NumPy, scikit-learn and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, log_loss
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.metrics import History, Metrics, accuracy_interval, mean_metrics, paired_test, predict
from helpers.training import evaluate

FUZZED = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


def test_no_examples_have_no_mean():
    with pytest.raises(ValueError, match="gave no batch"):
        mean_metrics(0.0, 0.0, 0, 0)


@settings(max_examples=100, **FUZZED)
@given(n=st.integers(1, 100_000), share=st.floats(0, 1))
def test_the_interval_is_wilsons(n, share):
    k = round(share * n)
    low, high = accuracy_interval(k / n, n)
    theirs = binomtest(k, n).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose((low, high), theirs, rtol=1e-6, atol=1e-9)
    assert 0 <= low <= k / n + 1e-12 and k / n - 1e-12 <= high <= 1
    assert not f"{low:.1%}".startswith("-")


@pytest.mark.parametrize(("accuracy", "num_examples"), [(0.5, 0), (50, 100), (-0.1, 3)])
def test_an_interval_of_nothing_or_of_no_share_is_refused(accuracy, num_examples):
    with pytest.raises(ValueError, match="give a share, 0 to 1"):
        accuracy_interval(accuracy, num_examples)


@settings(max_examples=100, **FUZZED)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_a_paired_test_is_the_binomial_one_of_the_disagreements(pairs):
    one, other = torch.tensor(pairs).T
    wins, losses = pairs.count((True, False)), pairs.count((False, True))
    n = wins + losses
    expected = binomtest(wins, n).pvalue if n else 1
    assert paired_test(one, other) == pytest.approx(expected)
    assert paired_test(other, one) == paired_test(one, other)


def test_a_paired_test_needs_pairs():
    with pytest.raises(ValueError, match="3 and 4 answers: ask both the same"):
        paired_test(torch.ones(3, dtype=torch.bool), torch.ones(4, dtype=torch.bool))


def test_a_history_holds_numbers_that_no_longer_change():
    lr = torch.tensor(0.1)
    history = History()
    history.append(Metrics(1, 0), Metrics(1, 0), lr, np.float64(2))
    lr *= 0
    assert history.lr == [pytest.approx(0.1)] and type(history.seconds[0]) is float


@settings(max_examples=100, **FUZZED)
@given(accuracies=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_the_best_epoch_is_the_first_of_the_highest(accuracies):
    history = History()
    for i, accuracy in enumerate(accuracies):
        history.append(Metrics(i, 0.5), Metrics(2 * i, accuracy / 5), lr=0.1 * i, seconds=i)
    assert history.best_epoch == 1 + int(np.argmax(accuracies))
    assert history.train_loss == list(range(len(accuracies)))
    assert history.val_loss == [2 * i for i in range(len(accuracies))]


@settings(max_examples=40, **FUZZED)
@given(
    n=st.integers(1, 40),
    num_classes=st.integers(2, 5),
    batch_size=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_predictions_and_metrics_of_any_batches_are_those_of_the_whole(
    cpu, criterion, n, num_classes, batch_size, seed
):
    """One by one, in ragged batches or at once: as NumPy and scikit-learn have it."""
    torch.manual_seed(seed)
    model = nn.Linear(4, num_classes)
    inputs, labels = torch.randn(n, 4), torch.randint(num_classes, (n,))
    loader = DataLoader(TensorDataset(inputs, labels), batch_size)
    logits, found_labels = predict(model, loader, cpu)
    weight, bias = (p.detach().double().numpy() for p in (model.weight, model.bias))
    expected = inputs.double().numpy() @ weight.T + bias
    np.testing.assert_allclose(logits.numpy(), expected, rtol=0, atol=1e-5)
    assert torch.equal(found_labels, labels)

    loss, accuracy = evaluate(model, loader, criterion, cpu)
    odds = np.exp(expected)
    odds /= odds.sum(1, keepdims=True)
    assert accuracy == pytest.approx(accuracy_score(labels, expected.argmax(1)))
    assert loss == pytest.approx(log_loss(labels, odds, labels=range(num_classes)), abs=1e-5)
