"""Real data with fixed, named splits, as arrays on the device.

The digits, breast-cancer and two-moons sets come with scikit-learn and need no files. The others
are read from the folder that the environment variable `L2O_DATA` names (`data_folder`).
"""

from l2o.tasks.datasets._image_folder import image_folder as image_folder
from l2o.tasks.datasets._mnist import mnist as mnist
from l2o.tasks.datasets.bundled import (
    breast_cancer as breast_cancer,
    digits as digits,
    two_moons as two_moons,
)
from l2o.tasks.datasets.cifar import cifar10 as cifar10
from l2o.tasks.datasets.classification import (
    Classification as Classification,
    JudgeOn as JudgeOn,
    Split as Split,
    average_pool as average_pool,
    subset as subset,
)
from l2o.tasks.datasets.folders import (
    DataError as DataError,
    cache_folder as cache_folder,
    data_folder as data_folder,
)
from l2o.tasks.datasets.idx import read_idx as read_idx
from l2o.tasks.datasets.images import ImageSet as ImageSet, read_images as read_images
from l2o.tasks.datasets.multi_task import (
    Classes as Classes,
    MultiTaskData as MultiTaskData,
    Numbers as Numbers,
    Target as Target,
    digit_attributes as digit_attributes,
    only_target as only_target,
    overlaid_pairs as overlaid_pairs,
)
from l2o.tasks.datasets.text import (
    Text as Text,
    TextName as TextName,
    read_text as read_text,
    tiny_shakespeare as tiny_shakespeare,
)
