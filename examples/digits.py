"""Handwritten digits: a network with two hidden layers in plain NumPy, trained once for each activation.

    python examples/digits.py
    python examples/digits.py --activations relu prelu --epochs 100 --seed 7

The images are the 1 797 that scikit-learn ships.  Every network draws the same random numbers and sees the same
batches, so that the activation makes the difference.  The closing table also shows two effects that textbooks warn of:

gradient kept  The gradient that reaches the first hidden layer over that at the second, before training: what is well
               below 1 vanishes in a deep network.
flat           The share of hidden outputs with a derivative of almost 0, over the training images, after training:
               saturated or switched off, they let no gradient through.

Needs scikit-learn, matplotlib and tqdm: pip install "pyactx[demo]"
"""

import argparse
from inspect import Parameter
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import pyactx

UNITS = 128
BATCH = 32
RATE, MOMENTUM = 0.02, 0.9
LEARNT_FROM = 0.25  # the first value of a learnt parameter; He, Zhang, Ren & Sun (2015), arXiv:1502.01852
FLAT = 0.001  # the derivative below which an output counts as flat
COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000"]  # Okabe & Ito (2008)


class Stopwatch:
    """The seconds spent inside ``with stopwatch:``."""

    seconds = 0.0

    def __enter__(self):
        self.start = perf_counter()

    def __exit__(self, *exception):
        self.seconds += perf_counter() - self.start


class Linear:
    """x @ weight + bias."""

    def __init__(self, inputs, outputs, variance, rng):
        weight = rng.standard_normal((inputs, outputs), np.float32) * np.float32(np.sqrt(variance))
        self.parameters = {"weight": weight, "bias": np.zeros(outputs, np.float32)}

    def forward(self, x):
        self.x = x
        return x @ self.parameters["weight"] + self.parameters["bias"]

    def backward(self, grad):
        self.gradients = {"weight": self.x.T @ grad, "bias": grad.sum(axis=0)}
        return grad @ self.parameters["weight"].T


class Hidden:
    """An activation.  Parameters for which it has no default are learnt, with one value for each unit."""

    def __init__(self, activation, units, watch):
        self.activation, self.watch = activation, watch
        learnt = [name for name, default in activation.parameters.items() if default is Parameter.empty]
        self.parameters = {name: np.full(units, LEARNT_FROM, np.float32) for name in learnt}
        self.arguments = {**self.parameters, "axis": 1} if learnt else {}

    def forward(self, x):
        self.x = x
        with self.watch:
            return self.activation(x, **self.arguments)

    def backward(self, grad):
        with self.watch:
            if self.parameters:
                self.gradients = self.activation.parameter_gradients(grad, self.x, **self.arguments)
            self.grad = self.activation.backward(grad, self.x, **self.arguments, out=grad)
        return self.grad

    def flat(self):
        """Return the share of outputs with a derivative of almost 0 in the last forward pass."""
        return np.mean(np.abs(self.activation.derivative(self.x, **self.arguments)) < FLAT)


class Network:
    """Two hidden layers with an activation, softmax at the output; `watch` has the time spent in activations."""

    def __init__(self, activation, inputs, classes, rng):
        self.watch = Stopwatch()
        self.hidden = [Hidden(activation, UNITS, self.watch) for _ in range(2)]
        # Glorot & Bengio (2010) for activations with both bounds, He et al. (2015) for the others.
        bounded = activation.properties is not None and activation.properties.bounded
        self.layers = []
        for fan_in, hidden in zip((inputs, UNITS), self.hidden):
            variance = 2 / (fan_in + UNITS) if bounded else 2 / fan_in
            self.layers += [Linear(fan_in, UNITS, variance, rng), hidden]
        self.layers.append(Linear(UNITS, classes, 2 / (UNITS + classes), rng))
        self.velocities = [{name: np.zeros_like(p) for name, p in layer.parameters.items()} for layer in self.layers]

    def scores(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def probabilities(self, x):
        scores = self.scores(x)
        with self.watch:
            return pyactx.softmax(scores, out=scores)

    def loss(self, x, labels):
        """Return the mean cross-entropy."""
        scores = self.scores(x)
        with self.watch:
            self.log_probability = pyactx.log_softmax(scores, out=scores)
        self.of_label = np.arange(len(labels)), labels
        return -self.log_probability[self.of_label].mean()

    def backward(self):
        """Compute the gradients of the loss returned last."""
        grad = np.zeros_like(self.log_probability)
        grad[self.of_label] = -1 / len(grad)
        with self.watch:
            pyactx.log_softmax.backward_from_output(grad, self.log_probability, out=grad)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)

    def step(self):
        """Follow the gradients, with momentum."""
        for layer, velocities in zip(self.layers, self.velocities):
            for name, velocity in velocities.items():
                velocity *= MOMENTUM
                velocity -= RATE * layer.gradients[name]
                layer.parameters[name] += velocity


def load(seed):
    """Return (images, labels) for training and, a quarter of every digit, for the test; pixels are standardised."""
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images.astype(np.float32), labels, test_size=0.25, stratify=labels, random_state=seed)
    mean, deviation = train_images.mean(axis=0), train_images.std(axis=0)
    deviation[deviation == 0] = 1  # pixels that no digit touches
    return ((train_images - mean) / deviation, train_labels), ((test_images - mean) / deviation, test_labels)


def train(activation, train_set, test_set, epochs, seed):
    """Train a network and return what is to be told of it; the losses are lists, with a value for each epoch."""
    start = perf_counter()
    rng = np.random.default_rng(seed)
    images, labels = train_set
    network = Network(activation, images.shape[1], labels.max() + 1, rng)
    network.loss(images, labels)
    network.backward()
    first, second = (np.linalg.norm(hidden.grad) for hidden in network.hidden)

    train_loss, test_loss = [], []
    progress = tqdm(range(epochs), desc=f"{activation.name:16}", unit="epoch")
    for _ in progress:
        batch_losses = []
        for batch in np.array_split(rng.permutation(len(images)), len(images) // BATCH):
            batch_losses.append(network.loss(images[batch], labels[batch]))
            network.backward()
            network.step()
        train_loss.append(np.mean(batch_losses))
        test_loss.append(network.loss(*test_set))
        progress.set_postfix(loss=f"{test_loss[-1]:.4f}")

    accuracy = np.mean(network.probabilities(test_set[0]).argmax(axis=1) == test_set[1])
    seconds = perf_counter() - start
    network.scores(images)
    flat = np.mean([hidden.flat() for hidden in network.hidden])
    return SimpleNamespace(
        name=activation.name, network=network, train_loss=train_loss, test_loss=test_loss, accuracy=accuracy,
        seconds=seconds, gradient_kept=first / second, flat=flat)


def report(runs):
    """Print the table, and what became of learnt parameters."""
    row = "{:16}{:>13}{:>12}{:>10}{:>17}{:>16}{:>8}".format
    print(row("", "test accuracy", "test loss", "seconds", "in activations", "gradient kept", "flat"))
    for run in runs:
        share = run.network.watch.seconds / run.seconds
        print(row(run.name, f"{run.accuracy:.2%}", f"{run.test_loss[-1]:.6f}", f"{run.seconds:.2f}",
                  f"{share:.0%}", f"{run.gradient_kept:.2f}", f"{run.flat:.1%}"))
    for run in runs:
        for name in run.network.hidden[0].parameters:
            learnt = np.array([hidden.parameters[name] for hidden in run.network.hidden])
            print(f"{run.name}: {name} learnt, from {LEARNT_FROM} to {learnt.min():.2f} ... {learnt.max():.2f}")


def draw(runs, path):
    """Draw the loss curves, those of training beside those of the test."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2)
    for k, run in enumerate(runs):
        for panel, losses in zip(panels, (run.train_loss, run.test_loss)):
            panel.semilogy(range(1, len(losses) + 1), losses, label=run.name,
                           color=COLORS[k % len(COLORS)], linestyle=("-", "--")[k % 2])
    for panel, title in zip(panels, ("Training", "Test")):
        panel.set(title=title, xlabel="epoch", ylabel="mean cross-entropy")
        panel.grid(alpha=0.3)
    panels[1].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def hidden_activation(name):
    """Return the activation for a name of the command line."""
    try:
        activation = pyactx.get(name)
    except (LookupError, ImportError) as error:
        raise argparse.ArgumentTypeError(error) from error
    if activation.kind != "elementwise":
        raise argparse.ArgumentTypeError(f"{name} is {activation.kind}; hidden layers need an elementwise activation")
    return activation


def main():
    parser = argparse.ArgumentParser(description="Train a network on handwritten digits, once for each activation.")
    parser.add_argument("--activations", metavar="NAME", nargs="+", type=hidden_activation,
                        default=[pyactx.get(name) for name in ("sigmoid", "tanh", "relu", "leaky_relu", "prelu")])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="PNG", type=Path, default=Path("results/digits.png"))
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")

    train_set, test_set = load(options.seed)
    # Matrices so small are multiplied fastest by one thread; and the sums do not depend on the number of cores.
    with threadpool_limits(1, user_api="blas"):
        runs = [train(a, train_set, test_set, options.epochs, options.seed) for a in options.activations]
    report(runs)
    draw(runs, options.out)
    print(f"{len(test_set[1])} test images; loss curves in {options.out}")


if __name__ == "__main__":
    main()
