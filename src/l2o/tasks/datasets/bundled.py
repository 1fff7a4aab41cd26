"""Data sets that come with scikit-learn and need no files."""

import numpy as np

from l2o.tasks.datasets.classification import Classification, fixed_permutation


def digits() -> Classification:
    """1,797 handwritten digits of 8 x 8 pixels, scaled from 0..16 to [0, 1].

    1,000 rows to train on, 397 for validation, 400 for testing; inputs are
    `(rows, 8, 8, 1)`. Source: Alpaydin and Kaynak (1998), UCI; the copy in scikit-learn.

    ```pycon
    >>> l2o.tasks.datasets.digits().train_inputs.shape
    (1000, 8, 8, 1)
    ```
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.reshape(pixels, (-1, 8, 8, 1)) / 16
    return Classification.from_arrays(
        "digits", images, np.asarray(labels), num_classes=10, num_validation=397, num_test=400
    )


def breast_cancer() -> Classification:
    """569 tumours described by 30 numbers each, benign (1) or malignant (0).

    369 rows to train on, 100 for validation, 100 for testing. Every feature is standardised with
    its mean and standard deviation over the train split. Source: Street, Wolberg and
    Mangasarian (1993), UCI; the copy in scikit-learn.

    ```pycon
    >>> l2o.tasks.datasets.breast_cancer().train_inputs.shape
    (369, 30)
    ```
    """
    from sklearn.datasets import load_breast_cancer

    raw, labels = (np.asarray(array) for array in load_breast_cancer(return_X_y=True))
    train = raw[fixed_permutation(len(raw))[:369]]
    inputs = (raw - train.mean(0)) / train.std(0)
    return Classification.from_arrays(
        "breast_cancer", inputs, labels, num_classes=2, num_validation=100, num_test=100
    )


def two_moons() -> Classification:
    """Two interleaved half circles with noise of 0.1: 1,024 points in the plane a split.

    The train split is the data of Maheswaranathan et al. (2021) as their public code makes it,
    `make_moons(1024, noise=0.1, random_state=0)`; the other splits are ours, with
    `random_state` 1 (validation) and 2 (test).

    ```pycon
    >>> l2o.tasks.datasets.two_moons().train_inputs.shape
    (1024, 2)
    ```
    """
    from sklearn.datasets import make_moons

    parts = []
    for seed in range(3):
        points, labels = make_moons(1024, shuffle=True, noise=0.1, random_state=seed)
        parts.append((np.asarray(points), np.asarray(labels)))
    return Classification.from_splits("two_moons", parts, num_classes=2)
