"""Names of data sets as a text has them."""

import re

_TITLES = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "breast_cancer": "breast-cancer data",
    "two_moons": "two moons",
    "tiny_shakespeare": "Shakespeare",
}
_POOLED = re.compile(r"(\w+)_(\d+)x(\d+)")


def title_of(name: str) -> str:
    """The name of a data set in a text: "mnist_14x14 pairs" as "MNIST 14 x 14 pairs".

    Words that are no names of the library's data sets stay as they are.
    """
    return " ".join(map(_word, name.split(" ")))


def _word(word: str) -> str:
    pooled = _POOLED.fullmatch(word)
    if pooled:
        whole, height, width = pooled.groups()
        return f"{_TITLES.get(whole, whole)} {height} x {width}"
    return _TITLES.get(word, word)
